"""What archives of other systems say of themselves: an engine's ``manifest.json``, a model hub's ``service.json``.

Pure. They state no namespace: it is ``local`` unless the user states another. What they say is read by
`sealdex.model.foreign_release`, as by `registry_builder.importers`; this is for one archive on this host.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from sealdex.model.decode import DocumentError, read_values
from sealdex.model.foreign_fields import text_of
from sealdex.model.foreign_json import json_values
from sealdex.model.foreign_release import SERVICE_JSON, engine_dependencies, engine_fields, service_fields
from sealdex.model.ids import parse_plugin_id
from sealdex.model.ranges import parse_range
from sealdex.model.release import MANIFEST_FORMAT, PublishedManifest
from sealdex.model.versions import version_problem

NAMESPACE = "local"
_APART = re.compile(r"[^a-z0-9]+")


class Foreign(NamedTuple):
    """An archive's own words: its name as an identifier (None: it can't be one), its version, and the other fields."""

    name: str | None
    shown: str
    version: str
    fields: dict[str, Any]


def is_ours(data: bytes) -> bool:
    """Return whether a ``manifest.json`` is one of Sealdex: it states a format, or a namespace."""
    try:
        values = json_values(data)
    except ValueError:
        return False
    return isinstance(values, dict) and bool({"format", "namespace"} & set(values))


def read_foreign(file: str, data: bytes) -> Foreign:
    """Read a manifest of another system.

    Args:
        file: ``manifest.json`` or ``service.json``.
        data: its bytes.

    Raises:
        ValueError: it is neither; the message says what is wrong, with the field.
    """
    try:
        values = json_values(data)
    except ValueError as error:
        raise ValueError(f"it is not JSON: {error}") from None
    if not isinstance(values, dict):
        raise ValueError("it is not an object")  # noqa: TRY004  # one error for all that is wrong
    is_service = file == SERVICE_JSON
    problems: list[str] = []
    shown = text_of(values, "service_id" if is_service else "name", problems, required=True) or ""
    version = text_of(values, "version", problems, required=True) or ""
    if version and (problem := version_problem(version)):
        problems.append(f"version: '{version}' {problem}")
    fields = service_fields(values, problems) if is_service else engine_fields(values, problems)
    if not is_service:
        fields["dependencies"] = dict(_dependencies(values, problems))
    if problems:
        raise ValueError("; ".join(problems))
    return Foreign(_identifier(shown), shown, version, fields)


def as_manifest(foreign: Foreign, namespace: str, name: str, version: str) -> PublishedManifest:
    """Return the manifest to keep for it.

    Raises:
        ValueError: fields don't have the values that they must have; each is named.
    """
    identity = {"format": MANIFEST_FORMAT, "namespace": namespace, "name": name, "version": version}
    present = {key: value for key, value in foreign.fields.items() if value is not None}
    try:
        return read_values({**present, **identity}, PublishedManifest)
    except DocumentError as error:
        raise ValueError("; ".join(map(str, error.problems))) from None


def _dependencies(values: Mapping[str, Any], problems: list[str]) -> Iterator[tuple[str, str]]:
    for name, wanted in engine_dependencies(values, problems):
        try:
            plugin = parse_plugin_id(name if "/" in name else f"{NAMESPACE}/{_identifier(name) or name}")
            parse_range(wanted)
        except ValueError as error:  # noqa: PERF203  # all of them are told
            problems.append(f"dependencies: {error}")
        else:
            yield str(plugin), wanted


def _identifier(text: str) -> str | None:
    """Return a name as an identifier: ``Slack Notify`` is ``slack-notify``; None where nothing is left of it."""
    folded = unicodedata.normalize("NFKC", text).lower()
    if not folded.isascii():
        return None
    return _APART.sub("-", folded).strip("-")[:64].strip("-") or None
