"""Reads the environments of other hosts: JSON as ``sealdex env --json`` prints it, one document or one a line."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct

from sealdex.errors import ConfigError
from sealdex.model.decode import DocumentError, FieldProblem, decode_as, read_values
from sealdex.model.environment import Environment
from sealdex.model.platforms import usual_spelling
from sealdex.model.selectors import LabelKey, LabelValue, Tag
from sealdex.model.versions import VersionText
from sealdex.similar import most_similar

_BYTE_ORDER_MARK = "\ufeff"
_EXAMPLE = '{"labels": {"os": "linux", "arch": "arm64"}}'


class OtherHost(Struct, frozen=True, kw_only=True):
    """A host that is asked about from another one.

    Attributes:
        name: what it is called in answers.
        environment: what selectors see of it.
        host_id: decides which staged rollouts reach it; None: not known, and then none does.
        requests: what is asked for it, as ``NS/NAME[@RANGE]``; empty: what is asked for all.
    """

    name: str
    environment: Environment
    host_id: str | None = None
    requests: tuple[str, ...] = ()


class _Entry(Struct, frozen=True):
    labels: dict[LabelKey, LabelValue]
    tags: tuple[Tag, ...] = ()
    host_version: VersionText | None = None
    name: str | None = None
    host_id: str | None = None
    requests: tuple[str, ...] = ()


def read_hosts(data: bytes, subject: str) -> list[OtherHost]:
    """Read what a file says of other hosts.

    Unknown fields are ignored, unless they look like a mistyped known one: another version may say more of itself.

    Args:
        data: one JSON document (an object, or a list of objects) or one object a line, in UTF-8.
        subject: the file, for errors and as the name of a single host without one.

    Raises:
        ConfigError: it isn't that; every problem is named with its line or place in the list.
    """
    try:
        text = data.decode().removeprefix(_BYTE_ORDER_MARK)
    except UnicodeDecodeError as error:
        raise _refused([f"is not in UTF-8 (byte {error.start + 1} can't be read)"], subject) from error
    entries, problems = _entries(text)
    if not entries and not problems:
        raise _refused(["is empty"], subject)
    found: list[OtherHost] = []
    for place, values in entries:
        name = subject if len(entries) == 1 else f"{subject}: {place}"
        try:
            found.append(_host(values, name))
        except DocumentError as error:
            problems += [f"{place}: {problem}" if len(entries) > 1 else str(problem) for problem in error.problems]
    if problems:
        raise _refused(problems, subject)
    return found


def _entries(text: str) -> tuple[list[tuple[str, Any]], list[str]]:
    """Split a text into plain values, each with its place; and what can't be read."""
    try:
        whole = decode_as(text.encode(), object)
    except msgspec.DecodeError as error:
        lines = [(f"line {number}", line) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
        if len(lines) < 2:
            return [], [f"is not valid JSON: {error}"] if text.strip() else []
    else:
        if isinstance(whole, list):
            return [(f"entry {number}", each) for number, each in enumerate(whole, 1)], []
        return [("line 1", whole)], []
    entries, problems = [], []
    for place, line in lines:
        try:
            entries.append((place, decode_as(line.encode(), object)))
        except msgspec.DecodeError as error:  # noqa: PERF203  # each line is named
            problems.append(f"{place}: is not valid JSON: {error}")
    return entries, problems


def _host(values: Any, name: str) -> OtherHost:
    if isinstance(values, dict):
        known = _Entry.__struct_fields__
        mistyped = [
            FieldProblem(key, f"unknown field; did you mean '{near}'?")
            for key in values
            if key not in known and (near := next(iter(most_similar(key, known)), None)) is not None
        ]
        if mistyped:
            raise DocumentError(mistyped)
    entry = read_values(values, _Entry)
    labels = {key: usual_spelling(key, value) or value for key, value in entry.labels.items()}
    return OtherHost(
        name=entry.name or name,
        environment=Environment(labels, frozenset(entry.tags), entry.host_version),
        host_id=entry.host_id,
        requests=entry.requests,
    )


def _refused(problems: list[str], subject: str) -> ConfigError:
    return ConfigError(
        "\n".join(problems),
        subject=subject,
        hint=f"on the host that is meant: sealdex env --json > host.json; or write {_EXAMPLE}",
    )


__all__ = ["OtherHost", "read_hosts"]
