"""How a module of ours is started in a process of its own: from an installation, the one file, or a frozen program."""

from __future__ import annotations

import sys


def module_command(module: str) -> list[str]:
    """Return the command that runs a module as ``python -m`` does.

    In the one file (``make onefile``) no interpreter finds the module, so the file runs it, as its ``__main__`` says. A
    frozen program (``make frozen``) is its own interpreter, and does the same.
    """
    if getattr(sys, "frozen", False):
        return [sys.executable, "--run-module", module]
    one_file: str | None = getattr(sys.modules.get("__main__"), "SEALDEX_ONE_FILE", None)
    return [sys.executable, "-m", module] if one_file is None else [sys.executable, one_file, "--run-module", module]
