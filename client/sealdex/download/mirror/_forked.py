"""Shares work on many files out over forked processes, where that is safe: Python runs one thread at a time in each.

The parent sends lines of text to its children as they are found and hears short answers. What a child fails at, the
parent does again itself, and so meets the same error and tells it. Forking is used on Linux only, in processes without
threads: a lock that a thread holds would stay held in the child.
"""

from __future__ import annotations

import ctypes
import gc
import itertools
import os
import select
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import NoReturn

Answer = Callable[[bytes], None]
Work = Callable[[Iterator[bytes], Answer], None]

_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_READ_BYTES = 1 << 16
_BLOCK_LINES = 16
_ENOUGH_BYTES = 4096
"""Of work that a child has waiting: enough to go on with, and few enough that it can be shared out evenly."""


def processes() -> int:
    """Return how many processes work can be shared out over; 1 where forking isn't safe."""
    if sys.platform != "linux" or threading.active_count() > 1:
        return 1
    return min(len(os.sched_getaffinity(0)), 8)


def share_out(lines: Iterable[bytes], work: Work, count: int, on_answer: Answer) -> bool:
    """Have forked processes work on lines while they are still being found.

    Args:
        lines: one piece of work each, without line ends.
        work: run in each child, without effects on this process: given its lines as they come, and what sends an
            answer back, one line of less than 512 bytes.
        count: of processes.
        on_answer: told each answer, in this process.

    Returns:
        Whether all children did all of their work; if not, the caller does again what isn't done.
    """
    children: list[_Child] = []
    try:
        for _ in range(count):
            children.append(_Child(work, children))
        source = iter(lines)
        while block := _next_block(source):
            waiting = [child for child in children if child.has_room]
            while not waiting:
                _listen(children, on_answer)
                if any(child.has_ended for child in children):
                    return False  # before its work came to an end
                waiting = [child for child in children if child.has_room]
            min(waiting, key=lambda child: len(child.unsent)).send(block)
            _listen(children, on_answer, wait=False)
        for child in children:
            child.finish()
        while not all(child.has_ended for child in children):
            _listen(children, on_answer)
        ends = [child.end() for child in children]
        return not any(ends)
    finally:
        for child in children:
            child.stop()


class _Child:
    """A forked process, seen from its parent."""

    def __init__(self, work: Work, others: list[_Child]) -> None:
        reader, self.to = os.pipe()
        self.back, writer = os.pipe()
        parent = os.getpid()
        self._pid = os.fork()
        if self._pid == 0:
            for fd in (self.to, self.back, *(fd for other in others for fd in (other.to, other.back))):
                os.close(fd)  # else they would wait for their ends for ever
            _child(work, reader, writer, parent)
        os.close(reader)
        os.close(writer)
        os.set_blocking(self.to, False)
        self.unsent = b""
        self.has_ended = False
        self._heard = b""
        self._finishing = False

    @property
    def has_room(self) -> bool:
        return len(self.unsent) < _ENOUGH_BYTES

    def send(self, block: bytes) -> None:
        self.unsent += block
        self.push()

    def push(self) -> None:
        """Write what fits into the pipe."""
        try:
            while self.unsent:
                self.unsent = self.unsent[os.write(self.to, self.unsent[:_ENOUGH_BYTES]) :]
        except BlockingIOError:
            return
        except BrokenPipeError:
            self.unsent = b""  # it died, which its end says
        if self._finishing and self.to >= 0:
            os.close(self.to)
            self.to = -1

    def finish(self) -> None:
        self._finishing = True
        self.push()

    def hear(self, on_answer: Answer) -> None:
        data = os.read(self.back, _READ_BYTES)
        self.has_ended = not data
        *answers, self._heard = (self._heard + data).split(b"\n")
        for answer in answers:
            on_answer(answer)

    def end(self) -> int:
        _, status = os.waitpid(self._pid, 0)
        self._pid = 0
        return status

    def stop(self) -> None:
        """End the process where it still runs, and close what leads to it."""
        if self._pid:
            os.kill(self._pid, signal.SIGKILL)
            self.end()
        os.close(self.back)
        if self.to >= 0:
            os.close(self.to)
            self.to = -1


def _listen(children: list[_Child], on_answer: Answer, *, wait: bool = True) -> None:
    heard = {child.back: child for child in children if not child.has_ended}
    written = {child.to: child for child in children if child.unsent and not child.has_ended}
    readable, writable, _ = select.select(list(heard), list(written), [], None if wait else 0)
    for fd in writable:
        written[fd].push()
    for fd in readable:
        heard[fd].hear(on_answer)


def _next_block(source: Iterator[bytes]) -> bytes:
    return b"".join(line + b"\n" for line in itertools.islice(source, _BLOCK_LINES))


def _child(work: Work, reader: int, writer: int, parent: int) -> NoReturn:
    try:
        gc.freeze()  # a collection would write to, and so copy, all of the parent's memory
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() == parent:  # else it died before the line above
            with os.fdopen(reader, "rb") as lines:
                work((line.rstrip(b"\n") for line in lines), lambda answer: _write(writer, answer + b"\n"))
            os._exit(0)
    finally:
        os._exit(1)  # never run the parent's cleanup here, whatever was raised


def _write(fd: int, data: bytes) -> None:
    os.write(fd, data)  # of less than PIPE_BUF: whole, also from several threads


__all__ = ["processes", "share_out"]
