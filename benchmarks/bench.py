"""What every benchmark is given: where to work, how thoroughly, and how to say what it is doing."""

from __future__ import annotations

import shutil
import sys
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Bench:
    """The settings of a run.

    Attributes:
        work: folder for temporary data.
        rounds: how often each side of a comparison is run.
        quick: smaller data, so that it is over soon; not the figures to publish.
        full: the largest registries too.
        krew: the history of the kubectl plugin index (JSON lines, xz); None leaves its rows out.
    """

    work: Path
    rounds: int = 5
    quick: bool = False
    full: bool = False
    krew: Path | None = None

    def folder(self, name: str) -> Path:
        """Return an empty folder for temporary data, made anew."""
        folder = self.work / name
        if folder.exists():
            shutil.rmtree(folder)
        folder.mkdir(parents=True)
        return folder

    def say(self, text: str) -> None:
        """Tell whoever waits what is going on."""
        print(f"bench: {text}", file=sys.stderr, flush=True)
