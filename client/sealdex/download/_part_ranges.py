"""Fetches ranges of an archive into its part file, several at once, and notes which are there for the next run.

The part file is as long as the archive and has holes; its sidecar says which ranges it holds. Nothing of it is trusted:
whoever reads a file from it compares that with the file's own digest. The note is written now and then, and when a
transfer ends in whatever way but by a kill, which so loses a second's worth.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING

from sealdex.download._delta_plan import Span, bytes_in, joined, without
from sealdex.errors import UnavailableError
from sealdex.store.hashing import write_all
from sealdex.transport import HttpStatusError, OtherRangeError, TransientError, is_passing, public_url

if TYPE_CHECKING:
    from sealdex.events import Progress
    from sealdex.store.cache_entry import Partial
    from sealdex.transport import Attempts, Transport

CONNECTIONS = 4
_NOTE_EVERY_S = 1.0


class NoRangesError(Exception):
    """The server doesn't give the ranges that were asked for, for this reason."""


class _StoppedError(Exception):
    """Another range has failed; that one says why."""


def held_spans(part: Partial, size: int) -> list[Span]:
    """Return the ranges that a part file says it holds of an archive of ``size`` bytes."""
    state = part.load()
    stated = [Span(0, state.length), *(Span(start, end) for start, end in state.pieces)]
    return joined(span for span in stated if 0 <= span.start < span.end <= size)


def fetch_spans(
    transport: Transport, url: str, spans: Sequence[Span], part: Partial, size: int, progress: Progress | None
) -> int:
    """Fetch what a part file doesn't hold of these ranges; return how many bytes that were.

    Args:
        transport: makes the requests.
        url: of the archive.
        spans: what is wanted.
        part: where to; the caller holds its digest's lock.
        size: of the archive.
        progress: told about all of it, what is there already included.

    Raises:
        NoRangesError: the server gives no ranges, or others.
        UnavailableError: the server can't be reached; what came is kept.
        OSError: the file system refuses.
    """
    held = held_spans(part, size)
    missing = without(spans, held)
    with part.open() as file:
        file.truncate(size)
    if progress is not None and spans:
        progress.start(bytes_in(spans))
        progress.advance(bytes_in(spans) - bytes_in(missing))
    fetcher = _Fetcher(transport, url, part, size, held, progress)
    try:
        with ThreadPoolExecutor(max(1, min(CONNECTIONS, len(missing))), thread_name_prefix="ranges") as pool:
            try:
                for done in [pool.submit(fetcher.fetch, span) for span in missing]:
                    with suppress(_StoppedError):  # the range that stopped it is among these, and tells the cause
                        done.result()
            except BaseException:
                fetcher.stop()
                pool.shutdown(wait=False, cancel_futures=True)
                raise
    finally:
        fetcher.note()
        if progress is not None and spans:
            progress.finish()
    return bytes_in(missing)


class _Fetcher:
    """Fetches ranges, several at once; the first that fails stops all."""

    def __init__(
        self,
        transport: Transport,
        url: str,
        part: Partial,
        size: int,
        held: list[Span],
        progress: Progress | None,
    ) -> None:
        self._transport = transport
        self._url = url
        self._part = part
        self._size = size
        self._held = held
        self._progress = progress
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._noted_at = time.monotonic()

    def stop(self) -> None:
        """Have all end at their next bytes."""
        self._stop.set()

    def note(self) -> None:
        """Write down what is there."""
        with self._lock:
            self._held = joined(self._held)
            self._part.save(url=public_url(self._url), etag=None, contiguous=0, pieces=self._held)
            self._noted_at = time.monotonic()

    def fetch(self, span: Span) -> None:
        position = span.start
        try:
            self._go_on()
            with self._part.open() as file:
                attempts = self._transport.attempts(self._url)
                while position < span.end:
                    try:
                        for chunk in self._chunks(Span(position, span.end), attempts):
                            file.seek(position)
                            write_all(file, chunk)
                            self._took(Span(position, position + len(chunk)))
                            position += len(chunk)
                            attempts.reached(position - span.start)
                        error = TransientError("it answered less than was asked for")
                    except TransientError as broken:
                        error = broken
                    if position < span.end:
                        attempts.failed(error)
        except (HttpStatusError, OtherRangeError) as error:
            self._stop.set()
            if isinstance(error, HttpStatusError) and is_passing(error.status):
                # told as what it is, an outage: the whole archive would fare no better, and what came is kept
                raise UnavailableError(error.message, subject=error.subject, hint=error.hint) from error
            raise NoRangesError(str(error)) from error
        except BaseException:
            self._stop.set()
            raise

    def _chunks(self, span: Span, attempts: Attempts) -> Iterator[bytes]:
        left = span.end - span.start
        with self._transport.stream(self._url, start=span.start, end=span.end, attempts=attempts) as stream:
            if stream.status != 206 or stream.start != span.start or stream.total_size != self._size:
                raise NoRangesError("the server gives no ranges of this archive")
            for chunk in stream.chunks():
                self._go_on()
                left -= len(chunk)
                if left < 0:
                    raise NoRangesError("the server sends more than was asked for")
                yield chunk

    def _go_on(self) -> None:
        if self._stop.is_set():
            raise _StoppedError

    def _took(self, span: Span) -> None:
        with self._lock:
            self._held.append(span)
            if self._progress is not None:
                self._progress.advance(span.end - span.start)
        if time.monotonic() - self._noted_at > _NOTE_EVERY_S:
            self.note()
