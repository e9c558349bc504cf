"""What every benchmark is given: where to work, how thoroughly, and how to say what it is doing."""

from __future__ import annotations

import itertools
import sys
from dataclasses import dataclass
from pathlib import Path


def put_aside(path: Path) -> None:
    """Rename a file or folder, if it is there, to a name beside it that is free."""
    if path.exists():
        free = (path.with_name(f"{path.name}.aside{number}") for number in itertools.count())
        path.rename(next(target for target in free if not target.exists()))


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
        """Return an empty folder for temporary data; what an earlier run left under that name is put aside.

        Nothing is deleted before the whole run is over: ext4 passes over inodes that were freed a short while ago one
        by one, so that the next process that creates files would pay for it.
        """
        folder = self.work / name
        put_aside(folder)
        folder.mkdir(parents=True)
        return folder

    def say(self, text: str) -> None:
        """Print progress for the user."""
        print(f"bench: {text}", file=sys.stderr, flush=True)
