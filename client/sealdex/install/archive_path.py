"""Which arguments mean an archive on this host's disk, and its format. Pure, and cheap to import."""

from __future__ import annotations

FORMATS = {".zip": "zip", ".tar.gz": "tar.gz", ".tgz": "tar.gz", ".tar.zst": "tar.zst", ".tzst": "tar.zst"}


def is_archive_path(text: str) -> bool:
    """Return whether an argument means a file and not ``NS/NAME[@RANGE]``."""
    return format_of(text) is not None or text.startswith(("./", "../", "/", "~")) or "\\" in text


def format_of(name: str) -> str | None:
    """Return the format that a file name's ending stands for, or None."""
    return next((kind for ending, kind in FORMATS.items() if name.lower().endswith(ending)), None)
