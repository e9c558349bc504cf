"""The page: everything an author writes is text, nothing is loaded or run, and the newest releases come first."""

from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser

import pytest
from support.source_trees import Tree

from registry_builder.signing.roles import realm_marker
from registry_builder.signing.trust import Trust, load_trust
from registry_builder.site import render_index
from registry_builder.source.config import RegistryConfig, read_config
from sealdex.model.catalogue import CatalogueRow

MAX_ROWS = 500
EVIL = '<script>alert(1)</script><img src=x onerror="alert(2)">"\'>&{{ 7*7 }}{% raw %}'


class Tags(HTMLParser):
    """Collects tags with their attributes, and text."""

    def __init__(self, page: bytes) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(page.decode())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture
def config(tree: Tree) -> RegistryConfig:
    return read_config(tree.root)


@pytest.fixture
def trust(tree: Tree, config: RegistryConfig) -> Trust:
    return load_trust(tree.root, "public", realm_marker(config, "public"))


def row(number: int, **fields: str) -> CatalogueRow:
    values = {
        "namespace": "acme",
        "name": f"plugin-{number}",
        "type": "notify",
        "summary": "Says things",
        "latest": "1.0.0",
        "updated_at": f"2026-01-{number % 28 + 1:02}T00:00:00Z",
        **fields,
    }
    return CatalogueRow(**values)  # type: ignore[arg-type]  # all of them are text here


def test_untrusted_text_is_text(config: RegistryConfig, trust: Trust) -> None:
    # Attack: an author writes markup into everything that a page shows.
    evil = row(1, summary=EVIL, latest=EVIL, license=EVIL, type=EVIL, deprecated=EVIL, use=EVIL, updated_at=EVIL)
    page = Tags(render_index(config, "public", [evil], trust))
    names = {tag for tag, _ in page.tags}
    assert not names & {"script", "img", "iframe", "object", "embed", "form", "base", "svg"}
    assert not [name for _, attributes in page.tags for name in attributes if name.startswith("on")]
    assert "<script>alert(1)</script>" in page.text  # as text
    assert "{{ 7*7 }}" in page.text  # and not as a template


def test_text_that_turns_the_direction_or_moves_the_cursor_is_cleaned(config: RegistryConfig, trust: Trust) -> None:
    page = render_index(config, "public", [row(1, summary="safe\u202egpj.exe\x1b[2J")], trust).decode()
    assert "\u202e" not in page
    assert "\x1b" not in page


def test_links_of_the_registry_are_web_addresses_only(tree: Tree, trust: Trust) -> None:
    path = tree.root / "registry.toml"
    site = (
        '\n[site]\ntitle = "A <b>"\nlinks = { Docs = "https://example.com/?a=1&b=2", Evil = "javascript:alert(1)" }\n'
    )
    path.write_text(path.read_text() + site)
    page = Tags(render_index(read_config(tree.root), "public", [], trust))
    assert [a["href"] for tag, a in page.tags if tag == "a"] == ["https://example.com/?a=1&b=2"]
    assert "A <b>" in page.text


def test_the_policy_allows_the_one_style_sheet_and_nothing_else(config: RegistryConfig, trust: Trust) -> None:
    text = render_index(config, "public", [row(1)], trust).decode()
    page = Tags(text.encode())
    (policy,) = [a["content"] for tag, a in page.tags if a.get("http-equiv") == "Content-Security-Policy"]
    assert policy is not None
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    (style,) = re.findall(r"<style>(.*?)</style>", text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert f"'sha256-{digest}'" in policy
    assert "unsafe" not in policy
    assert not [a for _, a in page.tags if "style" in a or "src" in a]


def test_the_page_says_how_to_begin_and_what_to_compare(config: RegistryConfig, trust: Trust) -> None:
    page = Tags(render_index(config, "public", [row(1)], trust))
    assert f"sealdex registry add acme ADDRESS-OF-THIS-PAGE --fingerprint {trust.first_fingerprint}" in page.text
    assert "sealdex install acme/plugin-1" in page.text


def test_at_most_so_many_rows_those_released_last_first(config: RegistryConfig, trust: Trust) -> None:
    rows = [row(n) for n in range(MAX_ROWS + 7)]
    page = Tags(render_index(config, "public", rows, trust))
    assert sum(tag == "tr" for tag, _ in page.tags) == MAX_ROWS + 1
    assert f"{MAX_ROWS + 7} plugins, the {MAX_ROWS} released last" in page.text
    assert "7 more" in page.text
    dates = re.findall(r"2026-01-\d\d", page.text)
    assert dates == sorted(dates, reverse=True)


def test_the_same_rows_in_any_order_give_the_same_page(config: RegistryConfig, trust: Trust) -> None:
    rows = [row(n) for n in range(20)]
    assert render_index(config, "public", rows, trust) == render_index(config, "public", rows[::-1], trust)


def test_an_empty_registry_has_a_page(config: RegistryConfig, trust: Trust) -> None:
    page = Tags(render_index(config, "public", [], trust))
    assert "Nothing is published here yet." in page.text
    assert "0 plugins" in page.text
