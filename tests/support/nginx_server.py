"""A real nginx on loopback, with a configuration of the test's own, ended by its process id."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from support.components import missing

_READY_S = 60.0
_PORTS_TRIED = 5
_CONFIGURATION = """
daemon off;
worker_processes 1;
pid {state}/nginx.pid;
error_log {state}/error.log;
{user}
events {{ worker_connections 64; }}
http {{
    access_log off;
    client_body_temp_path {state}/body;
    proxy_temp_path {state}/proxy;
    fastcgi_temp_path {state}/fastcgi;
    uwsgi_temp_path {state}/uwsgi;
    scgi_temp_path {state}/scgi;
    {http}
    server {{
        listen 127.0.0.1:{port};
        {server}
    }}
}}
"""


@contextlib.contextmanager
def nginx(state: Path, *, server: str, http: str = "") -> Iterator[str]:
    """Run nginx while the context lasts; yield its address, without a slash at the end.

    Args:
        state: a new folder for what it writes.
        server: directives of its one server.
        http: directives above that.
    """
    program = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if program is None:
        missing("nginx", "apt-get install nginx-light")
    assert program is not None
    state.mkdir(parents=True)
    # a worker of root's nginx would become another user, who may not be allowed into the folder
    user = "user root;" if os.geteuid() == 0 else ""
    configuration = state / "nginx.conf"
    command = [program, "-p", str(state), "-c", str(configuration), "-e", str(state / "error.log")]
    for _ in range(_PORTS_TRIED):
        port = _free_port()
        configuration.write_text(_CONFIGURATION.format(state=state, user=user, port=port, server=server, http=http))
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            if _is_ready(process, port):
                yield f"http://127.0.0.1:{port}"
                return
        finally:
            process.terminate()
            process.wait()
    raise AssertionError((state / "error.log").read_text())


def _free_port() -> int:
    """Return a port that is free now; somebody may be quicker, then nginx ends and another is tried."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _is_ready(process: subprocess.Popen[bytes], port: int) -> bool:
    end = time.monotonic() + _READY_S
    while process.poll() is None and time.monotonic() < end:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:  # noqa: PERF203  # another try is a try in a loop
            time.sleep(0.02)  # there is nothing to wait on but the port
        else:
            return process.poll() is None  # or somebody else's server has answered
    return False
