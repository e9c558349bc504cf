"""``import.json``: what the source said of a release and no field of a release holds; attached to it.

Other digests, the source's own name and version, the files of an archive that importing made, and fields that have no
place. Nothing is lost on the way, and a later run compares by it without fetching everything.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from registry_builder.importers.contents import Measured
from registry_builder.importers.foreign import ForeignRelease, Packing
from registry_builder.source.attachments import MAX_ATTACHMENT_BYTES, attachment_path
from registry_builder.source.safe_open import Gate, UnreadableError
from registry_builder.source.tree import SourcePlugin
from sealdex.model.decode import encode_pretty
from sealdex.model.foreign_json import json_values
from sealdex.model.ids import PluginId
from sealdex.model.plugin import fold_status
from sealdex.model.release import Release

NAME = "import.json"
KIND = "import-record"
FORMAT = 1


def document(
    system: str, plugin: PluginId, release: Release, foreign: ForeignRelease, measured: Sequence[Measured]
) -> bytes | None:
    """Return the record of a release; None where it would say nothing."""
    files = {path: sha256 for each in measured for path, sha256 in each.members.items()}
    others = [
        {"artifact": artifact.sha256, "source": str(file.origin), "digests": dict(sorted(digests.items()))}
        for artifact, file, each in zip(release.artifacts, foreign.files, measured, strict=True)
        if (digests := each.digests)
    ]
    if not (foreign.record or others or files or foreign.version != release.version):
        return None
    values: dict[str, Any] = {
        "format": FORMAT,
        "system": system,
        "plugin": foreign.plugin,
        "version": foreign.version,
        "imported_as": f"{plugin}@{release.version}",
    }
    if others:
        values["digests"] = others
    if files:
        values["files"] = dict(sorted(files.items()))
    if foreign.record:
        values["fields"] = dict(foreign.record)
    return encode_pretty(values)


def is_due(foreign: ForeignRelease, version: str) -> bool:
    """Return whether a release of this version should have a record, as far as the source tells without being read."""
    return bool(
        foreign.record
        or foreign.version != version
        or any(isinstance(file.origin, Packing) or set(file.digests) - {"sha256"} for file in foreign.files)
    )


def read(tree: Any, source: SourcePlugin, version: str) -> dict[str, Any]:
    """Return the record of a release in the tree; empty if it has none that can be read."""
    for attachment in fold_status(source.status.events).attachments.get(version, ()):
        if attachment.kind == KIND and attachment.url is None:
            try:
                path = attachment_path(source.folder, version, attachment.name)
                values = json_values(Gate(tree).read(path, MAX_ATTACHMENT_BYTES))
            except (UnreadableError, ValueError):
                continue
            return values if isinstance(values, dict) else {}
    return {}


def digests(record: Mapping[str, Any], origin: str) -> dict[str, str]:
    """Return the digests that a record has for what was at an address or path."""
    found = record.get("digests")
    for each in found if isinstance(found, list) else []:
        if isinstance(each, dict) and each.get("source") == origin and isinstance(each.get("digests"), dict):
            return {str(name): str(digest) for name, digest in each["digests"].items()}
    return {}


__all__ = ["FORMAT", "KIND", "NAME", "digests", "document", "is_due", "read"]
