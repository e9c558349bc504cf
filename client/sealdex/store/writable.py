"""Checks whether a place can be written, and copies folders of a store that is read-only or somebody else's."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path


def can_write(path: Path) -> bool:
    """Return whether a file can be written or created, according to the system; nothing is written."""
    there = path
    while not os.path.lexists(there) and there != there.parent:
        there = there.parent
    return os.access(there, os.W_OK | os.X_OK if there.is_dir() else os.W_OK)


def copy_for_a_run(folder: Path, names: Sequence[str]) -> Path:
    """Copy folders out of one that can't be written, as far as they can be read; the caller removes the copy.

    Args:
        folder: need not exist.
        names: the folders in it that are copied, without links.
    """
    copy = Path(tempfile.mkdtemp(prefix="sealdex-"))
    for name in names:
        source = folder / name
        with suppress(OSError, shutil.Error):  # what can't be copied is fetched again
            if source.is_dir() and not source.is_symlink():
                shutil.copytree(source, copy / name, symlinks=True, copy_function=shutil.copyfile)
    for made in (copy, *copy.rglob("*")):
        if made.is_dir():
            made.chmod(0o700)  # copytree keeps the modes of folders
    return copy
