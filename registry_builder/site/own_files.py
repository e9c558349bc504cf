"""The files of a folder that ``sealdex-builder site`` wrote there: a record of them, and removing what is gone.

The folder may be a mirror, or hold files of anybody's, so nothing else is ever removed: what the record doesn't name,
what couldn't be a page, what a link leads to. Of a folder without a record nothing is.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path, PurePosixPath

import msgspec

from registry_builder.site.urls import may_be_page
from registry_builder.source.atomic_write import replace_file
from sealdex.model.decode import decode_as, encode_json

RECORD = ".sealdex-site.json"
_FORMAT = 1


class _Record(msgspec.Struct):
    format: int
    files: tuple[str, ...]


def own_files(folder: Path) -> frozenset[str]:
    """Return the keys of files that an earlier run wrote; none where it left no record that can be read."""
    try:
        record = decode_as((folder / RECORD).read_bytes(), _Record)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return frozenset()
    return frozenset(record.files) if record.format == _FORMAT else frozenset()


def keep_record(folder: Path, keys: Iterable[str]) -> None:
    """Write down which files are the site's, if that isn't what is written there."""
    data = encode_json(_Record(_FORMAT, tuple(sorted(keys))))
    path = folder / RECORD
    if not path.is_file() or path.read_bytes() != data:
        replace_file(path, data)


def is_plain(path: Path) -> bool:
    """Return whether a path, whose beginning is resolved, is a file that no link leads to."""
    return path.is_file() and not path.is_symlink() and path.parent.resolve() == path.parent


def remove_gone(folder: Path, keys: Iterable[str]) -> list[str]:
    """Remove files of these keys, and the folders that are empty then; return the keys of those that were there."""
    root = folder.resolve()
    removed = []
    for key in sorted(keys):
        parts = PurePosixPath(key).parts
        if not may_be_page(key) or any(part.startswith(".") for part in parts) or "/".join(parts) != key:
            continue  # somebody else wrote the record
        path = root.joinpath(*parts)
        if not is_plain(path):
            continue
        path.unlink()
        removed.append(key)
        for parent in path.parents:
            if parent == root:
                break
            with suppress(OSError):  # there is something else in it
                parent.rmdir()
    return removed


__all__ = ["RECORD", "is_plain", "keep_record", "own_files", "remove_gone"]
