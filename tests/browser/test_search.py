"""The search page, used as a person uses it."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from functools import partial
from urllib.parse import parse_qsl, urlsplit

import msgspec
from playwright.sync_api import Error as PlaywrightError
from playwright.sync_api import Page, Route, expect
from support.browse_registry import GENERATED, NAMESPACE
from support.browser import Open, Watch, both, both_at_length
from support.search_engine import CASES

from registry_builder.compile.catalog_names import name_shards
from sealdex.model.catalog import CatalogRow

SEARCH = "search.html"


def results(page: Page) -> list[str]:
    """The ids of the results shown, once the page has answered."""
    page.wait_for_selector("[data-search][data-state=answered]")
    return [text.strip() for text in page.locator(".search-result h2 a").all_inner_texts()]


def status(page: Page, text: str | re.Pattern[str]) -> None:
    expect(page.locator(".search-status")).to_have_text(text)


def search_for(page: Page, words: str) -> None:
    page.locator("#search-text").fill(words)


def facet(page: Page, legend: str) -> dict[str, int]:
    """The values of a facet with their counts."""
    field = page.locator("fieldset", has=page.locator("legend", has_text=re.compile(f"^{legend}$")))
    values = field.locator(".search-value").all_inner_texts()
    counts = field.locator(".search-count").all_inner_texts()
    return {value: int(count.replace(",", "")) for value, count in zip(values, counts, strict=True)}


def asked(page: Page) -> list[tuple[str, str]]:
    return parse_qsl(urlsplit(page.url).query)


def back(page: Page) -> None:
    """Go back to the search; Firefox has kept the page, and loads nothing."""
    with suppress(PlaywrightError):  # the page may be left before it has said so
        page.evaluate("history.back()")
    page.wait_for_url(re.compile(r"/search\.html"))


def test_a_registry_without_plugins_says_so(open_page: Open, site: str) -> None:
    page = open_page(None)
    page.context.route("**/search/catalogue.json", lambda route: route.fulfill(json={"format": 1, "shards": []}))
    page.goto(site + SEARCH)
    status(page, "0 plugins")
    expect(page.locator(".search-results")).to_have_text("Nothing is published yet.")
    expect(page.locator(".search-filters")).to_be_hidden()
    search_for(page, "anything")
    expect(page.locator(".search-results")).to_contain_text("No plugin matches “anything”.")


def test_words_prefixes_and_typos_find(open_page: Open) -> None:
    page = open_page(SEARCH)
    results(page)
    for words, first in (
        ("kalman", "robotics/kalman"),  # the name
        ("consol notfy", "acme/console-notify"),  # a prefix and a typo
        ("kal", "robotics/kalman"),  # a prefix
        ("consolenotify", "acme/console-notify"),  # the name as one word
        ("kalmen", "robotics/kalman"),  # a typo
        ("acme/shell-step", "acme/shell-step"),
        ("ESTIMATION", "robotics/kalman"),  # a keyword
        ("tool 007", f"{NAMESPACE}/tool-007"),
    ):  # each finds another one than the one before
        search_for(page, words)
        expect(page.locator(".search-result h2 a").first).to_have_text(first)


def test_what_nothing_matches_is_said_and_can_be_cleared(open_page: Open) -> None:
    page = open_page(SEARCH)
    everything = results(page)
    search_for(page, "xyzzyplugh")
    status(page, "0 plugins")
    expect(page.locator(".search-nothing")).to_contain_text("xyzzyplugh")
    page.get_by_role("button", name="Clear the search").click()
    expect(page.locator(".search-result")).to_have_count(len(everything))
    assert results(page) == everything


@both_at_length
def test_facets_narrow_and_their_counts_say_what_choosing_them_would_show(open_page: Open) -> None:
    page = open_page(f"{SEARCH}?namespace={NAMESPACE}")
    status(page, f"{GENERATED} plugins")
    types = facet(page, "Type")
    assert types == {"build": 40, "notify": 40, "service": 40}
    # 60 say darwin, 30 linux, and 30 nothing: those run on both
    assert facet(page, "Operating system") == {"darwin": 90, "linux": 60}
    assert facet(page, "Tag") == {"cuda-11.8": 6}
    page.get_by_label(re.compile("^build")).check()
    status(page, "40 plugins")
    assert facet(page, "Type") == types  # another type may be added, and how many that would bring is known
    page.get_by_label(re.compile("^notify")).check()
    status(page, "80 plugins")
    page.get_by_label(re.compile("^cuda-11.8")).check()
    expect(page.get_by_role("button", name="Remove the filter Tag: cuda-11.8")).to_be_visible()
    narrowed = facet(page, "License")
    status(page, f"{sum(narrowed.values())} plugins")
    page.get_by_role("button", name="Remove the filter Tag: cuda-11.8").click()
    status(page, "80 plugins")
    page.get_by_role("button", name="Clear all").click()
    expect(page.locator(".search-chips button")).to_have_count(0)


def test_a_deprecated_plugin_says_so_and_is_a_facet(open_page: Open) -> None:
    page = open_page(f"{SEARCH}?deprecated=yes")
    assert results(page) == ["edge/old-slack"]
    expect(page.locator(".search-result .tag")).to_have_text("deprecated")
    expect(page.locator(".search-note")).to_have_text("The service was shut down. Use acme/console-notify instead.")
    search_for(page, "withdrawn")
    status(page, "0 plugins")
    page.goto(page.url.partition("?")[0] + "?q=withdrawn")
    expect(page.locator(".search-result .tag").first).to_have_text("all releases yanked")


def test_the_order_can_be_chosen(open_page: Open) -> None:
    page = open_page(f"{SEARCH}?namespace={NAMESPACE}")
    results(page)
    dates = page.locator(".search-result time").evaluate_all("all => all.map(each => each.dateTime)")
    assert dates == sorted(dates, reverse=True)  # without words, what was released last
    page.get_by_label("Sort by").select_option("name")
    expect(page.locator(".search-result h2 a").first).to_have_text(f"{NAMESPACE}/tool-000")
    names = results(page)
    assert names == sorted(names)
    page.get_by_role("button", name="Show more").click()
    expect(page.locator(".search-result")).to_have_count(2 * len(names))
    assert results(page)[: len(names)] == names


@both
def test_what_is_asked_stands_in_the_address_and_comes_back_from_it(open_page: Open) -> None:
    page = open_page(SEARCH)
    results(page)
    search_for(page, "helper & co")
    search_for(page, "helper")
    page.get_by_role("group", name="Type").get_by_label(re.compile("^build")).check()
    page.get_by_role("group", name="Operating system").get_by_label(re.compile("^linux")).check()
    page.get_by_label("Sort by").select_option("name")
    wanted = {("q", "helper"), ("type", "build"), ("os", "linux"), ("sort", "name")}
    page.wait_for_url(lambda url: set(parse_qsl(urlsplit(url).query)) == wanted)
    found = results(page)
    assert len(found) > 1

    again = open_page(f"{SEARCH}?{urlsplit(page.url).query}")
    assert results(again) == found
    expect(again.locator("#search-text")).to_have_value("helper")
    expect(again.get_by_label("Sort by")).to_have_value("name")
    expect(again.get_by_label(re.compile("^build"))).to_be_checked()

    # "back" from a plugin finds the search as it was left, also when it was left at once
    search_for(again, "helper 3")
    expect(again.locator("mark").first).to_be_visible()
    again.locator(".search-result h2 a").first.click()
    again.wait_for_url(re.compile(f"/{NAMESPACE}/tool-"))
    back(again)
    expect(again.locator("#search-text")).to_have_value("helper 3")
    assert ("q", "helper 3") in asked(again)


@both
def test_going_back_restores_results_and_place_without_reading_the_catalog_again(open_page: Open) -> None:
    page = open_page(f"{SEARCH}?q=helper", viewport={"width": 800, "height": 500})
    results(page)
    page.get_by_role("button", name="Show more").click()
    expect(page.locator(".search-result")).to_have_count(80)
    found = results(page)
    page.locator(".search-result h2 a").nth(60).click()
    page.wait_for_url(re.compile(f"/{NAMESPACE}/tool-"))
    asked_for: list[str] = []
    page.on("request", lambda request: asked_for.append(urlsplit(request.url).path))
    back(page)
    assert results(page) == found
    expect(page.locator(".search-result h2 a").nth(60)).to_be_in_viewport()
    assert [path for path in asked_for if "catalog" in path or "worker" in path] == []
    search_for(page, "kalman")  # now it is needed
    expect(page.locator(".search-result h2 a").first).to_have_text("robotics/kalman")


def of_the_table(page: Page) -> None:
    """Let the page search the rows of the table of cases."""
    rows = json.loads(CASES.read_text(encoding="utf-8"))["rows"]
    for name, answer in (("catalogue", {"shards": ["rows.json"]}), ("rows", {"plugins": rows})):
        body = json.dumps({"format": 1, **answer})
        page.context.route(f"**/search/{name}.json", partial(_fulfil, body))


def _fulfil(body: str | bytes, route: Route) -> None:
    route.fulfill(body=body, content_type="application/json")


def large(page: Page) -> list[str]:
    """Let the page search a registry of 2,400 plugins; return the paths that it asks for, as they come."""
    words = ["kalman", "kanban", "slack", "notes", "robot", "table", "chart", "forms"]
    rows = [
        CatalogRow(
            "many", f"{words[n % 8]}-{words[n // 8 % 8]}-{n}", "build", f"Number {n}", latest="1.0.0", releases=1
        )
        for n in range(2_399)
    ]
    rows.append(CatalogRow("one", "filter", "build", "Finds zebras", latest="1.0.0", title="Kalman Filter", releases=1))
    names = {f"names-{first}": data for first, data in name_shards(rows).items()}
    files = {
        "catalogue": {
            "shards": ["rows.json"],
            "names": {name.removeprefix("names-"): f"{name}.json" for name in names},
            "size": 30_000_000,
            "plugins": len(rows),
            "used": [["many/kalman-robot-32", 3]],
        },
        "rows": {"plugins": msgspec.to_builtins(rows)},
    }
    bodies: dict[str, str | bytes] = {name: json.dumps({"format": 1, **file}) for name, file in files.items()}
    for name, body in (bodies | names).items():
        page.context.route(f"**/search/{name}.json", partial(_fulfil, body))
    asked_for: list[str] = []
    page.on("request", lambda request: asked_for.append(urlsplit(request.url).path.rpartition("/")[2]))
    return asked_for


@both
def test_a_name_in_a_large_registry_reads_what_is_typed_alone(open_page: Open, site: str) -> None:
    page = open_page(None)
    asked_for = large(page)
    page.goto(site + SEARCH)
    expect(page.locator(".search-meant")).to_contain_text("Type a name.")
    assert "rows.json" not in asked_for
    search_for(page, "kalman-robot")
    expect(page.locator(".search-result h2 a").first).to_have_text("many/kalman-robot-32")  # the one that others need
    expect(page.locator(".search-status")).to_have_text(re.compile("plugins by name"))
    search_for(page, "kalman filter")  # a title, of a plugin whose name begins otherwise
    expect(page.locator(".search-result h2 a")).to_have_text(["one/filter"])
    expect(page.locator(".search-result .tag")).to_have_count(0)
    assert "rows.json" not in asked_for
    assert sum(name.startswith("names-") for name in asked_for) <= 2
    expect(page.locator(".search-facet")).to_have_count(0)


def test_what_needs_all_rows_of_a_large_registry_is_asked_for(open_page: Open, site: str) -> None:
    page = open_page(None)
    asked_for = large(page)
    page.goto(f"{site}{SEARCH}?q=zebras")
    wider = page.get_by_role(
        "button", name="Search all 2,400 plugins, in all texts and with filters (reads up to 30 MB)"
    )
    expect(wider).to_be_visible()
    page.set_viewport_size({"width": 320, "height": 640})
    assert page.evaluate("document.scrollingElement.scrollWidth <= innerWidth")
    expect(page.locator(".search-meant")).to_contain_text("Names and titles alone can't answer this.")
    assert page.evaluate("performance.getEntriesByType('resource').filter(e => e.name.includes('worker')).length") == 0
    assert "rows.json" not in asked_for
    wider.click()
    expect(page.locator(".search-result h2 a")).to_have_text(["one/filter"])
    assert asked_for.count("rows.json") == 1
    search_for(page, "kanban")
    expect(page.locator(".search-status")).to_have_text("566 plugins")
    page.goto(f"{page.url.partition('?')[0]}?namespace=one")  # once wanted, they aren't asked about again
    assert results(page) == ["one/filter"]


def test_a_filter_reads_all_rows_of_a_large_registry_when_they_are_wanted(open_page: Open, site: str) -> None:
    page = open_page(None)
    asked_for = large(page)
    page.goto(f"{site}{SEARCH}?namespace=one")
    wider = page.get_by_role("button", name="Search all 2,400 plugins")
    expect(wider).to_be_visible()
    expect(page.locator(".search-chips button")).to_contain_text(["Namespace: one"])
    assert "rows.json" not in asked_for
    wider.click()
    expect(page.locator(".search-result h2 a")).to_have_text(["one/filter"])


@both
def test_a_browser_that_lacks_the_memory_says_so_and_still_finds_names(open_page: Open, site: str) -> None:
    page = open_page(None)
    asked_for = large(page)

    def worker(route: Route) -> None:
        """Let arrays of more than 10,000 bytes fail as browsers let them fail."""
        fails = "if (all[0] > 1e4) throw new RangeError('Array buffer allocation failed')"
        limited = (
            f"globalThis.Uint8Array = class extends Uint8Array {{ constructor(...all) {{ {fails}; super(...all); }} }}"
        )
        route.fulfill(body=f"{limited};\n{route.fetch().text()}", content_type="text/javascript")

    page.context.route("**/search-worker.*.js", worker)
    page.goto(f"{site}{SEARCH}?q=zebras")
    page.get_by_role("button", name="Search all 2,400 plugins").click()
    status(page, re.compile("Search failed: this browser lacks the memory for all plugins"))
    assert asked_for.count("rows.json") == 1
    search_for(page, "kalman filter")  # nothing reads all rows again by itself
    expect(page.locator(".search-result h2 a")).to_have_text(["one/filter"])
    search_for(page, "zebras")
    expect(page.get_by_role("button", name="Search all 2,400 plugins")).to_be_visible()
    assert asked_for.count("rows.json") == 1


def test_what_a_mirror_of_a_part_lacks_is_told_and_not_linked(open_page: Open, site: str) -> None:
    page = open_page(None)
    every = [("a", "robot"), ("b", "robot"), ("b", "robot-2")]
    rows = [CatalogRow(namespace, name, "build", "A robot", latest="1.0.0") for namespace, name in every]
    files = {
        "catalogue": {"shards": ["rows.json"], "held": {"b": ["robot"]}},
        "rows": {"plugins": msgspec.to_builtins(rows)},
    }
    for name, file in files.items():
        page.context.route(f"**/search/{name}.json", partial(_fulfil, json.dumps({"format": 1, **file})))
    page.goto(f"{site}{SEARCH}?q=robot")
    expect(page.locator(".search-result h2")).to_have_text(
        ["a/robot 1.0.0 not on this mirror", "b/robot 1.0.0", "b/robot-2 1.0.0 not on this mirror"]
    )
    assert results(page) == ["b/robot"]


def test_what_was_meant_is_offered_where_nothing_is_exact(open_page: Open, site: str) -> None:
    page = open_page(None)
    of_the_table(page)
    page.goto(f"{site}{SEARCH}?q=kanbam")
    assert results(page)[0] == "boards/kanban"
    expect(page.locator(".search-meant")).to_contain_text("Nothing exact; did you mean")
    page.get_by_role("button", name="kanban", exact=True).click()
    expect(page.locator("#search-text")).to_have_value("kanban")
    expect(page.locator(".search-meant")).to_be_hidden()
    assert results(page)[0] == "boards/kanban"


@both
def test_any_script_is_found_and_marked(open_page: Open, site: str) -> None:
    page = open_page(None)
    of_the_table(page)
    page.goto(f"{site}{SEARCH}?q=%E6%B8%B8%E6%88%8F")
    assert results(page) == ["games/group-games"]
    expect(page.locator(".plugin-summary mark")).to_have_text("游戏")
    search_for(page, "wordcount")
    expect(page.locator(".search-result h2 mark")).to_have_text("word-count")


def test_a_metric_narrows_and_stands_in_the_address(open_page: Open, site: str) -> None:
    page = open_page(None)
    of_the_table(page)
    page.goto(site + SEARCH)
    results(page)
    field = page.get_by_label("Metric, such as")
    field.press_sequentially("top1 0.8")
    field.press("Enter")
    assert field.evaluate("field => field.validationMessage") != ""
    field.clear()
    field.press_sequentially("top1>=0.8")
    field.press("Enter")
    status(page, "1 plugin")
    expect(page.locator(".plugin-facts")).to_contain_text("top1 0.83")
    page.wait_for_url(lambda url: parse_qsl(urlsplit(url).query) == [("metric", "top1>=0.8")])
    page.get_by_role("button", name="Remove the filter Metric: top1>=0.8").click()
    expect(page.locator(".search-chips button")).to_have_count(0)


def test_an_address_that_asks_for_what_nobody_has_shows_it_and_lets_it_go(open_page: Open) -> None:
    page = open_page(f"{SEARCH}?type=no-such-type&q=%3Cimg%20src%3Dx%3E&sort=bogus&unknown=1")
    status(page, "0 plugins")
    page.get_by_role("button", name="Remove the filter Type: no-such-type").click()
    expect(page.locator(".search-chips button")).to_have_count(0)
    assert page.locator("img[src=x]").count() == 0


@both
def test_the_keyboard_alone_is_enough(open_page: Open) -> None:
    page = open_page(SEARCH)
    results(page)
    field = page.locator("#search-text")
    page.locator("body").press("/")
    expect(field).to_be_focused()
    expect(field).to_have_value("")
    page.keyboard.type("helper 1")
    expect(page.locator(".search-result").first).to_contain_text("tool-")
    page.wait_for_url(re.compile("q=helper"))
    links = page.locator(".search-result h2 a")
    page.keyboard.press("ArrowDown")
    expect(links.nth(0)).to_be_focused()
    page.keyboard.press("ArrowDown")
    expect(links.nth(1)).to_be_focused()
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowUp")
    expect(field).to_be_focused()
    page.keyboard.press("Escape")
    expect(field).to_have_value("")
    page.keyboard.type("kalman/")  # a slash in the field is a character
    expect(field).to_have_value("kalman/")
    expect(links.first).to_have_text("robotics/kalman")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.wait_for_url("**/robotics/kalman/")


def test_an_answer_that_comes_late_keeps_the_focus_in_the_results(open_page: Open) -> None:
    page = open_page(f"{SEARCH}?q=kalman")
    first = page.locator(".search-result h2 a").first
    expect(first).to_have_text("robotics/kalman")
    page.locator("#search-text").press("ArrowDown")
    expect(first).to_be_focused()
    # as if the answer to the last letter came only now
    page.evaluate(
        """() => {
          const field = document.querySelector("#search-text");
          field.value = "kalman filter";
          field.dispatchEvent(new Event("input"));
        }"""
    )
    expect(page.locator("mark", has_text="filter").first).to_be_visible()
    expect(first).to_be_focused()


def test_choosing_a_filter_keeps_the_focus_on_it(open_page: Open) -> None:
    page = open_page(SEARCH)
    results(page)
    box = page.get_by_label(re.compile("^linux"))
    box.focus()
    page.keyboard.press("Space")
    expect(page.locator(".search-chips button")).to_have_count(1)
    expect(page.get_by_label(re.compile("^linux"))).to_be_focused()


def test_a_value_far_down_the_list_can_be_reached(open_page: Open) -> None:
    page = open_page(f"{SEARCH}?namespace=robotics&namespace={NAMESPACE}")
    results(page)
    before = len(facet(page, "Keyword"))
    page.get_by_role("button", name=re.compile("Show .* values of keyword")).click()
    expect(page.get_by_role("button", name="Show fewer values of keyword")).to_be_focused()
    assert len(facet(page, "Keyword")) > before


def test_hostile_texts_are_texts(open_page: Open) -> None:
    page = open_page(f"{SEARCH}?q=edge/attacks")
    expect(page.locator(".plugin-summary").first).to_contain_text("<script>")
    assert page.evaluate("window.pwned") is None
    assert page.locator("[data-search] img, [data-search] script").count() == 0


def test_a_catalogue_that_cannot_be_read_is_said(open_page: Open, watch: Watch) -> None:
    page = open_page(SEARCH)
    results(page)
    page.context.route("**/search/catalogue.json", lambda route: route.fulfill(status=503, body=""))
    watch.expected = "503"  # the browser reports the answer, as it should
    page.reload()
    expect(page.locator(".search-status")).to_contain_text("Search failed")
    page.context.unroute("**/search/catalogue.json")
    search_for(page, "kalman")  # when it is there again, another key stroke is enough
    expect(page.locator(".search-result h2 a").first).to_have_text("robotics/kalman")
