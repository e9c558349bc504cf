"""Writes a file completely or not at all, under a name that must be free, or in place of an older file."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from sealdex import disk

_FILE_MODE = 0o644


def write_new(path: Path, data: bytes) -> None:
    """Write a file that doesn't exist yet; its folder is created.

    Raises:
        FileExistsError: the name is taken; the existing file is left alone.
    """
    part = _written(path, data)
    try:
        try:
            os.link(part, path)
        except FileExistsError:
            raise
        except OSError:  # a file system without hard links
            with path.open("xb") as file:
                file.write(data)
    finally:
        part.unlink()


def replace_file(path: Path, data: bytes) -> None:
    """Write a file in one step, replacing an existing one.

    Raises:
        OSError: it can't be written, or it is a device, pipe or socket.
    """
    disk.refuse_device(path)  # before anything is written beside it
    part = _written(path, data)
    try:
        disk.replace(part, path)
    except OSError:
        part.unlink()
        raise


def _written(path: Path, data: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    part = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
        part.chmod(_FILE_MODE)
    except OSError:  # a full disk
        part.unlink()
        raise
    return part


__all__ = ["replace_file", "write_new"]
