"""Formats facts as text: sizes, dates, selectors, platforms. Pure; independent of the host's language and time zone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from sealdex.model.decode import convert_to
from sealdex.model.selectors import Selector, describe

_UNITS = ("bytes", "KB", "MB", "GB", "TB")
_MONTHS = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip
_SYSTEMS = {"darwin": "macOS", "linux": "Linux", "windows": "Windows"}


def format_size(size: int | None) -> str:
    """``4.2 MB``; powers of 1,000, as in file managers and on download pages."""
    if size is None:
        return "size not stated"
    value = float(size)
    for unit in _UNITS:
        if value < 1000 or unit == _UNITS[-1]:
            break
        value /= 1000
    if unit == "bytes":
        return "1 byte" if size == 1 else f"{size} bytes"
    return f"{value:.1f} {unit}" if value < 100 else f"{value:.0f} {unit}"


def format_date(timestamp: str | None) -> str:
    """``21 November 2026`` of ``2026-11-21T12:00:00Z``; empty if there is none."""
    if not timestamp:
        return ""
    year, month, day = timestamp[:10].split("-")
    return f"{int(day)} {_MONTHS[int(month) - 1]} {year}" if 1 <= int(month) <= 12 else timestamp[:10]


def system_name(value: str) -> str:
    """``macOS`` for ``darwin``."""
    return _SYSTEMS.get(value, value)


def format_selector(selector: Mapping[str, Any], tags: Iterable[str] = ()) -> str:
    """Write selector and tags as one condition: ``Linux on amd64, memory > 8192, with cuda-11.8``."""
    named = " and ".join(tags)
    wanted = [f"with {named}"] if named else []
    try:
        parsed = convert_to(selector, Selector)
    except msgspec.ValidationError:
        return ", ".join(["conditions that this version can't describe", *wanted])
    rest = dict(parsed.match_labels)
    system, machine = rest.pop("os", None), rest.pop("arch", None)
    parts = [f"{system_name(system)} on {machine}"] if system and machine else []
    if not parts:
        parts = [system_name(system)] if system else [machine] if machine else []
    if rest or parsed.match_expressions:
        parts.append(describe(Selector(rest, parsed.match_expressions)))
    return ", ".join([*parts, *wanted]) if parts else " ".join(["any environment", *wanted])


def plain_label_values(selector: Mapping[str, Any], key: str) -> tuple[str, ...] | None:
    """Return the values that a selector lists for a label; None if it leaves the label open."""
    value = selector.get("match_labels", {}).get(key)
    if value is not None:
        return (value,)
    for expression in selector.get("match_expressions", ()):
        if expression.get("key") == key and expression.get("operator") == "In":
            return tuple(expression.get("values", ()))
    return None
