"""How two JSON values differ, as short lines for people. Pure.

Members of lists are matched by what names them (a release by its version, an artifact by its file), not by position,
so that an addition at the front isn't shown as a change of everything after it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

_NAMES = ("version", "file", "name", "email")
_MAX_TEXT = 80


def differences(
    before: Any, after: Any, words: tuple[str, str] = ("expected", "found"), place: str = ""
) -> Iterator[str]:
    """Yield a line for each value that was changed, removed or added.

    Args:
        before: what JSON decodes to.
        after: the same.
        words: the labels of the two.
        place: their path, such as ``releases[1.0.0].artifacts``.
    """
    if isinstance(before, dict) and isinstance(after, dict):
        yield from _members(before, after, words, lambda key: f"{place}.{key}" if place else key)
    elif isinstance(before, list) and isinstance(after, list):
        name = next((each for each in _NAMES if _names(before, each) and _names(after, each)), None)
        yield from _members(_named(before, name), _named(after, name), words, lambda key: f"{place}[{key}]")
    elif before != after or type(before) is not type(after):
        yield f"{place or 'the whole'}: {words[0]} {_short(before)}, {words[1]} {_short(after)}"


def _members(
    before: dict[str, Any], after: dict[str, Any], words: tuple[str, str], place_of: Callable[[str], str]
) -> Iterator[str]:
    for key in [*before, *(key for key in after if key not in before)]:
        place = place_of(key if key.isprintable() else ascii(key))
        if key not in after:
            yield f"{place}: missing, {words[0]} {_short(before[key])}"
        elif key not in before:
            yield f"{place}: added, {words[1]} {_short(after[key])}"
        else:
            yield from differences(before[key], after[key], words, place)


def _names(members: list[Any], name: str) -> bool:
    """Return whether every member has this field, each with a different value."""
    keys = [member.get(name) if isinstance(member, dict) else None for member in members]
    return all(isinstance(key, str) for key in keys) and len({*keys}) == len(keys)


def _named(members: list[Any], name: str | None) -> dict[str, Any]:
    return {str(number) if name is None else member[name]: member for number, member in enumerate(members)}


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=True)
    return text if len(text) <= _MAX_TEXT else f"{text[: _MAX_TEXT - 3]}..."


__all__ = ["differences"]
