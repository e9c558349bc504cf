"""Lists the cache and evicts files from it while other processes install from it.

Protection of files in use:

* A download holds its digest's lock. Eviction takes that lock first, without waiting, and otherwise skips the file. So
  a part file isn't removed while it grows.
* An installation holds the cached file open under a shared lock from when it was found until it is unpacked
  (`ContentCache.holding`). Eviction takes the exclusive lock first, and otherwise skips the file.
* The system releases locks when their process ends. A lock file without its file is removed under its own lock; a
  process that waited for it notices that it is gone and creates a new one (filelock does).
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from msgspec import Struct, field

from sealdex.log import Log
from sealdex.store.cache_entry import read_uses
from sealdex.store.cache_policy import CachedFile, CacheLimits, EvictionReason, choose_evictions
from sealdex.store.hashing import is_digest

if TYPE_CHECKING:
    from sealdex.store.cache import ContentCache

_log = Log("sealdex.store")

STALE_PART_S = 7 * 86400.0
"""Part files that were not written to for this long are removed."""

RemovalReason = Literal[EvictionReason, "damaged", "stale-part", "leftover"]


class Removed(Struct, frozen=True):
    """A file that was (or would be) removed: its name, size in bytes, and why.

    ``why`` is ``too-old``, ``over-size``, ``damaged``, ``stale-part`` or ``leftover`` (side file of a missing file).
    """

    name: str
    size: int
    why: RemovalReason


class Tidied(Struct, frozen=True):
    """The result of an eviction.

    Attributes:
        removed: the removed files.
        in_use: digests of files that should have been removed but were in use.
        kept: number of complete files that are left.
        kept_bytes: their total size.
    """

    removed: tuple[Removed, ...] = ()
    in_use: tuple[str, ...] = ()
    kept: int = 0
    kept_bytes: int = 0

    @property
    def freed_bytes(self) -> int:
        """Total size of the removed files."""
        return sum(each.size for each in self.removed)


class _Contents(Struct, frozen=True):
    files: list[CachedFile] = field(default_factory=list)
    parts: list[tuple[str, int, float]] = field(default_factory=list)
    """(digest, bytes, last written) of partial downloads."""
    companions: set[str] = field(default_factory=set)
    """Digests that have a lock file or a record of uses."""


def cached_files(cache: ContentCache) -> list[CachedFile]:
    """Return the complete files of the cache, most recently used first."""
    return sorted(_contents(cache).files, key=lambda file: -file.used)


def partial_files(cache: ContentCache) -> list[tuple[str, int, float]]:
    """Return (digest, bytes so far, last written) of partial downloads."""
    return sorted(_contents(cache).parts)


def is_over(cache: ContentCache, limits: CacheLimits) -> bool:
    """Return whether the cache is over its limits; reads the directory entry of each file."""
    return bool(choose_evictions(_contents(cache).files, limits, time.time()))


def tidy(cache: ContentCache, limits: CacheLimits, *, now: float | None = None, is_dry_run: bool = False) -> Tidied:
    """Bring the cache within its limits and remove what killed processes left behind. Files in use are kept.

    Files that this `cache` object has just used are removed last, and those that it spares are kept.

    Args:
        cache: the cache.
        limits: its limits.
        now: seconds since the epoch; default: the current time.
        is_dry_run: only return what would be removed, without checking whether it is in use.

    Raises:
        OSError: a file can't be removed.
    """
    moment = time.time() if now is None else now
    contents = _contents(cache)
    evictions = choose_evictions(contents.files, limits, moment, recent=cache.recent, spared=cache.spared)
    removed: list[Removed] = []
    in_use: list[str] = []
    for eviction in evictions:
        file = eviction.file
        if is_dry_run or cache.evict(file.digest):
            removed.append(Removed(file.digest, file.size, eviction.why))
            _log_removed(removed[-1], is_dry_run=is_dry_run)
        else:
            _log.info("store.in_use", "{digest} should leave the cache and is in use: it stays", digest=file.digest)
            in_use.append(file.digest)
    gone = {each.name for each in removed}
    kept = [file for file in contents.files if file.digest not in gone]
    leftovers = _leftovers(cache, contents, moment, is_dry_run=is_dry_run)
    for each in leftovers:
        _log_removed(each, is_dry_run=is_dry_run)
    removed += leftovers
    return Tidied(tuple(removed), tuple(in_use), len(kept), sum(file.size for file in kept))


def _log_removed(gone: Removed, *, is_dry_run: bool) -> None:
    _log.info(
        "store.evicted",
        "{file} ({bytes} bytes) {what} the cache: {reason}",
        file=gone.name,
        bytes=gone.size,
        reason=gone.why,
        what="would leave" if is_dry_run else "leaves",
    )


def verify_files(cache: ContentCache) -> Iterator[tuple[CachedFile, bool]]:
    """Hash every file and yield it with whether it matches its name; damaged ones are removed unless in use."""
    for file in cached_files(cache):
        is_whole = cache.verify(file.digest)
        if is_whole is None:  # evicted meanwhile
            continue
        if not is_whole:
            cache.evict(file.digest)
        yield file, is_whole


def _leftovers(cache: ContentCache, contents: _Contents, now: float, *, is_dry_run: bool) -> list[Removed]:
    removed: list[Removed] = []
    parts = {digest for digest, _, _ in contents.parts}
    for digest, size, written in contents.parts:
        if now - written < STALE_PART_S:
            continue
        if is_dry_run:
            removed.append(Removed(f"{digest}.part", size, "stale-part"))
            continue
        with cache.try_lock(digest) as is_ours:
            if is_ours:
                cache.partial(digest).discard()
                removed.append(Removed(f"{digest}.part", size, "stale-part"))
                parts.discard(digest)
    alone = contents.companions - {file.digest for file in contents.files} - parts
    return removed + [
        Removed(f"{digest}.lock", 0, "leftover")
        for digest in sorted(alone)
        if is_dry_run or cache.remove_companions(digest)
    ]


def _contents(cache: ContentCache) -> _Contents:
    found = _Contents()
    for folder in _folders(cache.root / "sha256"):
        for entry in _entries(folder):
            digest, _, ending = entry.name.partition(".")
            if not is_digest(digest):
                continue
            with suppress(FileNotFoundError):  # another process is evicting too
                info = entry.stat(follow_symlinks=False)
                if not stat.S_ISREG(info.st_mode):
                    continue
                if not ending:
                    added, uses = read_uses(Path(entry.path))
                    first = info.st_mtime if added is None else added
                    found.files.append(CachedFile(digest, info.st_size, first, info.st_mtime, uses))
                elif ending == "part":
                    found.parts.append(
                        (digest, info.st_blocks * 512 if os.name != "nt" else info.st_size, info.st_mtime)
                    )
                elif ending in {"lock", "uses"}:
                    found.companions.add(digest)
    return found


def _folders(root: Path) -> list[Path]:
    return sorted(Path(entry.path) for entry in _entries(root) if entry.is_dir(follow_symlinks=False))


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except (FileNotFoundError, NotADirectoryError):
        return []
