"""Every kind of page, in both themes, on a telephone and a wide screen, with and without JavaScript, under attack."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Literal
from urllib.parse import unquote

import pytest
from playwright.sync_api import Page, ViewportSize, expect
from support.accessibility import axe_source, violations
from support.browse_registry import GENERATED, KINDS, NAMESPACE, PAGES
from support.browser import EVERY, Open, Watch, both, both_at_length
from support.node_tools import installed, node
from support.places import REPOSITORY
from support.tree_server import TreeServer

NODE = Path(__file__).parent / "node"
SMALLEST = 320  # WCAG 2.2, 1.4.10: nothing scrolls in two directions at this width
WIDTHS = {"phone": 390, "tablet": 820, "wide": 1440}
MADE_BY_SCRIPT = [
    "search of words", "search of nothing", "search of a typo in zh", "comparison", "release in zh", "full", "verify",
    "page of a list", "keywords in zh",
]  # fmt: skip
TRANSLATED = [
    "home in zh", "search of words in zh", "page of a list in zh", "keywords in zh", "full in zh",
    "chinese plugin in zh", "release in zh", "comparison in zh", "verify in zh", "documents in zh",
]  # fmt: skip
Theme = Literal["light", "dark"]
THEMES: tuple[Theme, ...] = ("light", "dark")
_ALIKE = re.compile(rf"{NAMESPACE}/tool-(?!000/)|edge/wide/1\.(?!0\.)|keywords/(group|k*)-(?!1/)")
_IN_CHINESE = {
    f"{path}index.html" if path.endswith("/") else path
    for path in (unquote(path.partition("?")[0]) for path in PAGES.values())
}


def looks() -> dict[str, tuple[list[int], list[Theme]]]:
    """Which pages axe looks at, at which widths and in which themes; with `EVERY`, all in all ways.

    All English ones, and of each template one in each other language, whose texts are of other lengths: pages of a
    template differ in little. Each is looked at in one way, and a template in all of them where it has as many pages.
    """
    if EVERY:
        return dict.fromkeys(PAGES, (list(WIDTHS.values()), list(THEMES)))
    chosen = [kind for kind in PAGES if kind in KINDS or kind in TRANSLATED]
    found: dict[str, tuple[list[int], list[Theme]]] = {}
    for template in dict.fromkeys(template for template, _ in KINDS.values()):
        pages = [kind for kind in chosen if KINDS[kind.removesuffix(" in zh")][0] == template]
        for at, kind in enumerate(pages):
            themes = [THEMES[at % 2]] if len(pages) > 1 else list(THEMES)
            found[kind] = ([list(WIDTHS.values())[(len(found) + at) % 3]], themes)
    return found


LOOKS = looks()


@pytest.fixture(scope="session")
def axe() -> str:
    return axe_source()


def too_wide(page: Page) -> list[str]:
    """The elements that stick out to the right, if the page scrolls sideways."""
    found: list[str] = page.evaluate(
        """() => document.scrollingElement.scrollWidth <= innerWidth ? [] :
             [...document.querySelectorAll("body *")].filter((e) => e.getBoundingClientRect().right > innerWidth + 1)
               .map((e) => `${e.tagName}.${e.className} ${e.textContent.slice(0, 40)}`)"""
    )
    return found


def resize(page: Page, width: int) -> None:
    """Give the window a width, if it has another."""
    if page.viewport_size is None or page.viewport_size["width"] != width:
        page.set_viewport_size(ViewportSize(width=width, height=900))


def lightness(page: Page) -> float:
    """0 for a black page, 255 for a white one."""
    colour: str = page.evaluate("getComputedStyle(document.body).backgroundColor")
    red, green, blue = (float(part) for part in re.findall(r"[\d.]+", colour)[:3])
    return 0.21 * red + 0.72 * green + 0.07 * blue


def settled(page: Page) -> None:
    """Wait until the page's scripts have said what they have to say; each says it in a place of its own."""
    page.wait_for_function("""() => {
      const all = (selector, is) => [...document.querySelectorAll(selector)].every(is);
      return all("[data-search]", (place) => place.dataset.state === "answered") &&
        all("[data-comparison]", (place) => place.lastElementChild?.matches("p:not(.without-script)")) &&
        all("[data-list] [data-total]", (place) => place.textContent) &&
        all("[data-checked], [data-stats][data-plugin='robotics/kalman']", (place) => !place.hidden);
    }""")


def test_every_template_has_a_kind_of_page() -> None:
    templates = {path.name.removesuffix(".html.j2") for path in (REPOSITORY / "site_templates").glob("*.html.j2")}
    assert {template for template, _ in KINDS.values() if template} == templates - {"base", "parts"}


def test_every_template_is_looked_at_in_both_themes_and_all_languages() -> None:
    assert set(KINDS) <= set(LOOKS)
    for template, _ in KINDS.values():
        pages = [kind for kind in LOOKS if KINDS[kind.removesuffix(" in zh")][0] == template]
        assert {theme for kind in pages for theme in LOOKS[kind][1]} == set(THEMES), template
        assert template in {"not_found", ""} or any(kind.endswith(" in zh") for kind in pages), template
    assert {width for widths, _ in LOOKS.values() for width in widths} == set(WIDTHS.values())


@pytest.mark.parametrize("kind", LOOKS)
def test_a_page_is_accessible_and_fits_also_below_a_prefix(
    open_page: Open, site: str, prefixed: str, axe: str, kind: str
) -> None:
    """Below a prefix only relative links work: `watch` sees what isn't there."""
    # the 404 page answers for any address, so it needs to know its own; the verifier to be saved loads nothing
    address = (site if kind in {"not found", "offline verifier"} else prefixed) + PAGES[kind]
    widths, themes = LOOKS[kind]
    page = open_page(address, viewport=ViewportSize(width=widths[0], height=900), color_scheme=themes[0])
    settled(page)
    if address.startswith(prefixed):
        assert page.evaluate("[...document.styleSheets].every((sheet) => sheet.href && sheet.cssRules)")
    page.evaluate(axe)
    for width in widths:
        resize(page, width)
        for theme in themes:
            if len(themes) > 1:
                page.emulate_media(color_scheme=theme)
            assert (lightness(page) > 200) == (theme == "light"), theme
            found = violations(page, of_colours_alone=theme != themes[0])
            assert (width, theme, found) == (width, theme, [])
    for width in (*WIDTHS.values(), SMALLEST):
        resize(page, width)
        assert (width, too_wide(page)) == (width, [])
    assert page.context.cookies() == []
    assert page.evaluate("localStorage.length + sessionStorage.length") == 0


@pytest.mark.parametrize("engine", ["firefox"], indirect=True)
@pytest.mark.parametrize("kind", PAGES if EVERY else ["search of words", "full in zh", "comparison"])
def test_a_page_is_accessible_in_firefox_too(open_page: Open, axe: str, kind: str) -> None:
    page = open_page(PAGES[kind])
    settled(page)
    page.evaluate(axe)
    assert lightness(page) < 60
    assert violations(page) == []
    assert too_wide(page) == []


def invalid(pages: Iterable[Path], below: Path, report: Path) -> list[str]:
    """What html-validate finds, one line each."""
    command = [node(), str(installed(NODE) / ".bin" / "html-validate"), "--config", "html-validate.json"]
    # the report goes into a file: into a pipe html-validate ends before all is written
    done = subprocess.run(
        [*command, "--formatter", f"json={report}", *map(str, pages)],
        capture_output=True,
        text=True,
        check=False,
        cwd=NODE,
    )
    found = [
        f"{Path(each['filePath']).relative_to(below)}:{message['line']} {message['ruleId']}: {message['message']}"
        for each in json.loads(report.read_text(encoding="utf-8"))
        for message in each["messages"]
    ]
    assert (done.returncode, done.stderr) == (1 if found else 0, "")
    return found


def alike(path: str) -> bool:
    """Whether a page differs from another one that is looked at in a number or a word alone."""
    return _ALIKE.match(path) is not None or (path.startswith("site/zh/") and unquote(path) not in _IN_CHINESE)


def test_pages_are_valid_html_as_written_and_as_scripts_make_them(
    open_page: Open, published: Path, site: str, tmp_path: Path
) -> None:
    written = {str(path.relative_to(published)): path for path in published.rglob("*.html")}
    # what authors upload below plugins/ is no page
    checked = [name for name in written if not name.startswith("plugins/") and (EVERY or not alike(name))]
    assert len(checked) > len(PAGES)
    for name in checked:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).symlink_to(written[name])
    page = open_page(None)
    for number, kind in enumerate(PAGES if EVERY else MADE_BY_SCRIPT):
        page.goto(site + PAGES[kind])
        settled(page)
        (tmp_path / f"{number} {kind}.html").write_text(page.content(), encoding="utf-8")
    assert invalid(tmp_path.rglob("*.html"), tmp_path, tmp_path / "report.json") == []


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


@both
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


@both
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


_STOPPED = {"script-src-elem", "script-src-attr", "style-src-elem", "img-src", "frame-src", "connect-src"}
_INJECT = """async (attacker) => {
  window.stopped = [];
  document.addEventListener("securitypolicyviolation", (e) => window.stopped.push(e.effectiveDirective));
  for (const html of ["<img src=x onerror='window.pwned=1'>", `<iframe src='${attacker}/frame'></iframe>`,
                      `<img src='${attacker}/pixel.png'>`, "<style>body {display: none}</style>"])
    document.body.insertAdjacentHTML("beforeend", html);
  const script = document.createElement("script");
  script.textContent = "window.pwned = 2";
  document.body.append(script);
  await fetch(`${attacker}/fetch`).catch(() => 0);
  while (![...document.images].every((each) => each.complete)) await new Promise((done) => setTimeout(done, 20));
}"""


@pytest.mark.parametrize(
    ("engine", "kind"),
    [("chromium", "home"), ("chromium", "plugin"), ("chromium", "search"), ("firefox", "plugin")],
    indirect=["engine"],
)
def test_the_policy_stops_what_got_into_a_page(open_page: Open, watch: Watch, kind: str) -> None:
    """The attacker can put any HTML into a page: the policy has to do alone."""
    page = open_page(PAGES[kind], fresh=True)
    with TreeServer({}) as attacker:
        page.evaluate(_INJECT, attacker.url)
        page.wait_for_function(f"new Set(window.stopped).size >= {len(_STOPPED)}")
        assert set(page.evaluate("window.stopped")) == _STOPPED
        assert page.evaluate("window.pwned") is None
        expect(page.locator("main")).to_be_visible()
        assert attacker.requests == []
    watch.end()  # the browser tells what it stopped, and that there is no x


def test_without_the_policy_it_would_have_worked(open_page: Open, watch: Watch) -> None:
    page = open_page(PAGES["plugin"], bypass_csp=True, fresh=True)
    with TreeServer({}) as attacker:
        page.evaluate(_INJECT, attacker.url)
        assert page.evaluate("window.pwned") in {1, 2}
        assert {"fetch", "pixel.png"} <= {path.lstrip("/") for path in attacker.requests}
    watch.end()


# --- downloads: a number that logs say, read by the page itself ------------------------------------------------------


@both_at_length
def test_downloads_are_shown_as_what_they_are(open_page: Open, site: str) -> None:
    page = open_page(None)
    for path in ("robotics/kalman/", "robotics/kalman/1.1.0/"):
        page.goto(site + path)
        section = page.get_by_role("region", name="Downloads")
        expect(section).to_contain_text("1,234 in the 30 days to 20 November 2026")
        expect(section).to_contain_text("As counted in the logs; downloads from mirrors and caches are not among them.")
    page.goto(site + "robotics/kalman/")  # among what is seen first, on a telephone too
    expect(page.locator(".glance")).to_contain_text("1,234 downloads in 30 days")


def test_without_javascript_there_are_no_downloads(open_page: Open) -> None:
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
def test_without_numbers_that_can_be_read_nothing_is_shown(open_page: Open, site: str, stats: str) -> None:
    page = open_page(None)
    page.route("**/api/stats.json", lambda route: route.fulfill(body=stats, content_type="application/json"))
    with page.expect_response("**/api/stats.json"):
        page.goto(f"{site}robotics/kalman/")
    page.evaluate("fetch('../../api/stats.json').then((answer) => answer.text())")  # the page had its answer before
    assert page.locator("[data-stats]").is_hidden()


def test_attack_numbers_that_are_scripts_or_enormous(open_page: Open, site: str) -> None:
    """Whoever can write to the store writes what they like into stats.json, which nothing signs."""
    page = open_page(None)
    day = '"2026-11-20": '
    numbers = f'{{{day}5}}, "<script>window.pwned=1</script>": {{{day}"<img src=x onerror=window.pwned=1>"}}'
    more = f'"2": {{{day}1e300}}, "3": {{{day}-7}}, "4": null, "__proto__": {{{day}2}}'
    stats = (
        f'{{"format": 1, "last_day": "2026-11-20", "plugins": {{"robotics/kalman": {{"1.0.0": {numbers}, {more}}}}}}}'
    )
    page.route("**/api/stats.json", lambda route: route.fulfill(body=stats, content_type="application/json"))
    page.goto(f"{site}robotics/kalman/")
    expect(page.get_by_role("region", name="Downloads")).to_contain_text("7 in the 30 days to 20 November 2026")
    assert page.evaluate("window.pwned") is None
