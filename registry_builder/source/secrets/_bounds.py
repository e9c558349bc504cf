"""Bounds on what is unpacked to look for secrets in it: bytes, entries and time; and why it wasn't looked into."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator

thread_time = time.thread_time


class UnsearchedError(Exception):
    """One archive can't be looked into; the message says why, as in "is encrypted"."""


class SpentError(UnsearchedError):
    """A bound is reached, so nothing more is unpacked. ``is_told`` once somebody has told of it."""

    is_told = False


class Bounds:
    """What may still be unpacked of the archives in one archive, or in one folder that is packed.

    Args:
        max_bytes: bytes of all of them together, as they are unpacked one out of the other.
        max_entries: files, folders and links in all of them together.
        max_seconds: of the processor, between `begin` and `end`: a busy machine finds the same.
    """

    def __init__(self, max_bytes: int, max_entries: int, max_seconds: float) -> None:
        self.bytes_left = self._max_bytes = max_bytes
        self.entries_left = self._max_entries = max_entries
        self._seconds_left = self._max_seconds = max_seconds
        self._ends: float | None = None

    def begin(self) -> None:
        """Let the time run, from the first check on."""
        self._ends = None

    def end(self) -> None:
        """Stop the time."""
        if self._ends is not None:
            self._seconds_left = self._ends - thread_time()

    def charged(self, pieces: Iterable[bytes]) -> Iterator[bytes]:
        """Yield the pieces, as long as the bounds hold.

        Raises:
            SpentError: they don't any more.
        """
        self.check()
        for piece in pieces:
            self.bytes_left -= len(piece)
            self.check()
            yield piece

    def take_entries(self, count: int = 1) -> None:
        """Count entries.

        Raises:
            SpentError: there are too many.
        """
        self.entries_left -= count
        self.check()

    def check(self) -> None:
        """Compare what was counted, and the time.

        Raises:
            SpentError: a bound is reached.
        """
        if self._ends is None:
            self._ends = thread_time() + self._seconds_left
        if self.bytes_left < 0:
            raise SpentError(f"is where the search ended, after {self._max_bytes >> 20} MiB of archives in archives")
        if self.entries_left < 0:
            raise SpentError(f"is where the search ended, after {self._max_entries} entries of archives in archives")
        if thread_time() > self._ends:
            raise SpentError(f"is where the search ended, after {self._max_seconds:g} s in archives in archives")


__all__ = ["Bounds", "SpentError", "UnsearchedError"]
