"""What a command installed, how long it took and how much it downloaded: one line at its end."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sealdex.cli.progress import in_bytes
from sealdex.text import counted

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(slots=True)
class Totals:
    """Counted while a command runs.

    Attributes:
        installed, repaired: releases that were unpacked, and those of them that were damaged before.
        fetched_bytes: of all downloads of artifacts together.
    """

    installed: set[str] = field(default_factory=set)
    repaired: set[str] = field(default_factory=set)
    fetched_bytes: int = 0
    clock: Callable[[], float] = time.monotonic
    _began: float = 0.0

    def __post_init__(self) -> None:
        """Begin to count the seconds."""
        self._began = self.clock()

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
