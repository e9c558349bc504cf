"""Searching in Firefox, as `search_page` has it for Chromium: times, memory, going back. Prints a table.

    python -m benchmarks.search_firefox PUBLISHED...

Each folder is published as `search_page.publish_with_rows` does it. Debian's Firefox is driven as the browser tests do
it (`tests/support/browser.py`). Memory is that of the process of Firefox that has the page: what it wrote or made, its
share of memory that is no file's (smaps_rollup), the least of some readings, since Firefox collects garbage when it
likes. Anything on the console ends the run.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, urlsplit

from playwright.sync_api import Page, sync_playwright

sys.path.append(str(Path(__file__).resolve().parent.parent / "tests"))

from support.browser import launch  # the tests are no package

from benchmarks.renderer import Memory, renderer_memory
from benchmarks.search_page import LOADING_S, PAGE, TYPE, typed
from benchmarks.synthetic import plugin_name
from registry_builder.site.preview.server import running_server

_READINGS = 6
_ANSWERED = "[data-search][data-state=answered]"


@contextlib.contextmanager
def _opened() -> Iterator[tuple[Page, list[str]]]:
    """Open a page in a browser of its own; the list gets what is said on its console, and its requests."""
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as folder:
        browser = launch(playwright, "firefox", Path(folder))
        page = browser.new_context().new_page()
        page.set_default_timeout(LOADING_S * 1000)
        said: list[str] = []
        page.context.on("console", lambda message: said.append(f"{message.type}: {message.text}"))
        page.context.on("weberror", lambda error: said.append(f"exception: {error.error}"))
        yield page, said
        browser.close()


def _memory(page: Page) -> Memory:
    """Return the memory of the process of Firefox that has the page: the largest of those of tabs."""
    found = []
    for _ in range(_READINGS):
        page.wait_for_timeout(1_000)
        found.append(max(renderer_memory(process) for process in _tabs()))
    return min(found)


def _cpu() -> float:
    """Return the seconds of CPU that the processes of tabs took: a busy machine changes them little."""
    ticks = [(Path("/proc") / str(each) / "stat").read_text().rpartition(")")[2].split()[11:13] for each in _tabs()]
    return sum(int(user) + int(system) for user, system in ticks) / os.sysconf("SC_CLK_TCK")


def _tabs() -> Iterator[int]:
    parents = {}
    lines = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            process = int(folder.name)
            parents[process] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            lines[process] = (folder / "cmdline").read_bytes().strip(b"\0")
    own = int(Path("/proc/self").readlink().name)
    for process, line in lines.items():
        at: int | None = process
        while at is not None and at != own:
            at = parents.get(at)
        if at == own and line.endswith(b" tab"):
            yield process


def _go_and_come_back(page: Page) -> float:
    """Open the first result and go back; return how many ms it took until the results stood there again."""
    asked: list[str] = []
    before = page.locator(".search-result h2 a").all_inner_texts()
    page.locator(".search-result h2 a").first.click()
    page.wait_for_url(lambda url: PAGE not in url)
    page.on("request", lambda request: asked.append(urlsplit(request.url).path))
    started = time.monotonic()
    page.evaluate("history.back()")
    page.wait_for_url(lambda url: PAGE in url)
    page.wait_for_selector(_ANSWERED)
    took = time.monotonic() - started
    after = page.locator(".search-result h2 a").all_inner_texts()
    read = [path for path in asked if "catalog" in path]
    if before != after or read:
        raise SystemExit(f"going back: {len(before)} results before, {len(after)} after; {read}")
    return took * 1000


def measure(published: Path) -> dict[str, float]:
    """Return the figures of a registry."""
    said = json.loads((published / "search/catalogue.json").read_bytes())
    plugins = said["plugins"]
    name = plugin_name(plugins // 2)[1]
    texts = typed([plugin_name(number)[1] for number in range(0, plugins, max(1, plugins // 1000))])
    found: dict[str, float] = {}
    with running_server(published) as address, _opened() as (page, trouble):
        page.goto(f"{address}/{PAGE}?q={quote(name)}")
        page.wait_for_selector(_ANSWERED)
        found["by name: first answer, ms"] = page.evaluate("performance.now()")
        found["by name: own memory, MB"] = _memory(page).own
        times = page.evaluate(TYPE, texts)
        found["by name: a query, median, ms"] = statistics.median(times)
        found["by name: a query, slowest, ms"] = max(times)
        page.locator("#search-text").fill(plugin_name(7)[1])
        page.wait_for_selector(_ANSWERED)
        page.wait_for_timeout(500)
        found["by name: going back, ms"] = _go_and_come_back(page)
        started, cpu = page.evaluate("performance.now()"), _cpu()
        page.locator("#search-text").fill("network policy")
        page.locator("[data-key=wider]").click()
        page.wait_for_selector(f"{_ANSWERED}[data-milliseconds]")
        found["all rows: from the button to the first answer, ms"] = page.evaluate("performance.now()") - started
        found["all rows: CPU until then, ms"] = (_cpu() - cpu) * 1000
        found["all rows: reading and indexing, ms"] = float(
            page.evaluate(f"document.querySelector('{_ANSWERED}').dataset.milliseconds")
        )
        found["all rows: own memory, MB"] = _memory(page).own
        cpu = _cpu()
        times = page.evaluate(TYPE, texts)
        found["all rows: CPU of a query, mean, ms"] = (_cpu() - cpu) * 1000 / len(texts)
        found["all rows: a query, median, ms"] = statistics.median(times)
        found["all rows: a query, slowest, ms"] = max(times)
        found["all rows: own memory after all queries, MB"] = _memory(page).own
        page.locator("#search-text").fill(plugin_name(7)[1])
        page.wait_for_selector(_ANSWERED)
        page.wait_for_timeout(500)
        found["all rows: going back, ms"] = _go_and_come_back(page)
        if trouble:
            raise SystemExit("\n".join(trouble))
    return found


def main() -> None:
    """Measure each folder and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("published", type=Path, nargs="+")
    measured = [measure(folder) for folder in parser.parse_args().published]
    for what in measured[0]:
        print(f"| {what} | {' | '.join(f'{each[what]:,.0f}' for each in measured)} |")


if __name__ == "__main__":
    main()
