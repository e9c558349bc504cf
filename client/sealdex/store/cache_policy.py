"""Which cached files go when the cache is over its limits. Pure: files in, decisions out."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

LRU, LFU, FIFO = "lru", "lfu", "fifo"
EVICTIONS = (LRU, LFU, FIFO)

TOO_OLD, OVER_SIZE = "too-old", "over-size"


@dataclass(frozen=True, slots=True)
class CachedFile:
    """One whole file of the cache.

    Attributes:
        digest: its SHA-256, as its name says.
        size: bytes.
        added: when it was put there, in seconds since the epoch.
        used: when it was last handed out.
        uses: how often it was handed out.
    """

    digest: str
    size: int
    added: float
    used: float
    uses: int


@dataclass(frozen=True, slots=True)
class CacheLimits:
    """What the cache may hold.

    Attributes:
        max_bytes: of all files together.
        max_age_s: seconds since the last use after which a file goes whatever room there is; None keeps it.
        eviction: who goes first over `max_bytes`: the least recently used (``lru``), the least frequently used, among
            equals the least recently used (``lfu``), or the longest there (``fifo``).
    """

    max_bytes: int
    max_age_s: float | None = None
    eviction: str = LRU


@dataclass(frozen=True, slots=True)
class Eviction:
    """A file that has to go, and why: ``too-old`` or ``over-size``."""

    file: CachedFile
    why: str


def choose_evictions(
    files: Iterable[CachedFile],
    limits: CacheLimits,
    now: float,
    *,
    recent: Collection[str] = (),
    spared: Collection[str] = (),
) -> list[Eviction]:
    """Return what has to go, first to go first.

    Args:
        files: what there is.
        limits: what may be there.
        now: seconds since the epoch.
        recent: digests of what was just used; they go last, whatever the policy. Else ``lfu`` would always take what
            was fetched a moment ago, which nobody has used twice yet.
        spared: digests that stay, since somebody was just told where they lie.

    Raises:
        ValueError: `limits.eviction` is no policy.
    """
    keys = {
        LRU: lambda file: (file.used, file.digest),
        LFU: lambda file: (file.uses, file.used, file.digest),
        FIFO: lambda file: (file.added, file.digest),
    }
    if limits.eviction not in keys:
        raise ValueError(f"{limits.eviction!r} is none of {', '.join(EVICTIONS)}")
    oldest = float("-inf") if limits.max_age_s is None else now - limits.max_age_s
    ordered = sorted(files, key=keys[limits.eviction])
    ordered.sort(key=lambda file: file.digest in recent)  # stable: within both parts the policy's order
    gone = [Eviction(file, TOO_OLD) for file in ordered if file.used < oldest and file.digest not in spared]
    left = {eviction.file.digest for eviction in gone}
    kept = [file for file in ordered if file.digest not in left]
    over = sum(file.size for file in kept) - limits.max_bytes
    for file in kept:
        if over <= 0:
            break
        if file.digest in spared:
            continue
        gone.append(Eviction(file, OVER_SIZE))
        over -= file.size
    return gone
