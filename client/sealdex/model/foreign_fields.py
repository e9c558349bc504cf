"""Fields of documents of other systems, read one by one: what is wrong goes to a list, so that all of it is told."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any

_NAIVE = re.compile(r"\d{4}-\d\d-\d\d(?:[ T]\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?)?")

_OF_SPREADSHEETS = re.compile(r"(\d{4})/(\d{1,2})/(\d{1,2})(?: (\d{1,2})(:\d\d(?::\d\d)?))?")


def shown(value: object, most: int = 80) -> str:
    """Return a name of the source for a message: without control characters, and not too long."""
    text = "" if value is None else str(value)
    text = "".join(c if c.isprintable() else "?" for c in text)
    return text if len(text) <= most else text[: most - 1] + "…"


def present(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values that are there."""
    return {name: value for name, value in values.items() if value not in (None, "", (), [], {})}


def text_of(values: Mapping[str, Any], name: str, problems: list[str], *, required: bool = False) -> str | None:
    """Return a text field, stripped; None if it isn't there. What is wrong goes to ``problems``."""
    value = values.get(name)
    if value is None or (isinstance(value, str) and not value.strip()):
        if required:
            problems.append(f"{name}: is missing")
        return None
    if not isinstance(value, str):
        problems.append(f"{name}: is {shown(value)!r}, not a text")
        return None
    return value.strip()


def list_of(values: Mapping[str, Any], name: str, problems: list[str]) -> list[Any]:
    """Return a list field; empty if it isn't there."""
    value = values.get(name)
    if value is None:
        return []
    if not isinstance(value, list):
        problems.append(f"{name}: is {shown(value)!r}, not a list")
        return []
    return value


def object_of(values: Mapping[str, Any], name: str, problems: list[str]) -> dict[str, Any] | None:
    """Return an object field; None if it isn't there."""
    value = values.get(name)
    if value is None or value == "":
        return None
    if not isinstance(value, dict):
        problems.append(f"{name}: is {shown(value)!r}, not an object")
        return None
    return value


def utc(value: object, name: str) -> str:
    """Return a time as documents have it. One without an offset counts as UTC, as databases mostly keep them.

    ``2025/1/16 8:00`` is read too: spreadsheets write it where the year comes first.

    Raises:
        ValueError: it isn't a time.
    """
    text = value.strip() if isinstance(value, str) else ""
    if match := _OF_SPREADSHEETS.fullmatch(text):
        year, month, day, hour, rest = match.groups()
        text = f"{year}-{int(month):02}-{int(day):02}T{int(hour or 0):02}{rest or ':00'}"
    try:
        moment = datetime.fromisoformat(_python_3_10(text))
    except ValueError:
        moment = None
    if moment is None or (moment.tzinfo is None and not _NAIVE.fullmatch(text)):
        raise ValueError(f"{name}: '{shown(value)}' is not a time: write it as 2025-01-16T08:00:00Z")
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=timezone.utc)
    try:
        return moment.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    except OverflowError as error:
        raise ValueError(f"{name}: '{shown(value)}' is before the year 1 or after 9999 in UTC") from error


def _python_3_10(text: str) -> str:
    """Return a time as `datetime.fromisoformat` of Python 3.10 reads it: no ``Z``, three or six digits of a second."""
    text = re.sub(r"[zZ]$", "+00:00", text)
    return re.sub(r"\.(\d+)", lambda m: "." + m[1][:6].ljust(6, "0"), text)
