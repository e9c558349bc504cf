"""Temporary folders on the store's file system, recognizable as stale once their process is gone.

    <store>/staging/
        guard            held briefly while a folder is created or stale ones are searched
        <random>.lock    held as long as the process works on the folder; the system releases it when that dies
        <random>/        the folder

The lock file is created before the folder and removed after it, so a folder whose lock isn't held is stale.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from sealdex.disk import remove_lock
from sealdex.store.file_lock import FileLock, LockTimeoutError
from sealdex.store.layout import Store


@contextmanager
def staging_folder(store: Store) -> Iterator[Path]:
    """Create a new folder on the store's file system; it is deleted at the end with whatever is in it.

    Raises:
        OSError: it can't be created.
    """
    staging = Path(store.staging_folder)
    staging.mkdir(parents=True, exist_ok=True)
    folder = staging / os.urandom(8).hex()
    lock = FileLock(_lock_path(folder))  # another thread may end the block
    with _guard(staging):
        lock.acquire()
    try:
        folder.mkdir()
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if folder.exists():
            lock.release()
        else:
            remove_lock(_lock_path(folder), lock.release)


def remove_stale(store: Store) -> list[str]:
    """Delete what killed processes left in the staging folder; return the names of the deleted folders."""
    staging = Path(store.staging_folder)
    if not staging.is_dir():
        return []
    stale: list[tuple[Path, FileLock]] = []
    with _guard(staging):
        names = {path.name.removesuffix(".lock") for path in staging.iterdir()} - {"guard"}
        for name in names:
            lock = FileLock(_lock_path(staging / name))
            with suppress(LockTimeoutError):
                lock.acquire(timeout=0)
                stale.append((staging / name, lock))
    for folder, lock in stale:  # ours now, so this may take its time without blocking others
        shutil.rmtree(folder, ignore_errors=True)
        if folder.exists():
            lock.release()
        else:
            remove_lock(_lock_path(folder), lock.release)
    return sorted(folder.name for folder, _ in stale)


def _lock_path(folder: Path) -> Path:
    return folder.with_name(folder.name + ".lock")


def _guard(staging: Path) -> FileLock:
    return FileLock(staging / "guard")
