"""Who goes through a page by its keys sees where they are, and what scripts put on a page is accessible too."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, ViewportSize
from support.accessibility import axe_source, violations
from support.browse_registry import PAGES
from support.browser import Open, Watch

EVERY = os.environ.get("PAGES") == "all"
MANY = ["wide", "documents", "search of words"]
STATES = ["tree", "proved", "refused", "none found", "error"]
FOCUSED = """() => {
  const found = document.activeElement;
  if (!found || found === document.body) return null;
  const shown = found.matches(".tabs > input") ? document.querySelector(`label[for="${found.id}"]`) : found;
  const style = getComputedStyle(shown), box = shown.getBoundingClientRect();
  const ring = Math.max(0, parseFloat(style.outlineWidth) + parseFloat(style.outlineOffset));
  const cut = (other) =>
    box.left - ring < other.left - 0.5 || box.right + ring > other.right + 0.5;
  const around = [];
  for (let each = shown.parentElement; each && each !== document.body; each = each.parentElement)
    if (getComputedStyle(each).overflowX !== "visible" && cut(each.getBoundingClientRect()))
      around.push(each.className);
  return {
    what: `${shown.tagName} ${shown.textContent.slice(0, 30)}`,
    ring: style.outlineStyle === "solid" ? parseFloat(style.outlineWidth) : 0,
    ownOfBrowser: style.outlineStyle === "auto",
    colour: style.outlineColor,
    around,
  };
}"""


def contrast(page: Page, colour: str) -> float:
    """Return the contrast of a colour with the page's own."""
    found: float = page.evaluate(
        """(colour) => {
          const light = (text) => {
            const [r, g, b] = text.match(/[\\d.]+/g).slice(0, 3).map((c) => c / 255)
              .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
            return 0.2126 * r + 0.7152 * g + 0.0722 * b;
          };
          const [a, b] = [light(colour), light(getComputedStyle(document.body).backgroundColor)].sort((x, y) => y - x);
          return (a + 0.05) / (b + 0.05);
        }""",
        colour,
    )
    return found


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_ring_of_what_is_focused_is_seen_and_whole(open_page: Open, site: str, theme: str) -> None:
    """WCAG 2.2, 2.4.7 and 2.4.11: on a telephone, where most boxes scroll by themselves."""
    page = open_page(None, viewport=ViewportSize(width=390, height=844), color_scheme=theme)
    colours: set[str] = set()
    for kind in PAGES if EVERY else MANY:
        page.goto(site + PAGES[kind])
        page.wait_for_load_state("networkidle")
        seen = 0
        for _ in range(60):
            page.keyboard.press("Tab")
            focused: dict[str, Any] | None = page.evaluate(FOCUSED)
            if focused is None:
                break
            assert focused["around"] == [], (kind, focused)
            if kind != "offline verifier" or not focused["ownOfBrowser"]:  # that page leaves it to the browser
                assert focused["ring"] >= 2, (kind, focused)
                colours.add(focused["colour"])
            seen += 1
        assert seen > 3 or kind == "offline verifier", kind
    assert colours
    assert all(contrast(page, colour) >= 3 for colour in colours)


def brought(page: Page, site: str, published: Path, state: str) -> None:
    """Bring a page into a state that only a click, or what a server answers, makes."""
    if state == "tree":
        page.goto(f"{site}edge/listed/")
        page.locator("[data-tree] button").click()
        page.wait_for_selector("[data-tree] .tree")
    elif state in {"proved", "refused"}:
        page.goto(f"{site}verify/")
        root = (published / "metadata/1.root.json").read_bytes()
        page.locator("#verify-plugin").fill("edge/games" if state == "proved" else "edge/nobody")
        page.locator("#verify-fingerprint").fill(hashlib.sha256(root).hexdigest())
        page.locator(".verify-form button").click()
        page.wait_for_selector(f".verified[data-state={state}]")
    elif state == "none found":
        page.goto(f"{site}search.html?q=xyzzyplugh&type=build")
        page.wait_for_selector("[data-search][data-state=answered]")
    else:
        page.route("**/catalogue.json", lambda route: route.fulfill(body="<!doctype html>a page of a proxy"))
        page.goto(f"{site}search.html?q=tool")
        page.wait_for_selector("[data-search][data-state=failed]")


@pytest.mark.parametrize("state", STATES)
def test_what_a_click_brings_is_accessible_and_fits(
    open_page: Open, site: str, published: Path, watch: Watch, state: str
) -> None:
    """Results of a search and a comparison are among the pages of `test_pages`."""
    if state in {"proved", "refused"}:
        watch.expected = "/2.root.json"  # asked for, since there could be a newer one
    theme = ("light", "dark")[STATES.index(state) % 2]
    page = open_page(None, viewport=ViewportSize(width=390, height=844), color_scheme=theme)
    brought(page, site, published, state)
    page.evaluate(axe_source())
    for each in ("light", "dark") if EVERY else (theme,):
        page.emulate_media(color_scheme=each)
        assert violations(page) == []
    assert page.evaluate("document.scrollingElement.scrollWidth <= innerWidth")
    page.set_viewport_size(ViewportSize(width=320, height=640))
    assert page.evaluate("document.scrollingElement.scrollWidth <= innerWidth")
