"""Makes written files survive a power failure: one folder, or a whole file system at once."""

from __future__ import annotations

import ctypes
import os


def sync_folder(path: str) -> None:
    """Make the names in a folder survive a power failure."""
    if os.name == "posix":  # elsewhere a folder can't be opened, and the rename is journalled
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def sync_file_system(path: str) -> None:
    """Sync the file system of ``path`` if the C library supports that, else all file systems."""
    syncfs = getattr(ctypes.CDLL(None, use_errno=True), "syncfs", None) if os.name == "posix" else None
    if syncfs is None:
        if hasattr(os, "sync"):
            os.sync()
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        if syncfs(descriptor) != 0:  # Linux 5.8 and later report failed write-back here, which sync() never does
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code), path)
    finally:
        os.close(descriptor)
