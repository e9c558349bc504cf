"""One process at a time changes a mirror: its own folder, and the lock in it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from sealdex.download.mirror.options import Watch
from sealdex.download.mirror.record import OWN_FOLDER
from sealdex.errors import InstallError


@contextmanager
def held(folder: Path, watch: Watch) -> Iterator[Path]:
    """Make a mirror's own folder and hold its lock: one process at a time changes a mirror."""
    own = folder / OWN_FOLDER
    try:
        own.mkdir(parents=True, exist_ok=True)
        lock = FileLock(own / "lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            watch.waiting(f"another process is changing the mirror in {folder}: waiting for it")
            lock.acquire()
    except OSError as error:
        raise InstallError(
            f"{folder} can't be written: {error.strerror}",
            subject=str(folder),
            untouched="nothing was copied",
            hint="name a folder, or an archive whose name ends in .tar"
            if isinstance(error, FileExistsError | NotADirectoryError)
            else "check its permissions",
        ) from error
    try:
        yield own
    finally:
        lock.release()


__all__ = ["held"]
