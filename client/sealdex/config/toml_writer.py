"""Writes TOML: tables of plain values, one key per line, as `tomllib` reads them back. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sealdex.lazy import regex

_BARE_KEY = regex(r"[A-Za-z0-9_-]+")
_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}
_MUST_ESCAPE = regex(r'["\\\x00-\x1f\x7f]')


def table(header: str, values: Mapping[str, Any], *, is_array: bool = False) -> Iterator[str]:
    """Yield the lines of a table, or of an element of an array of tables, omitting None, False and empty values."""
    yield f"[[{header}]]" if is_array else f"[{header}]"
    for name, given in values.items():
        if given is not None and given is not False and given not in ({}, [], ()):
            yield f"{key(name)} = {value(given)}"


def key(text: str) -> str:
    """Format a key, quoted if necessary."""
    return text if _BARE_KEY.fullmatch(text) else string(text)


def value(given: Any) -> str:
    """Format a value on one line: strings, integers, booleans, lists, and mappings with string keys.

    Raises:
        TypeError: it has another type.
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
    raise TypeError(f"{type(given).__name__} can't be written as TOML")


def string(text: str) -> str:
    """Format a basic string, escaping what would end it or isn't allowed in it."""
    return '"' + _MUST_ESCAPE.sub(lambda m: _ESCAPES.get(m[0], f"\\u{ord(m[0]):04x}"), text) + '"'
