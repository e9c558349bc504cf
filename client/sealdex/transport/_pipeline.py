"""Many small files from one host over one connection, each asked for before the ones ahead of it have come.

It knows the plain case alone: an answer with status 200 and the expected number of bytes, in time; as they are, or
gzipped, since some stores have them so whoever asks. Whatever else happens to a file, it is given up here, and its
caller asks for it by `sealdex.transport.Transport.read`, which knows about retries, redirects and what to say. So
nothing depends on what this module can't do.

Python's share of a small file is what limits it, so answers are cut out of one buffer, several of one read, and
requests are sent several at a time.
"""

from __future__ import annotations

import http.client
import re
import socket
import time
from collections import deque
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar
from urllib.parse import urlsplit

from sealdex.transport._encoding import Gunzip
from sealdex.transport.types import TooLargeError, TransientError

if TYPE_CHECKING:
    import ssl

    from sealdex.transport.types import ClientCertificate, Credentials, TransportSettings

K = TypeVar("K")

_DEPTH = 32
"""Requests on their way at a time; more are sent once half of them are answered."""

_BUFFER_BYTES = 256 << 10
_MAX_HEAD_BYTES = 16 << 10
_MAX_LOST = 3
"""Connections that end without an answer, one after the other, after which all that is left is given up."""

_STATUS = re.compile(rb"HTTP/1\.([01]) ([0-9]{3})")
_FIELDS = re.compile(
    rb"\r\n(content-length|connection|transfer-encoding|content-encoding):[ \t]*([^\r]*)", re.IGNORECASE
)


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
        self._host = parts.hostname or ""
        self._port = parts.port or (443 if parts.scheme == "https" else 80)
        self._settings = settings
        self._credentials = credentials
        self._tls = tls
        self._certificate = certificate
        self._origin = f"{parts.scheme}://{parts.netloc}/"
        self._fields = (
            f" HTTP/1.1\r\nHost: {parts.netloc}\r\nUser-Agent: {settings.user_agent}\r\nAccept-Encoding: identity\r\n"
        )
        self._socket: socket.socket | None = None
        self._buffer = bytearray(_BUFFER_BYTES)
        self._view = memoryview(self._buffer)
        self._start = self._end = 0  # of what was received and not used
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
                requests: list[bytes] = []
                while len(asked) < _DEPTH and (again or more) and (requests or len(asked) <= _DEPTH // 2):
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
                    requests.append(head)
                if not asked:
                    return
                if self._lost >= _MAX_LOST:
                    yield asked.popleft().key, None
                    continue
                try:
                    self._send(b"".join(requests))
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
        if url.startswith(self._origin) and not grant.query and "?" not in url and "#" not in url:
            path = url[len(self._origin) - 1 :]
        else:
            parts = urlsplit(url)
            query = "&".join(filter(None, (parts.query, grant.query)))
            path = (parts.path or "/") + (f"?{query}" if query else "")
        given = "".join(f"{name}: {value}\r\n" for name, value in grant.headers.items() if name.lower() != "host")
        return f"GET {path}{self._fields}{given}\r\n".encode("latin-1")

    def _send(self, requests: bytes) -> None:
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
        if requests:
            self._socket.sendall(requests)

    def _answer(self, size: int) -> tuple[bytes | None, bool]:
        """Read one answer: its body, where it is the plain case; and whether it is the connection's last."""
        latest = 0.0
        while (body := self._buffer.find(b"\r\n\r\n", self._start, self._end)) < 0:
            if self._end - self._start > _MAX_HEAD_BYTES:
                raise _GivenUpError
            latest = self._receive(_MAX_HEAD_BYTES, latest)
        status = _STATUS.match(self._buffer, self._start, body)
        if status is None:
            raise _GivenUpError
        length, is_plain, is_last, is_gzip = -1, status[2] == b"200", status[1] == b"0", False
        for name, value in _FIELDS.findall(self._buffer, self._start, body):
            kind = name.lower()
            if kind == b"content-length":
                length = int(value) if value.strip().isdigit() else -1
            elif kind == b"connection":
                is_last = is_last or b"close" in value.lower()
            elif kind == b"content-encoding" and value.strip().lower() == b"gzip":
                is_gzip = True
            elif kind == b"transfer-encoding" or value.strip().lower() != b"identity":
                is_plain = False
        if length < 0 or length > max(size, 1 << 16):
            raise _GivenUpError
        self._start = body + 4
        while self._end - self._start < length:
            latest = self._receive(length, latest)
        data = bytes(self._view[self._start : self._start + length])
        self._start += length
        if not is_plain:
            return None, is_last
        if is_gzip:
            return _unfolded(data, size), is_last
        return (data if length == size else None), is_last

    def _receive(self, needed: int, latest: float) -> float:
        """Receive what there is, at least a byte, with room for so many from the start of what isn't used.

        Args:
            needed: bytes.
            latest: what the previous call for this answer returned; else 0.

        Returns:
            The time at which the answer is too late: so slow that somebody has to look at its pace.
        """
        connection = self._socket
        assert connection is not None  # noqa: S101  # `_send` opened it
        now = time.monotonic()
        if latest and now > latest:
            raise _GivenUpError
        if self._start == self._end:
            self._start = self._end = 0
        if len(self._buffer) - self._start < max(needed, _MAX_HEAD_BYTES):
            kept = self._view[self._start : self._end]
            if len(self._buffer) < 2 * needed:
                self._buffer = bytearray(2 * needed)
                self._view = memoryview(self._buffer)
            self._view[: len(kept)] = kept  # they may overlap, as in memmove
            self._start, self._end = 0, len(kept)
        got = connection.recv_into(self._view[self._end :])
        if not got:
            raise _GivenUpError  # cut off
        self._end += got
        return latest or now + self._settings.read_timeout

    def _close(self) -> None:
        if self._socket is not None:
            self._socket.close()
        self._socket = None
        self._start = self._end = 0


def _unfolded(data: bytes, size: int) -> bytes | None:
    """Return what a gzipped body has, if it is exactly so many bytes; never more is inflated."""
    decoder = Gunzip("", size)
    try:
        found = decoder.feed(data, size + 1)
        decoder.finish()
    except (TooLargeError, TransientError):
        return None
    return found if len(found) == size else None


_END = object()

__all__ = ["Pipeline"]
