"""Decodes the documents of a source tree strictly and reports every problem. Files are opened by `gate`."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, TypeVar

import msgspec

from registry_builder.source.yaml12 import YamlError, read_yaml
from sealdex.model.decode import DocumentError, FieldProblem, read_values

T = TypeVar("T")

MAX_MANIFEST_BYTES = 1024 * 1024  # plugin.yaml, a release, a README
MAX_STATUS_BYTES = 8 * 1024 * 1024  # grows by one event at a time, for years
MAX_VALUE_DEPTH = 64  # of free-form fields, so that later recursion over them can't overflow the stack


def decode_document(
    data: bytes, kind: type[T], *, is_json: bool, newest_format: int = 1, refuse_newer: bool = True
) -> tuple[T, list[FieldProblem]]:
    """Decode one authored document strictly.

    Args:
        data: its bytes.
        kind: the struct to decode into.
        is_json: whether it is JSON; YAML otherwise.
        newest_format: the newest ``format`` of such documents that this version reads.
        refuse_newer: whether to refuse a newer one always, not only if it can't be decoded.

    Returns:
        The document, and problems of its text that decoding alone doesn't find: control characters.

    Raises:
        DocumentError: it is not valid; all places are listed.
    """
    try:
        values = _json_values(data) if is_json else read_yaml(data)
    except YamlError as error:
        raise DocumentError([FieldProblem("", str(error))]) from error
    newer = newer_format(values, newest_format)
    if newer is not None and refuse_newer:
        raise DocumentError([newer])
    try:
        document = read_values(values, kind)
    except DocumentError as error:
        if newer is None:
            raise
        raise DocumentError([newer]) from error
    suspicious = not is_json or any(byte in data for byte in _BYTES_OF_CONTROLS)
    return document, list(control_problems(values)) if suspicious else []


def newer_format(values: Any, newest: int) -> FieldProblem | None:
    """Return the problem that a document has a newer format than this version reads; None if it doesn't.

    Nothing else in such a document is checked: what seems wrong may be right in its own format.
    """
    stated = values.get("format") if isinstance(values, dict) else None
    if not isinstance(stated, int) or stated <= newest:
        return None
    return FieldProblem(
        "format",
        f"is {stated}, but this sealdex-builder reads up to format {newest}: "
        "upgrade it (pip install --upgrade sealdex-builder), also in your workflows",
    )


def _json_values(data: bytes) -> Any:
    """Decode JSON but refuse duplicate keys: a reviewer reads the first of two, a parser takes the last.

    If the text, without its white space, equals the encoding of the decoded values, as is nearly always the case,
    no key was dropped. The slow parser is used only if the two differ.
    """
    try:
        values = msgspec.json.decode(data)
        if msgspec.json.format(data, indent=-1) == msgspec.json.encode(values):
            return values
        return json.loads(data, object_pairs_hook=_distinct)
    except (_DuplicateKeyError, ValueError, RecursionError) as error:  # ValueError: msgspec's errors, long numbers
        said = str(error) if isinstance(error, _DuplicateKeyError) else f"is not valid JSON: {_by_line(error, data)}"
        raise DocumentError([FieldProblem("", said)]) from error


def _by_line(error: Exception, data: bytes) -> str:
    """Return the text of a JSON error, with the line instead of msgspec's byte position: editors show lines."""
    said, found, position = str(error).rpartition(" (byte ")
    if not found or not position.rstrip(")").isdecimal():  # with another wording only the line is lost
        return str(error)
    line = data.count(b"\n", 0, int(position.rstrip(")"))) + 1
    return f"{said} (line {line})"


class _DuplicateKeyError(Exception):
    pass


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) != len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in values if keys.count(key) > 1)
        raise _DuplicateKeyError(f"has the key '{twice[:60]}' twice in one mapping: remove one")
    return values


# C0 (except tab and line ends), DEL, C1, and marks that reorder what a reader sees (UTR 36, "Trojan Source").
_CONTROLS = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
# Any control character in a JSON document needs one of these: an escape, DEL, the lead bytes of C1 and U+2000.
_BYTES_OF_CONTROLS = (b"\\", b"\x7f", b"\xc2", b"\xe2")


def control_problems(values: Any, path: str = "", depth: int = 0) -> Iterator[FieldProblem]:
    """Yield every text in plain values that contains a control character, and what is nested too deep."""
    if isinstance(values, str):
        if (found := _CONTROLS.search(values)) is not None:
            code = f"U+{ord(found.group()):04X}"
            yield FieldProblem(path, f"holds the control character {code} at character {found.start() + 1}: remove it")
    elif depth > MAX_VALUE_DEPTH:
        yield FieldProblem(path[:80], f"is nested more than {MAX_VALUE_DEPTH} levels deep")
    elif isinstance(values, dict):
        for key, value in values.items():
            shown = key if str(key).isidentifier() else f'"{_CONTROLS.sub("?", str(key))[:60]}"'
            if _CONTROLS.search(str(key)):
                yield FieldProblem(path, f"has the key {shown}, which holds a control character: remove it")
            yield from control_problems(value, f"{path}.{shown}" if path else shown, depth + 1)
    elif isinstance(values, list):
        for i, value in enumerate(values):
            yield from control_problems(value, f"{path}[{i}]", depth + 1)


def without_controls(text: str) -> str:
    """Return a text without the control characters that `control_problems` names."""
    return _CONTROLS.sub("", text)


def depth_of(values: Any, limit: int) -> int:
    """Return the nesting depth of plain values, at most ``limit + 1``; without recursion."""
    level = [values]
    depth = 0
    while level and depth <= limit:
        level = [
            inner
            for value in level
            if isinstance(value, dict | list)
            for inner in (value.values() if isinstance(value, dict) else value)
        ]
        depth += 1
    return depth


__all__ = [
    "MAX_MANIFEST_BYTES",
    "MAX_STATUS_BYTES",
    "MAX_VALUE_DEPTH",
    "control_problems",
    "decode_document",
    "depth_of",
    "newer_format",
    "without_controls",
]
