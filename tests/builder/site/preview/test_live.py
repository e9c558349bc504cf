"""`serve --site`: pages follow the files of the source tree, and a mistake in one leaves them as they were."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
from support.source_trees import Tree

from registry_builder.site.preview import live as live_module
from registry_builder.site.preview.live import LiveSite
from registry_builder.site.preview.server import running_server
from registry_builder.site.templates import Templates
from registry_builder.source.config import SiteSection


def http_get(url: str) -> Any:
    with urlopen(url) as answer:
        return json.load(answer)


def test_pages_follow_the_files_and_tell_the_browser(tree: Tree, tmp_path: Path) -> None:
    said: list[str] = []
    live = LiveSite(tree.root, "public", tmp_path / "made", said.append)
    assert live.update()
    page = tmp_path / "made/acme/slack/index.html"
    assert "assets/reload." in page.read_text()
    assert (tmp_path / "made/reload.txt").read_text() == "1\n"
    assert not live.update()
    (tree.root / "plugins/acme/slack/README.md").write_text("Something else entirely\n")
    assert live.update()
    assert "Something else entirely" in page.read_text()
    assert (tmp_path / "made/reload.txt").read_text() == "2\n"


def test_a_mistake_leaves_the_pages_and_is_said(tree: Tree, tmp_path: Path) -> None:
    said: list[str] = []
    live = LiveSite(tree.root, "public", tmp_path / "made", said.append)
    live.update()
    (tree.root / "site").mkdir()
    template = tree.root / "site/plugin.html.j2"
    template.write_text("{% if %}")
    assert not live.update()
    assert "plugin.html.j2" in said[-1]
    assert "acme" in (tmp_path / "made/acme/slack/index.html").read_text()
    template.write_text("<!doctype html><title>{{ plugin.id }}</title>")
    assert live.update()
    assert (tmp_path / "made/acme/slack/index.html").read_text() == "<!doctype html><title>acme/slack</title>"


def test_plain_json_is_shown_as_it_will_be_published(tree: Tree, tmp_path: Path) -> None:
    config = tree.root / "registry.toml"
    before = config.read_text()
    said: list[str] = []
    live = LiveSite(tree.root, "public", tmp_path / "made", said.append)
    live.update()
    assert not (tmp_path / "made/api").exists()
    config.write_text(f"{before}\n[api]\nenabled = true\nmodel_hub = true\n")
    assert live.update()
    with running_server(tmp_path / "made") as address:

        def ask(path: str) -> Any:
            return http_get(f"{address}/{path}")

        assert ask("api/v1/plugins/acme/slack/index.json")["latest"] == "1.0.0"
        assert ask("api/v1/plugins/index.json")["plugins"][0]["id"] == "acme/base"
        assert [each["service_id"] for each in ask("api/services")] == ["mail"]  # by the Model Hub's own address
        config.write_text(before)
        assert live.update()
        assert not list((tmp_path / "made/api").rglob("*.json"))


def test_it_watches_until_it_is_left(tree: Tree, tmp_path: Path) -> None:
    said: list[str] = []
    with LiveSite(tree.root, "public", tmp_path / "made", said.append) as live:
        assert (tmp_path / "made/index.html").is_file()
    assert not live._thread.is_alive()


def test_what_is_published_never_polls(tree: Tree) -> None:
    assert "reload.js" not in Templates(tree.root, SiteSection()).assets


def test_a_disk_that_is_full_for_a_while_ends_nothing(
    tree: Tree, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    live = LiveSite(tree.root, "public", tmp_path / "made", said.append)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(live_module, "write_pages", full)
        assert not live.update()  # what the thread that watches calls
    assert "No space left on device" in said[-1]
    (tree.root / "plugins/acme/slack/README.md").write_text("Something else entirely\n")
    assert live.update()
