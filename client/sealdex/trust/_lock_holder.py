"""Records who holds the lock of a trust folder, for messages while waiting. Nothing relies on it."""

from __future__ import annotations

import os
import sys
import time
from contextlib import suppress
from pathlib import Path

_NAME = "holder"
_MAX_BYTES = 200


def note_holder(folder: Path) -> None:
    """Record that this process holds the lock now."""
    with suppress(OSError):
        (folder / _NAME).write_text(f"{os.getpid()} {Path(sys.argv[0] or 'python').name}", encoding="utf-8")


def holder_of(folder: Path) -> str:
    """Return who holds the lock, as the beginning of a sentence."""
    try:
        with (folder / _NAME).open("rb") as file:
            pid, _, program = file.read(_MAX_BYTES).decode("utf-8", "replace").partition(" ")
            since_s = max(0.0, time.time() - os.fstat(file.fileno()).st_mtime)
    except OSError:
        return "another process"
    if not (pid.isascii() and pid.isdecimal() and program.isprintable()):
        return "another process"
    return f"another process ({program}, pid {pid}, since {since_s:.0f} s)"
