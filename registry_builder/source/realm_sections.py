"""Adds and removes a realm in the text of ``registry.toml``; everything else stays as it is, byte for byte. Pure.

The text is edited and never written from parsed values, so comments, order and spelling are kept. Each edited text is
parsed and compared with the intended values; if they differ (realms as an inline table, say) it is refused
(docs/decisions/0005-registries-are-edited-as-text.md).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from sealdex.config.toml_reader import toml_values
from sealdex.errors import ConfigError

UNCHANGED = "registry.toml was not changed"
_TABLE = re.compile(r"[ \t]*\[")


def with_realm(text: str, name: str, values: Mapping[str, str]) -> str:
    """Return the text with ``[realms.NAME]`` added, or with ``values`` added to the one that is there.

    A new table goes below the last realm's.

    Args:
        text: registry.toml.
        name: a valid realm name.
        values: field to value; fields that the realm has already with the same value are left alone.

    Raises:
        ConfigError: the realm has another value for a field, or the text can't be edited safely.
    """
    before = _values(text)
    realms = before.get("realms", {})
    there = realms.get(name) if isinstance(realms, dict) else None
    if there is not None and not isinstance(there, dict):
        raise _by_hand(name)
    for key, value in values.items():
        if there is not None and there.get(key, value) != value:
            raise ConfigError(
                f"realm {name} has {key} = {json.dumps(there[key], ensure_ascii=False)} in registry.toml already",
                subject=name,
                untouched=UNCHANGED,
                hint=f"leave --{key} out, or change registry.toml",
            )
    wanted = {key: value for key, value in values.items() if there is None or key not in there}
    if there is not None and not wanted:
        return text
    newline = "\r\n" if "\r\n" in text else "\n"
    # JSON's strings are TOML's basic strings, if DEL is escaped as well
    added = [
        f"{k} = {json.dumps(v, ensure_ascii=False)}".replace("\x7f", "\\u007f") + newline for k, v in wanted.items()
    ]
    lines = text.splitlines(keepends=True)
    if there is not None:
        starts = _headers(lines, name)
        if len(starts) != 1:
            raise _by_hand(name)
        at = starts[0] + 1
    else:
        headers = [number for number, line in enumerate(lines) if _header("[^]]*").match(line)]
        at = _end(lines, headers[-1]) if headers else len(lines)
        added = [newline, f"[realms.{name}]{newline}", *added]
    if at and not lines[at - 1].endswith(("\n", "\r")):
        lines[at - 1] += newline
    edited = "".join([*lines[:at], *added, *lines[at:]])
    return _checked(edited, {**before, "realms": {**realms, name: {**(there or {}), **wanted}}}, name)


def without_realm(text: str, name: str) -> str:
    """Return the text without ``[realms.NAME]``, its subtables and the blank line above it.

    Raises:
        ConfigError: the realm isn't configured by such a table, or it is the last one.
    """
    before = _values(text)
    realms = before.get("realms", {})
    if not isinstance(realms, dict) or name not in realms:
        raise _by_hand(name)
    lines = text.splitlines(keepends=True)
    own = _header(_spelled(name))
    while starts := [number for number, line in enumerate(lines) if own.match(line)]:
        start, end = starts[-1], _end(lines, starts[-1])
        if start and not lines[start - 1].strip() and (end == len(lines) or not lines[end].strip()):
            start -= 1
        lines = [*lines[:start], *lines[end:]]
    left = {other: section for other, section in realms.items() if other != name}
    return _checked("".join(lines), {**before, "realms": left}, name)


def _spelled(name: str) -> str:
    return rf"""(?:{re.escape(name)}|"{re.escape(name)}"|'{re.escape(name)}')"""


def _header(name: str) -> re.Pattern[str]:
    """Match the header of a realm's table, and of tables inside it."""
    return re.compile(rf"[ \t]*\[\[?[ \t]*realms[ \t]*\.[ \t]*{name}[ \t]*[.\]]")


def _headers(lines: list[str], name: str) -> list[int]:
    exact = re.compile(rf"[ \t]*\[[ \t]*realms[ \t]*\.[ \t]*{_spelled(name)}[ \t]*\][ \t]*(#.*)?[\r\n]*")
    return [number for number, line in enumerate(lines) if exact.fullmatch(line)]


def _end(lines: list[str], start: int) -> int:
    """Return the line after a table's last value; comments and blank lines below that are the next table's."""
    end = start + 1
    for number in range(start + 1, len(lines)):
        stripped = lines[number].strip()
        if _TABLE.match(lines[number]) and "=" not in stripped.partition("]")[0]:
            break
        if stripped and not stripped.startswith("#"):
            end = number + 1
    return end


def _values(text: str) -> dict[str, Any]:
    try:
        return dict(toml_values(text))
    except ValueError as error:
        raise ConfigError(f"registry.toml is not valid TOML: {error}", untouched=UNCHANGED) from error


def _checked(edited: str, meant: Mapping[str, Any], name: str) -> str:
    try:
        got = toml_values(edited)
    except ValueError as error:
        raise _by_hand(name) from error
    if got != meant or list(got.get("realms", {})) != list(meant["realms"]):
        raise _by_hand(name)
    return edited


def _by_hand(name: str) -> ConfigError:
    return ConfigError(
        f"the table of realm {name} can't be edited safely in the way registry.toml is written",
        subject=name,
        untouched=UNCHANGED,
        hint=f'edit it by hand: a realm is a table [realms.{name}] with storage = "..." and url = "https://..."',
    )


__all__ = ["UNCHANGED", "with_realm", "without_realm"]
