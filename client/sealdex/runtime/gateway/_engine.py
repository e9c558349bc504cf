"""Plugins and manifests as Arcade's engine writes them (its plugin table, and manifest.json). Pure."""

from __future__ import annotations

import os
from typing import Any

from msgspec import Struct, field

from sealdex.model.decode import DocumentError, read_values
from sealdex.model.ids import KNOWN_TYPES, normalise_type
from sealdex.model.index import IndexDocument
from sealdex.model.release import PublishedManifest, Quantity
from sealdex.model.versions import version_problem
from sealdex.store.installations import Installation


class _Resources(Struct, forbid_unknown_fields=True):
    cpu: Quantity | None = None
    memory: Quantity | None = None
    disk: Quantity | None = None


class _Manifest(Struct, forbid_unknown_fields=True, rename="camel"):
    name: str
    version: str
    plugin_type: str
    entry_point: str
    description: str | None = None
    author: str | None = None
    homepage: str | None = None
    repository: str | None = None
    documentation: str | None = None
    dependencies: list[Any] = []
    config_schema: dict[str, Any] | None = None
    params_schema: dict[str, Any] | None = None
    default_config: dict[str, Any] | None = None
    icon: str | None = None
    tags: list[str] = []
    min_version: str | None = None
    resources: _Resources = field(default_factory=_Resources)


def manifest_problems(values: Any) -> list[dict[str, str]]:
    """Return everything that is wrong with a manifest.json, each with its field."""
    try:
        manifest = read_values(values, _Manifest)
    except DocumentError as error:
        return [{"field": each.path, "message": each.message} for each in error.problems]
    problems = []
    for name, version in (("version", manifest.version), ("minVersion", manifest.min_version)):
        if version is not None and (problem := version_problem(version)) is not None:
            problems.append({"field": name, "message": f"'{version}' {problem}"})
    for name, text in (("name", manifest.name), ("entryPoint", manifest.entry_point)):
        if not text.strip():
            problems.append({"field": name, "message": "is empty"})
    if normalise_type(manifest.plugin_type) not in KNOWN_TYPES:
        known = ", ".join(KNOWN_TYPES)
        problems.append({"field": "pluginType", "message": f"'{manifest.plugin_type}' is not one of {known}"})
    return problems


def plugin_record(
    installed: Installation, manifest: PublishedManifest | None, document: IndexDocument | None, status: int
) -> dict[str, Any]:
    """Return an installed plugin as the engine's table has it.

    Args:
        installed: what is in use.
        manifest: the manifest that was installed; None if it can't be read.
        document: the signed document of the plugin, if it is at hand.
        status: 0 disabled, 1 enabled, 2 error.
    """
    record = {
        "pluginId": f"{installed.namespace}/{installed.name}",
        "name": installed.name,
        "version": installed.version,
        "description": "",
        "author": "",
        "pluginType": document.type if document is not None else "",
        "entryPoint": "",
        "icon": "",
        "repository": (document.repository or "") if document is not None else "",
        "documentation": (document.documentation or "") if document is not None else "",
        "isEnabled": status,
        "isBuiltin": 0,
        "checksum": installed.artifact_sha256 or "",
        "source": "market" if installed.signed_by is not None else "local",
        "installTime": installed.installed_at,
        "updateTime": installed.installed_at,
        "path": os.fspath(installed),
        "registry": installed.registry,
        "signedBy": installed.signed_by,
    }
    if manifest is not None:
        summary = document.summary if document is not None else ""
        record |= {
            "description": manifest.description or summary,
            "author": ", ".join(manifest.authors),
            "entryPoint": manifest.entry_point or "",
            "configSchema": manifest.config_schema,
            "paramsSchema": manifest.params_schema,
            "defaultConfig": manifest.default_config,
            "icon": manifest.icon or "",
        }
    return record


__all__ = ["manifest_problems", "plugin_record"]
