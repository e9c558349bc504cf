"""Makes the names in a folder survive a power failure; `sealdex.disk` does so for a whole file system."""

from __future__ import annotations

import os


def sync_folder(path: str) -> None:
    """Make the names in a folder survive a power failure."""
    if os.name == "posix":  # elsewhere a folder can't be opened, and the rename is journalled
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
