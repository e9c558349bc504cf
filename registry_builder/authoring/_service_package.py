"""``service.json``: the service package's description of itself, for hosts that read it from inside the archive.

The fields are those of the Model Hub's service packages. ``sha256`` of the whole package isn't among them, since no
file can hold the digest of the archive it is in: it is in the signed index, and ``checksum.sha256`` lists every file.
``created_at`` is the release's ``released_at`` or, if release.yaml doesn't state it, $SOURCE_DATE_EPOCH; with neither
it is left out, since the time of packing would make other bytes each time.
"""

from __future__ import annotations

import os
import shlex
from datetime import datetime, timezone
from typing import Any

from sealdex.model.decode import encode_pretty
from sealdex.model.foreign_json import json_values
from sealdex.model.ids import PluginId
from sealdex.model.plugin import Plugin
from sealdex.model.release import Release

SERVICE_FILE = "service.json"


def service_document(plugin_id: PluginId, plugin: Plugin, release: Release) -> bytes:
    """Return ``service.json`` of a release, from its manifest."""
    service, runtime = release.service, release.runtime
    document: dict[str, Any] = {
        "service_id": plugin_id.name,
        "service_name": plugin.summary,
        "version": release.version,
        "service_type": runtime.kind if runtime else "process",
        "port": service.port if service else None,
        "description": release.description or plugin.description or plugin.summary,
        "models": [
            {"model_id": m.model_id, "model_type": m.model_type, "version": m.version, "path": m.path}
            for m in release.models
        ],
        "dependencies": dict(runtime.requires) if runtime else {},
        "startup_command": shlex.join(service.command) if service else None,
        "health_check": _health_check(release),
        "created_at": release.released_at or source_date(),
    }
    return encode_pretty({name: value for name, value in document.items() if value is not None})


def source_date() -> str | None:
    """Return the time that $SOURCE_DATE_EPOCH states, or None: https://reproducible-builds.org/specs/source-date-epoch/."""
    epoch = os.environ.get("SOURCE_DATE_EPOCH", "")
    if not (epoch.isascii() and epoch.isdigit()):
        return None
    try:
        return datetime.fromtimestamp(int(epoch), timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (ValueError, OverflowError, OSError):
        return None


def _health_check(release: Release) -> dict[str, Any] | None:
    check = release.service.health_check if release.service else None
    return None if check is None else {"endpoint": check.endpoint, "method": check.method}


def stated_version(content: bytes) -> str | None:
    """Return the version that an author's own ``service.json`` states, or None if it can't be read."""
    try:
        document = json_values(content)
    except ValueError:
        return None
    version = document.get("version") if isinstance(document, dict) else None
    return version if isinstance(version, str) else None


__all__ = ["SERVICE_FILE", "service_document", "source_date", "stated_version"]
