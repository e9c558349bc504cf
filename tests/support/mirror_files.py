"""What readers of a mirror see in its folder."""

from __future__ import annotations

from pathlib import Path

from sealdex.download.mirror.record import OWN_FOLDER, RECORD_NAME


def published(folder: Path) -> dict[str, bytes]:
    """All files but the mirror's own folder, by key."""
    paths = (path for path in folder.rglob("*") if path.is_file() and OWN_FOLDER not in path.parts)
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def keys(folder: Path) -> set[str]:
    """The keys of the published tree."""
    return set(published(folder)) - {RECORD_NAME}
