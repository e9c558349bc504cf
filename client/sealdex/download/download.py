"""Downloads an artifact into the cache: resumed, bounded, hashed as it arrives, and renamed only when verified.

The rules, by precedence:

1. A file gets its final name only after its SHA-256 was computed from the received bytes. A cached file is hashed again
   before it is used; a poisoned one is replaced.
2. Never more than the signed length is read. A server that announces another length is refused before the body.
3. Received bytes are kept in a part file and continued, in this run and in later ones. ``If-Range`` guards the seam
   if both ends have a strong entity tag. Otherwise the digest decides: if it doesn't match, the transfer starts over
   once from the beginning before it counts as an error.
4. A 200 after a Range request means that the server sends the whole file: start over. A 416 means that the part may be
   complete: its digest decides, else start over.
5. A body with an unrequested content coding is taken as it is: the digest decides whether the header or the bytes are
   wrong. If the bytes are, that is reported as an encoding error, not as tampering.
6. One process at a time fetches a digest; others wait for its lock and then find the file.
"""

from __future__ import annotations

import hashlib
import shutil
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from msgspec import Struct

from sealdex.download._ranges import RangedFile, RangePlan, fetch_and_hash, serves_ranges
from sealdex.errors import MAKE_ROOM, InstallError, VerificationError, is_disk_full
from sealdex.events import Progress
from sealdex.log import Log, stopwatch
from sealdex.store.hashing import hash_into, write_all
from sealdex.transport import EncodingError, TooLargeError, TransientError, public_url, strong_etag

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from io import FileIO
    from pathlib import Path

    from sealdex.store.cache import ContentCache
    from sealdex.transport import Stream, Transport

_log = Log("sealdex.download")

_UNTOUCHED = "nothing was installed, and the downloaded bytes were deleted"


class Pin(Struct, frozen=True):
    """What the signed index says about a file.

    Args:
        sha256: 64 lower-case hexadecimal digits.
        size: bytes; ``None`` if the index doesn't know, and then ``max_bytes`` is required.
        max_bytes: the maximum that is accepted, whatever ``size`` says.
    """

    sha256: str
    size: int | None = None
    max_bytes: int | None = None

    def __post_init__(self) -> None:
        if self.size is None and self.max_bytes is None:
            raise ValueError("a Pin needs size or max_bytes")

    @property
    def limit(self) -> int:
        """The maximum number of bytes that may be read."""
        return min(bound for bound in (self.size, self.max_bytes) if bound is not None)


def download(
    transport: Transport,
    url: str,
    pin: Pin,
    cache: ContentCache,
    *,
    progress: Progress | None = None,
    on_wait: Callable[[], None] | None = None,
    plan: RangePlan | None = None,
) -> Path:
    """Return the path of the file in the cache, fetching it if necessary; a cached file needs no request.

    Args:
        transport: makes the requests.
        url: where the file is.
        pin: what it must be.
        cache: where it is stored.
        progress: told about bytes; not called for a cached file.
        on_wait: called if another process is fetching the same file, before waiting for it.
        plan: when and how to fetch in several ranges at once.

    Raises:
        VerificationError: the bytes are not those that were signed; the received bytes are deleted.
        UnavailableError: the transfer made no progress for the transport's window, or was refused
            (``HttpStatusError``); the received bytes are kept, and the next call resumes.
        EncodingError: an ``UnavailableError``: the server compressed it; the received bytes are deleted.
        InstallError: no space, or the cache can't be written; ``HostLimitError`` if it is larger than ``max_bytes``.
    """
    with _local_errors(cache):
        if (path := cache.verified(pin.sha256, pin.size)) is not None:
            return path
    waited = _waiting(url, on_wait)
    with _local_errors(cache), cache.lock(pin.sha256, waited):
        if (path := cache.verified(pin.sha256, pin.size)) is not None:
            return path  # the process that we waited for has fetched it
        cache.discard(pin.sha256)
        meter, took = _Meter(progress), stopwatch()
        try:
            path = _Download(transport, url, pin, cache, meter, plan or RangePlan()).run()
        finally:
            meter.finish()
        _log.info(
            "download.fetched",
            "{url}: {bytes} bytes in {seconds} s, SHA-256 {sha256} as signed",
            url=public_url(url),
            bytes=path.stat().st_size,
            seconds=took(),
            sha256=pin.sha256,
        )
        return path


def _waiting(url: str, on_wait: Callable[[], None] | None) -> Callable[[], None]:
    def waiting() -> None:
        _log.info("download.lock", "{url}: another process is fetching it: waiting for that", url=public_url(url))
        if on_wait is not None:
            on_wait()

    return waiting


class HostLimitError(InstallError):
    """A file is larger than this host's limit; nothing is wrong with the file."""

    code = "host-limit"

    def __init__(self, origin: str, max_bytes: int, size: int | None = None) -> None:
        has = f"{size} bytes" if size is not None else "more"
        super().__init__(
            f"{origin} has {has}; this host accepts at most {max_bytes} bytes (download.max_plugin_size)",
            subject=origin,
            untouched="nothing was installed, and no downloaded bytes were kept",
            hint="raise max_plugin_size under [download] in config.toml, or give --set download.max_plugin_size=BYTES",
        )
        self.max_bytes = max_bytes


class _StartOverError(Exception):
    """The received bytes can't be continued."""


class _Download:
    """One download, under the digest's lock: the part file, the position in it, and the hash up to there."""

    def __init__(
        self, transport: Transport, url: str, pin: Pin, cache: ContentCache, meter: _Meter, plan: RangePlan
    ) -> None:
        self._transport = transport
        self._url = url
        self._origin = public_url(url)
        self._pin = pin
        self._cache = cache
        self._meter = meter
        self._plan = plan
        self._part = cache.partial(pin.sha256)
        self._attempts = transport.attempts(url)
        self._position = 0
        self._etag: str | None = None
        self._encoding = "identity"
        self._hasher = hashlib.sha256()
        self._is_unguarded = False
        """Whether a seam between two parts was not guarded by an entity tag, which may explain a wrong digest."""
        self._may_split = url.startswith(("http://", "https://"))

    def run(self) -> Path:
        """Fetch, verify, rename."""
        if self._pin.size is not None and self._pin.size > self._pin.limit:
            raise HostLimitError(self._origin, self._pin.limit, self._pin.size)
        try:
            with self._part_file() as file:
                self._resume(file)
                self._check_space()
                self._complete(file)
                if self._hasher.hexdigest() != self._pin.sha256 and self._is_unguarded:
                    self._log_restart("the parts don't make up what was signed")
                    self._restart(file)
                    self._complete(file)
            self._check_digest()
        except VerificationError as error:
            self._part.discard()
            if self._encoding != "identity":
                raise EncodingError(self._url, self._encoding) from error
            raise
        except (EncodingError, HostLimitError):
            self._part.discard()
            raise
        except OSError as error:
            if is_disk_full(error):
                self._part.discard()  # don't keep half a file on a full disk
            raise
        finally:
            if self._position == 0:
                self._part.discard()
        return self._cache.commit(self._pin.sha256)

    @contextmanager
    def _part_file(self) -> Iterator[FileIO]:
        state = self._part.load()
        if not 0 < state.length <= self._pin.limit:
            self._part.discard()
        else:
            self._position, self._is_unguarded = state.length, True
            # A mirror may have the same file, but with its own entity tags.
            self._etag = strong_etag(state.etag) if state.url == self._origin else None
        with self._part.open() as file:
            yield file

    def _resume(self, file: FileIO) -> None:
        """Hash the bytes of an earlier run."""
        file.truncate(self._position)
        if self._position:
            _log.info(
                "download.resumed",
                "{url}: goes on at byte {position} of {bytes}, which an earlier run left ({seam})",
                url=self._origin,
                position=self._position,
                bytes=self._pin.size,
                seam="guarded by the entity tag" if self._etag else "without an entity tag: the digest decides",
            )
            self._meter.start(self._pin.size)
            self._meter.move_to(self._position)
            hash_into(self._hasher, file, self._position)
            self._save_origin()

    def _check_space(self) -> None:
        if self._pin.size is None:
            return
        folder = self._part.path.parent
        needed, free = self._pin.size - self._position, shutil.disk_usage(folder).free
        if needed > free:
            raise InstallError(
                f"{self._origin} needs {needed} more bytes in {folder}, which has {free} free",
                subject=str(folder),
                untouched="nothing was downloaded",
                hint=MAKE_ROOM,
            )

    def _complete(self, file: FileIO) -> None:
        """Fetch what is missing, with as many requests as necessary."""
        while self._position != self._pin.size:
            try:
                if self._fetch_some(file):
                    return
            except TransientError as error:  # noqa: PERF203  # a retry loop is a try in a loop
                self._attempts.failed(error)
            except _StartOverError as reason:
                self._log_restart(str(reason))
                self._restart(file)
                self._attempts.failed(TransientError(str(reason)))

    def _fetch_some(self, file: FileIO) -> bool:
        """Make one request and keep the received bytes; return whether the file is complete.

        Raises:
            TransientError: it was interrupted; the received bytes are kept.
            _StartOverError: the received bytes can't be continued.
        """
        size, split = self._pin.size, self._splits()
        end = self._position + self._plan.block_bytes if split else None
        with self._transport.stream(
            self._url, start=self._position, end=end, if_range=self._etag, attempts=self._attempts
        ) as stream:
            if stream.status == 416:
                if size is None and self._hasher.hexdigest() == self._pin.sha256:
                    return True
                self._may_split = False  # an empty file has no ranges either
                raise _StartOverError("it has nothing after the bytes received so far")
            self._encoding = stream.encoding
            self._check_length(stream)
            self._join(file, stream)
            self._meter.start(size if size is not None else stream.total_size)
            if split and size is not None and stream.etag and serves_ranges(stream, size):
                self._fetch_in_ranges(file, stream, stream.etag, size)
            else:
                self._may_split = self._may_split and not split
                for chunk in stream.chunks():
                    self._append(file, chunk)
            total = size if size is not None else stream.total_size
            if total is None or self._position == total:
                return True
        if not split:
            if self._encoding != "identity":  # an interrupted transfer has raised before
                raise EncodingError(self._url, self._encoding)
            raise TransientError(f"it ended after {self._position} of {total} bytes")
        return False

    def _splits(self) -> bool:
        return (
            self._may_split and self._pin.size is not None and self._pin.size - self._position >= self._plan.min_bytes
        )

    def _check_length(self, stream: Stream) -> None:
        """Refuse, before reading the body, what can't be the signed file."""
        if stream.total_size is None:
            return
        if self._pin.size is not None and stream.total_size != self._pin.size:
            raise VerificationError(
                f"{self._origin} is not what was signed: it has {stream.total_size} bytes, not {self._pin.size}",
                subject=self._origin,
                untouched=_UNTOUCHED,
                hint="report this to the registry's operator; a cache on the way may serve an old file",
            )
        if stream.total_size > self._pin.limit:
            raise HostLimitError(self._origin, self._pin.limit, stream.total_size)

    def _join(self, file: FileIO, stream: Stream) -> None:
        """Align the part file so that the answer's first byte is its next one."""
        if stream.status == 200 and self._position:
            self._log_restart("the server sends the whole in place of the rest")
            self._restart(file)
        if self._position and (stream.etag is None or stream.etag != self._etag):
            self._is_unguarded = True
        if self._position == 0 or stream.etag != self._etag:
            self._etag = stream.etag
            self._save_origin()

    def _append(self, file: FileIO, chunk: bytes) -> None:
        if self._position + len(chunk) > self._pin.limit:
            if self._pin.size is None:
                raise HostLimitError(self._origin, self._pin.limit)
            raise TooLargeError(self._url, self._pin.limit)
        write_all(file, chunk)
        self._hasher.update(chunk)
        self._position += len(chunk)
        self._meter.move_to(self._position)
        self._attempts.reached(self._position)

    def _fetch_in_ranges(self, file: FileIO, first: Stream, etag: str, size: int) -> None:
        ranged = RangedFile(self._url, size, self._part, etag)
        self._may_split = False  # if it returns early, the rest is fetched in one piece
        _log.info(
            "download.ranges",
            "{url}: fetched in blocks of {block_bytes} bytes over {connections} connections, from "
            "byte {position} of {bytes}",
            url=self._origin,
            block_bytes=self._plan.block_bytes,
            connections=self._plan.connections,
            position=self._position,
            bytes=size,
        )
        self._save_origin(contiguous=self._position)
        try:
            fetch_and_hash(
                self._transport, ranged, first, self._hasher, self._plan,
                on_bytes=self._meter.add, on_frontier=self._note_frontier,
            )  # fmt: skip
        finally:
            # There are gaps before the bytes beyond the frontier.
            file.truncate(self._position)
            file.seek(self._position)
            self._save_origin()
            self._meter.move_to(self._position)

    def _note_frontier(self, position: int) -> None:
        self._position = position
        self._attempts.reached(position)
        self._save_origin(contiguous=position)

    def _save_origin(self, contiguous: int | None = None) -> None:
        self._part.save(url=self._origin, etag=self._etag, contiguous=contiguous)

    def _log_restart(self, reason: str) -> None:
        _log.info(
            "download.restarted",
            "{url}: starts over, {position} bytes are dropped: {reason}",
            url=self._origin,
            position=self._position,
            reason=reason,
        )

    def _restart(self, file: FileIO) -> None:
        file.seek(0)
        file.truncate(0)
        self._position, self._etag, self._is_unguarded = 0, None, False
        self._hasher = hashlib.sha256()
        self._meter.move_to(0)

    def _check_digest(self) -> None:
        found = self._hasher.hexdigest()
        if found != self._pin.sha256:
            raise VerificationError(
                f"{self._origin} is not what was signed: its SHA-256 is {found}, not {self._pin.sha256}",
                subject=self._origin,
                untouched=_UNTOUCHED,
                hint="don't use the file; report this to the registry's operator",
            )


class _Meter:
    """Turns positions into steps for a progress display; thread-safe."""

    def __init__(self, progress: Progress | None) -> None:
        self._progress = progress
        self._lock = threading.Lock()
        self._shown = 0
        self._started = False

    def start(self, total: int | None) -> None:
        if self._progress is not None and not self._started:
            self._started = True
            self._progress.start(total)

    def add(self, count: int) -> None:
        with self._lock:
            self._show(count)

    def move_to(self, position: int) -> None:
        with self._lock:
            self._show(position - self._shown)

    def finish(self) -> None:
        if self._progress is not None and self._started:
            self._progress.finish()

    def _show(self, count: int) -> None:
        if count:
            self._shown += count
            if self._progress is not None:
                self._progress.advance(count)


@contextmanager
def _local_errors(cache: ContentCache) -> Iterator[None]:
    """Convert a local error into an InstallError."""
    try:
        yield
    except OSError as error:
        full = is_disk_full(error)
        raise InstallError(
            f"the disk of {cache.root} is full"
            if full
            else f"the cache {cache.root} can't be used: {error.strerror or error}",
            subject=str(error.filename or cache.root),
            untouched="nothing was installed" + (", and the downloaded bytes were deleted" if full else ""),
            hint=MAKE_ROOM if full else "check the owner and permissions of the folder",
        ) from error
