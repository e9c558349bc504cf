"""Limits beyond which an archive counts as a bomb."""

from __future__ import annotations

from msgspec import Struct


class UnpackLimits(Struct, frozen=True):
    """Bounds on what an archive unpacks to.

    Args:
        max_entries: files, folders and links together.
        max_total_bytes: content of all files together.
        max_ratio: unpacked bytes for one byte of archive; deflate reaches 1,032, real packages stay below 50.
        ratio_free_bytes: unpacked bytes below which the ratio isn't checked.
        max_zstd_window_log: base-2 logarithm of the window a zstd frame may use; the window is held in memory,
            25 means 32 MiB, which ``zstd`` stays below up to level 20 without ``--long``.
    """

    max_entries: int = 100_000
    max_total_bytes: int = 64 * 2**30
    max_ratio: int = 200
    ratio_free_bytes: int = 64 * 2**20
    max_zstd_window_log: int = 25

    def allowed_bytes(self, archive_bytes: int) -> int:
        """Return how many bytes an archive of that size may unpack to."""
        return min(self.max_total_bytes, max(self.ratio_free_bytes, self.max_ratio * archive_bytes))
