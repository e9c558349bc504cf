"""Ends long operations from outside: another thread cancels them, or their time is over. Thread-safe."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sealdex.errors import CancelledError, TimedOutError


class Stop:
    """Asked by whatever may take long, at places where nothing is lost; says by raising that it must end.

    Args:
        clock: monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._cancelled = threading.Event()
        self._lock = threading.Lock()
        self._limits: list[tuple[float, float]] = []  # until when, and the seconds that were given

    def cancel(self) -> None:
        """End what is running, and what begins until `resume`."""
        self._cancelled.set()

    def resume(self) -> None:
        """Let operations begin again after `cancel`."""
        self._cancelled.clear()

    @contextmanager
    def within(self, seconds: float) -> Iterator[None]:
        """Give what runs in the block at most so many seconds; of several limits the first that is over counts."""
        limit = (self._clock() + seconds, seconds)
        with self._lock:
            self._limits.append(limit)
        try:
            yield
        finally:
            with self._lock:
                self._limits.remove(limit)

    def check(self) -> None:
        """Raise if the operation must end.

        Raises:
            CancelledError: it was cancelled.
            TimedOutError: its time is over.
        """
        if self._cancelled.is_set():
            raise CancelledError("it was cancelled", untouched="nothing was changed")
        if not self._limits:
            return
        with self._lock:
            until, seconds = min(self._limits, default=(float("inf"), 0.0))
        if self._clock() >= until:
            raise TimedOutError(
                f"it wasn't done within {seconds:g} s", untouched="nothing was changed", hint="give it more time"
            )

    def remaining(self) -> float:
        """Return the seconds until the first limit, at least 0; infinite without one."""
        with self._lock:
            until = min(self._limits, default=(float("inf"), 0.0))[0]
        return max(0.0, until - self._clock())

    def sleep(self, seconds: float) -> None:
        """Pause; raises as `check` as soon as the operation must end."""
        self._cancelled.wait(min(seconds, self.remaining()))
        self.check()
