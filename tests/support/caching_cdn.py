"""nginx as a CDN before an S3 server: it caches what Cache-Control lets it, and a missing file for ten seconds."""

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
    proxy_cache_path {state}/cache keys_zone=cdn:1m use_temp_path=off;
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass {origin};
            proxy_http_version 1.1;
            proxy_cache cdn;
            proxy_cache_key $uri;
            proxy_cache_revalidate on;
            proxy_cache_valid 404 10s;
            add_header X-Cache $upstream_cache_status always;
        }}
    }}
}}
"""


@contextlib.contextmanager
def caching_cdn(origin: str, state: Path) -> Iterator[str]:
    """Run it before ``origin`` while the context lasts; yield its address, without a slash at the end."""
    program = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if program is None:
        missing("nginx", "apt-get install nginx-light")
    assert program is not None
    state.mkdir(parents=True)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    # a worker of root's nginx would become another user, who may not write to the folder
    user = "user root;" if os.geteuid() == 0 else ""
    configuration = state / "nginx.conf"
    configuration.write_text(_CONFIGURATION.format(state=state, user=user, port=port, origin=origin))
    command = [program, "-p", str(state), "-c", str(configuration), "-e", str(state / "error.log")]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        end = time.monotonic() + 20
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                assert process.poll() is None, (state / "error.log").read_text()
                assert time.monotonic() < end, "nginx doesn't answer"
                time.sleep(0.02)  # there is nothing to wait on but the port
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()
