"""``Transport``: reads small documents whole and streams big files, with retries, from http(s) and file URLs.

``urllib3`` is imported when the first http(s) URL is asked for, not before: a command that asks nothing pays nothing.
"""

from __future__ import annotations

import threading
import zlib
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from sealdex.errors import ConfigError, UnavailableError
from sealdex.transport.files import get_file
from sealdex.transport.retry import Attempts, Chance, Drip, Patience, Throttle
from sealdex.transport.types import (
    CHUNK_BYTES,
    Answer,
    Credentials,
    Document,
    HttpStatusError,
    OtherRangeError,
    RetryNotice,
    TooLargeError,
    TransientError,
    TransportSettings,
    host_of,
    is_passing,
    public_url,
    strong_etag,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import TracebackType

    from sealdex.transport.http import HttpGetter


class Stream:
    """One open transfer: its head, and its bytes as they arrive."""

    def __init__(self, url: str, answer: Answer, throttle: Throttle | None, drip: Drip) -> None:
        self.url = url
        self.status = answer.status
        """200 (the whole file), 206 (from ``start``) or 416 (nothing: the file ends before ``start``)."""
        self.start = answer.start
        self.length = answer.length
        self.total_size = answer.total_size
        self.etag = strong_etag(answer.etag)
        """The entity tag if it is a strong one; a weak one can't join parts, so it isn't shown."""
        self._body = answer.body
        self._throttle = throttle
        self._drip = drip
        self._chunk_bytes = min(CHUNK_BYTES, throttle.chunk_bytes) if throttle else CHUNK_BYTES

    def chunks(self) -> Iterator[bytes]:
        """Yield the body in pieces of at most 1 MiB, undecoded.

        Raises:
            TransientError: it broke off, ended short of its announced length, or nearly stands still. The caller
                hands that to ``Attempts.failed`` and resumes.
        """
        received = 0
        while chunk := self._body.read_some(self._chunk_bytes):
            received += len(chunk)
            if self.length is not None and received > self.length:
                # Content-Range said less than Content-Length: what is too much must not be written over other parts.
                raise TransientError("it sent more than it announced")
            if self._throttle is not None:
                self._throttle.took(len(chunk))
            if received != self.length:  # what is here whole came in time, however busy this host is
                self._drip.arrived(len(chunk))
            yield chunk
        if self.length is not None and received < self.length:
            raise TransientError("the connection ended early")

    def abort(self) -> None:
        """End the transfer from another thread: its ``chunks`` stop or raise soon."""
        self._body.abort()


class Transport:
    """Fetches URLs; thread-safe, and cheap to make.

    Args:
        settings: patience, rate, certificate authorities.
        credentials: headers for a URL; they never follow a redirect to another origin.
        chance: clock, sleep and random number, for tests.
        on_retry: told of each failed attempt that another follows; called from any thread.
    """

    def __init__(
        self,
        settings: TransportSettings | None = None,
        *,
        credentials: Credentials | None = None,
        chance: Chance | None = None,
        on_retry: Callable[[RetryNotice], None] | None = None,
    ) -> None:
        self.settings = settings or TransportSettings()
        self._credentials = credentials
        self._chance = chance or Chance()
        self._on_retry = on_retry
        rate = self.settings.max_bytes_per_second
        self._throttle = Throttle(rate, self._chance) if rate else None
        self._http: HttpGetter | None = None
        self._reached: set[str] = set()  # hosts that answered once
        self._lock = threading.Lock()

    def __enter__(self) -> Transport:  # noqa: PYI034  # typing.Self came with Python 3.11
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Drop idle connections; the transport stays usable."""
        with self._lock:
            if self._http is not None:
                self._http.close()

    def read(self, url: str, *, max_bytes: int, etag: str | None = None, retry: bool = True) -> Document:
        """Read a small file whole; with ``etag``, only if it changed.

        gzip is asked for and undone. ``max_bytes`` bounds the file as the caller sees it. ``retry=False`` is for what
        can be done without: one attempt, so that it holds nobody back.

        Raises:
            HttpStatusError: any status but 200 and 304; ``status`` says which (404 and 403 at once, without retries).
            TooLargeError: the file is longer than ``max_bytes``.
            UnavailableError: no whole answer within the no-progress window.
        """
        headers = {"Accept-Encoding": "gzip"}
        if etag is not None:
            headers["If-None-Match"] = etag
        expected = frozenset({200, 304} if etag is not None else {200})
        attempts = self.attempts(url) if retry else Attempts(url, Patience(0.0, retries=0), self._chance)
        while True:
            answer = self._open(url, headers, 0, None, expected, attempts)
            with closing(answer.body):
                if answer.status == 304:
                    return Document(b"", answer.etag or etag, not_modified=True)
                if answer.encoding == "identity" and (answer.length or 0) > max_bytes:
                    raise TooLargeError(url, max_bytes)
                try:
                    data = self._read_body(url, answer, max_bytes, attempts)
                except TransientError as error:
                    attempts.failed(error)
                    continue
                return Document(data, answer.etag, date=answer.date)

    @contextmanager
    def stream(
        self,
        url: str,
        *,
        start: int = 0,
        end: int | None = None,
        if_range: str | None = None,
        attempts: Attempts | None = None,
    ) -> Iterator[Stream]:
        """Open a big file, or the bytes ``start`` to ``end`` (exclusive) of it, and yield a ``Stream``.

        Opening is retried; what breaks later raises ``TransientError`` from ``Stream.chunks``. A server may answer a
        range with 200 and the whole file (always, or because ``if_range`` no longer holds): look at ``status``.

        Args:
            url: what to fetch.
            start: first byte wanted.
            end: first byte no longer wanted; ``None`` for the rest.
            if_range: a strong entity tag; if the file no longer has it, the whole of the new one comes.
            attempts: shared by the opens of one resumed transfer.

        Raises:
            HttpStatusError: any status but 200, 206 and 416 (the latter two only for a range).
            UnavailableError: no answer within the no-progress window, or another range than the one asked for.
        """
        # Ranges count bytes of the file itself, so it must come uncompressed.
        headers = {"Accept-Encoding": "identity"}
        ranged = start > 0 or end is not None
        if ranged:
            headers["Range"] = f"bytes={start}-{'' if end is None else end - 1}"
            if if_range is not None:
                headers["If-Range"] = if_range
        expected = frozenset({200, 206, 416} if ranged else {200})
        answer = self._open(url, headers, start, end, expected, attempts or self.attempts(url))
        with closing(answer.body):
            if answer.status == 206 and not _is_within(answer, start, end):
                raise OtherRangeError(
                    f"{host_of(url)} answered another part of {public_url(url)} than was asked for",
                    subject=public_url(url),
                )
            yield Stream(url, answer, self._throttle, Drip(self.settings.no_progress_window, self._chance))

    def attempts(self, url: str) -> Attempts:
        """Return the retry decisions for one transfer of ``url``."""
        said = self.settings
        patience = Patience(said.no_progress_window, said.retries, said.first_contact_window)
        return Attempts(url, patience, self._chance, self._on_retry)

    def _open(
        self,
        url: str,
        headers: dict[str, str],
        start: int,
        end: int | None,
        expected: frozenset[int],
        attempts: Attempts,
    ) -> Answer:
        while True:
            try:
                return _accepted(url, self._get(url, headers, start, end), expected)
            except TransientError as error:  # noqa: PERF203  # a retry loop is a try in a loop
                attempts.failed(error, is_unknown=error.is_unreached and host_of(url) not in self._reached)

    def _get(self, url: str, headers: dict[str, str], start: int, end: int | None) -> Answer:
        scheme = _checked_scheme(url)
        if scheme == "file":
            return get_file(url, headers, start, end)
        with self._lock:
            if self._http is None:
                from sealdex.transport.http import HttpGetter  # noqa: PLC0415  # urllib3 and ssl cost 100 ms

                self._http = HttpGetter(self.settings, self._credentials)
        answer = self._http.get(url, headers)
        self._reached.add(host_of(url))
        return answer

    def _read_body(self, url: str, answer: Answer, max_bytes: int, attempts: Attempts) -> bytes:
        stream = Stream(url, answer, self._throttle, Drip(self.settings.no_progress_window, self._chance))
        decode = _decoder(url, answer.encoding, max_bytes)
        data = bytearray()
        for chunk in stream.chunks():
            data += decode.feed(chunk, max_bytes + 1 - len(data))
            if len(data) > max_bytes:
                raise TooLargeError(url, max_bytes)
            attempts.reached(len(data))
        decode.finish()
        return bytes(data)


def _accepted(url: str, answer: Answer, expected: frozenset[int]) -> Answer:
    if answer.status in expected:
        return answer
    answer.body.close()
    if not is_passing(answer.status):
        raise HttpStatusError(url, answer.status)
    raise TransientError(f"it answered {answer.status}", status=answer.status, retry_after=answer.retry_after)


class _Identity:
    """A body that comes as it is."""

    def feed(self, data: bytes, max_bytes: int) -> bytes:
        return data[:max_bytes]

    def finish(self) -> None:
        """Nothing can be missing: the length was checked."""


class _Gunzip:
    """A gzip body, never inflated beyond what is asked for: a bomb costs no memory."""

    def __init__(self, url: str, max_bytes: int) -> None:
        self._url = url
        self._max_bytes = max_bytes
        self._inflate = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)
        # gzip makes nothing much longer, so more than this is filler that inflates to nothing.
        self._raw_left = max_bytes + max_bytes // 100 + 1024

    def feed(self, data: bytes, max_bytes: int) -> bytes:
        self._raw_left -= len(data)
        if self._raw_left < 0:
            raise TooLargeError(self._url, self._max_bytes)
        if self._inflate.eof:
            raise TransientError("more follows its gzip encoding")
        try:
            return self._inflate.decompress(data, max_bytes)
        except zlib.error as error:
            raise TransientError("its gzip encoding is damaged") from error

    def finish(self) -> None:
        if not self._inflate.eof:
            raise TransientError("its gzip encoding ends early")


def _decoder(url: str, encoding: str, max_bytes: int) -> _Identity | _Gunzip:
    if encoding == "identity":
        return _Identity()
    if encoding in {"gzip", "x-gzip"}:
        return _Gunzip(url, max_bytes)
    raise UnavailableError(
        f"{host_of(url)} sends {public_url(url)} in the encoding {encoding!r}, which was not asked for",
        subject=public_url(url),
    )


def _is_within(answer: Answer, start: int, end: int | None) -> bool:
    return (
        answer.start == start
        and answer.length is not None
        and answer.length > 0
        and (end is None or start + answer.length <= end)
    )


def _checked_scheme(url: str) -> str:
    try:
        parts = urlsplit(url)
        shown = f": {public_url(url)}"
        plain = parts.username is None and (
            parts.scheme == "file" or (parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0)
        )
    except ValueError:
        shown, plain = "", False
    if not plain:
        raise ConfigError(
            f"an address must be https://, http:// or file:// with no user and password in it{shown}",
            hint="correct the address; credentials belong in the configuration",
        )
    return parts.scheme
