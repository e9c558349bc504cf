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

_PORTS_TRIED = 5
_DOCUMENTED = "listen 8080"
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
}}
"""
_SERVER = """
    server {{
        listen 127.0.0.1:{port}{tls};
        {server}
    }}
"""


@contextlib.contextmanager
def nginx(state: Path, *, server: str | None = None, http: str = "", tls: bool = False) -> Iterator[str]:
    """Run nginx while the context lasts; yield its address, without a slash at the end.

    Args:
        state: a new folder for what it writes.
        server: directives of its one server; None where ``http`` has it, as a documented file does, whose port 8080 is
            replaced.
        http: directives above that.
        tls: whether the server speaks TLS, with the certificate that its directives name.
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
        if server is None:
            assert http.count(_DOCUMENTED) == 1
            directives = http.replace(_DOCUMENTED, f"listen 127.0.0.1:{port}")
        else:
            directives = http + _SERVER.format(port=port, tls=" ssl" if tls else "", server=server)
        configuration.write_text(_CONFIGURATION.format(state=state, user=user, http=directives))
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            if _is_ready(process, state / "nginx.pid"):
                yield f"{'https' if tls else 'http'}://127.0.0.1:{port}"
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


def _is_ready(process: subprocess.Popen[bytes], pid: Path) -> bool:
    """Wait until it listens: only then it writes its process id, while an answer may be somebody else's server's."""
    while process.poll() is None:
        if pid.exists():
            return True
        time.sleep(0.02)
    return False
