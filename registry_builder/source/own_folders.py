"""Whether what is about to be written stays in the source tree: a folder on its way may be a link to elsewhere.

Who wrote the tree chose its links: a pull request's author, or a colleague. So writing asks the gate, as reading does.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from registry_builder.source.safe_open import Gate
from sealdex.errors import ConfigError


def require_own_folders(tree: Path, files: Iterable[Path], *, untouched: str) -> None:
    """Check that the folders of files are in the tree, and in their own plugin's folder; they needn't exist yet.

    Args:
        tree: the source tree.
        files: what is about to be written, below it.
        untouched: what the error says wasn't done.

    Raises:
        ConfigError: a folder is a link to elsewhere, or isn't a folder. All of them are listed.
    """
    gate = Gate(tree)
    folders = dict.fromkeys(_nearest(tree, file.parent) for file in files)
    problems = [
        f"{gate.relative(folder)} {problem}"
        for folder in folders
        if folder != tree and (problem := gate.folder_problem(folder)) is not None
    ]
    if problems:
        raise ConfigError("; ".join(problems), subject=str(tree), untouched=untouched)


def _nearest(tree: Path, folder: Path) -> Path:
    """Return the folder, or the nearest one above it that is there, if only as a link to nothing."""
    while folder != tree and not os.path.lexists(folder):
        folder = folder.parent
    return folder


__all__ = ["require_own_folders"]
