"""Full disks: how the system says that one is, and what helps."""

from __future__ import annotations

import errno

_FULL = frozenset({errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)})
_SQLITE_FULL = "database or disk is full"  # what SQLite says of SQLITE_FULL; Python 3.10 doesn't tell the number

MAKE_ROOM = "make room (sealdex cache gc --max-bytes 0 needs none itself), or move the store with SEALDEX_STORE"


def is_disk_full(error: BaseException) -> bool:
    """Say whether an error of the system, or of SQLite, means that a disk or a quota is full."""
    return (isinstance(error, OSError) and error.errno in _FULL) or str(error) == _SQLITE_FULL
