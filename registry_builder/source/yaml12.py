"""A YAML reader: the core schema of YAML 1.2, with limits, and duplicate keys refused.

libyaml (through PyYAML) only splits the text into events; plain scalars are resolved here by the core schema
(YAML 1.2.2, section 10.3.2), since PyYAML's own loaders follow YAML 1.1, where ``no`` is false and ``12:30`` a number.
A tree has tens of thousands of these files; this is about twenty times faster than a pure Python YAML 1.2 parser.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from typing import Any

import yaml

MAX_DEPTH = 64
MAX_NODES = 100_000

# the C parser if PyYAML was built with it (all wheels are), else the same events from Python
_Loader: Any = getattr(yaml, "CLoader", yaml.Loader)


class YamlError(ValueError):
    """The text is not YAML, or uses something that isn't supported; the message has the line."""


def read_yaml(data: bytes, *, max_nodes: int = MAX_NODES, numbers_as_text: bool = False) -> Any:
    """Return the plain values of one YAML document: dict, list, str, int, float, bool, None.

    Anchors and aliases are supported, but what they expand to counts towards ``max_nodes``, so that nine lines can't
    expand to a billion values.

    Args:
        data: the document, in UTF-8.
        max_nodes: the maximum number of values, keys included.
        numbers_as_text: keep numbers as they are written: a version 1.10 is ``"1.10"``, not 1.1.

    Raises:
        YamlError: not UTF-8, not YAML, more than one document, a duplicate key, a key that isn't a string, a tag beyond
            the core schema, or too deep or too large when expanded.
    """
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise YamlError(f"is not UTF-8 (byte {error.start})") from error
    try:
        loader = _Loader(data)  # PyYAML's own parser looks for control characters here, libyaml later
        try:
            return _Builder(loader.get_event, max_nodes, numbers_as_text=numbers_as_text).document()
        finally:
            loader.dispose()
    except yaml.YAMLError as error:
        raise YamlError(_known_cause(text, error) or f"is not valid YAML: {_in_one_line(error)}") from error


# Characters that are not allowed in a YAML file (section 5.1), except for a byte order mark at the start.
_UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
# A bracket of a flow collection, or what hides one: a quoted scalar (after white space or an indicator), a comment.
_BRACKETS = re.compile(r"""(?<![^\s\[\]{},:])(?:"(?:\\.|[^"\\])*"?|'[^']*'?)|(?<!\S)\#[^\n]*|[\[{]|[\]}]""", re.DOTALL)


def _known_cause(text: str, error: yaml.YAMLError) -> str | None:
    """Return why the text was refused, as far as it can be told without the parser's messages, which change.

    The parser reads ahead of its events, so it may reach its own depth limit before the builder reaches `MAX_DEPTH`.
    """
    if (found := _UNPRINTABLE.search(text)) is not None:
        line = text.count("\n", 0, found.start()) + 1
        return f"holds the control character U+{ord(found.group()):04X} (line {line}): remove it"
    mark = error.problem_mark if isinstance(error, yaml.MarkedYAMLError) else None
    depth = 0
    for bracket in _BRACKETS.finditer(text, 0, len(text) if mark is None else mark.index):
        depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(bracket.group(), 0)
        if depth > MAX_DEPTH:
            return f"is nested more than {MAX_DEPTH} levels deep (line {text.count(chr(10), 0, bracket.start()) + 1})"
    return None


def _in_one_line(error: yaml.YAMLError) -> str:
    if isinstance(error, yaml.MarkedYAMLError):
        what = " ".join(filter(None, [error.context, error.problem]))
        return f"{what}{_line(error.problem_mark or error.context_mark)}"
    return " ".join(str(error).split())


def _line(mark: Any) -> str:
    return f" (line {mark.line + 1})" if mark is not None else ""


class _Builder:
    """Builds values from events; recursion is bounded by `MAX_DEPTH`, work by ``max_nodes``."""

    def __init__(self, next_event: Callable[[], Any], max_nodes: int, *, numbers_as_text: bool) -> None:
        self._next = next_event
        self._max_nodes = max_nodes
        self._kinds = _WORDS if numbers_as_text else _KINDS
        self._nodes = 0
        self._anchors: dict[str, tuple[Any, int]] = {}

    def document(self) -> Any:
        self._next()  # the start of the stream
        if isinstance(self._next(), yaml.StreamEndEvent):
            return None
        value = self._node(self._next(), 0)
        self._next()  # the end of the document
        following = self._next()
        if not isinstance(following, yaml.StreamEndEvent):
            raise YamlError(f"contains a second document{_line(following.start_mark)}: keep one")
        return value

    def _node(self, event: Any, depth: int) -> Any:
        self._nodes += 1
        if isinstance(event, yaml.AliasEvent):
            if event.anchor not in self._anchors:
                raise YamlError(f"alias '*{str(event.anchor)[:60]}' has no complete anchor{_line(event.start_mark)}")
            value, nodes = self._anchors[event.anchor]
            self._nodes += nodes
            self._check_size(event)
            return value
        self._check_size(event)
        if depth > MAX_DEPTH:
            raise YamlError(f"is nested more than {MAX_DEPTH} levels deep{_line(event.start_mark)}")
        before = self._nodes
        if isinstance(event, yaml.ScalarEvent):
            value = _scalar(event, self._kinds)
        elif event.tag not in {None, "!", "tag:yaml.org,2002:map", "tag:yaml.org,2002:seq"}:
            raise YamlError(f"has the tag '{event.tag[:60]}', which is not supported{_line(event.start_mark)}")
        elif isinstance(event, yaml.SequenceStartEvent):
            value = self._sequence(depth)
        else:
            value = self._mapping(depth)
        if event.anchor is not None:
            self._anchors[event.anchor] = (value, self._nodes - before)
        return value

    def _check_size(self, event: Any) -> None:
        if self._nodes > self._max_nodes:
            raise YamlError(f"expands to more than {self._max_nodes} values{_line(event.start_mark)}")

    def _sequence(self, depth: int) -> list[Any]:
        items: list[Any] = []
        while not isinstance(event := self._next(), yaml.SequenceEndEvent):
            items.append(self._node(event, depth + 1))
        return items

    def _mapping(self, depth: int) -> dict[str, Any]:
        values: dict[str, Any] = {}
        while not isinstance(event := self._next(), yaml.MappingEndEvent):
            key = self._node(event, depth + 1)
            if not isinstance(key, str):
                raise YamlError(f"has a key that is not a string{_line(event.start_mark)}: put it in quotes")
            if key in values:
                raise YamlError(f"has the key '{key[:60]}' twice in one mapping{_line(event.start_mark)}: remove one")
            values[key] = self._node(self._next(), depth + 1)
        return values


# Plain scalars of the core schema, by their first character; whatever matches nothing is a string.
_NULL = re.compile(r"null|Null|NULL|~")
_BOOL = re.compile(r"true|True|TRUE|false|False|FALSE")
_INT = re.compile(r"[-+]?[0-9]{1,40}")
_OCT = re.compile(r"0o[0-7]{1,40}")
_HEX = re.compile(r"0x[0-9a-fA-F]{1,40}")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_INFINITE = re.compile(r"[-+]?\.(inf|Inf|INF)")
_NAN = re.compile(r"\.(nan|NaN|NAN)")
_KINDS: tuple[tuple[str, re.Pattern[str], Callable[[str], Any]], ...] = (
    ("null", _NULL, lambda _: None),
    ("bool", _BOOL, lambda text: text[0] in "tT"),
    ("int", _INT, int),
    ("int", _OCT, lambda text: int(text, 0)),
    ("int", _HEX, lambda text: int(text, 0)),
    ("float", _FLOAT, float),
    ("float", _INFINITE, lambda text: -math.inf if text[0] == "-" else math.inf),
    ("float", _NAN, lambda _: math.nan),
)
_WORDS = tuple(kind for kind in _KINDS if kind[0] in {"null", "bool"})


def _scalar(event: Any, kinds: Sequence[tuple[str, re.Pattern[str], Callable[[str], Any]]]) -> Any:
    text: str = event.value
    plain, tag = event.implicit[0], event.tag
    if tag in {"!", "tag:yaml.org,2002:str"} or (tag is None and not plain):
        return text
    if tag is not None:
        kind = tag.removeprefix("tag:yaml.org,2002:")
        for name, pattern, convert in _KINDS:
            if name == kind and pattern.fullmatch(text):
                return convert(text)
        raise YamlError(f"has the tag '{tag[:60]}' on '{text[:40]}', which is not supported{_line(event.start_mark)}")
    if not text:
        return None
    if text[0] not in "nN~tTfF0123456789+-.":  # most scalars are words
        return text
    for _, pattern, convert in kinds:
        if pattern.fullmatch(text):
            return convert(text)
    return text
