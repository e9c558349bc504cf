"""Reads TOML files as people and tools write them: encodings, byte order marks, merge conflicts."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path
from typing import Any

from sealdex.errors import ConfigError, NotFoundError
from sealdex.lazy import regex

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

_BYTE_ORDER_MARK = "\ufeff"  # Windows editors write it before UTF-8
_MAX_BYTES = 64 << 20
_PIPE_PATIENCE_S = 10.0
_MARK = regex(r"(?P<kind><{7}|={7}|>{7}|\|{7})(?: .*)?\r?")


def read_toml_text(path: Path) -> str:
    """Read a file's text, without a byte order mark.

    Raises:
        FileNotFoundError: it doesn't exist.
        ConfigError: it can't be read, or is in another encoding.
    """
    try:
        return _bytes_of(path).decode().removeprefix(_BYTE_ORDER_MARK)
    except FileNotFoundError:
        raise
    except UnicodeDecodeError as error:
        raise ConfigError(
            f"the file is not in UTF-8 (byte {error.start + 1} can't be read)",
            subject=str(path),
            untouched="nothing was changed",
            hint="save it as UTF-8; in PowerShell: Set-Content -Encoding utf8",
        ) from error
    except OSError as error:
        raise ConfigError(f"can't be read: {error.strerror or error}", subject=str(path)) from error


def read_given(path: Path, most: int) -> bytes:
    """Read a file; also what a shell's ``<(command)`` writes, but not for ever of a pipe that nobody writes to.

    Args:
        path: the file.
        most: the number of bytes after which reading ends; one more may come.

    Raises:
        OSError: it can't be read.
    """
    flags = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
    with os.fdopen(os.open(path, os.O_RDONLY | flags), "rb", buffering=0) as file:
        is_pipe = stat.S_ISFIFO(os.fstat(file.fileno()).st_mode)
        if hasattr(os, "set_blocking") and not is_pipe:
            os.set_blocking(file.fileno(), True)
        data = bytearray()
        while len(data) <= most:
            if is_pipe:
                import select  # noqa: PLC0415  # for pipes alone

                if not select.select([file], [], [], _PIPE_PATIENCE_S)[0]:
                    raise TimeoutError(0, f"it is a pipe, and nothing was written to it for {_PIPE_PATIENCE_S:.0f} s")
            more = file.read(min(1 << 20, most + 1 - len(data)))
            if more is None:
                continue  # somebody else has read what was there
            if not more:
                break
            data += more
    return bytes(data)


def _bytes_of(path: Path) -> bytes:
    data = read_given(path, _MAX_BYTES)
    if len(data) > _MAX_BYTES:
        raise OSError(0, f"it has more than {_MAX_BYTES >> 20} MiB")
    return data


def require_toml_text(path: Path, hint: str) -> str:
    """Read the text of a file that must be there; ``hint`` says where one comes from.

    Raises:
        NotFoundError: it isn't there.
        ConfigError: as `read_toml_text`.
    """
    try:
        return read_toml_text(path)
    except FileNotFoundError as error:
        raise NotFoundError(
            f"there is no {path.name} in {path.parent}",
            subject=str(path),
            untouched="nothing was changed",
            hint=hint,
        ) from error


def parse_toml(text: str, subject: str, hint: str) -> dict[str, Any]:
    """Parse a text.

    Args:
        text: with or without a byte order mark.
        subject: the file, for errors.
        hint: the hint of the error.

    Raises:
        ConfigError: it isn't TOML; markers of an unfinished merge are named, with their line.
    """
    try:
        return toml_values(text)
    except ValueError as error:
        found = conflict_line(text)
        why = f"line {found} has the markers of an unfinished merge" if found else error
        raise ConfigError(f"the file is not valid TOML: {why}", subject=subject, hint=hint) from error


def toml_values(text: str) -> dict[str, Any]:
    """Return the values of a text, with or without a byte order mark.

    Raises:
        ValueError: not TOML, nested too deeply, or with a number of too many digits.
    """
    try:
        return tomllib.loads(text.removeprefix(_BYTE_ORDER_MARK))
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def conflict_line(text: str) -> int | None:
    """Return the first line with a conflict marker, counted from 1; None if there is none."""
    lines = text.split("\n")
    return next((number for number, line in enumerate(lines, 1) if _MARK.fullmatch(line)), None)


def sides_of_merge(text: str) -> tuple[str, str] | None:
    """Return the two sides of a merge with conflicts; None if there is no complete pair of markers."""
    sides: tuple[list[str], list[str]] = ([], [])
    place, is_whole = "", False  # place: "" outside, "<" in ours, "|" in the common base, "=" in theirs
    for line in text.split("\n"):
        found = _MARK.fullmatch(line)
        if found is None:
            for number, where in enumerate("<="):
                if place in {"", where}:
                    sides[number].append(line)
            continue
        after = {"<": "<", "|": "|", "=": "=", ">": ""}[found["kind"][0]]
        if (place, after) not in {("", "<"), ("<", "|"), ("<", "="), ("|", "="), ("=", "")}:
            return None
        place, is_whole = after, is_whole or not after
    return ("\n".join(sides[0]), "\n".join(sides[1])) if is_whole and not place else None
