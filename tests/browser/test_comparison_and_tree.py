"""What pages read of signed documents by script: two releases compared, and what a plugin needs in turn."""

from __future__ import annotations

import re
from collections.abc import Callable

from playwright.sync_api import Page, Route, expect
from support.browser import Open

from registry_builder.site._languages import language_of

COMPARED = "docs/compare/?plugin=edge/listed&from=1.0.0&to=1.1.0"


def rows(page: Page, heading: str | re.Pattern[str]) -> list[list[str]]:
    section = page.locator("section", has=page.get_by_role("heading", name=heading))
    expect(section.locator("tbody tr").first).to_be_visible()
    return [row.locator("th, td").all_inner_texts() for row in section.locator("tbody tr").all()]


def test_files_that_were_added_removed_and_changed_are_told_with_their_sizes(open_page: Open) -> None:
    page = open_page(COMPARED)
    assert rows(page, "Files: any environment, zip") == [
        ["added", "comes/here.bin", "\u2013", "34.0 KB"],
        ["removed", "goes.bin", "1.2 KB", "\u2013"],
        ["changed", "lib/changes.py", "6 bytes", "10 bytes"],
    ]
    assert ["added", "edge/full", "\u2013", "^1"] in rows(page, "Dependencies")
    artifacts = rows(page, "Artifacts")
    assert [row[0] for row in artifacts] == ["any environment, zip"]
    assert artifacts[0][3].startswith("+3")
    expect(page.locator("main")).to_contain_text("sealdex info edge/listed@1.1.0")
    expect(page.locator("[data-comparison] > p code")).to_have_text("sealdex info edge/listed@1.1.0")
    page = open_page(f"site/zh/{COMPARED}")
    assert [row[0] for row in rows(page, re.compile("文件.任何环境.zip"))] == ["新增", "移除", "更改"]


def replacing(old: str, new: str) -> Callable[[Route], None]:
    """Answer with a text of the server's own in which something is something else."""

    def answer(route: Route) -> None:
        text = route.fetch().text()
        route.fulfill(body=text.replace(old, new), content_type="application/json")

    return answer


def test_a_list_that_is_of_another_archive_is_not_compared(open_page: Open, site: str) -> None:
    page = open_page(None)
    for old, new in (('"format":1', '"format":2'), ('"entries"', '"files"'), ('"sha256":"', '"sha256":"0')):
        page.route("**/*.files.json", replacing(old, new))
        page.goto(f"{site}{COMPARED}")
        expect(page.get_by_text("so files aren't compared")).to_be_visible()
        page.unroute_all()


def test_attack_names_in_lists_are_text(open_page: Open, site: str) -> None:
    """Whoever can write to the store writes what they like into a list, which the page doesn't verify."""
    page = open_page(None)
    page.route("**/*.files.json", replacing("here.bin", "<img src=x onerror=window.pwned=1>"))
    page.goto(f"{site}{COMPARED}")
    expect(page.locator("main")).to_contain_text("comes/<img src=x onerror=window.pwned=1>")
    assert page.evaluate("window.pwned") is None


def test_what_a_plugin_needs_in_turn_is_told_and_drawn(open_page: Open) -> None:
    page = open_page("edge/listed/")
    assert page.locator(".tree").count() == 0  # nothing is asked before somebody wants it
    page.get_by_role("button", name="Show what these need in turn").click()
    told = page.locator(".tree")
    expect(told).to_be_visible()
    lines = [re.sub(r"\s+", " ", line).strip() for line in told.inner_text().splitlines() if line.strip()]
    assert lines[:4] == ["edge/listed", "edge/full ^1", "acme/console-notify ^1.2", "robotics/kalman >=1.0 <2"]
    assert any(line.startswith("robotics/pick-and-place") for line in lines)
    drawing = page.locator("[data-tree] svg")
    assert len(drawing.locator("rect").all()) == len({line.split()[0] for line in lines})
    assert {link.get_attribute("href") for link in told.locator("a").all()} >= {page.url, f"{page.url[:-7]}full/"}
    assert page.evaluate("document.activeElement.getAttribute('role')") == "group"
    expect(page.locator("[data-tree]")).to_contain_text("as this server says")
    without = open_page("edge/listed/", java_script_enabled=False)
    assert without.get_by_role("button", name="Show what these").count() == 0
    expect(without.locator("#dependencies + ul")).to_contain_text("robotics/pick-and-place")


def test_a_tree_without_an_end_is_bounded(open_page: Open, site: str) -> None:
    """Attacker: writes to the store. Change: documents in a circle, and one that needs hundreds."""
    page = open_page(None)

    def endless(route: Route) -> None:
        needs = {f"many/tool-{n:03d}": "*" for n in range(120)} | {"edge/listed": "*", "../../x": "*", "<b>": "*"}
        releases = [{"version": "1.0.0", "dependencies": needs, "artifacts": []}]
        route.fulfill(json={"format": 1, "namespace": "x", "name": "y", "releases": releases})

    page.route("**/targets/index/**", endless)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"{site}edge/listed/")
    asked.clear()
    page.get_by_role("button", name="Show what these need in turn").click()
    expect(page.locator(".tree")).to_be_visible()
    assert len(asked) <= 2 * 60
    expect(page.locator(".tree")).to_contain_text("(as above)")
    expect(page.locator(".tree")).to_contain_text("(not read further)")


def test_a_plugins_page_leads_to_its_verification(open_page: Open) -> None:
    page = open_page("edge/listed/")
    page.get_by_role("link", name="Verify in this browser").click()
    page.wait_for_url("**/verify/?plugin=edge/listed#here")
    expect(page.locator("[name=plugin]")).to_have_value("edge/listed")


def test_texts_say_which_language_they_are_in(open_page: Open) -> None:
    changes = open_page("edge/games/").locator(".change .prose").first
    assert (changes.get_attribute("lang"), changes.get_attribute("dir")) == ("zh", "auto")
    assert open_page("site/zh/edge/games/").locator(".change .prose").first.get_attribute("lang") is None
    page = open_page("site/zh/search.html?q=edge")
    page.wait_for_selector("[data-search][data-state=answered]")
    full = page.locator(".search-result", has=page.get_by_role("link", name="edge/full"))
    assert full.locator(".plugin-summary").get_attribute("lang") == "en"
    games = page.locator(".search-result", has=page.get_by_role("link", name="edge/games"))
    assert games.locator(".plugin-summary").get_attribute("lang") is None
    assert games.locator(".plugin-title").inner_text() == "群聊小游戏"


def test_search_tells_the_language_of_a_text_as_pages_do(open_page: Open, site: str) -> None:
    page = open_page(None)
    for text in ("ロボット用のドライバ", "로봇 팔", "群聊小游戏", "робот", "Café 语 in a long text"):
        page.route("**/targets/catalog/**", replacing("Whose archives have lists of files", text))
        page.goto(f"{site}search.html?q=listed")
        page.wait_for_selector("[data-search][data-state=answered]")
        found = page.locator(".search-result", has=page.get_by_role("link", name="edge/listed"))
        expect(found.locator(".plugin-summary")).to_have_text(text)
        language = language_of(text)
        assert found.locator(".plugin-summary").get_attribute("lang") == (None if language == "en" else language), text
        page.unroute_all()


def test_a_long_table_of_releases_says_how_many_there_are(open_page: Open) -> None:
    page = open_page("site/zh/edge/wide/")
    expect(page.get_by_text("共 31 个版本")).to_be_visible()
    assert page.evaluate(
        "(({scrollHeight, clientHeight}) => scrollHeight > clientHeight)(document.querySelector('.tall'))"
    )
    page.goto(page.url.replace("edge/wide", "edge/full"))
    expect(page.get_by_text("表格可以滚动")).to_have_count(0)


def test_lines_break_beside_code_in_chinese(open_page: Open) -> None:
    """Where code is isolated, Chromium breaks no line between it and a Chinese mark: half a line stayed empty."""
    page = open_page("site/zh/docs/", viewport={"width": 1440, "height": 900})
    paragraph = page.locator("main p", has_text="Atom").last
    top = paragraph.evaluate("(p) => p.getBoundingClientRect().top")
    link = paragraph.get_by_role("link", name="feed.xml")
    assert link.evaluate("(a) => a.getBoundingClientRect().top") - top < 15  # a line is 24 high
