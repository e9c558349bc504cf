"""What a command installed, how long it took and how much it downloaded: one line at its end."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from sealdex.cli.progress import in_bytes
from sealdex.text import counted

if TYPE_CHECKING:
    from collections.abc import Callable


class Totals:
    """Counted while a command runs.

    Attributes:
        installed, repaired: releases that were unpacked, and those of them that were damaged before.
        fetched_bytes: of all downloads of artifacts together.
        clock: seconds on a clock of its own.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.installed: set[str] = set()
        self.repaired: set[str] = set()
        self.fetched_bytes = 0
        self.clock = clock
        self._began = clock()

    def count(self, release: str, action: str) -> None:
        """Count a release that is in the store now; one that was there already isn't counted."""
        if action == "unpack":
            self.installed.add(release)
        elif action == "repair":
            self.repaired.add(release)

    def as_fields(self) -> dict[str, object]:
        """Return the same for a line of JSON: ``event``, ``installed``, ``repaired``, ``bytes``, ``seconds``."""
        return {
            "event": "install.done",
            "installed": sorted(self.installed),
            "repaired": sorted(self.repaired),
            "bytes": self.fetched_bytes,
            "seconds": round(self.clock() - self._began, 3),
        }

    def in_words(self) -> str | None:
        """Return ``installed 3 plugins in 2.1 s, 41.0 MiB``; None if nothing was installed."""
        parts = [
            f"{verb} {counted(len(releases), 'plugin')}"
            for verb, releases in (("installed", self.installed), ("repaired", self.repaired))
            if releases
        ]
        if not parts:
            return None
        amount = in_bytes(self.fetched_bytes) if self.fetched_bytes else "nothing downloaded"
        return f"{', '.join(parts)} in {_duration(self.clock() - self._began)}, {amount}"


def _duration(seconds: float) -> str:
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s"
