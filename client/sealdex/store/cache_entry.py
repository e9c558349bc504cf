"""The side files of a cached file: its part file during a download, and the record of its uses."""

from __future__ import annotations

import json
import os
import stat
from contextlib import suppress
from typing import TYPE_CHECKING

from msgspec import Struct

from sealdex.disk import replace
from sealdex.model.foreign_json import json_values
from sealdex.store.hashing import NO_FOLLOW

if TYPE_CHECKING:
    from collections.abc import Sequence
    from io import FileIO
    from pathlib import Path

FILE_MODE = 0o644


def companion(path: Path, ending: str) -> Path:
    """Return the path of a side file of a cached file: ``part``, ``uses`` or ``lock``."""
    return path.with_name(f"{path.name}.{ending}")


class PartState(Struct, frozen=True):
    """What is known about a part file.

    ``length`` bytes from its start can be used; the digest decides whether they are correct. ``url`` (without query,
    which may hold secrets) and ``etag`` say from which file of which server they were read. ``pieces`` are ranges
    (start, end) of an archive of which only some files are needed, see `sealdex.download._ranges`.
    """

    length: int = 0
    url: str | None = None
    etag: str | None = None
    pieces: tuple[tuple[int, int], ...] = ()


class Partial:
    """The part file of one digest and its sidecar. The caller holds the digest's lock."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._sidecar = path.with_name(path.name + ".json")

    def load(self) -> PartState:
        """Return what can be resumed; empty if either file is missing or invalid."""
        try:
            found = self.path.lstat()
            facts = json_values(self._sidecar.read_bytes())
        except (OSError, ValueError):
            return PartState()
        if not stat.S_ISREG(found.st_mode) or not isinstance(facts, dict):
            return PartState()
        url, etag, contiguous = facts.get("url"), facts.get("etag"), facts.get("contiguous")
        # After the contiguous bytes of a transfer in ranges there may be holes, which read as zeros.
        length = found.st_size if contiguous is None else contiguous
        if (
            not isinstance(url, str)
            or not isinstance(etag, str | None)
            or not isinstance(length, int)
            or not 0 <= length <= found.st_size
        ):
            return PartState()
        return PartState(length, url, etag, _pieces(facts.get("pieces")))

    def save(
        self, *, url: str, etag: str | None, contiguous: int | None, pieces: Sequence[tuple[int, int]] = ()
    ) -> None:
        """Record the origin of the bytes, how many are contiguous (``None``: all), and the pieces."""
        draft = self._draft
        facts = {"url": url, "etag": etag, "contiguous": contiguous, **({"pieces": pieces} if pieces else {})}
        draft.write_text(json.dumps(facts))
        replace(draft, self._sidecar)

    def open(self) -> FileIO:
        """Open the part file for reading and writing, unbuffered; it is created if missing."""
        fd = os.open(self.path, os.O_RDWR | os.O_CREAT | NO_FOLLOW, FILE_MODE)
        return open(fd, "r+b", buffering=0)  # noqa: PTH123  # the caller closes it; Path.open takes no descriptor

    def discard(self) -> None:
        """Remove both files."""
        # The sidecar first: a part file without one is never resumed.
        self._sidecar.unlink(missing_ok=True)
        self._draft.unlink(missing_ok=True)
        self.path.unlink(missing_ok=True)

    @property
    def _draft(self) -> Path:
        return self._sidecar.with_name(self._sidecar.name + ".new")


def _pieces(stated: object) -> tuple[tuple[int, int], ...]:
    """Return the ranges of a sidecar; empty if any is invalid."""
    try:
        found = tuple((start, end) for start, end in stated)  # type: ignore[attr-defined]  # whatever a file may say
    except (TypeError, ValueError):
        return ()
    return found if all(type(start) is int and type(end) is int and 0 <= start < end for start, end in found) else ()


def note_added(path: Path) -> None:
    """Record that a file was added to the cache just now; errors are ignored."""
    with suppress(OSError):  # the disk has just become full: the file itself is complete
        companion(path, "uses").write_text(f"{path.stat().st_mtime:.0f} ", encoding="utf-8")


def note_use(path: Path) -> None:
    """Record one more use of a file; errors are ignored."""
    with suppress(OSError):  # someone else's cache, a read-only one, a full disk
        # appending one byte is atomic, so no use is lost and no lock is needed
        fd = os.open(companion(path, "uses"), os.O_WRONLY | os.O_APPEND | os.O_CREAT | NO_FOLLOW, FILE_MODE)
        try:
            os.write(fd, b"." if os.fstat(fd).st_size else f"{path.stat().st_mtime:.0f} .".encode())
        finally:
            os.close(fd)
        os.utime(path)


def read_uses(path: Path) -> tuple[float | None, int]:
    """Return when a cached file was added (None if not recorded) and how often it was used."""
    try:
        added, _, dots = companion(path, "uses").read_text(encoding="utf-8", errors="replace").partition(" ")
        return float(added), len(dots)
    except (OSError, ValueError):
        return None, 0
