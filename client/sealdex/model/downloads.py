"""``stats.json``: downloads by plugin, release and day, as a registry's access logs show them. Unsigned. Pure."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from sealdex.model.versions import VersionText

STATS_FORMAT = 1
STATS_KEY = "api/stats.json"
MAX_STATS_BYTES = 64 * 1024 * 1024
NOTE = "downloads that the logs show, mirrors and caches hide more"

Day = Annotated[
    str,
    Meta(
        pattern=r"^\d{4}-[01]\d-[0-3]\d$(?!\n)",
        examples=["2026-11-21"],
        extra={"expects": "a day in UTC such as 2026-11-21"},
    ),
]
Downloads = Annotated[int, Meta(ge=0, le=(1 << 53) - 1)]  # what JavaScript holds exactly


class DownloadStats(Struct, frozen=True):
    """Downloads of a realm's releases; nothing signs or trusts it.

    Attributes:
        note: what the numbers are, for whoever finds the file.
        first_day, last_day: which days the logs covered.
        plugins: ``namespace/name`` to version to day to downloads; what has none isn't listed.
    """

    format: Annotated[int, Meta(ge=1)]
    note: str
    first_day: Day
    last_day: Day
    plugins: dict[str, dict[VersionText, dict[Day, Downloads]]]


__all__ = ["MAX_STATS_BYTES", "NOTE", "STATS_FORMAT", "STATS_KEY", "DownloadStats"]
