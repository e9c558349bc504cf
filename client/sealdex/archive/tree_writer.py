"""Writes an unpacked tree: every path is created by this module, in a folder that it created, and hashed when written.

This is the second line of defense: `entries` has already refused every name that leads outside; this module doesn't
write through links even if a bad name got past it. Folders are created first (``mkdir`` fails if one exists), files
only in such a folder and only where nothing exists (``O_EXCL``, ``O_NOFOLLOW``), and symbolic links last, when nothing
more is written.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

from msgspec import Struct

from sealdex import disk
from sealdex.disk import sync_path
from sealdex.errors import InstallError, UnsafeArchiveError

_NEW_FILE = (
    os.O_WRONLY
    | os.O_CREAT
    | os.O_EXCL
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_BINARY", 0)
)

_CAREFULLY = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0)
_NO_LINKS = frozenset({errno.EPERM, errno.EACCES, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP})
_NO_PRIVILEGE = 1314  # ERROR_PRIVILEGE_NOT_HELD of Win32
_PIECE_BYTES = 1 << 20


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
    """Fills one new folder. Add folders first, from one thread; then files, from any thread; links last.

    Raises:
        FileExistsError: the folder already exists; the other methods raise it too for what they would create.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._folders = {""}
        _make_folder(root)

    def add_folder(self, path: str) -> None:
        """Create a folder and its parents."""
        if path in self._folders:
            return
        self.add_folder(path.rpartition("/")[0])
        _make_folder(self._place(path))
        self._folders.add(path)

    def add_file(self, path: str, mode: int, content: Iterable[bytes]) -> UnpackedFile:
        """Write a file and return its record. If the content is interrupted, the incomplete file is left behind."""
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
            disk.begin_writing(descriptor, size)
        finally:
            os.close(descriptor)
        return UnpackedFile(path, mode, size, digest.hexdigest())

    def add_known(
        self, origin: Path, sha256: str, path: str, mode: int, size: int, *, link: bool
    ) -> UnpackedFile | None:
        """Link or copy a file that is already on this host; None, and no file, if its content differs.

        Args:
            origin: where it is; never followed if it is a link.
            sha256: of its content.
            path: where it goes.
            mode: that it is to have.
            size: bytes.
            link: try a hard link before a copy. It is created first and then hashed in its place, so that the name
                can't be redirected in between.
        """
        place = self._place(path)
        try:
            if link and _has_mode(origin, mode):
                try:
                    os.link(origin, place)
                except OSError:  # another file system, one without links, or too many of them
                    pass
                else:
                    if _has_mode(place, mode) and _hash_of(place, size) == sha256:
                        return UnpackedFile(path, mode, size, sha256)
                    place.unlink()
                    return None
            made = self.add_file(path, mode, _pieces(origin, size))
        except OSError:
            place.unlink(missing_ok=True)
            return None
        if (made.sha256, made.size) == (sha256, size):
            return made
        place.unlink()
        return None

    def add_hard_link(self, path: str, file: UnpackedFile) -> UnpackedFile:
        """Give a written file a second name, or make a copy where the disk has no hard links."""
        origin = self._place(file.path)
        try:
            os.link(origin, self._place(path))
        except FileExistsError:
            raise
        except OSError:  # a disk without them, or too many of one file
            copied = self.add_file(path, file.mode, _pieces(origin, file.size))
            if copied.sha256 != file.sha256:
                raise InstallError(
                    f"{file.path!a} changed while it was unpacked", subject=path, untouched="nothing was installed"
                ) from None
        return UnpackedFile(path, file.mode, file.size, file.sha256)

    def add_symlink(self, path: str, target: str) -> UnpackedFile:
        """Create a symbolic link. Nothing is ever written below it, since it isn't an added folder."""
        try:
            self._place(path).symlink_to(target)
        except (OSError, NotImplementedError) as error:
            # on Windows the errno of a missing privilege is EINVAL, as of many others
            is_told = isinstance(error, NotImplementedError) or error.errno in _NO_LINKS
            if not is_told and getattr(error, "winerror", None) != _NO_PRIVILEGE:
                raise
            raise InstallError(
                f"{path!a} is a symbolic link, which can't be made here: {getattr(error, 'strerror', None) or error}",
                subject=path,
                untouched="nothing was installed",
                hint="on Windows, switch on developer mode; elsewhere, have the store on a disk that has links, "
                "which FAT, exFAT and some network file systems don't",
            ) from error
        return UnpackedFile(path, 0o777, 0, "", target)

    def sync_file(self, file: UnpackedFile) -> None:
        """Flush the content of a file to the disk; `sync_folders` does the same for names."""
        sync_path(self._place(file.path))

    def is_shared(self, file: UnpackedFile) -> bool:
        """Say whether a file has another name, under which the disk was made to hold its content before."""
        return self._place(file.path).stat().st_nlink > 1

    def sync_folders(self) -> None:
        """Flush the names in all folders to the disk."""
        for folder in self._folders:
            sync_path(self._root / folder)

    def _place(self, path: str) -> Path:
        if path.rpartition("/")[0] not in self._folders:
            raise UnsafeArchiveError(f"{path!a} would be written outside the folders created for it", subject=path)
        return self._root / path


def _has_mode(path: Path, mode: int) -> bool:
    found = path.lstat()
    return stat.S_ISREG(found.st_mode) and (disk.ON_WINDOWS or stat.S_IMODE(found.st_mode) == mode)


def _hash_of(path: Path, size: int) -> str:
    digest = hashlib.sha256()
    for piece in _pieces(path, size):
        digest.update(piece)
    return digest.hexdigest()


def _pieces(path: Path, size: int) -> Iterator[bytes]:
    """Yield the content of a regular file, at most one byte more than ``size``: a longer one is none that is wanted."""
    descriptor = os.open(path, os.O_RDONLY | _CAREFULLY)
    with os.fdopen(descriptor, "rb", buffering=0) as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(f"{path} is not a regular file")
        left = size + 1
        while left > 0 and (piece := file.read(min(_PIECE_BYTES, left))):
            left -= len(piece)
            yield piece


def _make_folder(path: Path) -> None:
    path.mkdir()
    path.chmod(0o755)  # whatever the umask says


def _write_all(descriptor: int, piece: bytes) -> None:
    written = os.write(descriptor, piece)
    while written < len(piece):
        written += os.write(descriptor, memoryview(piece)[written:])
