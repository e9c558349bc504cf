"""What pages say where something fails: the kind, in the page's language; the browser's own words apart, as English."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, Route, expect
from support.browser import Open, Watch
from support.verify_form import PLUGIN, ask, fingerprint

Fail = Callable[[Route], None]

SEARCH = "site/zh/search.html"
CATALOGUE = "**/search/catalogue.json"
SHARDS = "**/targets/catalog/*"


def latin_words(text: str) -> list[str]:
    return re.findall("[A-Za-z]{2,}", text)


def answers(body: str, status: int = 200) -> Fail:
    return lambda route: route.fulfill(body=body, status=status, content_type="application/json")


FAILURES: dict[str, tuple[str, Fail, str]] = {
    "no connection": (CATALOGUE, lambda route: route.abort(), "无法连接注册表"),
    "a status": (CATALOGUE, answers("", 503), "注册表返回状态码 503"),
    "another page": (CATALOGUE, answers("<!doctype html>a proxy"), "搜索数据已损坏"),
    "no shards": (CATALOGUE, answers('{"format": 1}'), "搜索数据已损坏"),
    "no format": (CATALOGUE, answers("{}"), "搜索数据已损坏"),
    "a newer format": (CATALOGUE, answers('{"format": 2}'), "搜索数据较新"),
    "no script": ("**/assets/search-names*", lambda route: route.abort(), "脚本加载失败"),
    "a script of another time": ("**/assets/search-names*", answers("let let"), "脚本加载失败"),
    "no connection in the worker": (SHARDS, lambda route: route.abort(), "无法连接注册表"),
    "a status in the worker": (SHARDS, answers("", 404), "注册表返回状态码 404"),
    "half a shard": (SHARDS, answers('{"format": 1, "plugins": [{"name"'), "搜索数据已损坏"),
    "a newer shard": (SHARDS, answers('{"format": 2, "plugins": []}'), "搜索数据较新"),
    "no engine in the worker": ("**/assets/search-engine*", lambda route: route.abort(), "脚本加载失败"),
}


def failed(page: Page) -> str:
    """What the search says of its failure, with nothing in it that isn't in Chinese, and English apart."""
    page.wait_for_selector("[data-search][data-state=failed]")
    said = page.locator(".search-status").inner_text()
    assert latin_words(said) == []
    page.get_by_text("技术细节").click()
    technical = page.locator(".technical [lang=en]")
    expect(technical).to_be_visible()
    assert technical.inner_text().strip()
    return said


def test_each_kind_of_failure_is_said_in_the_pages_language(open_page: Open, site: str, watch: Watch) -> None:
    page = open_page(None)
    watch.end()  # the browser reports each of them
    for name, (address, fail, said) in FAILURES.items():
        page.route(address, fail)
        page.goto(site + SEARCH)
        assert said in failed(page), name
        page.unroute(address)
    page.goto(site + SEARCH)
    expect(page.locator(".search-result").first).to_be_visible()
    expect(page.locator(".technical")).to_be_hidden()


def test_what_this_device_lacks_is_said(open_page: Open, site: str, watch: Watch) -> None:
    page = open_page(None, fresh=True)
    watch.end()
    no_worker = "class { constructor() { setTimeout(() => this.onerror({})); } postMessage() {} }"
    no_network = "Object.defineProperty(navigator, 'onLine', {value: false}); fetch = () => { throw new TypeError() }"
    for lacking, said in (
        (f"globalThis.Worker = {no_worker}", "浏览器版本过旧"),
        ("globalThis.fetch = async () => { throw new RangeError('no arrays') }", "浏览器的内存不足"),
        (no_network, "设备处于离线状态"),
    ):
        page.add_init_script(f"{{ {lacking} }}")
        page.goto(site + SEARCH)
        page.wait_for_selector("[data-search][data-state=failed]")
        found = page.locator(".search-status").inner_text()
        assert (said in found, latin_words(found)) == (True, []), found


@pytest.mark.parametrize(
    ("address", "fail", "said"),
    [
        ("**/metadata/timestamp.json", lambda route: route.abort(), "无法连接"),
        ("**/metadata/timestamp.json", answers("null"), "timestamp\uff1a无法读取"),
        ("**/assets/chain*", lambda route: route.abort(), "脚本加载失败"),
    ],
)
def test_the_form_that_verifies_says_why_it_could_not(
    open_page: Open, published: Path, watch: Watch, address: str, fail: Fail, said: str
) -> None:
    page = open_page("site/zh/verify/", fresh="chain" in address)  # a script that failed is kept as failed
    watch.end()
    page.route(address, fail)
    found = ask(page, plugin=PLUGIN, fingerprint=fingerprint(published), button="验证")
    assert found.startswith("refused: ")
    assert said in found
    own = page.locator("form[data-verify] output > p").inner_text()
    assert latin_words(re.sub(r"timestamp.|http://\S+", "", own)) == []
    assert page.locator("form[data-verify] .technical [lang=en]").count() == (0 if said.startswith("timestamp") else 1)


@pytest.mark.parametrize("name", ["NotSupportedError", "DataError"])
def test_a_browser_that_lacks_a_kind_of_key_says_so_and_does_not_blame_the_registry(
    open_page: Open, published: Path, name: str
) -> None:
    page = open_page("verify/")
    page.evaluate(f"() => {{ crypto.subtle.importKey = async () => {{ throw new DOMException('', '{name}') }} }}")
    said = ask(page, plugin=PLUGIN, fingerprint=fingerprint(published))
    page.evaluate("delete crypto.subtle.importKey")
    unknown = "root: this browser can't check signatures of the kind ed25519"
    assert (unknown if name == "NotSupportedError" else "root: it isn't signed by enough of its keys") in said
    assert said.startswith("refused: ")


# --- the page for addresses where nothing is --------------------------------------------------------------------------


def languages(page: Page) -> list[str | None]:
    return [part.get_attribute("lang") for part in page.locator("[data-languages] > section").all()]


def test_the_page_for_no_page_has_every_language_and_the_readers_first(
    open_page: Open, published: Path, site: str
) -> None:
    body = (published / "404.html").read_text(encoding="utf-8")
    assert re.findall(r'<section lang="(\w+)"', body) == ["en", "zh"]  # without script in the registry's order
    page = open_page(None, fresh=True)
    page.route("**/missing/**", lambda route: route.fulfill(body=body, content_type="text/html"))

    def opened(address: str, *wanted: str) -> list[str | None]:
        page.add_init_script(
            f"Object.defineProperty(navigator, 'languages', {{value: {list(wanted)}, configurable: true}})"
        )
        page.goto(f"{site}{address}")
        return languages(page)

    assert opened("missing/page/", "en-GB") == ["en", "zh"]
    assert opened("missing/page/", "fr", "zh-CN", "en") == ["zh", "en"]
    assert opened("missing/page/", "fr") == ["en", "zh"]
    page.route("**/site/zh/missing/**", lambda route: route.fulfill(body=body, content_type="text/html"))
    assert opened("site/zh/missing/page/", "en") == ["zh", "en"]
    own = page.locator("section[lang=zh]")
    expect(own.get_by_role("heading")).to_have_text("找不到页面")
    assert latin_words(own.inner_text()) == []
    own.get_by_role("searchbox").fill("kalman")
    own.get_by_role("searchbox").press("Enter")
    page.wait_for_url("**/site/zh/search.html?q=kalman")
    expect(page.locator(".search-result h2 a").first).to_have_text("robotics/kalman")
