"""Looking through the cache, and making room in it while others install from it.

What protects whom:

* A download holds its digest's lock; whoever makes room takes that lock first, without waiting, and else lets the file
  be. So no part file goes while it grows.
* An installation holds the cached file open under a shared lock from when it was found until it is unpacked
  (`ContentCache.holding`); whoever makes room takes the exclusive lock first, and else lets the file be.
* Locks are the system's and end with the process that has them. A lock file without a file beside it is removed under
  its own lock; who waited for it meanwhile notices that it is gone and makes a new one (filelock does).
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from sealdex.log import Log
from sealdex.store.cache_entry import read_uses
from sealdex.store.cache_policy import CachedFile, CacheLimits, choose_evictions
from sealdex.store.hashing import is_digest

if TYPE_CHECKING:
    from sealdex.store.cache import ContentCache

_log = Log("sealdex.store")

STALE_PART_S = 7 * 86400.0
"""Part files that nobody has written to for so long are given up."""

DAMAGED, STALE_PART, LEFTOVER = "damaged", "stale-part", "leftover"


@dataclass(frozen=True, slots=True)
class Removed:
    """A file that went (or would go): its name, size in bytes, and why.

    ``why`` is ``too-old``, ``over-size``, ``damaged``, ``stale-part`` or ``leftover`` (a lock or note of a file gone).
    """

    name: str
    size: int
    why: str


@dataclass(frozen=True, slots=True)
class Tidied:
    """What making room came to.

    Attributes:
        removed: what went.
        in_use: digests that should have gone and were in use.
        kept: whole files that are left.
        kept_bytes: their size together.
    """

    removed: tuple[Removed, ...] = ()
    in_use: tuple[str, ...] = ()
    kept: int = 0
    kept_bytes: int = 0

    @property
    def freed_bytes(self) -> int:
        """Bytes that went."""
        return sum(each.size for each in self.removed)


@dataclass(frozen=True, slots=True)
class _Contents:
    files: list[CachedFile] = field(default_factory=list)
    parts: list[tuple[str, int, float]] = field(default_factory=list)
    """(digest, bytes, last written) of files on their way."""
    companions: set[str] = field(default_factory=set)
    """Digests that have a lock file or a note of uses."""


def cached_files(cache: ContentCache) -> list[CachedFile]:
    """Return the whole files of the cache, last used first."""
    return sorted(_contents(cache).files, key=lambda file: -file.used)


def partial_files(cache: ContentCache) -> list[tuple[str, int, float]]:
    """Return (digest, bytes so far, last written) of files on their way."""
    return sorted(_contents(cache).parts)


def is_over(cache: ContentCache, limits: CacheLimits) -> bool:
    """Say whether the cache holds more than it may; costs one look at each file's entry."""
    return bool(choose_evictions(_contents(cache).files, limits, time.time()))


def tidy(cache: ContentCache, limits: CacheLimits, *, now: float | None = None, is_dry_run: bool = False) -> Tidied:
    """Bring the cache within its limits and remove what killed processes left. What is in use stays.

    What this `cache` object itself has just used goes last, and what it spares stays.

    Args:
        cache: the cache.
        limits: what it may hold.
        now: seconds since the epoch; the clock's when left out.
        is_dry_run: say what would go; whether it is in use isn't looked at.

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
    """Hash every file and yield it with whether it is what its name says; one that isn't is removed unless in use."""
    for file in cached_files(cache):
        is_whole = cache.verify(file.digest)
        if is_whole is None:  # somebody made room meanwhile
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
            removed.append(Removed(f"{digest}.part", size, STALE_PART))
            continue
        with cache.try_lock(digest) as is_ours:
            if is_ours:
                cache.partial(digest).discard()
                removed.append(Removed(f"{digest}.part", size, STALE_PART))
                parts.discard(digest)
    alone = contents.companions - {file.digest for file in contents.files} - parts
    return removed + [
        Removed(f"{digest}.lock", 0, LEFTOVER)
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
            with suppress(FileNotFoundError):  # somebody else makes room, too
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
