"""Serves a mapping of paths to bytes over HTTP on 127.0.0.1, records what is asked, and can insist on rounds.

A test states the rounds it allows (`expect_rounds`): each request of a round is answered only once all of that round
have arrived, and anything else gets a 500. So a client that asks one after the other what it should ask at once fails,
and no clock is involved.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any

_LONG_AGO = "Sun, 06 Nov 1994 08:49:37 GMT"
STUCK_S = 60.0
"""A round that isn't complete after this gets a 404, so that a failing test ends."""


class Endless:
    """Answers with bytes until the client hangs up."""


class Held:
    """Answers nothing, until it is released or a failing test has waited long enough."""

    def __init__(self) -> None:
        self.reached = threading.Event()
        self.released = threading.Event()


@dataclass
class _Round:
    wanted: frozenset[str]
    arrived: set[str] = field(default_factory=set)
    complete: threading.Event = field(default_factory=threading.Event)


class TreeServer:
    """The server; a context manager.

    Args:
        files: path without leading slash to bytes; read at each request, so that tests may change it.
    """

    def __init__(self, files: Mapping[str, bytes]) -> None:
        self.files = files
        self.instead: dict[str, bytes | int | Endless | Held] = {}
        """Path to what is answered in its place: other bytes, a status, bytes without end, or nothing."""
        self.coding = "gzip"
        """What is said of the paths that are ``gzipped``."""
        self.gzipped: set[str] = set()
        """Paths whose bytes are gzip, and answered as such."""
        self.validators: str | None = None
        """``ETag`` or ``Last-Modified``: what each answer states, and by what 304 is answered."""
        self.unmodified: list[str] = []
        """Paths that 304 was answered for."""
        self.requests: list[str] = []
        self.out_of_turn: list[str] = []
        self._rounds: list[_Round] | None = None
        self._lock = threading.Lock()
        owner = self

        class Handler(_Handler):
            tree = owner

        self._server = _Server(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> TreeServer:  # noqa: PYI034  # typing.Self came with Python 3.11
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def expect_rounds(self, *rounds: set[str]) -> None:
        """Forget what was asked so far; from now on allow exactly these sets of paths, one after the other."""
        with self._lock:
            self.requests.clear()
            self.out_of_turn.clear()
            self._rounds = [_Round(frozenset(paths)) for paths in rounds]

    @property
    def rounds_left(self) -> int:
        """How many of the expected rounds weren't completed."""
        return sum(not r.complete.is_set() for r in self._rounds or [])

    def _answer(self, path: str) -> bytes | int | Endless | Held:
        with self._lock:
            self.requests.append(path)
            current = next((r for r in self._rounds or [] if not r.complete.is_set()), None)
            if self._rounds is not None and (current is None or path not in current.wanted):
                self.out_of_turn.append(path)
                return 404
            if current is not None:
                current.arrived.add(path)
                if current.arrived == current.wanted:
                    current.complete.set()
        if current is not None and not current.complete.wait(STUCK_S):
            return 404
        return self.instead.get(path, self.files.get(path, 404))


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: clients that hang up are what some tests are about."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = 1 << 16  # buffered, with TCP_NODELAY: else each small request waits for a delayed acknowledgement
    disable_nagle_algorithm = True
    tree: TreeServer

    def log_message(self, *_: object) -> None:
        """Keep quiet."""

    def do_GET(self) -> None:
        answer = self.tree._answer(self.path.lstrip("/"))
        if isinstance(answer, Held):
            answer.reached.set()
            answer.released.wait(STUCK_S)
            answer = self.tree.files.get(self.path.lstrip("/"), 404)
        if isinstance(answer, Endless):
            self.send_response(200)
            self.end_headers()
            self.close_connection = True
            while True:
                self.wfile.write(b" " * 65536)
        status, body = (answer, b"no such file") if isinstance(answer, int) else (200, answer)
        tag = self.tree.validators if status == 200 else None
        value = f'"{hashlib.sha256(body).hexdigest()[:16]}"' if tag == "ETag" else _LONG_AGO
        asked = self.headers["If-None-Match"] if tag == "ETag" else self.headers["If-Modified-Since"]
        if tag is not None and asked == value:
            self.tree.unmodified.append(self.path.lstrip("/"))
            status, body = 304, b""
        self.send_response(status)
        if tag is not None:
            self.send_header(tag, value)
        if status == 200 and self.path.lstrip("/") in self.tree.gzipped:
            self.send_header("Content-Encoding", self.tree.coding)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
