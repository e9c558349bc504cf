"""Whether there is room for what is to be downloaded and unpacked: asked before the first byte is fetched.

How much an archive unpacks to is known for sure only when it is here. Until then its own size is the least that counts:
what an archive adds to its files is less than the blocks they take. Where a manifest takes only some of the files,
nothing is known. So what is refused here had no chance, and what passes may still find the disk too small when it is
unpacked (`sealdex.install.install`).
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sealdex.errors import MAKE_ROOM, InstallError


@dataclass(frozen=True, slots=True)
class Need:
    """What one release needs at the least.

    Attributes:
        what: the release, for messages.
        download: bytes that are yet to be fetched.
        unpacked: bytes that it has once it is unpacked, at the least.
    """

    what: str
    download: int
    unpacked: int


def require_room(needs: Sequence[Need], cache: Path, store: Path) -> None:
    """Compare what is needed with what is free, on one disk or two.

    Args:
        needs: of each release.
        cache: where downloads go; it and its parents may not exist yet.
        store: where they are unpacked; likewise.

    Raises:
        InstallError: there is too little room; nothing was downloaded.
    """
    if not needs:
        return
    download, unpacked = sum(need.download for need in needs), sum(need.unpacked for need in needs)
    cache_disk, store_disk = _existing(cache), _existing(store)
    names = ", ".join(need.what for need in needs[:3]) + (f" and {len(needs) - 3} more" if len(needs) > 3 else "")
    if os.stat(cache_disk).st_dev == os.stat(store_disk).st_dev:  # noqa: PTH116  # pathlib's says the same
        _compare(names, download + unpacked, store_disk, store, "to be downloaded and unpacked")
        return
    _compare(names, download, cache_disk, cache, "to be downloaded")
    _compare(names, unpacked, store_disk, store, "to be unpacked")


def _compare(names: str, needed: int, disk: Path, place: Path, purpose: str) -> None:
    free = shutil.disk_usage(disk).free
    if needed > free:
        raise InstallError(
            f"{names}: at least {needed} bytes are needed on the disk of {place} {purpose}, {free} are free",
            subject=str(place),
            untouched="nothing was downloaded",
            hint=MAKE_ROOM,
        )


def _existing(place: Path) -> Path:
    while not place.exists():
        place = place.parent
    return place
