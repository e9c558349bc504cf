"""A store with plugins installed from files given in a test: no registry, no network."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
from support.archives import make_archive

from sealdex.install.install import install
from sealdex.install.plan import InstallRequest
from sealdex.model.decode import encode_json
from sealdex.model.ids import parse_plugin_id
from sealdex.model.index import ArtifactEntry
from sealdex.model.release import PublishedManifest
from sealdex.store.activation import switch
from sealdex.store.installations import Installation
from sealdex.store.layout import Store


class PluginStore:
    """Installs releases of made-up plugins; the last one installed is in use."""

    def __init__(self, folder: Path) -> None:
        self.store = Store(folder / "store")
        self._archives = folder / "archives"
        self._archives.mkdir(parents=True, exist_ok=True)

    def install(
        self,
        plugin: str,
        version: str,
        files: Mapping[str, str],
        *,
        bin_path: str | None = None,
        make_current: bool = True,
        **manifest: Any,
    ) -> Installation:
        """Install a release; further arguments are fields of its manifest."""
        asked = parse_plugin_id(plugin)
        identity = {"format": 1, "namespace": asked.namespace, "name": asked.name, "version": version}
        full = encode_json(msgspec.convert({**identity, **manifest}, PublishedManifest))
        content = {name: text.encode() for name, text in files.items()}
        path = make_archive(self._archives / f"{asked.name}-{version}.zip", "zip", content)
        data = path.read_bytes()
        artifact = ArtifactEntry(path.name, hashlib.sha256(data).hexdigest(), "zip", len(data), bin=bin_path)
        request = InstallRequest(
            asked, version, artifact, "test", hashlib.sha256(full).hexdigest(), "packages", 1, manifest=full
        )
        return install(self.store, request, path, make_current=make_current, durable=False).installation

    def python(self, plugin: str, version: str, source: str, **manifest: Any) -> Installation:
        """Install a Python plugin of one module, ``plugin.py`` with ``Plugin`` as its entry point."""
        files = {"plugin.py": source, **manifest.pop("files", {})}
        return self.install(
            plugin, version, files, **{"entry_point": "plugin:Plugin", "runtime": {"kind": "python"}, **manifest}
        )

    def use(self, plugin: str, version: str) -> None:
        """Make an installed version the one in use."""
        switch(self.store, parse_plugin_id(plugin), version)
