"""``file://`` with the semantics of a web server: ranges, entity tags, 404 and 416."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from sealdex import disk
from sealdex.errors import ConfigError, UnavailableError
from sealdex.transport.types import Answer, TransientError

if TYPE_CHECKING:
    from collections.abc import Mapping


def get_file(url: str, headers: Mapping[str, str], start: int, end: int | None) -> Answer:
    """Open the file of ``url`` and answer as a web server would a GET with these headers.

    Args:
        url: ``file:///path``, percent-encoded.
        headers: ``If-None-Match`` and ``If-Range`` are used; others are ignored.
        start: first byte wanted.
        end: first byte no longer wanted; ``None`` for the end of the file.

    Raises:
        ConfigError: the URL names another host, or can't be a path.
        UnavailableError: it is not a regular file, or can't be read.
    """
    path = path_of(url)
    try:
        # O_NONBLOCK: opening a pipe without a writer must not hang; it has no effect on regular files.
        fd = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    except (FileNotFoundError, NotADirectoryError):
        return Answer(404, FileBody(None, 0))
    except PermissionError:
        return Answer(403, FileBody(None, 0))
    except OSError as error:
        raise UnavailableError(f"{path} can't be opened: {error.strerror}", subject=path) from error
    found = os.fstat(fd)
    if not stat.S_ISREG(found.st_mode):
        os.close(fd)
        raise UnavailableError(f"{path} is not a regular file", subject=path, untouched="nothing was read")
    etag = f'"{found.st_mtime_ns:x}-{found.st_size:x}-{found.st_ino:x}"'
    size = found.st_size
    if headers.get("If-None-Match") == etag:
        os.close(fd)
        return Answer(304, FileBody(None, 0), etag=etag)
    whole = (start == 0 and end is None) or headers.get("If-Range", etag) != etag
    if whole:
        start, end = 0, size
    if start >= size and not whole:
        os.close(fd)
        return Answer(416, FileBody(None, 0), total_size=size, etag=etag)
    length = min(size if end is None else end, size) - start
    os.lseek(fd, start, os.SEEK_SET)
    return Answer(200 if whole else 206, FileBody(fd, length), start=start, length=length, total_size=size, etag=etag)


class FileBody:
    """``length`` bytes from the position of an open descriptor, which it owns."""

    def __init__(self, fd: int | None, length: int) -> None:
        self._fd = fd
        self._left = length

    def read_some(self, max_bytes: int) -> bytes:
        """Return the next bytes, see ``Body``."""
        if self._fd is None or self._left == 0:
            return b""
        try:
            data = os.read(self._fd, min(max_bytes, self._left))
        except OSError as error:
            raise TransientError((error.strerror or "read error").lower()) from error
        if not data:
            raise TransientError("the file was truncated while it was read")
        self._left -= len(data)
        return data

    def abort(self) -> None:
        """Do nothing: reads of regular files don't wait for anybody."""

    def close(self) -> None:
        """Close the descriptor; may be called again."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None


def path_of(url: str) -> str:
    """Return the path that a ``file://`` URL names.

    Raises:
        ConfigError: it names another host, has a query, or isn't absolute.
    """
    parts = urlsplit(url)
    path = unquote(parts.path)
    if (
        parts.netloc not in {"", "localhost"}
        or parts.query
        or parts.fragment
        or not path.startswith("/")
        or "\0" in path
    ):
        raise ConfigError(
            f"{url} does not name a file on this host",
            subject=url,
            hint="write file:///absolute/path, with ? # and % in names as %3F %23 %25",
        )
    try:
        return disk.path_in_url(path)
    except ValueError:
        raise ConfigError(
            f"{url} names no drive", subject=url, hint="write file:///C:/folder/, with the letter of the drive"
        ) from None
