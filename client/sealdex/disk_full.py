"""Full disks: how the system says that one is, and what helps."""

from __future__ import annotations

import errno

_FULL = frozenset({errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)})
_SQLITE_FULL = 13  # https://sqlite.org/rescode.html
_SQLITE_SAYS_FULL = "database or disk is full"  # of that number, which Python tells from 3.11 on

MAKE_ROOM = "make room (sealdex cache gc --max-bytes 0 needs none itself), or move the store with SEALDEX_STORE"


def is_disk_full(error: BaseException) -> bool:
    """Say whether an error of the system, or of SQLite, means that a disk or a quota is full."""
    if isinstance(error, OSError):
        return error.errno in _FULL
    number: int | None = getattr(error, "sqlite_errorcode", None)
    return number & 0xFF == _SQLITE_FULL if number is not None else str(error) == _SQLITE_SAYS_FULL
