"""A set of keys of a mirror in sixteen bytes each: there may be hundreds of thousands. Pure but for reading a list."""

from __future__ import annotations

import hashlib
from pathlib import Path


class Keys:
    """A set that keys are added to and looked up in."""

    def __init__(self) -> None:
        self._digests: set[bytes] = set()

    def add(self, key: str) -> None:
        """Add one."""
        self._digests.add(_short(key))

    def add_lines(self, path: Path) -> None:
        """Add those of a file, one a line; none where there is no file."""
        try:
            with path.open(encoding="utf-8") as lines:
                for line in lines:
                    self.add(line.rstrip("\n"))
        except FileNotFoundError:
            return

    def __contains__(self, key: str) -> bool:
        return _short(key) in self._digests

    def __len__(self) -> int:
        return len(self._digests)


def _short(key: str) -> bytes:
    return hashlib.blake2b(key.encode("utf-8", "surrogateescape"), digest_size=16).digest()


__all__ = ["Keys"]
