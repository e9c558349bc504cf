"""Checks free disk space for downloads and unpacking before the first byte is fetched.

The unpacked size of an archive is known for sure only after the download. Until then its own size is the lower bound:
the overhead of an archive is less than the disk blocks of its files. If a manifest takes only some of the files,
nothing is known. So what is refused here can't succeed, and what passes may still run out of space when it is unpacked
(`sealdex.install.install`).
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from msgspec import Struct

from sealdex.errors import MAKE_ROOM, InstallError


class Need(Struct, frozen=True):
    """What one release needs at least.

    Attributes:
        what: the release, for messages.
        download: bytes that still have to be fetched.
        unpacked: lower bound for its unpacked size in bytes.
    """

    what: str
    download: int
    unpacked: int


def require_room(needs: Sequence[Need], cache: Path, store: Path) -> None:
    """Compare the needed with the free space, on one disk or two.

    Args:
        needs: the needs of each release.
        cache: where downloads go; it and its parents need not exist.
        store: where they are unpacked; need not exist either.

    Raises:
        InstallError: there is not enough space; nothing was downloaded.
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
