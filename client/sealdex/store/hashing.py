"""SHA-256 of files, read in small chunks; and complete writes to unbuffered files."""

from __future__ import annotations

import hashlib
import os
import stat
from typing import TYPE_CHECKING

from sealdex.lazy import regex

if TYPE_CHECKING:
    from io import FileIO
    from pathlib import Path

NO_FOLLOW = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0)
"""Flags to open files that others may have put there: links aren't followed, and a pipe doesn't block."""

_DIGEST = regex(r"[0-9a-f]{64}")
_BUFFER_BYTES = 256 << 10  # fits the L2 cache of most processors, where hashing is fastest


def is_digest(text: str) -> bool:
    """Return whether a text is a SHA-256 as used in file names: 64 lower-case hexadecimal digits."""
    return _DIGEST.fullmatch(text) is not None


def open_to_read(path: Path) -> FileIO:
    """Open a file for reading, unbuffered; a link isn't followed.

    Raises:
        OSError: it can't be opened.
    """
    return open(os.open(path, os.O_RDONLY | NO_FOLLOW), "rb", buffering=0)  # noqa: PTH123  # Path.open takes no descriptor


def hash_of(file: FileIO, copy_to: FileIO | None = None) -> str:
    """Return the SHA-256 of the rest of an unbuffered file, writing what was read to another.

    Raises:
        OSError: it can't be read, or the other one can't be written.
    """
    hasher = hashlib.sha256()
    buffer = memoryview(bytearray(_BUFFER_BYTES))
    while got := file.readinto(buffer):
        hasher.update(buffer[:got])
        if copy_to is not None:
            write_all(copy_to, buffer[:got])
    return hasher.hexdigest()


def hash_of_regular(path: Path) -> str | None:
    """Return the SHA-256 of a regular file; None if there is none that can be read."""
    try:
        with open_to_read(path) as file:
            return hash_of(file) if is_regular(file) else None
    except OSError:  # a read error doesn't prove anything
        return None


def is_regular(file: FileIO) -> bool:
    """Return whether an open file is a regular file."""
    return stat.S_ISREG(os.fstat(file.fileno()).st_mode)


def hash_into(hasher: hashlib._Hash, file: FileIO, count: int) -> None:
    """Feed the next ``count`` bytes of an unbuffered file to ``hasher``, in small chunks.

    Raises:
        OSError: the file is shorter.
    """
    buffer = memoryview(bytearray(min(_BUFFER_BYTES, max(count, 1))))
    while count:
        got = file.readinto(buffer[:count])
        if not got:
            raise OSError("the file was truncated while it was read")
        hasher.update(buffer[:got])
        count -= got


def write_all(file: FileIO, data: bytes | memoryview) -> None:
    """Write all bytes to an unbuffered file, whose ``write`` may write only some."""
    view = memoryview(data)
    while view:
        view = view[file.write(view) :]
