"""Decides which cached files are evicted when the cache is over its limits. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Literal, get_args

from msgspec import Struct

EvictionOrder = Literal["lru", "lfu", "fifo"]
EvictionReason = Literal["too-old", "over-size"]


class CachedFile(Struct, frozen=True):
    """One complete file of the cache.

    Attributes:
        digest: its SHA-256, as its name says.
        size: bytes.
        added: when it was added, in seconds since the epoch.
        used: when it was last used.
        uses: how often it was used.
    """

    digest: str
    size: int
    added: float
    used: float
    uses: int


class CacheLimits(Struct, frozen=True):
    """The limits of the cache.

    Attributes:
        max_bytes: maximum size of all files together.
        max_age_s: seconds since the last use after which a file is removed even if there is space; None: no limit.
        eviction: what is removed first when over `max_bytes`: the least recently used (``lru``); the least frequently
            used, among equals the least recently used (``lfu``); or the oldest (``fifo``).
    """

    max_bytes: int
    max_age_s: float | None = None
    eviction: str = "lru"


class Eviction(Struct, frozen=True):
    """A file to be removed, and why: ``too-old`` or ``over-size``."""

    file: CachedFile
    why: EvictionReason


def choose_evictions(
    files: Iterable[CachedFile],
    limits: CacheLimits,
    now: float,
    *,
    recent: Collection[str] = (),
    spared: Collection[str] = (),
) -> list[Eviction]:
    """Return the files to be removed, in order.

    Args:
        files: all files.
        limits: the limits.
        now: seconds since the epoch.
        recent: digests of files that were just used; they are removed last, whatever the policy. Otherwise ``lfu``
            would always remove what was fetched a moment ago and has been used only once.
        spared: digests of files that are kept because their paths were just given to the user.

    Raises:
        ValueError: `limits.eviction` is not a known policy.
    """
    keys = {
        "lru": lambda file: (file.used, file.digest),
        "lfu": lambda file: (file.uses, file.used, file.digest),
        "fifo": lambda file: (file.added, file.digest),
    }
    if limits.eviction not in keys:
        raise ValueError(f"{limits.eviction!r} is not one of {', '.join(get_args(EvictionOrder))}")
    oldest = float("-inf") if limits.max_age_s is None else now - limits.max_age_s
    ordered = sorted(files, key=keys[limits.eviction])
    ordered.sort(key=lambda file: file.digest in recent)  # stable: keeps the policy's order within both parts
    gone = [Eviction(file, "too-old") for file in ordered if file.used < oldest and file.digest not in spared]
    left = {eviction.file.digest for eviction in gone}
    kept = [file for file in ordered if file.digest not in left]
    over = sum(file.size for file in kept) - limits.max_bytes
    for file in kept:
        if over <= 0:
            break
        if file.digest in spared:
            continue
        gone.append(Eviction(file, "over-size"))
        over -= file.size
    return gone
