"""``clock-reset`` in a metadata folder: the timestamp whose stated time this host's user doesn't believe."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from sealdex.model.foreign_json import json_values
from sealdex.trust.signed_time import SIGNED_AT_FIELD, signed_at_of, signed_at_text

NAME = "clock-reset"  # files of roles end in .json, so none has this name


def disbelieved_in(folder: Path) -> tuple[int, datetime] | None:
    """Return version and time of the timestamp that isn't believed, or None."""
    try:
        version, time = (folder / NAME).read_text(encoding="utf-8").split()
        when = signed_at_of({SIGNED_AT_FIELD: time})
        return None if when is None else (int(version), when)
    except (OSError, ValueError):
        return None


def disbelieve(folder: Path) -> tuple[int, datetime] | None:
    """Record the newest timestamp of the folder; return its version and time, or None if it states none."""
    try:
        signed = json_values((folder / "timestamp.json").read_bytes())["signed"]
        when, version = signed_at_of(signed), int(signed["version"])
    except (OSError, ValueError, TypeError, KeyError):
        return None
    if when is None:
        return None
    (folder / NAME).write_text(f"{version} {signed_at_text(when)}\n", encoding="utf-8")
    return version, when
