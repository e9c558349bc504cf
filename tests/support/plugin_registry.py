"""A small registry with real artifacts, in memory: releases with zips and manifests over a signed `TufRepository`."""

from __future__ import annotations

import hashlib
import io
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
from support.tuf_repository import TufRepository

from registry_builder.source.file_list import file_list_bytes
from sealdex.model.catalog import CatalogRow
from sealdex.model.decode import encode_json
from sealdex.model.files import file_list_name
from sealdex.model.ids import PluginId, parse_plugin_id
from sealdex.model.index import ArtifactEntry, FilePin, IndexDocument, ReleaseEntry, index_target, release_folder
from sealdex.model.plugin import Mark
from sealdex.model.release import PublishedManifest

YANKED = Mark(at="2026-01-01T00:00:00Z", by="kai", why="leaks tokens")


def zip_of(files: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(zipfile.ZipInfo(name), data)
    return buffer.getvalue()


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def list_of(archive: bytes) -> bytes:
    """Return the list of files of a zip, as the builder makes it for large ones."""
    with tempfile.NamedTemporaryFile() as file:
        file.write(archive)
        file.flush()
        return file_list_bytes(Path(file.name))


class PluginRegistry:
    """Add releases, then ``publish``; ``files`` is the published tree."""

    def __init__(self) -> None:
        self.tuf = TufRepository()
        self.documents: dict[PluginId, IndexDocument] = {}

    @property
    def files(self) -> dict[str, bytes]:
        return self.tuf.files

    @property
    def root(self) -> bytes:
        return self.tuf.pinned_root

    def plugin(self, name: str, **fields: Any) -> None:
        """Say something of a plugin: summary, keywords, deprecated ..."""
        plugin = parse_plugin_id(name)
        empty = IndexDocument(1, plugin.namespace, plugin.name, "notify", "Does things", ())
        self.documents[plugin] = msgspec.structs.replace(self.documents.get(plugin, empty), **fields)

    def release(
        self,
        name: str,
        version: str,
        files: Mapping[str, bytes] | None = None,
        *,
        artifact: Mapping[str, Any] | None = None,
        caveats: str | None = None,
        manifest: Mapping[str, Any] | None = None,
        file_list: bytes | bool = False,
        **fields: Any,
    ) -> bytes:
        """Add a release with a zip of these files; return the zip.

        ``artifact`` replaces fields of its entry, ``manifest`` those of its full manifest. With ``file_list`` a list of
        its files is published and pinned: the true one, or the bytes given.
        """
        plugin = parse_plugin_id(name)
        self.plugin(name)
        data = zip_of(files if files is not None else {"plugin.py": f"VERSION = {version!r}\n".encode()})
        folder = release_folder(plugin, version)
        entry = ArtifactEntry(f"{plugin.name}.zip", sha256(data), "zip", len(data))
        if file_list:
            listed = list_of(data) if file_list is True else file_list
            entry = msgspec.structs.replace(entry, file_list=FilePin(len(listed), sha256(listed)))
            self.files[f"{folder}/{file_list_name(entry.file)}"] = listed
        entry = msgspec.structs.replace(entry, **(artifact or {}))
        self.files[f"{folder}/{entry.file}".replace("+", "%2B")] = data  # as a client asks for it
        identity = {"format": 1, "namespace": plugin.namespace, "name": plugin.name, "version": version}
        told = {"caveats": caveats, "dependencies": fields.get("dependencies", {}), **(manifest or {})}
        full = encode_json(msgspec.convert({**identity, **told}, PublishedManifest))
        self.files[f"{folder}/manifest.json".replace("+", "%2B")] = full
        pin = FilePin(len(full), sha256(full))
        fields.setdefault("artifacts", (entry,))
        self.add_entry(name, ReleaseEntry(version, pin, **fields))
        return data

    def add_entry(self, name: str, release: ReleaseEntry) -> None:
        plugin = parse_plugin_id(name)
        document = self.documents[plugin]
        self.documents[plugin] = msgspec.structs.replace(document, releases=(release, *document.releases))

    def publish(self) -> None:
        for plugin, document in self.documents.items():
            self.tuf.add_target(index_target(plugin), encode_json(document), self.tuf.bin_of(plugin))
        rows = [
            CatalogRow(
                d.namespace,
                d.name,
                d.type,
                d.summary,
                latest=d.releases[0].version if d.releases else None,
                license=d.license,
                keywords=d.keywords,
                channels={channel: r.version for r in reversed(d.releases) for channel in r.channels},
                deprecated=d.deprecated.why if d.deprecated is not None else None,
                use=d.deprecated.use if d.deprecated is not None else None,
            )
            for d in self.documents.values()
        ]
        self.tuf.set_catalogue(rows, 2)
        self.tuf.publish()

    def write(self, folder: Path) -> str:
        """Write the published tree into a folder; return its file:// address."""
        for name, data in self.files.items():
            path = folder / name.replace("%2B", "+")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        return folder.as_uri() + "/"
