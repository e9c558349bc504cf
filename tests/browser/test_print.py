"""Pages on paper: the content whole, on white, without what can only be clicked."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, ViewportSize
from support.browse_registry import PAGES
from support.browser import Open

A4 = ViewportSize(width=718, height=1047)  # what Chromium lays out on A4 with its own margins, in CSS pixels
ONLY_CLICKED = (
    ".masthead-nav, .masthead-search, .skip, .copy, .colophon nav, .badges, .pager, .search-form, .tree-button"
)


def shown(page: Page, selector: str) -> list[str]:
    """The elements of a selector that would be printed."""
    found: list[str] = page.evaluate(
        """(selector) => [...document.querySelectorAll(selector)].filter((e) => e.checkVisibility())
             .map((e) => `${e.tagName}.${e.className}`)""",
        selector,
    )
    return found


def cut_off(page: Page) -> list[str]:
    """What paper can't scroll to: text beyond the right edge, and boxes that hide some of theirs."""
    found: list[str] = page.evaluate(
        """() => [...document.querySelectorAll("main *")]
             .filter((e) => e.checkVisibility() && !e.matches(".visually-hidden, .visually-hidden *"))
             .filter((e) => e.getBoundingClientRect().right > innerWidth + 1 ||
               (getComputedStyle(e).overflowX !== "visible" && e.scrollWidth > e.clientWidth + 1))
             .map((e) => `${e.tagName}.${e.className} ${e.textContent.slice(0, 40)}`)"""
    )
    return found


@pytest.mark.parametrize(
    "kind", ["home", "namespace", "plugin", "full", "wide", "two artifacts", "release", "documents"]
)
def test_a_printed_page_has_its_content_whole_and_nothing_to_click(open_page: Open, kind: str) -> None:
    page = open_page(PAGES[kind], viewport=A4, color_scheme="dark")
    assert shown(page, ONLY_CLICKED) != []
    page.emulate_media(media="print")
    assert shown(page, ONLY_CLICKED) == []
    assert cut_off(page) == []
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"  # dark or not
    assert page.evaluate("getComputedStyle(document.querySelector('h1')).color") == "rgb(0, 0, 0)"
    assert page.pdf(format="A4").startswith(b"%PDF-")


def test_paper_says_where_links_lead(open_page: Open) -> None:
    page = open_page(PAGES["full"])
    page.emulate_media(media="print")
    after = "(name) => getComputedStyle([...document.links].find((a) => a.textContent === name), '::after').content"
    assert page.evaluate(after, "Homepage").startswith('" (https://')
    assert page.evaluate(after, "1.0.0") == "none"  # a page of this site, which paper can't open
