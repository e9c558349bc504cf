"""Source trees for tests: registry.toml, plugins, releases and artifacts, written as a person would write them."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from registry_builder.signing.dev_keys import make_dev_trust
from registry_builder.source.load import load_tree
from registry_builder.source.tree import SourceTree
from sealdex.model.ids import PluginId, parse_plugin_id

REGISTRY = """\
# kept by every command that edits this file
[registry]
name = "acme"
id = "0123abcd"
title = "Acme plugins"
{registry}
{realms}
[roles.root]
keys = []
threshold = 2
expiry_days = 365
signing_days = 60

[roles.targets]
keys = []
threshold = 2
expiry_days = 365
signing_days = 60

[roles.packages]
keys = []
expiry_days = 90
signing_days = 30

[roles.catalog]
keys = []
expiry_days = 90
signing_days = 30

[roles.snapshot]
keys = []
expiry_days = 90
signing_days = 30

[roles.timestamp]  # the shortest-lived
keys = []
expiry_days = 7
signing_days = 3
"""


class Tree:
    """A source tree on disk, with development keys beside it."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @classmethod
    def make(cls, root: Path, *, realms: tuple[str, ...] = ("public",), registry: str = "") -> Tree:
        root.mkdir(parents=True)
        sections = "".join(f'[realms.{realm}]\nstorage = "folder:../published/{realm}"\n\n' for realm in realms)
        (root / "registry.toml").write_text(REGISTRY.format(registry=registry, realms=sections), encoding="utf-8")
        make_dev_trust(root)
        return cls(root)

    def plugin(self, plugin: str, *, readme: str | None = None, **fields: Any) -> Path:
        folder = self.root / "plugins" / plugin
        (folder / "releases").mkdir(parents=True, exist_ok=True)
        about = {"type": "notify", "summary": f"What {plugin} does", "license": "MIT", **fields}
        (folder / "plugin.json").write_text(json.dumps(about), encoding="utf-8")
        if readme is not None:
            (folder / "README.md").write_text(readme, encoding="utf-8")
        return folder

    def release(self, plugin: str, version: str, *, data: bytes | None = None, **fields: Any) -> Path:
        folder = self.root / "plugins" / plugin
        content = f"{plugin} {version}\n".encode() if data is None else data
        name = f"{folder.name}-{version}.bin"
        (folder / "dist").mkdir(parents=True, exist_ok=True)
        (folder / "dist" / name).write_bytes(content)
        artifact = {
            "source": f"plugins/{plugin}/dist/{name}",
            "sha256": hashlib.sha256(content).hexdigest(),
            "size": len(content),
        }
        manifest = {
            "version": version,
            "released_at": "2026-11-21T12:00:00Z",
            "artifacts": [artifact],
            **fields,
        }
        path = folder / "releases" / f"{version}.json"
        path.write_text(json.dumps(manifest), encoding="utf-8")
        return path

    def status(self, plugin: str, *events: dict[str, Any]) -> None:
        (self.root / "plugins" / plugin / "status.json").write_text(json.dumps({"events": list(events)}))

    def load(self, *only: str) -> SourceTree:
        return load_tree(self.root, only=[parse_plugin_id(plugin) for plugin in only] if only else None)


def small_tree(root: Path) -> Tree:
    """Make a tree with three plugins in two namespaces, of which one needs another."""
    made = Tree.make(root)
    made.plugin("acme/base", keywords=["core"])
    made.release("acme/base", "1.0.0")
    made.plugin("acme/slack", readme="# slack\n\nTells a channel.\n", keywords=["chat", "core"])
    made.release("acme/slack", "1.0.0", dependencies={"acme/base": "^1.0"})
    made.plugin("team/mail", type="service")
    made.release("team/mail", "0.1.0")
    return made


def ids(*plugins: str) -> list[PluginId]:
    return [parse_plugin_id(plugin) for plugin in plugins]
