"""The time limits of a job's stages."""

from __future__ import annotations

import threading
import time


class Deadline:
    """What is left of the time for something; ``seconds`` is the limit, None: no limit."""

    def __init__(self, seconds: float | None) -> None:
        # TOML has "inf", and no clock of the system waits longer than its own limit
        self.seconds = None if seconds is None else min(seconds, threading.TIMEOUT_MAX)
        self._until = None if self.seconds is None else time.monotonic() + self.seconds

    def left(self, limit: float | None = None) -> float | None:
        """Return the seconds that are left, at most `limit`; None: there is no limit."""
        limit = None if limit is None else min(limit, threading.TIMEOUT_MAX)
        if self._until is None:
            return limit
        left = max(0.0, self._until - time.monotonic())
        return left if limit is None else min(left, limit)

    @property
    def is_over(self) -> bool:
        """Whether no time is left."""
        return self._until is not None and time.monotonic() >= self._until
