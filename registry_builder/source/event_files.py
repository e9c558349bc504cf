"""How the files of a plugin's ``status/`` folder are named: one event a file, in the order of their names. Pure.

    20261121T120000Z-000-yank-1.2.0-3f9c0a1b2c3d.json
    <time>-<number>-<action>[-<version>]-<first 12 digits of the SHA-256 of what the event says>.json

Two branches so never write the same file, unless they say the same. The time is that of the event, or that of the
newest event before it where this clock is behind that one; then, and within one second, the number goes up. So an
event always comes after those that whoever made it had seen, and of others the later one counts. The digest is that of
the values, not of the bytes: white space and line ends don't matter, and an event that was edited is noticed.
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
    """Where an event file stands among the others of its plugin."""

    time: str
    number: int
    rest: str


def event_order(name: str) -> EventOrder | None:
    """Return where a file of this name stands; None when no event file is called so."""
    match = _NAME.fullmatch(name)
    return EventOrder(match["time"], int(match["number"]), match["rest"] + name) if match is not None else None


def event_file_name(event: StatusEvent, after: EventOrder | None) -> str:
    """Return the name of the file for an event that comes after all that are there.

    Args:
        event: the event.
        after: where the last one stands; None when there is none.
    """
    time, number = event.at.replace("-", "").replace(":", ""), 0
    if after is not None and time <= after.time:
        time, number = after.time, after.number + 1
    return f"{time}-{number:03d}-{_said(event)}.json"


def event_name_problem(name: str, event: StatusEvent) -> str | None:
    """Say why a file of this name can't hold this event, or None when it can."""
    order = event_order(name)
    own = event_file_name(event, None)
    if order is None:
        return f"is not called as an event file is: rename it to {own}"
    time = f"{order.time}-{order.number:03d}"
    if order.time < own.partition("-")[0] or not name.endswith(f"-{_said(event)}.json"):
        return (
            "doesn't hold the event that its name stands for, and events are never edited: restore the file; if it "
            f"was never published, rename it to {max(time, own[: len(time)])}-{_said(event)}.json"
        )
    return None


def _said(event: StatusEvent) -> str:
    digest = hashlib.sha256(encode_json(event)).hexdigest()[:12]
    return "-".join(filter(None, (event.action, event.version, digest)))


__all__ = ["STATUS_FOLDER", "EventOrder", "event_file_name", "event_name_problem", "event_order"]
