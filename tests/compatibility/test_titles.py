"""Titles and keywords in any script: a client of 0.1.0 finds, shows and installs what has them; its builder refuses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from support.builder_cli import call
from support.pictures import png
from support.released import Released
from support.source_trees import Tree

from registry_builder.source.readme_images import record_bytes, stored_image
from sealdex.model.ids import PluginId
from sealdex.model.index import IndexDocument
from sealdex.transport import Transport
from sealdex.trust import TrustedRegistry


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


def test_a_builder_of_0_1_0_passes_over_readmes_in_languages_and_images_and_refuses_the_rest(
    v0_1_0: Released, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A tree that this version was used on: files that it doesn't know are named, fields refused, nothing is lost."""
    monkeypatch.setenv("SEALDEX_KEYS", str(tmp_path / "keys"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    tree = Tree.make(tmp_path / "source")
    folder = tree.plugin("acme/slack", readme="# slack\n\n![x](https://img.example/x.png)\n")
    tree.release("acme/slack", "1.0.0")
    (folder / "README.zh.md").write_text("# 群聊\n", encoding="utf-8")
    (folder / "images").mkdir()
    image = stored_image(png())
    (folder / "images" / image.file).write_bytes(png())
    (folder / "images/images.json").write_bytes(record_bytes({"https://img.example/x.png": image}))

    said = v0_1_0.run("sealdex-builder", "--tree", tree.root, "validate", cwd=tmp_path).stdout
    assert "README.zh.md" in said
    assert "images" in said
    assert "0 errors, 2 warnings" in said
    v0_1_0.run("sealdex-builder", "--tree", tree.root, "publish", cwd=tmp_path)
    page = tmp_path / "published/public/acme/slack/index.html"
    assert '<a href="https://img.example/x.png"' in page.read_text()
    assert not (tmp_path / "published/public/assets/images").exists()
    # published by this version, both are there; a release by 0.1.0 has them no longer, and the next by this one again
    assert call(tree.root, "publish") == 0
    assert f'src="../../assets/images/{image.file}"' in page.read_text()
    assert newest_index(tmp_path).readme_i18n.keys() == {"zh"}
    tree.release("acme/slack", "1.1.0")
    v0_1_0.run("sealdex-builder", "--tree", tree.root, "publish", cwd=tmp_path)
    assert call(tree.root, "publish") == 0
    assert newest_index(tmp_path).readme_i18n.keys() == {"zh"}
    assert f'src="../../assets/images/{image.file}"' in page.read_text()
    more: tuple[tuple[str, Any], ...] = (
        ("title", "群聊"),
        ("title_i18n", {"en": "Chat"}),
        ("summary_i18n", {"en": "Chat"}),
        ("language", "zh"),
    )
    for name, value in more:
        tree.plugin("acme/slack", summary="群聊小游戏", **{name: value})
        refused = v0_1_0.run("sealdex-builder", "--tree", tree.root, "publish", cwd=tmp_path, expect=1)
        assert f"{name}: is not a known field" in refused.stdout + refused.stderr
        assert call(tree.root, "validate") == 0


def newest_index(folder: Path) -> IndexDocument:
    """Return the index document that is published now."""
    root = (folder / "source/trust/public/1.root.json").read_bytes()
    with Transport() as transport:
        url = (folder / "published/public").as_uri()
        found = TrustedRegistry("public", url, root, folder / "trust", transport).index(PluginId("acme", "slack"))
    assert found is not None
    return found
