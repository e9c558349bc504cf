"""Counts bytes on their way into the store, from any thread, and reports the progress to a `Notice`."""

from __future__ import annotations

import threading
from collections.abc import Callable

Notice = Callable[[str, int, int], None]
"""Called with progress: what is written, how much is done, how much there is in all. From any thread."""


class ByteCount:
    """How many of ``total`` bytes are done; 0 if the total isn't known.

    A file that is read twice, or whose transfer restarts, never counts for more than its size.
    """

    def __init__(self, notice: Notice | None, total: int) -> None:
        self._notice = notice
        self._total = total
        self._guard = threading.Lock()
        self._counted: dict[str, int] = {}
        self._done = 0

    @property
    def done(self) -> int:
        """Bytes so far, of all files."""
        return self._done

    def part(self, what: str, key: str, size: int | None) -> Callable[[int], None]:
        """Return a counter for a file of ``size`` bytes."""

        def count(more: int) -> None:
            with self._guard:
                before = self._counted.get(key, 0)
                after = max(0, before + more) if size is None else min(size, max(0, before + more))
                self._move(what, key, after)

        return count

    def whole(self, what: str, key: str, size: int) -> None:
        """Count the rest of a file that is done."""
        with self._guard:
            self._move(what, key, size)

    def _move(self, what: str, key: str, after: int) -> None:
        self._done += after - self._counted.get(key, 0)
        self._counted[key] = after
        if self._notice is not None:
            self._notice(what, self._done, self._total)


__all__ = ["ByteCount", "Notice"]
