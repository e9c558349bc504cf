"""Reading what other systems export: bounded, in UTF-8, and strict about what a reader could take two ways."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from registry_builder.importers.foreign import SourceError
from registry_builder.source.text import convert_command, other_encoding, without_mark
from sealdex.errors import NotFoundError, UsageError
from sealdex.model import foreign_fields
from sealdex.model.foreign_fields import list_of, object_of, shown, text_of

MAX_EXPORT_BYTES = 256 * 1024 * 1024
MAX_LINE_BYTES = 4 * 1024 * 1024
MAX_DEPTH = 60
_SURROGATE, _SURROGATE_BYTES = re.compile(r"\\u[dD][89a-fA-F]"), re.compile(rb"\\u[dD][89a-fA-F]")
_HALF = re.compile("[\ud800-\udfff]")


def export_bytes(path: Path, most: int = MAX_EXPORT_BYTES) -> bytes:
    """Return the bytes of a file that the user named, in UTF-8 and without a byte order mark.

    Raises:
        NotFoundError: there is none.
        UsageError: it is too large, can't be read, or is in another encoding.
    """
    try:
        with path.open("rb") as file:
            data = file.read(most + 1)
    except FileNotFoundError as error:
        raise NotFoundError("does not exist", subject=str(path), untouched="nothing was imported") from error
    except OSError as error:
        raise UsageError(
            f"can't be read: {error.strerror or error}", subject=str(path), untouched="nothing was imported"
        ) from error
    if len(data) > most:
        raise UsageError(f"has more than {most} bytes", subject=str(path), untouched="nothing was imported")
    return in_utf8(data, path.name, str(path))


def in_utf8(data: bytes, name: str, subject: str) -> bytes:
    """Return text without its byte order mark.

    Raises:
        UsageError: it isn't in UTF-8; the hint converts it.
    """
    data = without_mark(data)
    if (encoding := other_encoding(data)) is not None:
        raise UsageError(
            f"is not in UTF-8, probably in {encoding}" if encoding else "is not text in UTF-8",
            subject=subject,
            untouched="nothing was imported",
            hint=convert_command(name, encoding) if encoding else "export it in UTF-8",
        )
    return data


def strict_json(data: bytes | str) -> Any:
    """Return the values of a JSON text.

    Raises:
        SourceError: it isn't JSON, has a key twice in one object, a number that JSON doesn't have or that is out of
            range, half of a surrogate pair, or nests too deep.
    """
    try:
        values = json.loads(data, object_pairs_hook=_distinct, parse_constant=_no_constant, parse_float=_finite)
    except RecursionError as error:
        raise SourceError("is nested too deeply") from error
    except SourceError:
        raise
    except ValueError as error:
        raise SourceError(f"is not valid JSON: {error}") from error
    _check_depth(values)
    escape = _SURROGATE.search(data) if isinstance(data, str) else _SURROGATE_BYTES.search(data)
    if escape is not None:
        _check_pairs(values)
    return values


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) != len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in values if keys.count(key) > 1)
        raise SourceError(f"has the key '{shown(twice)}' twice in one object: remove one")
    return values


def _finite(number: str) -> float:
    value = float(number)
    if math.isinf(value):
        raise SourceError(f"has the number {shown(number)}, which is out of range: write it as text")
    return value


def _no_constant(name: str) -> Any:
    raise SourceError(f"has the number {name}, which JSON doesn't have")


def _check_depth(values: Any) -> None:
    for depth, _ in enumerate(_levels(values), 1):
        if depth > MAX_DEPTH:
            raise SourceError(f"is nested more than {MAX_DEPTH} levels deep")


def _check_pairs(values: Any) -> None:
    """Refuse half of a surrogate pair, which JSON can escape and no encoding can hold."""
    for level in _levels(values):
        for value in level:
            for text in value if isinstance(value, dict) else [value]:
                if isinstance(text, str) and _HALF.search(text):
                    raise SourceError(f"has half of a surrogate pair in '{shown(text)}': export it again in UTF-8")


def _levels(values: Any) -> Iterator[list[Any]]:
    """Yield the values, then those directly in them, and so on; without recursion."""
    level = [values]
    while level:
        yield level
        level = [
            inner
            for value in level
            if isinstance(value, dict | list)
            for inner in (value.values() if isinstance(value, dict) else value)
        ]


def lines_of(path: Path) -> Iterator[tuple[int, bytes | SourceError]]:
    """Yield number and bytes of each line that isn't blank; of one that is too long, the error that says so.

    Raises:
        NotFoundError: there is no such file.
        UsageError: the file can't be read or isn't in UTF-8.
    """
    try:
        with path.open("rb") as stream:  # a pipe as well: the answer of a script
            for number, line in _numbered_lines(stream, MAX_LINE_BYTES):
                if line is None:
                    yield number, SourceError(f"has more than {MAX_LINE_BYTES} bytes, which no line of a list needs")
                    continue
                text = without_mark(line) if number == 1 else line
                if text.strip():
                    yield number, in_utf8(text, path.name, f"{path}, line {number}")
    except FileNotFoundError as error:
        raise NotFoundError("does not exist", subject=str(path), untouched="nothing was imported") from error
    except OSError as error:
        raise UsageError(
            f"can't be read: {error.strerror or error}", subject=str(path), untouched="nothing was imported"
        ) from error


def _numbered_lines(stream: BinaryIO, most: int) -> Iterator[tuple[int, bytes | None]]:
    """Yield number, from 1, and bytes of each line; None for one of more than ``most`` bytes, which is never held."""
    number = 0
    while line := stream.readline(most + 1):
        number += 1
        if len(line) <= most:
            yield number, line
            continue
        while line and not line.endswith(b"\n"):
            line = stream.readline(most)
        yield number, None


def utc(value: object, name: str) -> str:
    """Return a time as documents have it; see `sealdex.model.foreign_fields.utc`.

    Raises:
        SourceError: it isn't a time.
    """
    try:
        return foreign_fields.utc(value, name)
    except ValueError as error:
        raise SourceError(str(error)) from error


def split_name(name: str) -> tuple[str | None, str]:
    """Return namespace and name of ``NS/NAME``; no namespace for a name alone."""
    space, slash, rest = name.partition("/")
    return (space, rest) if slash else (None, name)


def by_length(digest: str) -> tuple[str, str]:
    """Return algorithm and digest of ``sha256:...`` or of digits alone, whose number tells the algorithm.

    Raises:
        SourceError: it is neither.
    """
    name, colon, digits = digest.strip().partition(":")
    if colon:
        return name.lower().replace("-", ""), digits.lower()
    known = {32: "md5", 40: "sha1", 64: "sha256", 96: "sha384", 128: "sha512"}
    if len(name) not in known or any(c not in "0123456789abcdefABCDEF" for c in name):
        raise SourceError(f"digest: '{shown(name)}' is not a digest: write sha256:DIGITS, or the digits alone")
    return known[len(name)], name.lower()


__all__ = [
    "MAX_EXPORT_BYTES",
    "by_length",
    "export_bytes",
    "in_utf8",
    "lines_of",
    "list_of",
    "object_of",
    "split_name",
    "strict_json",
    "text_of",
    "utc",
]
