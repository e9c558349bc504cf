"""Signals that end a process: acted on for a block, so that what the block started ends with it."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Protocol

_GRACE_S = 5.0


class Started(Protocol):
    """A program that this process started."""

    def stop(self, grace_s: float) -> int:
        """End it, at the latest after so many seconds."""

    def kill(self) -> None:
        """End it at once; may be called in a signal handler."""


started: set[Started] = set()
"""Programs that run, and that whoever is ended by a signal has to end first."""


class _Put:
    """What `put_off` holds back; only the main thread gets signals, so nothing here is locked."""

    blocks = 0
    is_pending = False


@contextmanager
def put_off() -> Iterator[None]:
    """Let the KeyboardInterrupt of `ended_by_signals` wait until the block is left.

    For the start of a program: between its start and the moment when somebody knows of it, nobody could end it.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    _Put.blocks += 1
    try:
        yield
    finally:
        _Put.blocks -= 1
        if _Put.is_pending and not _Put.blocks:
            _Put.is_pending = False
            raise KeyboardInterrupt


@contextmanager
def on_signals(names: tuple[str, ...], act: Callable[[int], object]) -> Iterator[None]:
    """Call ``act`` with the number of each of these signals that comes during the block. For the main thread.

    Args:
        names: such as ``SIGTERM``; those that this system doesn't have are left out. SIGHUP that is ignored stays so:
            ``nohup`` means that.
        act: called between two instructions of the main thread; it may raise.
    """
    before = {}
    try:
        for name in names:
            number = getattr(signal, name, None)
            if number is None or (name == "SIGHUP" and signal.getsignal(number) is signal.SIG_IGN):
                continue
            before[number] = signal.signal(number, lambda received, _frame: act(received)) or signal.SIG_DFL
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """Raise KeyboardInterrupt at Ctrl-C, SIGTERM or SIGHUP during the block, and end the programs that it started.

    After SIGTERM and SIGHUP the process then ends by that signal, as without this, so that whoever waits for it is told
    of it. A second signal ends everything at once.
    """
    received: list[int] = []
    earlier = set(started)

    def end(number: int) -> None:
        received.append(number)
        if len(received) > 1:
            for each in started - earlier:
                each.kill()
            _die_of(number)
        if _Put.blocks:
            _Put.is_pending = True
        else:
            raise KeyboardInterrupt

    try:
        with on_signals(("SIGINT", "SIGTERM", "SIGHUP"), end):
            try:
                yield
            finally:
                for each in started - earlier if received else ():
                    each.stop(_GRACE_S)
    finally:
        if received and received[0] != signal.SIGINT:
            _die_of(received[0])


def _die_of(number: int) -> None:
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError, AttributeError):  # its reader may be gone, and there may be none
            stream.flush()
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)


__all__ = ["Started", "ended_by_signals", "on_signals", "put_off", "started"]
