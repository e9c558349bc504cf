"""Writing an unpacked tree: every path is made by us, inside a folder made by us, and hashed on its way to the disk.

The second lock on the door: `entries` has refused every name that leads out before anything is written; this module
would not write through a link even if a name got past it. Folders come first and are ours (``mkdir`` fails on what
exists), a file is only made in such a folder and only where nothing is (``O_EXCL``, ``O_NOFOLLOW``), and symbolic
links are made last, when nothing is written any more.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path

from msgspec import Struct

from sealdex.errors import UnsafeArchiveError

_NEW_FILE = (
    os.O_WRONLY
    | os.O_CREAT
    | os.O_EXCL
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_BINARY", 0)
)


class UnpackedFile(Struct, frozen=True, omit_defaults=True):
    """One file or link of an installation, as written.

    Attributes:
        path: inside the installation, with forward slashes.
        mode: 0o644 or 0o755; 0o777 for a link, which has none.
        size: bytes; 0 for a link.
        sha256: of the content; empty for a link.
        target: what a symbolic link points to.
    """

    path: str
    mode: int
    size: int
    sha256: str
    target: str | None = None


class TreeWriter:
    """Fills one new folder. Folders are to be added first, from one thread; then files, from any; links last.

    Raises:
        FileExistsError: the folder exists already; so do the other methods for what they would make.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._folders = {""}
        _make_folder(root)

    def add_folder(self, path: str) -> None:
        """Make a folder and those above it."""
        if path in self._folders:
            return
        self.add_folder(path.rpartition("/")[0])
        _make_folder(self._place(path))
        self._folders.add(path)

    def add_file(self, path: str, mode: int, content: Iterable[bytes]) -> UnpackedFile:
        """Write a file and return what it is. A file whose content breaks off stays behind, unfinished."""
        digest = hashlib.sha256()
        size = 0
        descriptor = os.open(self._place(path), _NEW_FILE, 0o600)
        try:
            for piece in content:
                digest.update(piece)
                size += len(piece)
                _write_all(descriptor, piece)
            if hasattr(os, "fchmod"):  # not on Windows, which has no such bits
                os.fchmod(descriptor, mode)
        finally:
            os.close(descriptor)
        return UnpackedFile(path, mode, size, digest.hexdigest())

    def add_hard_link(self, path: str, file: UnpackedFile) -> UnpackedFile:
        """Give a file that was written a second name."""
        self._place(path).hardlink_to(self._place(file.path))
        return UnpackedFile(path, file.mode, file.size, file.sha256)

    def add_symlink(self, path: str, target: str) -> UnpackedFile:
        """Make a symbolic link. Nothing is ever written below it, since it is no folder that was added."""
        self._place(path).symlink_to(target)
        return UnpackedFile(path, 0o777, 0, "", target)

    def sync_file(self, file: UnpackedFile) -> None:
        """Have the disk hold the content of a file; `sync_folders` does the same for names."""
        sync_path(self._place(file.path))

    def sync_folders(self) -> None:
        """Have the disk hold the names in all folders."""
        for folder in self._folders:
            sync_path(self._root / folder)

    def _place(self, path: str) -> Path:
        if path.rpartition("/")[0] not in self._folders:
            raise UnsafeArchiveError(f"{path!a} would be written outside of the folders made for it", subject=path)
        return self._root / path


def sync_path(path: Path) -> None:
    """Flush a file or folder to the disk; folders can't be opened on Windows, which needs no such flush."""
    if os.name == "nt" and path.is_dir():
        return
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0))
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _make_folder(path: Path) -> None:
    path.mkdir()
    path.chmod(0o755)  # whatever the umask says


def _write_all(descriptor: int, piece: bytes) -> None:
    written = os.write(descriptor, piece)
    while written < len(piece):
        written += os.write(descriptor, memoryview(piece)[written:])
