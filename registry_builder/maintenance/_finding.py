"""What `doctor` finds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

FindingLevel = Literal["ok", "warning", "error", "unknown"]


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at; its ``level`` is ``unknown`` where the storage can't say."""

    check: str
    level: FindingLevel
    message: str
    remedy: str = ""


__all__ = ["Finding", "FindingLevel"]
