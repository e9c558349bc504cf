"""Writing TOML: tables of plain values, one key a line, as `tomllib` reads them back. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}
_MUST_ESCAPE = re.compile(r'["\\\x00-\x1f\x7f]')


def table(header: str, values: Mapping[str, Any], *, is_array: bool = False) -> Iterator[str]:
    """Yield the lines of a table, or of an element of an array of tables, without what is None, False or empty."""
    yield f"[[{header}]]" if is_array else f"[{header}]"
    for name, given in values.items():
        if given is not None and given is not False and given not in ({}, [], ()):
            yield f"{key(name)} = {value(given)}"


def key(text: str) -> str:
    """Write a key, in quotes where it must be."""
    return text if _BARE_KEY.fullmatch(text) else string(text)


def value(given: Any) -> str:
    """Write a value on one line: text, whole numbers, truth values, lists, and mappings with text as keys.

    Raises:
        TypeError: it is something else.
    """
    if isinstance(given, str):
        return string(given)
    if isinstance(given, bool):
        return "true" if given else "false"
    if isinstance(given, int):
        return str(given)
    if isinstance(given, Mapping):
        inside = ", ".join(f"{key(name)} = {value(each)}" for name, each in given.items())
        return f"{{ {inside} }}" if inside else "{}"
    if isinstance(given, Sequence):
        return f"[{', '.join(map(value, given))}]"
    raise TypeError(f"{type(given).__name__} has no form here")


def string(text: str) -> str:
    """Write a basic string, with whatever would end it or may not stand in it escaped."""
    return '"' + _MUST_ESCAPE.sub(lambda m: _ESCAPES.get(m[0], f"\\u{ord(m[0]):04x}"), text) + '"'
