"""Finds files and folders that others than their user can write to, by owner and mode.

Access control lists aren't read, except where the system shows them in the group bits of the mode.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from sealdex import disk


class Loose(NamedTuple):
    """A place that others can change; ``by_anyone``: everybody on this host can."""

    path: str
    why: str
    by_anyone: bool


def loose_places(paths: Iterable[Path]) -> Iterator[Loose]:
    """Yield those of some places that another user can write to; missing ones are skipped."""
    if disk.ON_WINDOWS:  # its modes don't show this
        return
    me = os.geteuid()
    for path in paths:
        try:
            info = path.stat()
        except OSError:
            continue
        mode = f"has mode {stat.S_IMODE(info.st_mode):04o}"
        if info.st_mode & stat.S_IWOTH:
            yield Loose(str(path), f"{mode}: everybody on this host can change its contents", by_anyone=True)
        elif info.st_uid not in {me, 0}:
            yield Loose(str(path), f"belongs to user {info.st_uid}, who can change its contents", by_anyone=False)
        elif info.st_mode & stat.S_IWGRP and not _is_own_group(info.st_gid, me):
            yield Loose(str(path), f"{mode}: group {info.st_gid} can change its contents", by_anyone=False)


def _is_own_group(group: int, user: int) -> bool:
    """Return whether a group is the user's private group, as on Debian and Fedora: it has the user's name."""
    import grp  # noqa: PLC0415  # POSIX only
    import pwd  # noqa: PLC0415  # POSIX only

    try:
        found = grp.getgrgid(group)
        own = pwd.getpwuid(user)
    except KeyError:
        return False
    return found.gr_name == own.pw_name and set(found.gr_mem) <= {own.pw_name}
