"""Makes a file that has no name until it is whole, in the folder where it will be (Linux, O_TMPFILE).

A process that dies meanwhile leaves nothing at all. And ext4 puts a file's inode near those of the folder it is made
in: ten thousand files made in one temporary folder and linked to ten thousand others took 120 to 350 microseconds each,
made without a name where they belong 42 (kernel 6.18, 2 cores; a mkdir for each file included).
"""

# ruff: noqa: PTH103, PTH120  # str paths, see registry_builder.storage.folder

from __future__ import annotations

import contextlib
import errno
import os
import sys
from collections.abc import Callable

_UNSUPPORTED = frozenset({errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL, errno.ENOSYS})
"""What kernels and file systems say that have no O_TMPFILE; see open(2)."""


class NamelessUnsupportedError(Exception):
    """Such files can't be made on this system or file system; nothing was made."""


def create_nameless(path: str, fill: Callable[[int], None]) -> None:
    """Make a new file, and its folder where that is missing.

    Args:
        path: where to; has a folder part.
        fill: writes the content to the descriptor that it is given. What it raises, it raises here, and no file is
            there.

    Raises:
        NamelessUnsupportedError: it can't be done here.
        FileExistsError: there is a file of that name; it was left as it is.
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
            raise NamelessUnsupportedError from error  # there is no /proc


def _open(folder: str) -> int:
    flags = os.O_TMPFILE | os.O_WRONLY | os.O_CLOEXEC
    try:
        return os.open(folder, flags, 0o666)  # the umask decides
    except FileNotFoundError:
        os.makedirs(folder, exist_ok=True)
        return os.open(folder, flags, 0o666)


__all__ = ["NamelessUnsupportedError", "create_nameless"]
