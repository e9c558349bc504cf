"""Fetches one big file in several ranges at once and hashes it behind them, in order.

The file is cut into blocks. Worker threads take the next block, fetch it and write it in its place; the calling thread
follows the frontier (the end of the last block before which there is no gap) and hashes what lies behind it, from the
page cache. Taking blocks in order keeps the frontier close to what has arrived, so hashing ends soon after the last
byte, and what a killed run loses is a few blocks. Each thread holds one chunk (1 MiB), whatever the file's size.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sealdex.store.hashing import hash_into, write_all
from sealdex.transport import TransientError

if TYPE_CHECKING:
    import hashlib
    from collections.abc import Callable, Iterator
    from io import FileIO
    from pathlib import Path

    from sealdex.transport import Attempts, Stream, Transport


@dataclass(frozen=True, slots=True)
class RangePlan:
    """When and how a transfer is split: from ``min_bytes`` left to fetch, in blocks of ``block_bytes``."""

    min_bytes: int = 32 << 20
    block_bytes: int = 8 << 20
    connections: int = 4


@dataclass(frozen=True, slots=True)
class RangedFile:
    """What is fetched and where to: ``size`` bytes of ``url`` under the strong entity tag ``etag``."""

    url: str
    etag: str
    size: int
    path: Path


class _LostRangesError(Exception):
    """The server no longer serves ranges of the file we began with."""


class _StoppedError(Exception):
    """Another thread failed, or the caller is leaving."""


class RangedTransfer:
    """One transfer in ranges, from ``start`` to the end of ``file``.

    Args:
        transport: makes the requests.
        file: what to fetch; its path exists and is open to nobody else's writes.
        start: first byte wanted.
        plan: size of blocks, number of connections.
        on_bytes: told how many bytes arrived; called from the workers.
    """

    def __init__(
        self,
        transport: Transport,
        file: RangedFile,
        start: int,
        plan: RangePlan,
        on_bytes: Callable[[int], None],
    ) -> None:
        self._transport = transport
        self._file = file
        self._plan = plan
        self._on_bytes = on_bytes
        self._starts = range(start, file.size, plan.block_bytes)
        self._changed = threading.Condition()
        # All below is shared, and guarded by _changed.
        self._taken = 0
        self._done: set[int] = set()
        self._streams: set[Stream] = set()
        self._stopping = False
        self._error: BaseException | None = None

    def run(self, first: Stream, hasher: hashlib._Hash, on_frontier: Callable[[int], None]) -> None:
        """Fetch and hash; returns early if the server stops serving ranges of this file.

        All threads have ended when this returns or raises, so no late write can meet a file that has moved on.

        Args:
            first: the open stream of the first block.
            hasher: has been fed everything before ``start``; is fed the rest, up to the frontier.
            on_frontier: told each new frontier, once what lies behind it is hashed; called from this thread.

        Raises:
            UnavailableError: a block could not be fetched within the no-progress window.
            OSError: the file can't be written.
        """
        count = min(self._plan.connections, len(self._starts))
        workers = [
            threading.Thread(target=self._work, args=(first if index == 0 else None,), daemon=True)
            for index in range(count)
        ]
        # The first block is taken before any other worker runs: its stream is open already.
        self._taken = 1
        try:
            for worker in workers:
                worker.start()
            self._hash_behind(hasher, on_frontier)
        finally:
            self._stop()
            for worker in workers:
                if worker.ident is not None:  # it was started
                    worker.join()
        if self._error is not None and not isinstance(self._error, _LostRangesError):
            raise self._error

    def _hash_behind(self, hasher: hashlib._Hash, on_frontier: Callable[[int], None]) -> None:
        with self._file.path.open("rb", buffering=0) as reader:
            reader.seek(self._starts.start)
            for start in self._starts:
                with self._changed:
                    self._changed.wait_for(lambda: start in self._done or self._error is not None)  # noqa: B023  # called before the loop goes on
                    if start not in self._done:
                        return
                end = self._end_of(start)
                hash_into(hasher, reader, end - start)
                on_frontier(end)

    def _work(self, first: Stream | None) -> None:
        try:
            with self._file.path.open("r+b", buffering=0) as writer:
                start = self._starts.start if first is not None else self._take()
                while start is not None:
                    self._fetch_block(writer, start, first)
                    first = None
                    with self._changed:
                        self._done.add(start)
                        self._changed.notify_all()
                    start = self._take()
        except _StoppedError:
            return
        except BaseException as error:  # noqa: BLE001  # raised again by run, in the caller's thread
            with self._changed:
                self._error = self._error or error
                self._stopping = True
                self._changed.notify_all()

    def _fetch_block(self, writer: FileIO, start: int, first: Stream | None) -> None:
        position, end = start, self._end_of(start)
        attempts = self._transport.attempts(self._file.url)
        while True:
            try:
                with self._stream(position, end, attempts, first) as stream:
                    writer.seek(position)
                    for chunk in stream.chunks():
                        if self._stopping:
                            raise _StoppedError
                        write_all(writer, chunk)
                        position += len(chunk)
                        attempts.reached(position - start)
                        self._on_bytes(len(chunk))
                if position == end:
                    return
                error = TransientError("it answered less than was asked for")
            except TransientError as broken:
                if self._stopping:  # the stream was cut by _stop
                    raise _StoppedError from broken
                error = broken
            attempts.failed(error)
            first = None

    @contextmanager
    def _stream(self, position: int, end: int, attempts: Attempts, first: Stream | None) -> Iterator[Stream]:
        """Open the rest of a block (or go on with the one that is open), where ``_stop`` can reach it."""
        opened = (
            nullcontext(first)
            if first is not None
            else self._transport.stream(
                self._file.url, start=position, end=end, if_range=self._file.etag, attempts=attempts
            )
        )
        with opened as stream:
            if not serves_ranges(stream, self._file.size, self._file.etag):
                raise _LostRangesError
            with self._changed:
                if self._stopping:
                    raise _StoppedError
                self._streams.add(stream)
            try:
                yield stream
            finally:
                with self._changed:
                    self._streams.discard(stream)

    def _take(self) -> int | None:
        with self._changed:
            if self._stopping or self._taken == len(self._starts):
                return None
            self._taken += 1
            return self._starts[self._taken - 1]

    def _stop(self) -> None:
        with self._changed:
            self._stopping = True
            for stream in self._streams:
                stream.abort()

    def _end_of(self, start: int) -> int:
        return min(start + self._plan.block_bytes, self._file.size)


def serves_ranges(stream: Stream, size: int, etag: str | None = None) -> bool:
    """Tell whether an answer is a part of a file of that size that more parts can safely be joined to."""
    return (
        stream.status == 206
        and stream.total_size == size
        and stream.etag is not None
        and (etag is None or stream.etag == etag)
    )
