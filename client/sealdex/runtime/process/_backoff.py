"""Restarts with exponential back-off, up to a limit; pure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class BackOff:
    """Delays and limit of restarts; times are in seconds.

    Attributes:
        first_delay, longest_delay: before a restart; each delay doubles the previous one.
        max_restarts: restarts in a row; 0: never restart.
        good_run: a run of this length resets the count.
    """

    first_delay: float = 1.0
    longest_delay: float = 60.0
    max_restarts: int = 10
    good_run: float = 60.0

    def delay(self, failures: int) -> float | None:
        """Return how long to wait after this number of failures in a row, or None to give up."""
        if failures > self.max_restarts:
            return None
        return float(min(self.longest_delay, self.first_delay * 2.0 ** (failures - 1)))


class FailureRow:
    """Counts failures in a row."""

    def __init__(self, backoff: BackOff) -> None:
        self._backoff = backoff
        self.count = 0

    def failed(self, ran_for: float) -> float | None:
        """Record a failure after a run of this many seconds; return how long to wait now, None to give up."""
        self.count = 1 if ran_for >= self._backoff.good_run else self.count + 1
        return self._backoff.delay(self.count)

    def end(self) -> None:
        """Reset the count, because something else is started from now on."""
        self.count = 0
