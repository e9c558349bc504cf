"""Many small files from one host over one connection, each asked for before the ones ahead of it have come.

It knows the plain case alone: an answer with status 200 and the expected number of bytes, in time. Whatever else
happens to a file, it is given up here, and its caller asks for it by `sealdex.transport.Transport.read`, which knows
about retries, redirects and what to say. So nothing depends on what this module can't do.
"""

from __future__ import annotations

import http.client
import socket
import time
from collections import deque
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, BinaryIO, Generic, NamedTuple, TypeVar, cast
from urllib.parse import urlsplit

if TYPE_CHECKING:
    import ssl

    from sealdex.transport.types import ClientCertificate, Credentials, TransportSettings

K = TypeVar("K")

_DEPTH = 16
"""Requests on their way at a time."""

_MAX_HEAD_LINES = 100
_MAX_LINE_BYTES = 16 << 10
_MAX_LOST = 3
"""Connections that end without an answer, one after the other, after which all that is left is given up."""


class _Wanted(NamedTuple, Generic[K]):
    key: K
    url: str
    size: int


class _GivenUpError(Exception):
    """The connection can't be used any more."""


class Pipeline:
    """Reads files from one host; for one thread.

    Args:
        url: any address there; ``http`` or ``https``, and no proxy in between.
        settings: timeouts.
        credentials: authorize requests.
        tls: for ``https``.
        certificate: what ``tls`` shows to the server; files that want another are given up.
    """

    def __init__(
        self,
        url: str,
        settings: TransportSettings,
        credentials: Credentials,
        tls: ssl.SSLContext | None,
        certificate: ClientCertificate | None,
    ) -> None:
        parts = urlsplit(url)
        self._host, self._netloc = parts.hostname or "", parts.netloc
        self._port = parts.port or (443 if parts.scheme == "https" else 80)
        self._settings = settings
        self._credentials = credentials
        self._tls = tls
        self._certificate = certificate
        self._socket: socket.socket | None = None
        self._file: BinaryIO | None = None
        self._lost = 0

    def read(self, wanted: Iterable[tuple[K, str, int] | None]) -> Iterator[tuple[K | None, bytes | None]]:
        """Yield the bytes of each file with its key, in order; None for one that isn't to be had in the plain way.

        Args:
            wanted: key, address and exact size of each, taken as they are needed. For a None, one of (None, None) is
                yielded: so that a caller who passes over files can do something with them.
        """
        source = iter(wanted)
        asked: deque[_Wanted[K]] = deque()  # sent on the present connection, in order
        again: deque[_Wanted[K]] = deque()  # sent on an earlier one, and not answered
        more = True
        try:
            while True:
                request = b""
                while len(asked) < _DEPTH and (again or more):
                    if again:
                        one = again.popleft()
                    elif (item := next(source, _END)) is _END:
                        more = False
                        break
                    elif item is None:
                        yield None, None
                        continue
                    else:
                        one = _Wanted(*item)  # type: ignore[misc]  # not the mark of the end
                    head = self._request(one.url)
                    if not head:
                        yield one.key, None
                        continue
                    asked.append(one)
                    request += head
                if not asked:
                    return
                if self._lost >= _MAX_LOST:
                    yield asked.popleft().key, None
                    continue
                try:
                    self._send(request)
                    answer, is_last = self._answer(asked[0].size)
                except (OSError, ValueError, http.client.HTTPException, _GivenUpError):
                    self._close()
                    self._lost += 1
                    if self._lost >= _MAX_LOST:
                        yield asked.popleft().key, None
                    again.extendleft(reversed(asked))
                    asked.clear()
                    continue
                self._lost = 0
                yield asked.popleft().key, answer
                if is_last:
                    self._close()
                    again.extendleft(reversed(asked))
                    asked.clear()
        finally:
            self._close()

    def _request(self, url: str) -> bytes:
        grant = self._credentials.grant(url)
        if grant.certificate != self._certificate:
            return b""
        parts = urlsplit(url)
        query = "&".join(filter(None, (parts.query, grant.query)))
        path = (parts.path or "/") + (f"?{query}" if query else "")
        given = "".join(f"{name}: {value}\r\n" for name, value in grant.headers.items() if name.lower() != "host")
        return (
            f"GET {path} HTTP/1.1\r\nHost: {self._netloc}\r\nUser-Agent: {self._settings.user_agent}\r\n"
            f"Accept-Encoding: identity\r\n{given}\r\n"
        ).encode("latin-1")

    def _send(self, request: bytes) -> None:
        if self._socket is None:
            connection = (
                http.client.HTTPConnection(self._host, self._port, timeout=self._settings.connect_timeout)
                if self._tls is None
                else http.client.HTTPSConnection(
                    self._host, self._port, timeout=self._settings.connect_timeout, context=self._tls
                )
            )
            connection.connect()
            self._socket = connection.sock
            self._socket.settimeout(self._settings.read_timeout)
            self._file = cast("BinaryIO", self._socket.makefile("rb", buffering=1 << 16))
        if request:
            self._socket.sendall(request)

    def _answer(self, size: int) -> tuple[bytes | None, bool]:
        """Read one answer: its body, where it is the plain case; and whether it is the connection's last."""
        file = self._file
        assert file is not None  # noqa: S101  # `_send` opened it
        began = time.monotonic()
        status = file.readline(_MAX_LINE_BYTES)
        if not status.startswith((b"HTTP/1.1 ", b"HTTP/1.0 ")):
            raise _GivenUpError
        length, is_plain, is_last = -1, status[9:12] == b"200", status.startswith(b"HTTP/1.0")
        for _ in range(_MAX_HEAD_LINES):
            line = file.readline(_MAX_LINE_BYTES)
            if line in {b"\r\n", b"\n"}:
                break
            name, _, value = line.lower().partition(b":")
            if name == b"content-length":
                length = int(value) if value.strip().isdigit() else -1
            elif name == b"connection":
                is_last = is_last or b"close" in value
            elif name == b"transfer-encoding" or (name == b"content-encoding" and value.strip() != b"identity"):
                is_plain = False
        else:
            raise _GivenUpError
        if length < 0 or length > max(size, 1 << 16):
            raise _GivenUpError
        body = file.read(length)
        if len(body) != length or time.monotonic() - began > self._settings.read_timeout:
            raise _GivenUpError  # cut off, or so slow that somebody has to look at its pace
        return (body if is_plain and length == size else None), is_last

    def _close(self) -> None:
        for each in (self._file, self._socket):
            if each is not None:
                each.close()
        self._file = self._socket = None


_END = object()

__all__ = ["Pipeline"]
