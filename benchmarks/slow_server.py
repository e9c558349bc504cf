"""A web server on loopback that answers each request after a fixed delay and records when it was asked and done.

With a delay far above what a client computes between requests, requests that overlap were sent without waiting for one
another; the longest chain of requests that don't overlap is the number of sequential rounds.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import unquote


@dataclass(frozen=True)
class Served:
    """One request.

    Attributes:
        start, end: when its head had been read and its answer had been written, on one clock, in seconds.
        wire_bytes: bytes of the answer, head and body.
    """

    path: str
    status: int
    start: float
    end: float
    wire_bytes: int


def sequential_rounds(requests: Iterable[Served]) -> int:
    """Return the length of the longest chain in which each request starts after the one before has ended.

    Taking the earliest end first is optimal (interval scheduling).
    """
    rounds, last_end = 0, float("-inf")
    for request in sorted(requests, key=lambda served: served.end):
        if request.start >= last_end:
            rounds, last_end = rounds + 1, request.end
    return rounds


class SlowServer:
    """The server; see `slow_server`."""

    def __init__(self, root: Path, delay_s: float) -> None:
        self.root = root.resolve()
        self.delay_s = delay_s
        self.served: list[Served] = []
        self._server = _Server(("127.0.0.1", 0), type("Handler", (_Handler,), {"owner": self}))

    @property
    def url(self) -> str:
        """The address, without a slash at the end."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def take(self) -> list[Served]:
        """Return what was served since the last call."""
        taken, self.served = self.served, []
        return taken

    def serve(self) -> None:
        """Serve until `stop`."""
        self._server.serve_forever(poll_interval=0.05)

    def stop(self) -> None:
        """End `serve` and close the port."""
        self._server.shutdown()
        self._server.server_close()


@contextlib.contextmanager
def slow_server(root: Path, delay_s: float) -> Iterator[SlowServer]:
    """Serve a folder while the context lasts."""
    server = SlowServer(root, delay_s)
    thread = threading.Thread(target=server.serve, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.stop()
        thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True


class _Handler(BaseHTTPRequestHandler):
    owner: ClassVar[SlowServer]
    protocol_version = "HTTP/1.1"
    wbufsize = 1 << 16  # buffered, with TCP_NODELAY: else the delay of Nagle's algorithm comes on top
    disable_nagle_algorithm = True

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        start = time.monotonic()
        time.sleep(self.owner.delay_s)
        path = (self.owner.root / unquote(self.path).lstrip("/")).resolve()
        found = path.is_relative_to(self.owner.root) and path.is_file()
        body = path.read_bytes() if found else b"not found"
        status = 200 if found else 404
        head = f"HTTP/1.1 {status} {'OK' if found else 'Not Found'}\r\nContent-Length: {len(body)}\r\n\r\n".encode()
        self.wfile.write(head + body)
        self.wfile.flush()
        self.owner.served.append(Served(self.path, status, start, time.monotonic(), len(head) + len(body)))
