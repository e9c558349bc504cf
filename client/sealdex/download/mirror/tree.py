"""What lies in a mirror's folder, or in its bucket: the keys of the published tree."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sealdex.download.mirror.bucket import Bucket

TREES = ("metadata", "targets", "plugins")


def tree_keys(folder: Path) -> Iterator[tuple[str, bool]]:
    """Yield the key of every file of the published tree, and whether it is a link.

    What a link leads to is somebody else's; of a tree that is a link itself nothing is listed.
    """
    for tree in TREES:
        if (folder / tree).is_symlink():
            continue
        waiting = [tree] if (folder / tree).is_dir() else []
        while waiting:
            at = waiting.pop()
            with os.scandir(f"{folder}/{at}") as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(f"{at}/{entry.name}")
                    else:
                        yield f"{at}/{entry.name}", entry.is_symlink()


def bucket_keys(bucket: Bucket) -> Iterator[tuple[str, int]]:
    """Yield key and size of every object of the published tree."""
    for tree in TREES:
        yield from bucket.listed(f"{tree}/")


def has_links(folder: Path, tree: str) -> bool:
    """Say whether something right in a tree is a link: whoever owns what it leads to changes it when he likes."""
    try:
        with os.scandir(folder / tree) as entries:
            return any(entry.is_symlink() for entry in entries)
    except OSError:
        return False


__all__ = ["TREES", "bucket_keys", "has_links", "tree_keys"]
