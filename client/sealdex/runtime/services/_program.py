"""How a module of ours is started in a process of its own: from an installation, the one file, or a frozen program."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def module_command(module: str) -> list[str]:
    """Return the command that runs a module as ``python -m`` does.

    In the one file (``make onefile``) no interpreter finds the module, so the file runs it, as its ``__main__`` says. A
    frozen program (``make frozen``) is its own interpreter, and does the same.
    """
    if getattr(sys, "frozen", False):
        return [sys.executable, "--run-module", module]
    one_file: str | None = getattr(sys.modules.get("__main__"), "SEALDEX_ONE_FILE", None)
    return [sys.executable, "-m", module] if one_file is None else [sys.executable, one_file, "--run-module", module]


def is_started_as(started: int, pid: int) -> bool:
    """Return whether a process is the one that was started; a frozen program runs in a child of it."""
    return pid == started or (bool(getattr(sys, "frozen", False)) and _parent_of(pid) == started)


def _parent_of(pid: int) -> int | None:
    try:
        # "pid (name) state ppid ...", where the name may hold anything
        return int(
            Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[1]
        )
    except (OSError, ValueError, IndexError):
        pass
    try:
        said = subprocess.run(["ps", "-o", "ppid=", "-p", str(pid)], capture_output=True, text=True, check=False)
        return int(said.stdout)
    except (OSError, ValueError):
        return None
