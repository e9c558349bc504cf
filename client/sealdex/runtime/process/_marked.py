"""Processes with a variable in their environment, whatever group or session they went to (Linux).

Children inherit it, so it finds a daemon that a program started. What a process clears from its own environment isn't
found: that is against carelessness, not against malice.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

_LOOK_S = 0.05


def marked(variable: str, *, group: int | None = None) -> Iterator[int]:
    """Yield the ids of the processes that run with a variable, ``NAME=VALUE``; only those of a group, if one is given.

    Those of other users aren't seen.
    """
    wanted = variable.encode()
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
            if fields[0] in {"Z", "X"} or (group is not None and int(fields[2]) != group):
                continue
            if wanted in (folder / "environ").read_bytes().split(b"\0"):
                yield int(folder.name)
        except (OSError, ValueError, IndexError):  # each may be gone meanwhile, or somebody else's
            continue


def end_marked(variable: str, grace_s: float, is_hurried: Callable[[], bool] = lambda: False) -> None:
    """Send SIGTERM to the processes with a variable, and SIGKILL to those that still run after ``grace_s``."""
    if sys.platform == "win32" or not _signalled(variable, signal.SIGTERM):
        return
    deadline = time.monotonic() + grace_s
    while time.monotonic() < deadline and not is_hurried():
        if not any(marked(variable)):
            return
        time.sleep(_LOOK_S)
    _signalled(variable, signal.SIGKILL)


def _signalled(variable: str, number: int) -> bool:
    found = [pid for pid in marked(variable) if pid != os.getpid()]
    for pid in found:
        with suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)
    return bool(found)
