"""A set of keys of a mirror, kept on disk: there may be hundreds of thousands, and memory is to stay small."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from pathlib import Path

_SCHEMA = """
PRAGMA journal_mode = OFF;
PRAGMA synchronous = OFF;
PRAGMA cache_size = -2048;
CREATE TABLE keys (key BLOB PRIMARY KEY) WITHOUT ROWID;
BEGIN;
"""


class Keys:
    """A set that keys are added to and looked up in, by one thread at a time; a temporary file that has no name."""

    def __init__(self, keys: Iterable[str] = ()) -> None:
        self._database = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        self._database.executescript(_SCHEMA)
        self._count = 0
        for key in keys:
            self.add(key)

    def add(self, key: str) -> bool:
        """Add one; return whether it is new."""
        done = self._database.execute("INSERT OR IGNORE INTO keys VALUES (?)", (_stored(key),)).rowcount
        self._count += done
        return bool(done)

    def add_lines(self, path: Path) -> None:
        """Add those of a file, one a line; none where there is no file."""
        try:
            with path.open(encoding="utf-8") as lines:
                for line in lines:
                    self.add(line.rstrip("\n"))
        except FileNotFoundError:
            return

    def __contains__(self, key: object) -> bool:
        if not isinstance(key, str):
            return False
        return self._database.execute("SELECT 1 FROM keys WHERE key = ?", (_stored(key),)).fetchone() is not None

    def __len__(self) -> int:
        return self._count


def _stored(key: str) -> bytes:
    return key.encode("utf-8", "surrogateescape")


__all__ = ["Keys"]
