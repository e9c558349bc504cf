"""Starting again what failed, after longer and longer pauses, and giving up in the end; pure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class BackOff:
    """How patiently something is started again; times are in seconds.

    Attributes:
        first_delay, longest_delay: before another start; each doubles the one before.
        max_restarts: in a row; 0: never start again.
        good_run: a run of this length ends a row.
    """

    first_delay: float = 1.0
    longest_delay: float = 60.0
    max_restarts: int = 10
    good_run: float = 60.0

    def delay(self, failures: int) -> float | None:
        """Return how long to wait after so many failures in a row, or None to give up."""
        if failures > self.max_restarts:
            return None
        return float(min(self.longest_delay, self.first_delay * 2.0 ** (failures - 1)))


class FailureRow:
    """How often something failed in a row."""

    def __init__(self, backoff: BackOff) -> None:
        self._backoff = backoff
        self.count = 0

    def failed(self, ran_for: float) -> float | None:
        """Take note of a failure after a run of so many seconds; return how long to wait now, None to give up."""
        self.count = 1 if ran_for >= self._backoff.good_run else self.count + 1
        return self._backoff.delay(self.count)

    def end(self) -> None:
        """Begin a new row: it is another thing that is started from now on."""
        self.count = 0
