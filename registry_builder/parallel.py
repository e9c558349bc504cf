"""Distributes work over forked processes if that is safe and worthwhile; the caller redoes what a process fails at.

A forked process has its parent's memory, so nothing is copied to it, and only a short answer comes back.
Forking is used on Linux only, in processes without threads: a lock held by a thread would stay held in the child.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import os
import pickle
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Generic, NoReturn, TypeVar

_T = TypeVar("_T")
_R = TypeVar("_R")
_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_READ_BYTES = 1 << 16


class Share(Generic[_T]):
    """A part of the items, processed in a separate process."""

    def __init__(self, work: Callable[[Sequence[_T]], bytes], items: Sequence[_T]) -> None:
        self.items = items
        self._reader, writer = os.pipe()
        parent = os.getpid()
        self._pid = os.fork()
        if self._pid == 0:
            _work(work, items, writer, parent)
        os.close(writer)

    def answer(self) -> bytes | None:
        """Wait for the process; return what ``work`` returned, or None if it failed in any way."""
        pieces = []
        while piece := os.read(self._reader, _READ_BYTES):
            pieces.append(piece)
        return b"".join(pieces) if self._end() == 0 else None

    def stop(self) -> None:
        """End the process if it is still running."""
        if self._pid:
            os.kill(self._pid, signal.SIGKILL)
            self._end()

    def _end(self) -> int:
        _, status = os.waitpid(self._pid, 0)
        self._pid = 0
        os.close(self._reader)
        return status


def _work(work: Callable[[Sequence[_T]], bytes], items: Sequence[_T], writer: int, parent: int) -> NoReturn:
    try:
        gc.disable()  # it would write to, and so copy, all of the parent's memory
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() == parent:  # else it died before the line above
            with os.fdopen(writer, "wb") as file:
                file.write(work(items))
            os._exit(0)
    finally:
        os._exit(1)  # never run the parent's cleanup here, whatever was raised


@contextlib.contextmanager
def shared_out(
    items: Sequence[_T], work: Callable[[Sequence[_T]], bytes], *, at_least: int
) -> Iterator[tuple[Sequence[_T], list[Share[_T]]]]:
    """Distribute items over the processors that this process may use.

    Args:
        items: what is to be processed; their order is kept.
        work: processes a share in a separate process, without effects on this one, and returns an answer.
        at_least: the minimum number of items per share.

    Yields:
        The items for the caller, and the running shares; shares still running at exit are ended.
    """
    processes = min(len(os.sched_getaffinity(0)), len(items) // at_least) if _may_fork() else 1
    size = max(1, -(-len(items) // max(1, processes)))
    shares: list[Share[_T]] = []
    try:
        shares += (Share(work, items[start : start + size]) for start in range(size, len(items), size))
        yield items[:size], shares
    finally:
        for share in shares:
            share.stop()


def each_of(do: Callable[[_T], _R], items: Sequence[_T], *, at_least: int) -> Iterator[_R]:
    """Yield the result of ``do`` for each item, in order; see `shared_out`.

    ``do`` may run in any process, so it must not change this one; its results must be picklable.
    """

    def work(share: Sequence[_T]) -> bytes:
        return pickle.dumps([do(item) for item in share])

    with shared_out(items, work, at_least=at_least) as (own, shares):
        yield from map(do, own)
        for share in shares:
            answer = share.answer()
            # what failed there fails here too, and is reported
            yield from pickle.loads(answer) if answer is not None else map(do, share.items)  # noqa: S301  # our own fork's


def _may_fork() -> bool:
    return sys.platform == "linux" and threading.active_count() == 1


@contextlib.contextmanager
def collector_paused() -> Iterator[None]:
    """Pause the garbage collector while many lasting objects are created: a context manager, or a decorator."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


__all__ = ["Share", "collector_paused", "each_of", "shared_out"]
