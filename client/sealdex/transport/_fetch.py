"""``Transport``: reads small documents whole and streams big files, with retries, from http(s) and file URLs.

``http.client`` is imported for the first http(s) URL, not before, so that commands without requests start quickly.
"""

from __future__ import annotations

import threading
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from sealdex.errors import ConfigError
from sealdex.log import Log, stopwatch
from sealdex.transport._encoding import decoder_of
from sealdex.transport._files import get_file
from sealdex.transport._pace import Line, Pace, TooSlowError
from sealdex.transport.begun import Begun
from sealdex.transport.retry import Attempts, Chance, RetryPolicy, Throttle
from sealdex.transport.types import (
    CHUNK_BYTES,
    Answer,
    Credentials,
    Document,
    HttpStatusError,
    OtherRangeError,
    RetryNotice,
    Sent,
    TooLargeError,
    TransientError,
    TransportSettings,
    host_of,
    is_passing,
    public_url,
    strong_etag,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path
    from types import TracebackType

    from sealdex.transport._http import HttpGetter
    from sealdex.transport._pipeline import Pipeline
    from sealdex.transport.stop import Stop
    from sealdex.transport.types import Permit

_log = Log("sealdex.transport")


class Stream:
    """One open transfer: its head, and its bytes as they arrive."""

    def __init__(self, url: str, answer: Answer, throttle: Throttle | None, pace: Pace) -> None:
        self.url = url
        self.status = answer.status
        """200 (the whole file), 206 (from ``start``) or 416 (nothing: the file ends before ``start``)."""
        self.start = answer.start
        self.length = answer.length
        self.total_size = answer.total_size
        self.etag = strong_etag(answer.etag)
        """The entity tag if it is strong; a weak one can't be used to join parts."""
        self.encoding = answer.encoding
        """The content codings of the bytes, although none were requested; ``identity`` if there are none."""
        self._body = answer.body
        self._throttle = throttle
        self._pace = pace
        self._chunk_bytes = min(CHUNK_BYTES, throttle.chunk_bytes) if throttle else CHUNK_BYTES

    def chunks(self) -> Iterator[bytes]:
        """Yield the body in pieces of at most 1 MiB, undecoded.

        Raises:
            TransientError: it broke off, ended before its announced length, or is too slow. The caller passes this to
                ``Attempts.failed`` and resumes.
        """
        received = 0
        # a complete body came in time, however busy this host is
        while chunk := self._read_some(is_whole=received == self.length):
            received += len(chunk)
            self._pace.arrived(len(chunk))
            if self.length is not None and received > self.length:
                # Content-Range is shorter than Content-Length: the surplus must not overwrite other parts.
                raise TransientError("it sent more than it announced")
            if self._throttle is not None:
                self._throttle.took(len(chunk))
            yield chunk
        if self.length is not None and received < self.length:
            raise TransientError("the connection ended early")

    def _read_some(self, *, is_whole: bool) -> bytes:
        with self._pace.waiting():
            try:
                if not is_whole:
                    self._pace.check()
                return self._body.read_some(self._chunk_bytes)
            except TooSlowError as error:
                raise self._pace.verdict or TransientError("no data within the timeout") from error

    def abort(self) -> None:
        """Stop the transfer from another thread: its ``chunks`` end or raise soon."""
        self._body.abort()


class Transport:
    """Fetches URLs; thread-safe, and cheap to create.

    Args:
        settings: timeouts and retries, rate, certificate authorities.
        credentials: authorize requests; they never follow a redirect to another origin.
        chance: clock, sleep and random number, for tests.
        on_retry: told of each failed attempt that another follows; called from any thread.
        permit: asked about each http(s) address before a request to it, those of redirects too, and while it connects.
        stop: asked before each request, each read and each pause; what it raises ends all of them.
    """

    def __init__(
        self,
        settings: TransportSettings | None = None,
        *,
        credentials: Credentials | None = None,
        chance: Chance | None = None,
        on_retry: Callable[[RetryNotice], None] | None = None,
        permit: Permit | None = None,
        stop: Stop | None = None,
    ) -> None:
        self.stop = stop
        """Ends what takes long, also waits of others for what this transport fetches."""
        self.settings = settings or TransportSettings()
        self._credentials = credentials
        self._permit = permit
        self._chance = chance or Chance()
        self._on_retry = on_retry
        rate = self.settings.max_bytes_per_second
        self._throttle = Throttle(rate, self._chance) if rate else None
        self._line = Line()
        self._http: HttpGetter | None = None
        self._parents_http: HttpGetter | None = None  # kept, since what is collected closes its connections
        self._reached: set[str] = set()  # hosts that answered once
        self._begun: dict[str, Begun[Document]] = {}
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

    def forked(self) -> None:
        """In a forked child: leave the connections to the parent; the transport is then the child's own."""
        self._parents_http, self._http = self._http, None
        self._lock, self._line, self._begun = threading.Lock(), Line(), {}

    def pipeline(self, url: str) -> Pipeline | None:
        """Return what reads many small files from the host of a URL; None where each has to be read by itself."""
        if urlsplit(url).scheme not in {"http", "https"} or self._throttle is not None or self._permit is not None:
            return None
        return self._getter().pipeline(url)

    def begin(self, url: str, *, max_bytes: int, retry: bool = True) -> None:
        """Begin to read a small file whole, for whoever asks for the answer with `take_begun` or ``read(begun=True)``.

        Args:
            url: as of `read`.
            max_bytes: so too.
            retry: so too.
        """
        self._getter()  # what it imports is imported before threads wait for it
        self._begun[url] = Begun(
            lambda given_up: self.read(url, max_bytes=max_bytes, retry=retry, cancelled=given_up),
            url.rpartition("/")[2],
        )

    def has_begun(self, url: str) -> bool:
        """Return whether a file is on its way, and nobody has taken it."""
        return url in self._begun

    def take_begun(self, url: str) -> Begun[Document] | None:
        """Return a file that is on its way, for the caller alone; None if nobody began to read it."""
        return self._begun.pop(url, None)

    def read(
        self,
        url: str,
        *,
        max_bytes: int,
        etag: str | None = None,
        modified: str | None = None,
        retry: bool = True,
        cancelled: threading.Event | None = None,
        begun: bool = False,
    ) -> Document:
        """Read a small file whole; with ``etag``, or else ``modified`` (``Last-Modified``), only if it changed.

        gzip is requested and decoded. ``max_bytes`` limits the decoded size. ``retry=False`` is for optional files: one
        attempt, so that nothing is delayed. Once ``cancelled`` is set, it ends at its next bytes. ``begun=True`` takes
        the answer to what `begin` asked, if it did.

        Raises:
            HttpStatusError: any status but 200, and 304 where that was asked for; ``status`` says which (404 and 403 at
                once, without retries).
            TooLargeError: the file is longer than ``max_bytes``.
            UnavailableError: no complete answer within the no-progress window.
        """
        earlier = self.take_begun(url) if begun else None
        if earlier is not None:
            document = earlier.result()
            if len(document.data) > max_bytes:
                raise TooLargeError(url, max_bytes)
            return document
        headers = {"Accept-Encoding": "gzip"}
        if etag is not None:
            headers["If-None-Match"] = etag
        elif modified is not None:
            headers["If-Modified-Since"] = modified
        is_conditional = etag is not None or modified is not None
        expected = frozenset({200, 304} if is_conditional else {200})
        attempts = self._attempts(url, retry=retry, cancelled=cancelled)
        took = stopwatch()
        while True:
            answer = self._open(url, headers, 0, None, expected, attempts)
            with closing(answer.body):
                if answer.status == 304:
                    return Document(b"", answer.etag or etag, not_modified=True, modified=modified)
                if answer.encoding == "identity" and (answer.length or 0) > max_bytes:
                    raise TooLargeError(url, max_bytes)
                try:
                    data = self._read_body(url, answer, max_bytes, attempts)
                except TransientError as error:
                    attempts.failed(error)
                    continue
                _log.debug(
                    "transport.read",
                    "{url}: {bytes} bytes in {seconds} s",
                    url=public_url(url),
                    bytes=len(data),
                    seconds=took(),
                )
                return Document(data, answer.etag, date=answer.date, modified=answer.modified)

    def send(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        expected: frozenset[int],
        max_bytes: int,
        body: bytes | Path | None = None,
    ) -> Sent:
        """Send a request with a body, or another than GET; it must do no harm to send it again.

        Redirects aren't followed, and credentials of this transport aren't added.

        Args:
            method: its verb.
            url: its address.
            headers: all of it.
            expected: statuses that are answers; others are errors.
            max_bytes: of the answer.
            body: bytes, or a file of them.

        Raises:
            HttpStatusError: another status.
            TooLargeError: the answer is longer than ``max_bytes``.
            UnavailableError: no answer within the no-progress window.
        """
        _checked_scheme(url)
        attempts = self._attempts(url, retry=True, cancelled=None)
        while True:
            try:
                sent = self._getter().send(method, url, headers, body, max_bytes, attempts.pace)
                self._reached.add(host_of(url))
                _log.debug(
                    "transport.sent", "{method} {url}: {status}", method=method, url=public_url(url), status=sent.status
                )
                if sent.status in expected:
                    return sent
                _refuse(url, sent.status)
            except TransientError as error:  # noqa: PERF203  # a retry loop is a try in a loop
                attempts.failed(error, is_unknown=error.is_unreached and host_of(url) not in self._reached)

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

        Opening is retried; later failures raise ``TransientError`` from ``Stream.chunks``. A server may answer a
        range with 200 and the whole file (always, or because ``if_range`` no longer holds): look at ``status``.

        Args:
            url: what to fetch.
            start: first byte wanted.
            end: first byte no longer wanted; ``None`` for the rest.
            if_range: a strong entity tag; if the file no longer has it, the whole new file is sent.
            attempts: shared by the opens of one resumed transfer.

        Raises:
            HttpStatusError: any status but 200, 206 and 416 (the latter two only for a range).
            UnavailableError: no answer within the no-progress window, or a range other than the requested one.
        """
        # Ranges count bytes of the file itself, so it must be sent uncompressed.
        headers = {"Accept-Encoding": "identity"}
        ranged = start > 0 or end is not None
        if ranged:
            headers["Range"] = f"bytes={start}-{'' if end is None else end - 1}"
            if if_range is not None:
                headers["If-Range"] = if_range
        expected = frozenset({200, 206, 416} if ranged else {200})
        attempts = attempts or self.attempts(url)
        answer = self._open(url, headers, start, end, expected, attempts)
        with closing(answer.body):
            if answer.status == 206 and not _is_within(answer, start, end):
                raise OtherRangeError(
                    f"{host_of(url)} answered with another part of {public_url(url)} than requested",
                    subject=public_url(url),
                )
            yield Stream(url, answer, self._throttle, attempts.pace)

    def attempts(self, url: str) -> Attempts:
        """Return the retry decisions for one transfer of ``url``."""
        said = self.settings
        policy = RetryPolicy(said.no_progress_window, said.retries, said.first_contact_window)
        return Attempts(url, policy, self._chance, self._on_retry, pace=self._pace())

    def _attempts(self, url: str, *, retry: bool, cancelled: threading.Event | None) -> Attempts:
        """Return the retry decisions for a file that is read whole, from its start each time."""
        said = self.settings
        policy = RetryPolicy(said.no_progress_window, said.retries, said.first_contact_window)
        if not retry:
            policy = RetryPolicy(0.0, retries=0)
        return Attempts(url, policy, self._chance, self._on_retry, pace=self._pace(cancelled), resumes=False)

    def _pace(self, cancelled: threading.Event | None = None) -> Pace:
        said = self.settings
        return Pace(
            said.no_progress_window, said.min_bytes_per_second, self._chance.clock, self._line, cancelled, self.stop
        )

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
            if self.stop is not None:
                self.stop.check()
            try:
                attempts.pace.attempt(from_start=not attempts.resumes)
                took = stopwatch()
                answer = self._get(url, headers, start, end, attempts.pace)
                _log_answer(url, headers, answer, took())
                answer = _accepted(url, answer, expected)
            except TransientError as error:  # a retry loop is a try in a loop
                attempts.failed(error, is_unknown=error.is_unreached and host_of(url) not in self._reached)
            else:
                attempts.pace.begun()
                return answer

    def _get(self, url: str, headers: dict[str, str], start: int, end: int | None, pace: Pace) -> Answer:
        scheme = _checked_scheme(url)
        if scheme == "file":
            return get_file(url, headers, start, end)
        answer = self._getter().get(url, headers, pace)
        self._reached.add(host_of(url))
        return answer

    def _getter(self) -> HttpGetter:
        with self._lock:
            if self._http is None:
                from sealdex.transport._http import HttpGetter  # noqa: PLC0415  # ssl and http.client take 20 ms

                self._http = HttpGetter(self.settings, self._credentials, self._permit)
            return self._http

    def _read_body(self, url: str, answer: Answer, max_bytes: int, attempts: Attempts) -> bytes:
        stream = Stream(url, answer, self._throttle, attempts.pace)
        decode = decoder_of(url, answer.encoding, max_bytes)
        data = bytearray()
        for chunk in stream.chunks():
            data += decode.feed(chunk, max_bytes + 1 - len(data))
            if len(data) > max_bytes:
                raise TooLargeError(url, max_bytes)
            attempts.reached(len(data))
        decode.finish()
        return bytes(data)


def _refuse(url: str, status: int) -> None:
    if status != 409 and not is_passing(status):  # S3's conflict of two writers passes
        raise HttpStatusError(url, status)
    raise TransientError(f"it answered {status}", status=status)


def _log_answer(url: str, headers: Mapping[str, str], answer: Answer, seconds: float) -> None:
    if not _log.is_debug:
        return
    asked = headers.get("Range")
    _log.debug(
        "transport.request",
        "GET {url}{part}: {status} in {seconds} s",
        url=public_url(url),
        part=f" ({asked})" if asked else "",
        range=asked,
        status=answer.status,
        bytes=answer.length,
        seconds=seconds,
    )


def _accepted(url: str, answer: Answer, expected: frozenset[int]) -> Answer:
    if answer.status in expected:
        return answer
    answer.body.close()
    if not is_passing(answer.status):
        raise answer.error or HttpStatusError(url, answer.status)
    raise TransientError(f"it answered {answer.status}", status=answer.status, retry_after=answer.retry_after)


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
            f"an address must be https://, http:// or file:// without a user and password{shown}",
            hint="correct the address; put credentials into the configuration",
        )
    return parts.scheme
