"""Formats facts as text: sizes, dates, selectors, platforms. Pure; independent of the host's language and time zone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from registry_builder.site._words import ENGLISH_WORDS, Words
from sealdex.model.decode import convert_to
from sealdex.model.selectors import Selector, describe

_UNITS = ("bytes", "KB", "MB", "GB", "TB")
_SYSTEMS = {"darwin": "macOS", "linux": "Linux", "windows": "Windows"}


def format_size(size: int | None, words: Words = ENGLISH_WORDS) -> str:
    """``4.2 MB``; powers of 1,000, as in file managers and on download pages."""
    if size is None:
        return words.say("size not stated")
    value = float(size)
    for unit in _UNITS:
        if value < 1000 or unit == _UNITS[-1]:
            break
        value /= 1000
    if unit == "bytes":
        return words.count("%(n)s byte", "%(n)s bytes", size)
    return f"{words.number(value, 1 if value < 100 else 0)} {unit}"


def system_name(value: str) -> str:
    """``macOS`` for ``darwin``."""
    return _SYSTEMS.get(value, value)


def format_selector(selector: Mapping[str, Any], tags: Iterable[str] = (), words: Words = ENGLISH_WORDS) -> str:
    """Write selector and tags as one condition: ``Linux on amd64, memory > 8192, with cuda-11.8``."""
    named = words.say(" and ").join(tags)
    wanted = [words.say("with %(tags)s", tags=named)] if named else []
    try:
        parsed = convert_to(selector, Selector)
    except msgspec.ValidationError:
        return words.say(", ").join([words.say("conditions that this version can't describe"), *wanted])
    rest = dict(parsed.match_labels)
    system, machine = rest.pop("os", None), rest.pop("arch", None)
    parts = []
    if system and machine:
        parts = [words.say("%(system)s on %(machine)s", system=system_name(system), machine=machine)]
    if not parts:
        parts = [system_name(system)] if system else [machine] if machine else []
    if rest or parsed.match_expressions:
        parts.append(describe(Selector(rest, parsed.match_expressions)))
    return words.say(", ").join([*parts, *wanted]) if parts else " ".join([words.say("any environment"), *wanted])


def plain_label_values(selector: Mapping[str, Any], key: str) -> tuple[str, ...] | None:
    """Return the values that a selector lists for a label; None if it leaves the label open."""
    value = selector.get("match_labels", {}).get(key)
    if value is not None:
        return (value,)
    for expression in selector.get("match_expressions", ()):
        if expression.get("key") == key and expression.get("operator") == "In":
            return tuple(expression.get("values", ()))
    return None
