"""What install tests share: requests for archives made on the spot, and the state of a store as plain data."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from support.archives import make_archive

from sealdex.install.plan import InstallRequest
from sealdex.model.ids import PluginId
from sealdex.model.index import ArtifactEntry
from sealdex.store.installations import current, current_version_named, installations
from sealdex.store.layout import Store
from sealdex.store.verify import verify_installation

PLUGIN = PluginId("acme", "tool")
FILES = {"bin/tool": b"#!/bin/sh\necho one\n", "lib/a": b"a" * 3000, "lib/b": b""}


def request_for(archive: Path, version: str, archive_format: str = "zip", **changes: Any) -> InstallRequest:
    """Return a request that pins an archive as it is on the disk."""
    data = archive.read_bytes()
    artifact = ArtifactEntry(
        file=f"tool-{version}.{archive_format}",
        sha256=hashlib.sha256(data).hexdigest(),
        format=archive_format,
        size=len(data),
        bin=changes.pop("bin", "bin/tool"),
        files=changes.pop("files", ()),
    )
    fields: dict[str, Any] = {
        "plugin": PLUGIN, "version": version, "artifact": artifact, "registry": "main", "manifest_sha256": "0" * 64,
        "signed_by": "packages", "root_version": 1,
    }  # fmt: skip
    return InstallRequest(**{**fields, **changes})


def make_release(folder: Path, version: str, files: dict[str, bytes] | None = None) -> tuple[Path, InstallRequest]:
    """Make an archive whose files tell its version, and the request for it."""
    content = dict(FILES if files is None else files)
    content["VERSION"] = version.encode()
    folder.mkdir(parents=True, exist_ok=True)
    archive = make_archive(folder / f"{version}.zip", "zip", content)
    return archive, request_for(archive, version)


def state(store: Store) -> dict[str, Any]:
    """Return what is installed and current, what was found wrong with it, and what lies in staging."""
    found = installations(store)
    in_use = current(store, PLUGIN)
    staging = Path(store.staging_folder)
    return {
        "installed": [i.version for i in found],
        "named": current_version_named(store, PLUGIN),
        "current": in_use.version if in_use else None,
        "findings": [str(finding) for i in found for finding in verify_installation(i)],
        "staging": sorted(p.name for p in staging.iterdir() if p.name != "guard") if staging.is_dir() else [],
    }


def whole(installed: list[str], in_use: str | None) -> dict[str, Any]:
    """Return the `state` of a store where nothing is wrong and nothing is left over."""
    return {"installed": installed, "named": in_use, "current": in_use, "findings": [], "staging": []}
