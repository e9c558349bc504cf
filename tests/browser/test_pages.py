"""Every kind of page, in both themes, on a telephone and a wide screen, with and without JavaScript, under attack."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from playwright.sync_api import Page, ViewportSize, expect
from support.browse_registry import GENERATED, NAMESPACE, PAGES
from support.browser import Open, Watch
from support.node_tools import installed, node

NODE = Path(__file__).parent / "node"
PHONE = ViewportSize(width=320, height=640)  # WCAG 2.2, 1.4.10: nothing scrolls in two directions at this width
_SKIPPED = re.compile(rf"plugins/|site/zh/{NAMESPACE}/tool-|{NAMESPACE}/tool-[^0]|{NAMESPACE}/tool-0[^0]")
WIDE = ViewportSize(width=1280, height=800)


@pytest.fixture(scope="session")
def axe() -> str:
    return (installed(NODE) / "axe-core" / "axe.min.js").read_text(encoding="utf-8")


def violations(page: Page) -> list[str]:
    """What axe finds, one line a rule and element."""
    found: list[dict[str, Any]] = page.evaluate(
        "async () => (await axe.run(document, {resultTypes: ['violations']})).violations"
    )
    return [
        f"{rule['id']}: {node['target']} {node['html'][:160]} {node.get('failureSummary', '')[:300]}"
        for rule in found
        for node in rule["nodes"]
    ]


def too_wide(page: Page) -> list[str]:
    """The elements that stick out to the right, if the page scrolls sideways."""
    found: list[str] = page.evaluate(
        """() => document.scrollingElement.scrollWidth <= innerWidth ? [] :
             [...document.querySelectorAll("body *")].filter((e) => e.getBoundingClientRect().right > innerWidth + 1)
               .map((e) => `${e.tagName}.${e.className} ${e.textContent.slice(0, 40)}`)"""
    )
    return found


def lightness(page: Page) -> float:
    """0 for a black page, 255 for a white one."""
    colour: str = page.evaluate("getComputedStyle(document.body).backgroundColor")
    red, green, blue = (float(part) for part in re.findall(r"[\d.]+", colour)[:3])
    return 0.21 * red + 0.72 * green + 0.07 * blue


@pytest.mark.parametrize("kind", PAGES)
def test_a_page_is_accessible_in_both_themes_and_fits(open_page: Open, axe: str, kind: str) -> None:
    page = open_page(PAGES[kind], viewport=WIDE, color_scheme="light")
    if kind.startswith("search"):
        page.wait_for_selector("[data-state=answered]")
    page.evaluate(axe)
    assert violations(page) == []
    assert lightness(page) > 200
    assert too_wide(page) == []
    page.emulate_media(color_scheme="dark")
    assert lightness(page) < 60
    assert violations(page) == []
    page.set_viewport_size(PHONE)
    assert too_wide(page) == []
    assert violations(page) == []
    assert page.context.cookies() == []
    assert page.evaluate("localStorage.length + sessionStorage.length") == 0


def test_all_pages_are_valid_html(published: Path, tmp_path: Path) -> None:
    modules = installed(NODE)
    report = tmp_path / "report.json"  # into a pipe it ends before all is written
    command = [node(), str(modules / ".bin" / "html-validate"), "--config", "html-validate.json"]
    # what authors upload below plugins/ is no page; of the generated plugins, all alike, a few are enough
    pages = [str(path) for path in published.rglob("*.html") if not _SKIPPED.match(str(path.relative_to(published)))]
    assert len(pages) > len(PAGES)
    done = subprocess.run(
        [*command, "--formatter", f"json={report}", *pages], capture_output=True, text=True, check=False, cwd=NODE
    )
    found = [
        f"{Path(each['filePath']).relative_to(published)}:{message['line']} {message['ruleId']}: {message['message']}"
        for each in json.loads(report.read_text(encoding="utf-8"))
        for message in each["messages"]
    ]
    assert found == []
    assert (done.returncode, done.stderr) == (0, "")


def test_below_a_prefix_every_page_loads_all_it_needs(open_page: Open, prefixed: str) -> None:
    """The 404 page is the exception: it answers for any address, so it needs to know its own."""
    page = open_page()
    for kind, path in PAGES.items():
        if kind != "not found":
            page.goto(prefixed + path)
            assert page.evaluate("[...document.styleSheets].every((sheet) => sheet.href && sheet.cssRules)")


def test_without_javascript_lists_lead_to_every_plugin(open_page: Open) -> None:
    page = open_page(f"{NAMESPACE}/", java_script_enabled=False)
    found: list[str] = []
    while True:
        found += page.locator(".plugin-name a").all_inner_texts()
        following = page.get_by_role("link", name="Next page")
        if following.count() == 0:
            break
        following.click()
    assert len(found) == len(set(found)) == GENERATED
    assert page.locator("button.copy").count() == 0


def test_without_javascript_search_says_what_it_needs(open_page: Open) -> None:
    page = open_page("", java_script_enabled=False)
    page.get_by_label("Search plugins").fill("kalman")
    page.get_by_label("Search plugins").press("Enter")
    page.wait_for_url("**/search.html?q=kalman")
    expect(page.get_by_role("main")).to_contain_text("needs JavaScript")
    page.get_by_role("main").get_by_role("link", name="namespaces").click()
    expect(page.get_by_role("link", name="robotics")).to_be_visible()


def test_search_from_any_page(open_page: Open) -> None:
    page = open_page("robotics/kalman/")
    page.locator("body").press("/")
    expect(page.get_by_label("Search plugins")).to_be_focused()
    page.keyboard.type("hal motor")
    page.keyboard.press("Enter")
    page.wait_for_url("**/search.html?q=hal+motor")
    expect(page.locator(".search-result h2 a").first).to_have_text("robotics/hal-motor")


def test_copy_puts_the_install_line_on_the_clipboard_and_says_so(open_page: Open) -> None:
    page = open_page("robotics/kalman/", permissions=["clipboard-read", "clipboard-write"])
    page.get_by_role("button", name="Copy the command that installs robotics/kalman").click()
    expect(page.locator("[role=status]")).to_have_text("Copied the command that installs robotics/kalman")
    assert page.evaluate("navigator.clipboard.readText()") == "sealdex install robotics/kalman"
    expect(page.locator("button.copy").first).to_have_text("Copied")


def test_copy_selects_the_text_where_the_clipboard_is_refused(open_page: Open) -> None:
    page = open_page("robotics/kalman/")
    page.evaluate("Object.defineProperty(navigator, 'clipboard', {value: {writeText: () => Promise.reject()}})")
    page.get_by_text("sealdex.toml", exact=True).first.click()
    page.get_by_role("button", name="Copy the lines for sealdex.toml").click()
    expect(page.locator("[role=status]")).to_contain_text("press Ctrl+C")
    selected = page.evaluate("getSelection().toString()")
    assert selected.startswith("[plugins]")
    assert '"robotics/kalman"' in selected


# --- attacks: an author whose plugin was accepted wants to run a script, call home, or hide the page -----------------


@pytest.mark.parametrize(
    "path", ["edge/attacks/", "edge/attacks/1.0.0/", "edge/", "types/notify/", "search.html?q=attacks"]
)
@pytest.mark.parametrize("bypass_csp", [False, True], ids=["with the policy", "by sanitising alone"])
def test_hostile_texts_do_nothing(open_page: Open, site: str, path: str, bypass_csp: bool) -> None:
    """`watch` sees what they'd load; nothing of theirs may run, cover the page, or lead to a script."""
    page = open_page(path, bypass_csp=bypass_csp)
    if "search" in path:
        page.wait_for_selector(".search-result")
    assert page.url == site + path  # no refresh, no base
    assert page.evaluate("window.pwned") is None
    main = page.locator("main")
    expect(main).to_be_visible()
    assert (
        main.locator("script, style, iframe, object, embed, svg:not(.drawing), math, base, meta, link, video").count()
        == 0
    )
    foreign = """() => [...document.querySelectorAll("*")]
      .flatMap((e) => [...e.attributes].map((a) => [a.name, a.value]))
      .filter(([name, value]) => /^on|^style$|^srcdoc$|^formaction$/.test(name) ||
         (/^(href|src|action)$/.test(name) && /^\\s*(javascript|data|vbscript)/i.test(value)))"""
    assert page.evaluate(foreign) == []
    for link in main.locator(".prose a[href]").all():
        target = link.get_attribute("href") or ""
        assert re.match(r"(https?://|mailto:|#|\.|[a-z0-9])", unquote(target)), target
        assert not target.lower().startswith("javascript")


def test_the_readme_of_the_attacker_is_still_read(open_page: Open) -> None:
    """A sanitiser that drops the rest of the text would let the test above pass."""
    page = open_page("edge/attacks/")
    expect(page.get_by_text("The end of the attacks.").first).to_be_visible()
    expect(page.locator("main")).to_contain_text("<script>window.pwned='field'</script>")


@pytest.mark.parametrize("kind", ["home", "plugin", "search"])
def test_the_policy_stops_what_got_into_a_page(open_page: Open, watch: Watch, kind: str) -> None:
    """The attacker can put any HTML into a page: the policy has to do alone."""
    page = open_page(PAGES[kind])
    page.evaluate(
        """() => {
          for (const html of ["<img src=x onerror='window.pwned=1'>", "<iframe src='https://attacker.example/'></iframe>",
                              "<img src='https://attacker.example/pixel.png'>", "<style>body {display: none}</style>"])
            document.body.insertAdjacentHTML("beforeend", html);
          const script = document.createElement("script");
          script.textContent = "window.pwned = 2";
          document.body.append(script);
        }"""
    )
    page.evaluate("fetch('https://attacker.example/').catch(() => 0)")
    page.wait_for_function("document.querySelector('img[src=x]').complete")
    assert page.evaluate("window.pwned") is None
    expect(page.locator("main")).to_be_visible()
    assert not [each for each in watch.trouble if "off the origin" in each]
    assert [each for each in watch.trouble if "Content Security Policy" in each]
    watch.trouble.clear()


# --- downloads: a number that logs say, read by the page itself ------------------------------------------------------


def test_downloads_are_shown_as_what_they_are(open_page: Open) -> None:
    for path in ("robotics/kalman/", "robotics/kalman/1.1.0/"):
        section = open_page(path).get_by_role("region", name="Downloads")
        expect(section).to_contain_text("1,234 in the 30 days to 2026-11-20")
        expect(section).to_contain_text("As the logs show; mirrors and caches hide more.")
    assert open_page("robotics/kalman/", java_script_enabled=False).locator("[data-stats]").is_hidden()


@pytest.mark.parametrize(
    "stats",
    [
        "<!doctype html>a page of a proxy",
        '{"format": 2, "last_day": "2026-11-20", "plugins": {}}',
        '{"format": 1, "last_day": "<img src=x onerror=alert(1)>", "plugins": {}}',
        '{"format": 1, "last_day": "2026-99-99", "plugins": {}}',
        "null",
    ],
)
def test_without_numbers_that_can_be_read_nothing_is_shown(open_page: Open, stats: str) -> None:
    page = open_page("")
    page.route("**/api/stats.json", lambda route: route.fulfill(body=stats, content_type="application/json"))
    with page.expect_response("**/api/stats.json"):
        page.goto(f"{page.url}robotics/kalman/")
    page.wait_for_load_state("networkidle")
    assert page.locator("[data-stats]").is_hidden()


def test_attack_numbers_that_are_scripts_or_enormous(open_page: Open) -> None:
    """Whoever can write to the store writes what they like into stats.json, which nothing signs."""
    page = open_page("")
    day = '"2026-11-20": '
    numbers = f'{{{day}5}}, "<script>window.pwned=1</script>": {{{day}"<img src=x onerror=window.pwned=1>"}}'
    more = f'"2": {{{day}1e300}}, "3": {{{day}-7}}, "4": null, "__proto__": {{{day}2}}'
    stats = (
        f'{{"format": 1, "last_day": "2026-11-20", "plugins": {{"robotics/kalman": {{"1.0.0": {numbers}, {more}}}}}}}'
    )
    page.route("**/api/stats.json", lambda route: route.fulfill(body=stats, content_type="application/json"))
    page.goto(f"{page.url}robotics/kalman/")
    expect(page.get_by_role("region", name="Downloads")).to_contain_text("7 in the 30 days to 2026-11-20")
    assert page.evaluate("window.pwned") is None
