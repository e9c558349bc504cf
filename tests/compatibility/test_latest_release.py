"""A registry of 0.1.0, whose catalogue shows a pre-release as the latest: corrected by a publish, read by both."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.builder_cli import call
from support.released import Released
from support.source_trees import Tree


def _latest(v0_1_0: Released, folder: Path) -> str:
    found = v0_1_0.run("sealdex", "search", "slack", "--json", cwd=folder)
    latest: str = json.loads(found.stdout)["plugins"][0]["latest"]
    return latest


def test_the_next_publish_corrects_the_catalogue_and_nothing_else(
    v0_1_0: Released, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SEALDEX_KEYS", str(tmp_path / "keys"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("SEALDEX_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("SEALDEX_CONFIG", str(tmp_path / "config.toml"))
    tree = Tree.make(tmp_path / "source")
    tree.plugin("acme/slack", readme="# slack\n")
    tree.release("acme/slack", "1.0.0")
    tree.release("acme/slack", "2.0.0-rc.1", channel="stable")
    v0_1_0.run("sealdex-builder", "--tree", tree.root, "publish", cwd=tmp_path)
    published = tmp_path / "published/public"
    root = tree.root / "trust/public/1.root.json"
    v0_1_0.run("sealdex", "registry", "add", "acme", published.as_uri(), "--root", root, cwd=tmp_path)
    assert _latest(v0_1_0, tmp_path) == "2.0.0-rc.1"
    before = {file.relative_to(published) for file in (published / "targets").rglob("*.json")}

    assert call(tree.root, "diff") == 0
    assert "rows of the catalog that another version of sealdex-builder wrote" in capsys.readouterr().out
    assert call(tree.root, "publish") == 0
    new = {file.relative_to(published) for file in (published / "targets").rglob("*.json")} - before
    assert [file.parts[1] for file in new] == ["catalog"]
    assert _latest(v0_1_0, tmp_path) == "1.0.0"
    capsys.readouterr()
    assert call(tree.root, "diff") == 0
    assert "is up to date" in capsys.readouterr().out
    v0_1_0.run("sealdex", "install", "acme/slack", cwd=tmp_path)
    assert v0_1_0.run("sealdex", "path", "acme/slack", cwd=tmp_path).stdout.strip().endswith("/1.0.0")
