"""What a page shows first, and on one line, on a telephone, a small and a wide screen; totals and initials of lists."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, Route, ViewportSize, expect
from support.browse_registry import GENERATED, NAMESPACE
from support.browser import Open

WIDTHS = (390, 820, 1440)
FITS = "document.scrollingElement.scrollWidth <= innerWidth"
CONTRAST = """(mark) => {
  const luminance = (colour) => {
    const [r, g, b] = colour.match(/[\\d.]+/g).slice(0, 3).map((c) => c / 255)
      .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const style = getComputedStyle(mark);
  const [a, b] = [luminance(style.color), luminance(style.backgroundColor)].sort((x, y) => y - x);
  return (a + 0.05) / (b + 0.05);
}"""


def widths(page: Page) -> Iterator[int]:
    """Give the page each of the widths in turn, as a window that is resized does."""
    for width in WIDTHS:
        page.set_viewport_size(ViewportSize(width=width, height=844))
        yield width


def box(page: Page, selector: str) -> dict[str, float]:
    found = page.locator(selector).first.bounding_box()
    assert found is not None, selector
    return {
        "x": found["x"],
        "y": found["y"],
        "width": found["width"],
        "height": found["height"],
        "end": found["y"] + found["height"],
    }


@pytest.mark.parametrize("path", ["robotics/kalman/", "site/zh/robotics/kalman/"], ids=["en", "zh"])
def test_the_masthead_is_a_line_and_one_way_to_install_is_shown(open_page: Open, path: str) -> None:
    page = open_page(path)
    for width in widths(page):
        nav, field = box(page, ".masthead-nav"), box(page, ".masthead-search")
        if width > 390:  # on a telephone the field has a line of its own
            assert max(nav["y"], field["y"]) < min(nav["end"], field["end"]), f"the search field wraps: {width}"
        assert field["end"] - nav["y"] < (220 if width == 390 else 70), width
        shown = [each for each in page.locator(".install .command").all() if each.is_visible()]
        assert len(shown) == 1, width
        install = box(page, ".install")
        assert install["height"] < 300, width
        assert install["y"] + install["height"] < 844, width  # with what it is, on the first screen


def test_an_all_yanked_page_says_one_thing_of_platforms(open_page: Open, site: str) -> None:
    page = open_page("edge/withdrawn/")
    expect(page.locator("section", has=page.locator("#platforms"))).to_contain_text("Any")
    badge = page.locator(".badges img").nth(1)
    assert badge.get_attribute("alt") == "platforms: any"
    assert "platforms: any" in page.request.get(f"{site}edge/withdrawn/platforms.svg").text()


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_what_was_found_stands_out_and_can_be_read(open_page: Open, theme: str) -> None:
    page = open_page("search.html?q=kalman", color_scheme=theme)
    page.wait_for_selector("[data-search][data-state=answered]")
    marks = page.locator(".search-result mark").all()
    assert marks
    for width in widths(page):
        assert (width, min(mark.evaluate(CONTRAST) for mark in marks) >= 4.5) == (width, True)


def test_the_home_page_says_what_is_new_used_recent_and_of_which_types(open_page: Open) -> None:
    page = open_page("")
    for heading in ("Recently released", "New plugins", "Most used", "Types"):
        section = page.locator("section", has=page.get_by_role("heading", name=heading, exact=True))
        assert section.locator("a").count() >= 3, heading
    for width in widths(page):
        assert (width, page.evaluate(FITS)) == (width, True)


def test_a_list_of_several_pages_has_totals_initials_first_and_last(open_page: Open, site: str) -> None:
    page = open_page(f"{NAMESPACE}/")
    head = page.locator("[data-list]")
    expect(head).to_contain_text(f"{GENERATED} plugins")
    total = int((page.locator("[data-page]").inner_text()).split("of ")[1].split()[0])
    assert total > 2
    page.get_by_role("link", name="Last", exact=True).click()
    expect(page.locator("[data-page]")).to_contain_text(f"Page {total} of {total}")
    page.get_by_role("link", name="First", exact=True).click()
    expect(page.locator("[data-page]")).to_contain_text(f"Page 1 of {total}")

    def many(route: Route) -> None:
        pages = [
            {"first": f"{NAMESPACE}/{letter}-x", "page": f"{NAMESPACE}/"} for letter in "abcdefghijklmnopqrstuvwxyz"
        ]
        route.fulfill(body=json.dumps({"total": 5000, "pages": pages}), content_type="application/json")

    page.route("**/index.json", many)
    page.goto(f"{site}{NAMESPACE}/")
    letters = page.get_by_role("navigation", name="Initials").get_by_role("link")
    expect(letters).to_have_count(26)
    expect(head).to_contain_text("5,000 plugins")
    for width in widths(page):
        assert (width, page.evaluate(FITS)) == (width, True)


def test_totals_and_initials_come_without_a_place_in_the_template_too(open_page: Open, site: str) -> None:
    """Registries may have templates of their own, made when scripts put these at the end of the head."""
    page = open_page(None)

    def without_places(route: Route) -> None:
        answer = route.fetch()
        body = re.sub(r"<(p|div)[^>]* data-(total|initials)></\1>", "", answer.text())
        assert "data-total" not in body
        route.fulfill(response=answer, body=body)

    page.route(f"{site}{NAMESPACE}/", without_places)
    pages = [{"first": first, "page": f"{NAMESPACE}/"} for first in (f"{NAMESPACE}/a", f"{NAMESPACE}/b")]
    found = json.dumps({"total": GENERATED, "pages": pages})
    page.route("**/index.json", lambda route: route.fulfill(body=found, content_type="application/json"))
    page.goto(f"{site}{NAMESPACE}/")
    head = page.locator("[data-list]")
    expect(head).to_contain_text(f"{GENERATED} plugins")
    expect(head.get_by_role("navigation", name="Initials").get_by_role("link")).to_have_text(["A", "B"])


def test_initials_of_a_list_over_namespaces_are_those_of_namespaces(open_page: Open, site: str) -> None:
    """Its order is that of namespaces: by the names of plugins, letters came as they liked."""
    page = open_page(None)
    pages = [{"first": first, "page": "types/build/"} for first in ("acme/zoom", "acme/zoom-2", "beta/ada", "corp/x")]
    found = json.dumps({"total": 200, "pages": pages})
    page.route("**/index.json", lambda route: route.fulfill(body=found, content_type="application/json"))
    page.goto(f"{site}types/build/")
    expect(page.get_by_role("navigation", name="Initials").get_by_role("link")).to_have_text(["A", "B", "C"])


def test_names_have_their_counts(open_page: Open) -> None:
    page = open_page("namespaces/")
    expect(page.locator(f'li[data-name="{NAMESPACE}"]')).to_have_text(f"{NAMESPACE} {GENERATED}")
