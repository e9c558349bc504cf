"""What archives of other systems say of themselves: an engine's ``manifest.json``, a model hub's ``service.json``.

Pure. They state no namespace: it is ``local`` unless the user states another. `registry_builder.importers` reads whole
systems of this kind; this is for one archive on this host.
"""

from __future__ import annotations

import re
import shlex
import unicodedata
from collections.abc import Mapping
from typing import Any, NamedTuple

from sealdex.model.decode import DocumentError, read_values
from sealdex.model.foreign_json import json_values
from sealdex.model.ids import parse_plugin_id
from sealdex.model.ranges import parse_range
from sealdex.model.release import MANIFEST_FORMAT, PublishedManifest
from sealdex.model.versions import version_problem

NAMESPACE = "local"
SERVICE_JSON = "service.json"
_LIBRARIES = (".so", ".dll", ".dylib")
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
    shown = _text(values, "service_id" if is_service else "name")
    version = _text(values, "version")
    if problem := version_problem(version):
        raise ValueError(f"version: '{version}' {problem}")
    fields = _service(values) if is_service else _plugin(values)
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


def _plugin(values: Mapping[str, Any]) -> dict[str, Any]:
    entry = values.get("entryPoint")
    author, minimum = values.get("author"), values.get("minVersion")
    return {
        "description": values.get("description"),
        "homepage": values.get("homepage"),
        "license": values.get("license"),
        "authors": [author] if author else None,
        "entry_point": entry,
        "runtime": {"kind": "native" if str(entry).lower().endswith(_LIBRARIES) else "process"} if entry else None,
        "min_host_version": minimum if isinstance(minimum, str) and not version_problem(minimum) else None,
        "config_schema": values.get("configSchema"),
        "params_schema": values.get("paramsSchema"),
        "default_config": values.get("defaultConfig"),
        "resources": values.get("resources"),
        "icon": values.get("icon"),
        "dependencies": dict(map(_dependency, values.get("dependencies") or [])),
    }


def _dependency(each: object) -> tuple[str, str]:
    if isinstance(each, dict):
        name, wanted = each.get("pluginId") or each.get("name"), str(each.get("version") or "*")
    else:
        name, _, wanted = str(each).strip().partition("@")
        wanted = wanted or "*"
    try:
        plugin = parse_plugin_id(str(name) if "/" in str(name) else f"{NAMESPACE}/{_identifier(str(name))}")
        parse_range(wanted)
    except ValueError as error:
        raise ValueError(f"dependencies: {error}") from None
    return str(plugin), wanted


def _service(values: Mapping[str, Any]) -> dict[str, Any]:
    kind = str(values.get("service_type") or "process").lower().replace("_", "-")
    requires = values.get("dependencies")
    command, port, check = values.get("startup_command"), values.get("port"), values.get("health_check")
    try:
        words = shlex.split(command) if isinstance(command, str) else command
    except ValueError as error:
        raise ValueError(f"startup_command: can't be read as a command: {error}") from None
    service = {"command": words, "port": port, "health_check": check, "env": {"MODELS_DIR": "models"}}
    models = [
        {**model, "path": str(model.get("path", "")).rstrip("/")} if isinstance(model, dict) else model
        for model in values.get("models") or []
    ]
    return {
        "description": values.get("description"),
        "runtime": {"kind": kind, **({"requires": requires} if requires else {})},
        "models": models,
        "service": {key: value for key, value in service.items() if value is not None} if words else None,
        "released_at": values.get("created_at"),
    }


def _text(values: Mapping[str, Any], field: str) -> str:
    found = values.get(field)
    if not isinstance(found, str) or not found.strip():
        raise ValueError(f"{field}: is missing, or not a text")
    return found.strip()


def _identifier(text: str) -> str | None:
    """Return a name as an identifier: ``Slack Notify`` is ``slack-notify``; None where nothing is left of it."""
    folded = unicodedata.normalize("NFKC", text).lower()
    if not folded.isascii():
        return None
    return _APART.sub("-", folded).strip("-")[:64].strip("-") or None
