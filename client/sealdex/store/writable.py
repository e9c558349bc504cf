"""Whether a place can be written, and what serves in its stead: a store may be read-only, or somebody else's."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path


def can_write(path: Path) -> bool:
    """Say whether a file can be written, or made where it isn't yet: asked of the system, nothing is tried."""
    there = path
    while not os.path.lexists(there) and there != there.parent:
        there = there.parent
    return os.access(there, os.W_OK | os.X_OK if there.is_dir() else os.W_OK)


def copy_for_a_run(folder: Path, names: Sequence[str]) -> Path:
    """Copy folders out of one that can't be written, as far as they can be read; the caller removes the copy.

    Args:
        folder: it needn't be there.
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
            made.chmod(0o700)  # copytree gives folders the modes they had
    return copy
