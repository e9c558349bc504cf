"""Fetches ranges of one file over several connections at once, into their places in its part file.

`RangeFetcher` does the fetching: each worker thread takes the next range, fetches it, resumes after an interruption,
    and
the first permanent error stops all workers. Each thread holds one chunk (1 MiB), whatever the file's size. It is used
by two functions:

- `fetch_and_hash` fetches a whole file, or the rest of one, in blocks. The calling thread follows the frontier (the end
  of the last block without a gap before it) and hashes the bytes up to it, from the page cache. Taking blocks in order
  keeps the frontier close to the received bytes, so hashing ends soon after the last byte, and a killed run loses only
  a few blocks.
- `fetch_missing` fetches the ranges of an archive that its part file doesn't hold, and records them in the sidecar for
  the next run: periodically, and when a transfer ends, so a kill loses about a second of data. Nothing in it is
  trusted: each file read from it is compared with its own digest.
"""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING

from msgspec import Struct

from sealdex.download._spans import BLOCK_BYTES, Span, bytes_in, in_blocks, joined, without
from sealdex.errors import UnavailableError
from sealdex.store.hashing import hash_into, write_all
from sealdex.transport import HttpStatusError, OtherRangeError, TransientError, is_passing, public_url

if TYPE_CHECKING:
    import hashlib
    from collections.abc import Callable, Iterator, Sequence
    from io import FileIO
    from types import TracebackType

    from sealdex.events import Progress
    from sealdex.store.cache_entry import Partial
    from sealdex.transport import Attempts, Stream, Transport

CONNECTIONS = 4
_NOTE_EVERY_S = 1.0


class RangePlan(Struct, frozen=True):
    """When and how a transfer is split: from ``min_bytes`` left to fetch, in blocks of ``block_bytes``."""

    min_bytes: int = 32 << 20
    block_bytes: int = BLOCK_BYTES
    connections: int = CONNECTIONS


class RangedFile(Struct, frozen=True):
    """What is fetched, and its destination.

    Attributes:
        url: address of the file.
        size: size of the file in bytes.
        part: the part file; it exists, and the caller holds its digest's lock.
        etag: the strong entity tag that every answer must have; None if the bytes are compared with digests of their
            own, so that it doesn't matter which file of that size they are from.
    """

    url: str
    size: int
    part: Partial
    etag: str | None = None


class NoRangesError(Exception):
    """The server doesn't serve the requested ranges, for this reason."""


class _StoppedError(Exception):
    """Another range has failed, or the caller is leaving; the error that caused the stop says why."""


class RangeFetcher:
    """Fetches ranges of a file, in order, several at once; a context manager that leaves no thread behind.

    All threads have ended when the context is left, so no late write can meet a file that has moved on.

    Args:
        transport: makes the requests.
        file: what to fetch, and where to.
        ranges: the ranges to fetch.
        connections: maximum number of concurrent ranges.
        on_written: called by the workers with each written piece.
        first: the open stream of the first range, if there is one.
    """

    def __init__(
        self,
        transport: Transport,
        file: RangedFile,
        ranges: Sequence[Span],
        connections: int,
        on_written: Callable[[Span], None],
        first: Stream | None = None,
    ) -> None:
        self._transport = transport
        self._file = file
        self._ranges = ranges
        self._on_written = on_written
        self._first = first
        self._workers = [
            threading.Thread(target=self._work, name=f"ranges-{index}", daemon=True)
            for index in range(min(connections, len(ranges)))
        ]
        self._changed = threading.Condition()
        # All below is shared, and guarded by _changed.
        self._taken = 0
        self._done: set[Span] = set()
        self._streams: set[Stream] = set()
        self._stopping = False
        self._error: BaseException | None = None

    def __enter__(self) -> RangeFetcher:  # noqa: PYI034  # typing.Self came with Python 3.11
        try:
            for worker in self._workers:
                worker.start()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def wait_for(self, span: Span) -> None:
        """Wait until a range has been fetched.

        Raises:
            NoRangesError: the server doesn't serve ranges of this file, or no longer does.
            UnavailableError: a range could not be fetched within the no-progress window, or was refused.
            OSError: the file can't be written.
        """
        with self._changed:
            self._changed.wait_for(lambda: span in self._done or self._error is not None)
            if span not in self._done and self._error is not None:
                raise self._error

    def _end(self) -> None:
        with self._changed:
            self._stopping = True
            for stream in self._streams:
                stream.abort()
        for worker in self._workers:
            if worker.ident is not None:  # it was started
                worker.join()

    def _work(self) -> None:
        try:
            with self._file.part.open() as writer:
                while (taken := self._take()) is not None:
                    span, opened = taken
                    self._fetch(writer, span, opened)
                    with self._changed:
                        self._done.add(span)
                        self._changed.notify_all()
        except _StoppedError:
            return
        except BaseException as error:  # noqa: BLE001  # raised again by wait_for, in the caller's thread
            with self._changed:
                self._error = self._error or error
                self._stopping = True
                for stream in self._streams:
                    stream.abort()
                self._changed.notify_all()

    def _take(self) -> tuple[Span, Stream | None] | None:
        """Return the next range; the very first one with its open stream."""
        with self._changed:
            if self._stopping or self._taken == len(self._ranges):
                return None
            self._taken += 1
            opened, self._first = self._first, None
            return self._ranges[self._taken - 1], opened

    def _fetch(self, writer: FileIO, span: Span, opened: Stream | None) -> None:
        position = span.start
        attempts = self._transport.attempts(self._file.url)
        while True:
            try:
                with self._stream(Span(position, span.end), attempts, opened) as stream:
                    writer.seek(position)
                    for chunk in stream.chunks():
                        if self._stopping:
                            raise _StoppedError
                        write_all(writer, chunk)
                        self._on_written(Span(position, position + len(chunk)))
                        position += len(chunk)
                        attempts.reached(position - span.start)
                if position == span.end:
                    return
                error = TransientError("it answered with less than was requested")
            except TransientError as broken:
                if self._stopping:  # the stream was cut
                    raise _StoppedError from broken
                error = broken
            attempts.failed(error)
            opened = None

    @contextmanager
    def _stream(self, span: Span, attempts: Attempts, opened: Stream | None) -> Iterator[Stream]:
        """Open the rest of a range (or continue the open one), where stopping can reach it."""
        file = self._file
        opening = (
            nullcontext(opened)
            if opened is not None
            else self._transport.stream(file.url, start=span.start, end=span.end, if_range=file.etag, attempts=attempts)
        )
        with opening as stream:
            if not serves_ranges(stream, file.size, file.etag):
                raise NoRangesError("the server doesn't serve ranges of this file")
            with self._changed:
                if self._stopping:
                    raise _StoppedError
                self._streams.add(stream)
            try:
                yield stream
            finally:
                with self._changed:
                    self._streams.discard(stream)


def serves_ranges(stream: Stream, size: int, etag: str | None = None) -> bool:
    """Return whether an answer is a part of a file of that size and, if given, that entity tag."""
    return stream.status == 206 and stream.total_size == size and (etag is None or stream.etag == etag)


def fetch_and_hash(
    transport: Transport,
    file: RangedFile,
    first: Stream,
    hasher: hashlib._Hash,
    plan: RangePlan,
    *,
    on_bytes: Callable[[int], None],
    on_frontier: Callable[[int], None],
) -> None:
    """Fetch and hash a file from where a stream begins to its end; return early if the server stops serving its ranges.

    Args:
        transport: makes the requests.
        file: the file, with an entity tag.
        first: the open stream of the first block.
        hasher: has been fed everything before that; is fed the rest, up to the frontier.
        plan: size of blocks, number of connections.
        on_bytes: called by the workers with the number of received bytes.
        on_frontier: called in this thread with each new frontier, once everything up to it is hashed.

    Raises:
        UnavailableError: a block could not be fetched within the no-progress window.
        OSError: the file can't be written.
    """
    blocks = in_blocks([Span(first.start, file.size)], plan.block_bytes)
    fetcher = RangeFetcher(
        transport, file, blocks, plan.connections, lambda written: on_bytes(written.end - written.start), first
    )
    with fetcher, file.part.open() as reader:
        reader.seek(first.start)
        for block in blocks:
            try:
                fetcher.wait_for(block)
            except NoRangesError:
                return
            hash_into(hasher, reader, block.end - block.start)
            on_frontier(block.end)


def held_spans(part: Partial, size: int) -> list[Span]:
    """Return the ranges that a part file holds of an archive of ``size`` bytes, according to its sidecar."""
    state = part.load()
    stated = [Span(0, state.length), *(Span(start, end) for start, end in state.pieces)]
    return joined(span for span in stated if 0 <= span.start < span.end <= size)


def fetch_missing(
    transport: Transport, url: str, spans: Sequence[Span], part: Partial, size: int, progress: Progress | None
) -> int:
    """Fetch the parts of these ranges that a part file doesn't hold; return the number of bytes fetched.

    The part file becomes as long as the archive, with holes.

    Args:
        transport: makes the requests.
        url: address of the archive.
        spans: the ranges.
        part: the part file; the caller holds its digest's lock.
        size: size of the archive.
        progress: told about all bytes, including those already there.

    Raises:
        NoRangesError: the server doesn't serve ranges, or serves others.
        UnavailableError: the server can't be reached; received bytes are kept.
        OSError: a file system error.
    """
    held = held_spans(part, size)
    missing = without(spans, held)
    with part.open() as file:
        file.truncate(size)
    if progress is not None and spans:
        progress.start(bytes_in(spans))
        progress.advance(bytes_in(spans) - bytes_in(missing))
    notes = _Notes(part, url, held, progress)
    try:
        with RangeFetcher(transport, RangedFile(url, size, part), missing, CONNECTIONS, notes.add) as fetcher:
            for span in missing:
                fetcher.wait_for(span)
    except HttpStatusError as error:
        if not is_passing(error.status):
            raise NoRangesError(str(error)) from error
        # raised as an outage: fetching the whole archive would fail too, and received bytes are kept
        raise UnavailableError(error.message, subject=error.subject, hint=error.hint) from error
    except OtherRangeError as error:
        raise NoRangesError(str(error)) from error
    finally:
        notes.save()
        if progress is not None and spans:
            progress.finish()
    return bytes_in(missing)


class _Notes:
    """The ranges that a part file holds; written into its sidecar periodically. Thread-safe."""

    def __init__(self, part: Partial, url: str, held: list[Span], progress: Progress | None) -> None:
        self._part = part
        self._origin = public_url(url)
        self._held = held
        self._progress = progress
        self._lock = threading.Lock()
        self._saved_at = time.monotonic()

    def add(self, written: Span) -> None:
        with self._lock:
            self._held.append(written)
            if self._progress is not None:
                self._progress.advance(written.end - written.start)
        if time.monotonic() - self._saved_at > _NOTE_EVERY_S:
            self.save()

    def save(self) -> None:
        with self._lock:
            self._held = joined(self._held)
            self._part.save(url=self._origin, etag=None, contiguous=0, pieces=self._held)
            self._saved_at = time.monotonic()
