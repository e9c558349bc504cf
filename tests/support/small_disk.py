"""A file system of a few MiB, in memory, that can be filled to the last block."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from support.components import missing


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[Path]:
    """Mount a tmpfs on a new folder while the context lasts; that needs root, or sudo that asks for no password.

    Args:
        folder: where; made.
        size: as mount takes it, such as ``8m``.
    """
    folder.mkdir()
    as_root = [] if os.geteuid() == 0 else ["sudo", "-n"]
    options = f"size={size},mode=700,uid={os.getuid()},gid={os.getgid()}"
    try:
        mount = [*as_root, "mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
        mounted = subprocess.run(mount, capture_output=True, text=True, check=False)
        problem = mounted.stderr if mounted.returncode else ""
    except FileNotFoundError as error:
        problem = str(error)
    if problem:
        missing("a tmpfs of the tests' own", f"mounting one needs root, or sudo without a password: {problem}")
    try:
        yield folder
    finally:
        # lazily: what still has a file open there must not fail the test as well
        subprocess.run([*as_root, "umount", "--lazy", str(folder)], check=True)


class Filler:
    """A file that takes the room of a small disk; ``close`` gives it back."""

    def __init__(self, disk: Path, leave: int) -> None:
        self._path = disk / "filler"
        found = os.statvfs(disk)
        taken = found.f_bavail * found.f_frsize - leave
        with self._path.open("wb") as file:
            if taken > 0:
                os.posix_fallocate(file.fileno(), 0, taken)

    def close(self) -> None:
        self._path.unlink()
