"""How the files of a plugin's ``status/`` folder are named: one event per file, ordered by file name. Pure.

    20261121T120000Z-000-yank-1.2.0-3f9c0a1b2c3d.json
    <time>-<number>-<action>[-<version>]-<first 12 digits of the SHA-256 of what the event says>.json

So two branches never write the same file, unless it has the same contents. The time is that of the event, or that of
the newest earlier event if this clock is behind it; then, and within the same second, the number is incremented. So an
event is always ordered after those that its author had; among others the later one counts. The digest is that of
the values, not of the bytes: white space and line ends don't matter, and edits are detected.
"""

from __future__ import annotations

import hashlib
import re
from typing import NamedTuple

from sealdex.model.decode import encode_json
from sealdex.model.plugin import StatusEvent

STATUS_FOLDER = "status"
_NAME = re.compile(r"(?P<time>[0-9]{8}T[0-9]{6}Z)-(?P<number>[0-9]{3,9})-(?P<rest>[^/]+)-[0-9a-f]{12}\.json")


class EventOrder(NamedTuple):
    """The position of an event file among the others of its plugin."""

    time: str
    number: int
    rest: str


def event_order(name: str) -> EventOrder | None:
    """Return the position of a file with this name; None if it is not the name of an event file."""
    match = _NAME.fullmatch(name)
    return EventOrder(match["time"], int(match["number"]), match["rest"] + name) if match is not None else None


def event_file_name(event: StatusEvent, after: EventOrder | None) -> str:
    """Return the name of the file for an event that comes after all existing ones.

    Args:
        event: the event.
        after: the position of the last one; None if there is none.
    """
    time, number = event.at.replace("-", "").replace(":", ""), 0
    if after is not None and time <= after.time:
        time, number = after.time, after.number + 1
    return f"{time}-{number:03d}-{_said(event)}.json"


def event_name_problem(name: str, event: StatusEvent) -> str | None:
    """Return why a file with this name can't contain this event, or None if it can."""
    order = event_order(name)
    own = event_file_name(event, None)
    if order is None:
        return f"does not have the name of an event file: rename it to {own}"
    time = f"{order.time}-{order.number:03d}"
    if order.time < own.partition("-")[0] or not name.endswith(f"-{_said(event)}.json"):
        return (
            "does not contain the event that its name stands for, and events are never edited: restore the file; if it "
            f"was never published, rename it to {max(time, own[: len(time)])}-{_said(event)}.json"
        )
    return None


def _said(event: StatusEvent) -> str:
    digest = hashlib.sha256(encode_json(event)).hexdigest()[:12]
    return "-".join(filter(None, (event.action, event.version, digest)))


__all__ = ["STATUS_FOLDER", "EventOrder", "event_file_name", "event_name_problem", "event_order"]
