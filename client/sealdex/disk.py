"""What disks of other systems want otherwise: flushing, replacing and removing files on Windows and macOS.

Sources: `FlushFileBuffers`, `MoveFileEx` and `CreateFile` in Microsoft's documentation of Win32; fcntl(2) of macOS.
"""

from __future__ import annotations

import errno
import os
import stat
import sys
import time

TYPE_CHECKING = False  # as type checkers read it: `sealdex list` starts by this module
if TYPE_CHECKING:
    from collections.abc import Callable
    from io import FileIO
    from pathlib import Path

ON_WINDOWS = os.name == "nt"
_PAUSES_S = (0.01, 0.02, 0.05, 0.1, 0.2, 0.4, 0.8)
"""Scanners of viruses and indexers open what was just written, for some milliseconds."""
_SMALL_BYTES = 1 << 20


def sync(descriptor: int) -> None:
    """Flush an open file to the disk, so that it survives a power cut.

    On Windows the file has to be open for writing. On macOS ``fsync`` leaves the bytes in the drive's own memory.

    Raises:
        OSError: they can't be written.
    """
    if sys.platform == "darwin":
        import fcntl  # noqa: PLC0415  # Windows doesn't have it

        try:
            fcntl.fcntl(descriptor, fcntl.F_FULLFSYNC)
        except OSError:  # network file systems and some sticks don't know it
            os.fsync(descriptor)
        return
    os.fsync(descriptor)


def begin_writing(descriptor: int, size: int) -> None:
    """Have the system write a small file to the disk already, so that flushing it later finds little left to do.

    It promises nothing: `sync` does. Several files that were begun are written at once, in place of one after the
    other. Where the system has no such call, nothing happens. It may drop what is written of a large file from memory,
    which whoever reads it next would miss, so those are left alone.
    """
    if size <= _SMALL_BYTES and hasattr(os, "posix_fadvise"):
        try:
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        except OSError:
            return


def sync_path(path: str | Path) -> None:
    """Flush a file or folder to the disk; folders can't be opened on Windows, which needs no such flush.

    Raises:
        OSError: it can't be opened or written.
    """
    if ON_WINDOWS and os.path.isdir(path):  # noqa: PTH112  # text or path
        return
    access = os.O_RDWR | getattr(os, "O_BINARY", 0) if ON_WINDOWS else os.O_RDONLY
    descriptor = os.open(path, access | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0))
    try:
        sync(descriptor)
    finally:
        os.close(descriptor)


def sync_filesystem(folder: str | Path) -> None:
    """Flush all that was written to the file system of a folder: for thousands of files, in place of one by one.

    Linux has a call for one file system, which tells of writes that failed; elsewhere all of them are flushed, and on
    Windows none, which has no such call.

    Raises:
        OSError: something couldn't be written, or the folder can't be opened.
    """
    if sys.platform == "linux":
        import ctypes  # noqa: PLC0415  # for who writes that much

        flush = getattr(ctypes.CDLL(None, use_errno=True), "syncfs", None)
        if flush is not None:
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                if flush(descriptor) == 0:
                    return
                if (code := ctypes.get_errno()) != errno.ENOSYS:  # a sandbox may know no such call
                    raise OSError(code, os.strerror(code), str(folder))
            finally:
                os.close(descriptor)
    if hasattr(os, "sync"):
        os.sync()


def replace(source: str | Path, target: str | Path) -> None:
    """Rename a file over another, or where nothing is; on Windows again while somebody has one of them open.

    Raises:
        OSError: as `os.replace`, and as `refuse_device`.
    """
    refuse_device(target)
    patiently(lambda: os.replace(source, target))  # noqa: PTH105  # text or path


def refuse_device(path: str | Path) -> None:
    """Refuse to replace what isn't a file: a rename as root would put a file in place of ``/dev/null``.

    Raises:
        OSError: a device, a pipe or a socket is there.
    """
    try:
        kind = stat.S_IFMT(os.lstat(path).st_mode)
    except OSError:
        return  # what is in the way of that is in the way of the rename, which tells it
    if kind not in {stat.S_IFREG, stat.S_IFLNK, stat.S_IFDIR}:
        raise OSError(errno.EINVAL, "This is a device, pipe or socket, which isn't replaced by a file", str(path))


def open_regular(path: str | Path) -> FileIO:
    """Open a file for reading, unbuffered, through a link too; a pipe isn't waited for.

    Raises:
        OSError: it can't be opened, or is neither a file nor a block device: it couldn't be read twice, or ends never.
    """
    flags = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
    descriptor = os.open(path, os.O_RDONLY | flags)
    kind = stat.S_IFMT(os.fstat(descriptor).st_mode)
    if kind not in {stat.S_IFREG, stat.S_IFBLK}:
        os.close(descriptor)
        if kind == stat.S_IFDIR:
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        raise OSError(errno.EINVAL, "It is not a file, but a device, pipe or socket", str(path))
    return open(descriptor, "rb", buffering=0)  # noqa: PTH123  # Path.open takes no descriptor


def rename(source: str | Path, target: str | Path) -> None:
    """Rename a file or folder to where nothing is; on Windows again while somebody has a file in it open.

    Raises:
        OSError: as `os.rename`.
    """
    patiently(lambda: os.rename(source, target))  # noqa: PTH104  # text or path


def path_in_url(path: str) -> str:
    """Return the path of this system that the path of a ``file://`` address means: ``/C:/a`` is ``C:/a`` on Windows.

    Raises:
        ValueError: on Windows, it names no drive.
    """
    if not ON_WINDOWS:
        return path
    if not (path[1:2].isascii() and path[1:2].isalpha() and path[:1] == "/" and path[2:4] == ":/"):
        raise ValueError(path)
    return path[1:]


def remove_lock(path: str | Path, release: Callable[[], object]) -> None:
    """Remove a lock file that this process holds, and release it.

    The name goes first, so that nobody takes the lock in between. Windows can't remove what is open: there it goes
    last, unless another process has taken it by then.

    Raises:
        OSError: it can't be removed; it was released.
    """
    try:
        if not ON_WINDOWS:
            _unlink(path, FileNotFoundError)
    finally:
        release()
    if ON_WINDOWS:
        _unlink(path, FileNotFoundError, PermissionError)


def _unlink(path: str | Path, *passed_over: type[OSError]) -> None:
    try:
        os.unlink(path)  # noqa: PTH108  # text or path
    except passed_over:
        return


def patiently(act: Callable[[], None]) -> None:
    """Do something; on Windows again for 1.6 s as long as it is refused, because somebody has a file open."""
    for pause in _PAUSES_S if ON_WINDOWS else ():
        try:
            act()
        except PermissionError:  # noqa: PERF203  # seven rounds at most
            time.sleep(pause)
        else:
            return
    act()


__all__ = [
    "ON_WINDOWS",
    "begin_writing",
    "open_regular",
    "path_in_url",
    "patiently",
    "remove_lock",
    "rename",
    "replace",
    "sync",
    "sync_filesystem",
    "sync_path",
]
