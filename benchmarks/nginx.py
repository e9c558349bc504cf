"""A local nginx that serves one folder on loopback, with a configuration of its own, ended by its process id."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.peers import find

_READY_LIMIT_S = 10.0

_CONFIGURATION = """
daemon off;
worker_processes 1;
pid {state}/nginx.pid;
error_log {state}/error.log;
{user}
worker_rlimit_nofile 8192;
events {{ worker_connections 4096; }}
http {{
    log_format asked '$request_uri $bytes_sent';
    access_log {access};
    sendfile on;
    tcp_nopush on;
    tcp_nodelay on;
    types {{ application/json json; application/zip zip; text/html html; }}
    default_type application/octet-stream;
    client_body_temp_path {state}/body;
    proxy_temp_path {state}/proxy;
    fastcgi_temp_path {state}/fastcgi;
    uwsgi_temp_path {state}/uwsgi;
    scgi_temp_path {state}/scgi;
    server {{
        listen 127.0.0.1:{port};
        root {root};
    }}
}}
"""


@contextlib.contextmanager
def nginx(root: Path, state: Path, *, log: Path | None = None) -> Iterator[str]:
    """Serve ``root`` while the context lasts and yield its address, without a slash at the end.

    Args:
        root: the folder to serve.
        state: a folder for its own files.
        log: where to write path and bytes of each answer; left out: nowhere.

    Raises:
        RuntimeError: nginx did not start; the message holds what it said.
    """
    state.mkdir(parents=True, exist_ok=True)
    port = _free_port()
    configuration = state / "nginx.conf"
    # a worker of root's nginx would become another user, who may not be allowed to read the folder
    user = "user root;" if os.geteuid() == 0 else ""
    access = f"{log} asked" if log is not None else "off"
    configuration.write_text(_CONFIGURATION.format(state=state, user=user, port=port, root=root, access=access))
    errors = state / "error.log"
    process = subprocess.Popen(
        [find("nginx") or "nginx", "-p", str(state), "-c", str(configuration), "-e", str(errors)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    try:
        _wait_until_ready(process, port)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.communicate(timeout=_READY_LIMIT_S)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_until_ready(process: subprocess.Popen[bytes], port: int) -> None:
    end = time.monotonic() + _READY_LIMIT_S
    while time.monotonic() < end:
        if process.poll() is not None:
            break
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.02)
    said = process.stderr.read().decode(errors="replace") if process.poll() is not None and process.stderr else ""
    raise RuntimeError(f"nginx did not start: {said}")
