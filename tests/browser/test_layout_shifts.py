"""What scripts put on a page moves nothing that was there: it comes when somebody may be reading, or about to tap.

Lighthouse counts such moves as layout shifts, and so does Chromium, which alone tells of them.
"""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, Route, ViewportSize
from support.browse_registry import PAGES
from support.browser import EVERY, Open

KINDS = list(PAGES) if EVERY else ["page of a list", "namespaces in zh", "plugin", "chinese release", "comparison"]
SIZES = {"phone": ViewportSize(width=412, height=823), "wide": ViewportSize(width=1440, height=900)}
LEAST = 0.01
"""Scores below this are those of what moves low on the page, by the height of a line or two."""
WATCH = """
  window.moved = [];
  const place = ({ x, y, width, height }) => [x, y, width, height].map(Math.round).join(" ");
  const said = ({ node, previousRect, currentRect }) =>
    `${node?.nodeName}.${node?.className ?? ""} from ${place(previousRect)} to ${place(currentRect)}`;
  new PerformanceObserver((list) => {
    for (const { value, sources } of list.getEntries()) window.moved.push([value, sources.map(said).join("; ")]);
  }).observe({ type: "layout-shift", buffered: true });
"""
PAINTED = "() => performance.getEntriesByName('first-contentful-paint').length === 1"
TWO_FRAMES = "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"


def moved(page: Page, address: str) -> tuple[float, list[tuple[float, str]]]:
    """Open a page whose scripts come once it has been painted; return its score, and what moved by how much."""
    held: list[Route] = []
    is_painted = False

    def hold(route: Route) -> None:
        if is_painted:
            route.continue_()
        else:
            held.append(route)

    page.route("**/*.js", hold)
    page.goto(address, wait_until="commit")
    page.wait_for_function(PAINTED)
    page.evaluate(TWO_FRAMES)
    is_painted = True
    for route in held:
        route.continue_()
    page.wait_for_load_state("networkidle")
    page.evaluate(TWO_FRAMES)
    page.unroute("**/*.js")
    found: list[tuple[float, str]] = page.evaluate("window.moved")
    return sum(value for value, _ in found), found


@pytest.mark.parametrize("size", SIZES)
def test_what_scripts_put_on_a_page_moves_nothing(open_page: Open, site: str, size: str) -> None:
    page = open_page(None, fresh=True, viewport=SIZES[size])
    page.add_init_script(WATCH)
    found = {kind: moved(page, f"{site}{PAGES[kind]}") for kind in KINDS}
    assert {kind: each for kind, each in found.items() if each[0] >= LEAST} == {}


def test_a_move_is_noticed(open_page: Open, site: str) -> None:
    page = open_page(None, fresh=True, viewport=SIZES["phone"])
    page.add_init_script(WATCH)
    page.goto(f"{site}{PAGES['page of a list']}")
    page.wait_for_function("() => document.querySelector('[data-total]').textContent !== ''")
    page.evaluate(TWO_FRAMES)
    page.evaluate("document.querySelector('[data-total]').style.height = '12rem'")
    page.wait_for_function("() => window.moved.length === 1")
