"""Rows by name: 0.1.0's client searches, installs and updates beside them, and today's in a registry without them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from support.builder_cli import call
from support.released import Released
from support.source_trees import Tree

from registry_builder.compile import catalog_names
from sealdex.cli.main import main as sealdex


def _tree(folder: Path) -> Tree:
    tree = Tree.make(folder / "source")
    for name in ("mail", "slack"):
        tree.plugin(f"acme/{name}", readme=f"# {name}\n")
        tree.release(f"acme/{name}", "1.0.0")
    return tree


def test_a_client_of_0_1_0_passes_over_them(
    v0_1_0: Released, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in (("KEYS", "keys"), ("STORE", "store"), ("CONFIG", "config.toml")):
        monkeypatch.setenv(f"SEALDEX_{name}", str(tmp_path / value))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    tree = _tree(tmp_path)
    published = tmp_path / "published/public"

    def old(*arguments: str | Path, expect: int = 0) -> Any:
        return json.loads(v0_1_0.run("sealdex", *arguments, "--json", cwd=tmp_path, expect=expect).stdout)

    v0_1_0.run("sealdex-builder", "--tree", tree.root, "publish", cwd=tmp_path)
    assert not list(published.glob("targets/catalog/*.names-*"))
    root = tree.root / "trust/public/1.root.json"
    old("registry", "add", "acme", published.as_uri(), "--root", root)
    assert [hit["plugin"] for hit in old("search", "slack")["plugins"]] == ["acme/slack"]

    capsys.readouterr()
    assert sealdex(["search", "slack", "--json"]) == 0  # today's client, of a tree without
    assert [hit["plugin"] for hit in json.loads(capsys.readouterr().out)["plugins"]] == ["acme/slack"]
    mirror = tmp_path / "mirror"
    assert sealdex(["mirror", "create", str(published), str(mirror), "--root", str(root)]) == 0
    assert sealdex(["mirror", "verify", str(mirror), "--root", str(root)]) == 0

    monkeypatch.setattr(catalog_names, "MANY", 1)
    monkeypatch.setattr(catalog_names, "ENTRIES", 1)
    assert call(tree.root, "publish") == 0
    assert len(list(published.glob("targets/catalog/*.names-*"))) == 2
    assert [hit["plugin"] for hit in old("search", "slack")["plugins"]] == ["acme/slack"]
    old("install", "acme/slack")
    tree.release("acme/slack", "1.1.0")
    assert call(tree.root, "publish") == 0
    [hit] = old("search", "slack")["plugins"]
    assert (hit["plugin"], hit["latest"]) == ("acme/slack", "1.1.0")
    old("update")
    assert v0_1_0.run("sealdex", "path", "acme/slack", cwd=tmp_path).stdout.strip().endswith("/1.1.0")
    assert sealdex(["mirror", "create", str(published), str(mirror), "--root", str(root)]) == 0
    theirs, ours = ({path.name for path in (f / "targets/catalog").iterdir()} for f in (published, mirror))
    current = {path.name for path in (published / "targets/catalog").iterdir() if path.name in ours}
    assert len([name for name in current if ".names-" in name]) == 2, "those of the present state"
    assert ours <= theirs
    monkeypatch.setenv("SEALDEX_STORE", str(tmp_path / "far"))
    old("registry", "add", "far", mirror.as_uri(), "--root", root, "--namespace", "acme")
