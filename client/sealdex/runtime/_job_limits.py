"""The time limits and variables of a job's stages."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

_changing = threading.RLock()


class Deadline:
    """What is left of the time for something; ``seconds`` is the limit, None: no limit."""

    def __init__(self, seconds: float | None) -> None:
        self.seconds = seconds
        self._until = None if seconds is None else time.monotonic() + seconds

    def left(self, limit: float | None = None) -> float | None:
        """Return the seconds that are left, at most `limit`; None: there is no limit."""
        if self._until is None:
            return limit
        left = max(0.0, self._until - time.monotonic())
        return left if limit is None else min(left, limit)

    @property
    def is_over(self) -> bool:
        """Whether no time is left."""
        return self._until is not None and time.monotonic() >= self._until


@contextmanager
def variables(values: Mapping[str, str]) -> Iterator[None]:
    """Set variables of this process for a block, and put back what was there.

    They are the process's own, so two jobs of one process that set some wait for each other.
    """
    if not values:
        yield
        return
    with _changing:
        before = {name: os.environ.get(name) for name in values}
        os.environ.update(values)
        try:
            yield
        finally:
            for name, value in before.items():
                if value is None:
                    os.environ.pop(name, None)
                else:
                    os.environ[name] = value
