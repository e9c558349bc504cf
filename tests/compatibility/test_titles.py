"""Titles and keywords in any script: a client of 0.1.0 finds, shows and installs what has them; its builder refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.builder_cli import call
from support.released import Released
from support.source_trees import Tree


def test_a_client_of_0_1_0_reads_what_has_a_title(
    v0_1_0: Released, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEALDEX_KEYS", str(tmp_path / "keys"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("SEALDEX_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("SEALDEX_CONFIG", str(tmp_path / "config.toml"))
    tree = Tree.make(tmp_path / "source")
    tree.plugin("acme/slack", readme="# slack\n")
    tree.release("acme/slack", "1.0.0")
    v0_1_0.run("sealdex-builder", "--tree", tree.root, "publish", cwd=tmp_path)
    words = {"title": "群聊 Slack", "language": "zh", "title_i18n": {"en": "Group chat"}, "keywords": ["语音", "chat"]}
    tree.plugin("acme/slack", readme="# slack\n", summary="群聊小游戏合集", summary_i18n={"en": "Games"}, **words)
    refused = v0_1_0.run("sealdex-builder", "--tree", tree.root, "validate", cwd=tmp_path, expect=1)
    assert "title: is not a known field" in refused.stdout + refused.stderr
    assert call(tree.root, "publish") == 0

    published = tmp_path / "published/public"
    root = tree.root / "trust/public/1.root.json"
    v0_1_0.run("sealdex", "registry", "add", "acme", published.as_uri(), "--root", root, cwd=tmp_path)
    for query in (["slack"], ["--keyword", "语音"], ["小游戏"]):
        found = json.loads(v0_1_0.run("sealdex", "search", *query, "--json", cwd=tmp_path).stdout)["plugins"]
        assert [(hit["plugin"], hit["summary"], hit["keywords"]) for hit in found] == [
            ("acme/slack", "群聊小游戏合集", ["语音", "chat"])
        ]
    v0_1_0.run("sealdex", "info", "acme/slack", cwd=tmp_path)
    v0_1_0.run("sealdex", "install", "acme/slack", cwd=tmp_path)
    assert v0_1_0.run("sealdex", "path", "acme/slack", cwd=tmp_path).stdout.strip().endswith("/1.0.0")
