"""`serve --site`: pages follow the files of the source tree, and a mistake in one leaves them as they were."""

from __future__ import annotations

from pathlib import Path

from support.source_trees import Tree

from registry_builder.site.preview.live import LiveSite
from registry_builder.site.templates import Templates
from registry_builder.source.config import SiteSection


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


def test_it_watches_until_it_is_left(tree: Tree, tmp_path: Path) -> None:
    said: list[str] = []
    with LiveSite(tree.root, "public", tmp_path / "made", said.append) as live:
        assert (tmp_path / "made/index.html").is_file()
    assert not live._thread.is_alive()


def test_what_is_published_never_polls(tree: Tree) -> None:
    assert "reload.js" not in Templates(tree.root, SiteSection()).assets
