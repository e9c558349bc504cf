"""Creates a file that has no name until it is complete, in its final folder (Linux, O_TMPFILE).

A process that dies meanwhile leaves nothing behind. Also, ext4 puts a file's inode near those of the folder where it
is created: ten thousand files created in one temporary folder and linked to others took 120 to 350 microseconds each,
created without a name in the final folder 42 (kernel 6.18, 2 cores; including a mkdir per file).
"""

# ruff: noqa: PTH103, PTH120  # str paths, see registry_builder.storage.folder

from __future__ import annotations

import contextlib
import errno
import os
import sys
from collections.abc import Callable

_UNSUPPORTED = frozenset({errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL, errno.ENOSYS})
"""Errors of kernels and file systems without O_TMPFILE; see open(2)."""


class NamelessUnsupportedError(Exception):
    """Such files can't be created on this system or file system; nothing was created."""


def create_nameless(path: str, fill: Callable[[int], None]) -> None:
    """Create a new file, and its folder if that is missing.

    Args:
        path: the destination, including a folder.
        fill: writes the content to the given descriptor. What it raises is raised here, and no file is
            created.

    Raises:
        NamelessUnsupportedError: not supported here.
        FileExistsError: the name is taken; the existing file is unchanged.
        OSError: as open(2), mkdir(2) and linkat(2).
    """
    if sys.platform != "linux":
        raise NamelessUnsupportedError
    try:
        descriptor = _open(os.path.dirname(path))
    except OSError as error:
        if error.errno in _UNSUPPORTED:
            raise NamelessUnsupportedError from error
        raise
    with contextlib.ExitStack() as ends:
        ends.callback(os.close, descriptor)
        fill(descriptor)
        source = f"/proc/self/fd/{descriptor}"
        try:
            # with a descriptor, though the path is absolute: without one Python calls link(2), which follows nothing
            os.link(source, path, src_dir_fd=descriptor, follow_symlinks=True)
        except FileNotFoundError as error:
            if os.path.exists(source):  # noqa: PTH110  # as above
                raise
            raise NamelessUnsupportedError from error  # no /proc


def _open(folder: str) -> int:
    flags = os.O_TMPFILE | os.O_WRONLY | os.O_CLOEXEC
    try:
        return os.open(folder, flags, 0o666)  # the umask decides
    except FileNotFoundError:
        os.makedirs(folder, exist_ok=True)
        return os.open(folder, flags, 0o666)


__all__ = ["NamelessUnsupportedError", "create_nameless"]
