"""A JSON Schema of settings as the rows of a table for people. Pure.

Not all of JSON Schema fits a table; what doesn't is in the manifest, which the page links. Depth and number of rows are
limited: a schema may be as large as its author likes, a page may not.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

import msgspec

from registry_builder.site._words import ENGLISH_WORDS, N_, Words

_MAX_DEPTH = 6
_MAX_ROWS = 300
_MAX_VALUE = 200
_MISSING = object()


@dataclass(frozen=True)
class SettingRow:
    """One setting: its path, its values, its default, its purpose."""

    path: str
    kind: str
    required: bool
    default: str | None
    limits: tuple[str, ...]
    about: str


def setting_rows(
    schema: Mapping[str, Any] | None, defaults: Any = None, words: Words = ENGLISH_WORDS
) -> tuple[SettingRow, ...]:
    """Return a row for each property, children after their parent with a dotted path.

    Args:
        schema: a JSON Schema of an object.
        defaults: the default configuration, which wins over ``default`` of the schema.
        words: the words of the page.
    """
    return tuple(islice(_rows(schema, defaults, "", 0, words), _MAX_ROWS)) if schema else ()


def value_text(value: Any) -> str:
    """Return a value as compact JSON, shortened to a readable length."""
    text = msgspec.json.encode(value, order="deterministic").decode()
    return text if len(text) <= _MAX_VALUE else f"{text[: _MAX_VALUE - 1]}…"


def _rows(schema: Mapping[str, Any], defaults: Any, prefix: str, depth: int, words: Words) -> Iterator[SettingRow]:
    properties = schema.get("properties")
    if not isinstance(properties, Mapping) or depth > _MAX_DEPTH:
        return
    required = schema.get("required")
    required = set(map(str, required)) if isinstance(required, list) else set()
    for name, each in properties.items():
        about = each if isinstance(each, Mapping) else {}
        given = defaults.get(name, _MISSING) if isinstance(defaults, Mapping) else _MISSING
        default = about.get("default", _MISSING) if given is _MISSING else given
        children = about if "properties" in about else about.get("items")
        nested = isinstance(children, Mapping) and "properties" in children
        path = f"{prefix}{name}"
        yield SettingRow(
            path=path,
            kind=_kind(about, words),
            required=name in required,
            default=None if default is _MISSING or (nested and isinstance(default, Mapping)) else value_text(default),
            limits=tuple(_limits(about, words)),
            about=str(about.get("description") or about.get("title") or ""),
        )
        if nested and isinstance(children, Mapping):
            below = f"{path}." if children is about else f"{path}[]."
            yield from _rows(children, given if children is about else None, below, depth + 1, words)


def _kind(about: Mapping[str, Any], words: Words) -> str:
    kind = about.get("type")
    if isinstance(kind, list):
        return words.say(" or ").join(map(str, kind))
    if kind == "array":
        items = about.get("items")
        if isinstance(items, Mapping) and items:
            return words.say("list of %(kind)s", kind=_kind(items, words))
        return words.say("list")
    if kind is not None:
        return str(kind)
    return words.say("one of") if "enum" in about or "const" in about else words.say("any")


def _limits(about: Mapping[str, Any], words: Words) -> Iterator[str]:
    for key, message in (
        ("minimum", N_("at least %(value)s")),
        ("exclusiveMinimum", N_("more than %(value)s")),
        ("maximum", N_("at most %(value)s")),
        ("exclusiveMaximum", N_("less than %(value)s")),
        ("minLength", N_("at least %(value)s characters")),
        ("maxLength", N_("at most %(value)s characters")),
        ("minItems", N_("at least %(value)s items")),
        ("maxItems", N_("at most %(value)s items")),
        ("multipleOf", N_("a multiple of %(value)s")),
        ("pattern", N_("matches %(value)s")),
        ("format", N_("format %(value)s")),
        ("const", N_("always %(value)s")),
    ):
        if key in about:
            value = about[key]
            yield words.say(message, value=value if isinstance(value, str) else value_text(value))
    choices = about.get("enum")
    if isinstance(choices, list):
        yield words.say(", ").join(choice if isinstance(choice, str) else value_text(choice) for choice in choices)
