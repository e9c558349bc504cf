"""A web server on 127.0.0.1 for tests: right by default, and wrong on request, one scripted fault a request.

    with FaultServer() as server:
        server.put("/f", data)                      # served with ranges, a strong ETag, If-Range, If-None-Match
        server.script("/f", Cut(100), Status(503))  # the first request gets a cut body, the second a 503
        server.always("/g", Redirect("http://..."))
        server.url("/f"); server.requests           # what was asked, in order

Nothing here waits for time to pass but ``Slow``, for milliseconds; a ``Gate`` holds a body until the test opens it.

With ``origin`` it is a proxy: what isn't put here is asked for there as the client asked, and faults befall the answer.
"""

from __future__ import annotations

import gzip
import hashlib
import re
import socket
import struct
import threading
import time
from collections import deque
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, ClassVar

import urllib3

if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping


@dataclass(frozen=True)
class Request:
    """What a client asked; header names are in lower case."""

    path: str
    headers: Mapping[str, str]


@dataclass(frozen=True)
class Status:
    """Answer with this status and no more of the file."""

    code: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b"a page that says so"


@dataclass(frozen=True)
class Redirect:
    """Lead the client elsewhere."""

    location: str
    code: int = 302


@dataclass(frozen=True)
class Silence:
    """Close the connection without an answer."""


@dataclass(frozen=True)
class Cut:
    """Close the connection after ``after`` bytes of the body; with ``reset``, by a TCP reset."""

    after: int
    reset: bool = False


@dataclass(frozen=True)
class EndsShort:
    """End a chunked body properly, but ``after`` bytes into what was to come: only the length betrays it."""

    after: int


@dataclass(frozen=True)
class Swap:
    """Serve other bytes of the same length under the same ETag: those at ``at`` are inverted."""

    at: int = 0
    length: int = 1


@dataclass(frozen=True)
class Replaced:
    """Serve this in place of the file, with ``etag`` or an honest one."""

    data: bytes = field(repr=False)
    etag: str | None = None


@dataclass(frozen=True)
class IgnoreRange:
    """Answer a range with 200 and the whole."""


@dataclass(frozen=True)
class IgnoreIfRange:
    """Answer the range although the file is another one now; claims the ETag asked for, unless one is given."""

    data: bytes = field(repr=False)
    etag: str | None = None


@dataclass(frozen=True)
class OtherRange:
    """Answer another range than the one asked for, shifted by ``by`` bytes."""

    by: int = 1


@dataclass(frozen=True)
class Etag:
    """Serve the file under this ETag, ``None`` for none."""

    value: str | None


@dataclass(frozen=True)
class Endless:
    """Send bytes until the client hangs up; chunked, or with a huge Content-Length."""

    announce: int | None = None
    chunk: bytes = b"x" * 65536


@dataclass(frozen=True)
class Gzip:
    """Serve the file gzip-encoded; ``cut`` bytes of the encoding are left out at its end."""

    cut: int = 0
    raw: bytes | None = None


@dataclass(frozen=True)
class Gate:
    """Hold the body after ``after`` bytes until ``opened`` is set; ``reached`` tells that it is held."""

    after: int = 0
    opened: threading.Event = field(default_factory=threading.Event)
    reached: threading.Event = field(default_factory=threading.Event)


@dataclass(frozen=True)
class Slow:
    """Send the body in pieces of ``chunk`` bytes, each after ``seconds``."""

    seconds: float
    chunk: int = 16384


Fault = (
    Status
    | Redirect
    | Silence
    | Cut
    | EndsShort
    | Swap
    | Replaced
    | IgnoreRange
    | IgnoreIfRange
    | OtherRange
    | Etag
    | Endless
    | Gzip
    | Gate
    | Slow
)

_RANGE = re.compile(r"bytes=(\d+)-(\d*)")
_PASSED_ON = ("range", "if-range", "if-none-match", "accept-encoding")
_PASSED_BACK = ("ETag", "Last-Modified", "Accept-Ranges", "Content-Range", "Content-Type", "Content-Encoding", "Date")

HONEST = "the ETag is made from the bytes"

GATE_LIMIT_S = 60.0
"""A held body goes on after this even if no test opens its gate, so that a failing test ends."""


class FaultServer:
    """The server; a context manager. ``requests`` grows as requests arrive.

    Args:
        tls: a server-side context makes it https.
        origin: the address, without a slash at its end, of the server that this one is a proxy of.
    """

    def __init__(self, tls: ssl.SSLContext | None = None, origin: str | None = None) -> None:
        self.requests: list[Request] = []
        self._origin = origin
        self._pool = urllib3.PoolManager(maxsize=32)
        self._files: dict[str, bytes] = {}
        self._etags: dict[str, str | None] = {}
        self._queues: dict[str, deque[Fault | None]] = {}
        self._always: dict[str, Fault | None] = {}
        self._lock = threading.Lock()
        self._scheme = "https" if tls else "http"
        self._server = _Server(("127.0.0.1", 0), _handler_for(self))
        if tls:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.005}, daemon=True)

    def __enter__(self) -> FaultServer:  # noqa: PYI034  # typing.Self came with Python 3.11
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
        self._pool.clear()

    @property
    def port(self) -> int:
        return self._server.server_address[1]

    def url(self, path: str, host: str = "127.0.0.1") -> str:
        return f"{self._scheme}://{host}:{self.port}{path}"

    def put(self, path: str, data: bytes, etag: str | None = HONEST) -> str:
        """Serve ``data`` at ``path`` from now on, under ``etag`` (``None`` for none); return its URL."""
        self._files[path], self._etags[path] = data, etag
        return self.url(path)

    def script(self, path: str, *faults: Fault | None) -> None:
        """Queue faults, one for each of the next requests of ``path``; ``None`` is no fault."""
        with self._lock:
            self._queues.setdefault(path, deque()).extend(faults)

    def always(self, path: str, fault: Fault | None) -> None:
        """Answer every request of ``path`` that finds no queued fault with this one; ``None``: well again."""
        self._always[path] = fault

    def asked(self, path: str) -> list[Request]:
        """Return the requests of one path."""
        return [request for request in list(self.requests) if request.path == path]

    def _next(self, request: Request) -> tuple[bytes | None, Fault | None]:
        path = request.path.partition("?")[0]
        with self._lock:
            self.requests.append(request)
            queue = self._queues.get(path)
            fault = queue.popleft() if queue else self._always.get(path)
        return self._files.get(path), fault


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: clients that hang up are what the tests are about."""


def _handler_for(owner: FaultServer) -> type[BaseHTTPRequestHandler]:
    class Handler(_Handler):
        server_of_faults: ClassVar[FaultServer] = owner

    return Handler


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = 1 << 16  # buffered, with TCP_NODELAY: else 23 small requests a second
    disable_nagle_algorithm = True
    server_of_faults: ClassVar[FaultServer]

    def log_message(self, *_: object) -> None:
        """Keep quiet."""

    def do_GET(self) -> None:
        request = Request(self.path, {name.lower(): value for name, value in self.headers.items()})
        data, fault = self.server_of_faults._next(request)
        if isinstance(fault, Silence):
            self.close_connection = True
        elif isinstance(fault, Redirect):
            self._send(fault.code, {"Location": fault.location}, b"")
        elif isinstance(fault, Status):
            self._send(fault.code, fault.headers, fault.body)
        elif isinstance(fault, Endless):
            self._send_endless(fault)
        elif data is not None:
            self._send_file(data, fault, request)
        elif (origin := self.server_of_faults._origin) is not None:
            self._pass_on(origin, fault, request)
        else:
            self._send(404, {}, b"no such file")

    def _pass_on(self, origin: str, fault: Fault | None, request: Request) -> None:
        """Answer what the origin does."""
        headers = {name: request.headers[name] for name in _PASSED_ON if name in request.headers}
        asked = headers.get("range", "")
        if isinstance(fault, IgnoreRange):
            headers.pop("range", None)
        elif isinstance(fault, OtherRange) and (found := _RANGE.fullmatch(asked)):
            headers["range"] = f"bytes={int(found[1]) + fault.by}-{found[2]}"
        answer = self.server_of_faults._pool.request(
            "GET", origin + self.path, headers=headers, redirect=False, decode_content=False
        )
        body = _inverted(answer.data, fault) if isinstance(fault, Swap) else answer.data
        kept = {name: answer.headers[name] for name in _PASSED_BACK if name in answer.headers}
        self._send(answer.status, kept, body, fault)

    def _send_file(self, data: bytes, fault: Fault | None, request: Request) -> None:
        etag = self.server_of_faults._etags[request.path.partition("?")[0]]
        etag = _etag_of(data) if etag == HONEST else etag
        if isinstance(fault, Swap):
            data = _inverted(data, fault)
        elif isinstance(fault, Replaced):
            data, etag = fault.data, fault.etag or _etag_of(fault.data)
        elif isinstance(fault, IgnoreIfRange):
            data = fault.data
            etag = fault.etag or request.headers.get("if-range", etag)
        elif isinstance(fault, Etag):
            etag = fault.value
        headers = {"Accept-Ranges": "bytes", **({"ETag": etag} if etag else {})}
        if etag and request.headers.get("if-none-match") == etag:
            self._send(304, headers, b"")
            return
        if isinstance(fault, Gzip):
            body = fault.raw if fault.raw is not None else gzip.compress(data)
            self._send(200, {**headers, "Content-Encoding": "gzip"}, body[: len(body) - fault.cut])
            return
        found = _RANGE.fullmatch(request.headers.get("range", ""))
        valid = isinstance(fault, IgnoreIfRange) or request.headers.get("if-range", etag) == etag
        if found is None or not valid or isinstance(fault, IgnoreRange):
            self._send(200, headers, data, fault)
            return
        start = int(found[1]) + (fault.by if isinstance(fault, OtherRange) else 0)
        end = min(int(found[2]) + 1, len(data)) if found[2] else len(data)
        if start >= len(data):
            self._send(416, {**headers, "Content-Range": f"bytes */{len(data)}"}, b"")
            return
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{len(data)}"
        self._send(206, headers, data[start:end], fault)

    def _send(self, code: int, headers: Mapping[str, str], body: bytes, fault: Fault | None = None) -> None:
        self.send_response_only(code)
        for name, value in headers.items():
            self.send_header(name, value)
        if isinstance(fault, EndsShort):
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            part = body[: fault.after]
            self.wfile.write((b"%x\r\n%b\r\n" % (len(part), part) if part else b"") + b"0\r\n\r\n")
            return
        if code != 304:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if isinstance(fault, Cut) and fault.after < len(body):
            self.wfile.write(body[: fault.after])
            self.wfile.flush()
            if fault.reset:
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.close_connection = True
        elif isinstance(fault, Slow):
            for start in range(0, len(body), fault.chunk):
                time.sleep(fault.seconds)  # what is tested: a line that takes its time
                self.wfile.write(body[start : start + fault.chunk])
                self.wfile.flush()
        elif isinstance(fault, Gate):
            self.wfile.write(body[: fault.after])
            self.wfile.flush()
            fault.reached.set()
            fault.opened.wait(GATE_LIMIT_S)
            self.wfile.write(body[fault.after :])
        else:
            self.wfile.write(body)

    def _send_endless(self, fault: Endless) -> None:
        self.send_response_only(200)
        if fault.announce is None:
            self.send_header("Transfer-Encoding", "chunked")
        else:
            self.send_header("Content-Length", str(fault.announce))
        self.end_headers()
        piece = fault.chunk
        if fault.announce is None:
            piece = b"%x\r\n%b\r\n" % (len(piece), piece)
        self.close_connection = True
        try:
            while True:
                self.wfile.write(piece)
        except OSError:
            return  # the client has hung up, as it should


def _inverted(data: bytes, fault: Swap) -> bytes:
    changed = bytearray(data)
    for index in range(fault.at, min(fault.at + fault.length, len(data))):
        changed[index] ^= 0xFF
    return bytes(changed)


def _etag_of(data: bytes) -> str:
    return f'"{hashlib.sha256(data).hexdigest()[:16]}"'
