"""Titles, summaries and keywords in any script on the pages: shown where people look, each with its language."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from support.site_pages import Publish, dead_links, pages_of
from support.source_trees import Tree

from registry_builder.site._badges import _text_width
from registry_builder.site._languages import language_of, nearest_language

ATOM = "{http://www.w3.org/2005/Atom}"


def xml(path: Path) -> ET.Element:
    return ET.fromstring(path.read_bytes())  # noqa: S314  # made by this program


@pytest.fixture
def chinese(tree: Tree) -> Tree:
    tree.plugin(
        "acme/slack",
        readme="# slack\n",
        title="群聊 <游戏>",
        summary="群聊小游戏合集",
        keywords=["语音", "chat"],
        title_i18n={"fr": "Jeux"},
    )
    return tree


def test_a_title_stands_on_pages_lists_home_badges_and_feeds(chinese: Tree, run: Publish, site: Path) -> None:
    run()
    said = '<span lang="zh" dir="auto">群聊 &lt;游戏&gt;</span>'
    page = (site / "acme/slack/index.html").read_text()
    assert f"<h1>{said}" in page
    assert '<p class="lead" lang="zh" dir="auto">群聊小游戏合集</p>' in page
    assert "<code>acme/slack</code>" in page
    for name in ("index.html", "acme/index.html", "types/notify/index.html", "keywords/语音/index.html"):
        shown = (site / name).read_text()
        assert "群聊 &lt;游戏&gt;</span>" in shown, name
        assert '<p class="plugin-summary" lang="zh" dir="auto">群聊小游戏合集</p>' in shown, name
    badge = xml(site / "acme/slack/version.svg")
    assert badge.get("aria-label") == "群聊 <游戏>, version: 1.0.0"
    for feed in ("feed.xml", "acme/slack/feed.xml", "namespaces/acme/feed.xml"):
        titles = [entry.findtext(f"{ATOM}title") for entry in xml(site / feed).iter(f"{ATOM}entry")]
        assert "群聊 <游戏> (acme/slack) 1.0.0" in titles, feed
    assert dead_links(site) == []


def test_a_keyword_in_another_script_has_a_page_that_a_server_finds(chinese: Tree, run: Publish, site: Path) -> None:
    run()
    page = (site / "acme/slack/index.html").read_text()
    assert 'href="../../keywords/%E8%AF%AD%E9%9F%B3/"' in page
    assert "语音" in pages_of(site)["keywords/index.html"].text
    assert "acme/slack" in pages_of(site)["keywords/语音/index.html"].text.replace("\n", "")


def test_the_language_of_a_text_is_the_stated_one_or_told_by_its_script() -> None:
    told = {
        "Sends messages": "en",
        "Café": "en",
        "群聊小游戏合集": "zh",
        "基于 YOLO 的 detection 插件": "zh",
        "ロボット用のドライバ": "ja",
        "音声を認識する": "ja",
        "로봇": "ko",
        "робот": "und",
        "2.0 🎲": "en",
        "The character 语 in a long English sentence": "en",
    }
    assert {text: language_of(text) for text in told} == told
    assert language_of("робот", "ru") == "ru"


def test_a_reader_gets_the_nearest_language() -> None:
    offered = {"zh-Hant": 1, "pt-BR": 1, "en": 1}
    wanted = {"en-GB": "en", "zh": "zh-Hant", "pt": "pt-BR", "zh-Hant": "zh-Hant", "fr": None}
    assert {tag: nearest_language(offered, tag) for tag in wanted} == wanted


def test_a_badge_of_a_plugin_without_usable_releases_says_what_the_page_says(
    tree: Tree, run: Publish, site: Path
) -> None:
    tree.status(
        "team/mail", {"action": "yank", "version": "0.1.0", "at": "2026-11-21T12:00:00Z", "by": "ann", "why": "leaks"}
    )
    run()
    assert xml(site / "team/mail/platforms.svg").get("aria-label") == "platforms: any"
    assert "Any" in pages_of(site)["team/mail/index.html"].text


def test_wide_characters_are_wide_in_badges() -> None:
    assert _text_width("语音") == 22
    assert _text_width("é") == _text_width("e\u0301")
