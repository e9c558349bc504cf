"""Removes from a mirror what neither its present nor its previous state leads to."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sealdex.download.mirror.keys import Keys
from sealdex.download.mirror.lock import held
from sealdex.download.mirror.options import Watch
from sealdex.download.mirror.record import REACHED_BEFORE_NAME, REACHED_NAME, read_record
from sealdex.download.mirror.selection import LockedRelease
from sealdex.download.mirror.tree import TREES, bucket_keys, tree_keys
from sealdex.errors import InstallError, UsageError
from sealdex.model.ids import parse_plugin_id
from sealdex.model.index import release_folder

if TYPE_CHECKING:
    from sealdex.download.mirror.bucket import Bucket

_MUCH = 5
"""A prune that removes more than one file in so many asks to be confirmed."""


@dataclass
class Pruned:
    """What a prune removed, or would remove.

    Attributes:
        files, bytes: of it.
        kept: files that stay.
        removed: whether they were removed.
    """

    files: int
    bytes: int
    kept: int
    removed: bool


def prune(
    dest: Path | Bucket, keep: Iterable[LockedRelease], watch: Watch, *, dry_run: bool, confirmed: bool
) -> Pruned:
    """Remove files that neither the present nor the previous state of a mirror leads to, nor a lock.

    Args:
        dest: the mirror.
        keep: releases that stay in any case.
        watch: told of waits.
        dry_run: remove nothing.
        confirmed: remove more than a fifth of all files as well.

    Raises:
        NotFoundError: the folder isn't a mirror that was completed once.
        UsageError: more than a fifth would go, and it isn't confirmed.
        InstallError: a file can't be removed, or a tree of the mirror is a link.
    """
    folder = dest if isinstance(dest, Path) else dest.folder
    if isinstance(dest, Path):
        read_record(folder)
    with held(folder, watch) as own:
        if not isinstance(dest, Path):
            from sealdex.download.mirror.bucket_place import BucketPlace  # noqa: PLC0415  # for who has a bucket

            place = BucketPlace(dest)
            place.bring(takes_over=True)
            read_record(folder)
        kept = Keys()
        for name in (REACHED_NAME, REACHED_BEFORE_NAME):
            kept.add_lines(own / name)
        folders = tuple(f"{release_folder(parse_plugin_id(each.plugin), each.version)}/" for each in keep)
        linked = [] if not isinstance(dest, Path) else [tree for tree in TREES if (folder / tree).is_symlink()]
        if linked:
            raise InstallError(
                f"{', '.join(linked)} of {folder} is a link: nothing is removed from where it leads",
                subject=str(folder),
                untouched="nothing was removed",
                hint="remove what isn't needed there yourself, or make the mirror in a folder without links",
            )
        there = bucket_keys(dest) if not isinstance(dest, Path) else ((key, None) for key, _ in tree_keys(folder))
        going, total, size = list[str](), 0, 0
        for key, length in there:
            total += 1
            if key not in kept and not (folders and key.startswith(folders)):
                going.append(key)
                size += (folder / key).lstat().st_size if length is None else length
        if going and len(going) * _MUCH > total and not (dry_run or confirmed):
            raise UsageError(
                f"{len(going)} of {total} files would be removed, which is more than a fifth",
                subject=str(dest),
                untouched="nothing was removed",
                hint="look at: sealdex mirror prune DEST --dry-run; then, if that is meant: --yes",
            )
        if not dry_run and not isinstance(dest, Path):
            place.prune(going)
        elif not dry_run:
            for key in going:
                _remove(folder, key)
        return Pruned(len(going), size, total - len(going), removed=not dry_run)


def _remove(folder: Path, key: str) -> None:
    path = folder / key
    try:
        path.unlink()
        for parent in path.parents:
            if parent == folder or any(parent.iterdir()):
                break
            parent.rmdir()
    except OSError as error:
        raise InstallError(
            f"{path} can't be removed: {error.strerror}", subject=str(path), untouched="some files were removed already"
        ) from error


__all__ = ["Pruned", "prune"]
