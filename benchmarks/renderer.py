"""How much memory a page takes: that of its renderer, after a collection of garbage."""

from __future__ import annotations

import contextlib
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from playwright.sync_api import Browser, Page, sync_playwright

from benchmarks import peers

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
FLAGS = ("--no-sandbox", "--disable-background-networking", "--disable-component-update", "--no-first-run")
_SETTLED_MS = 1_000
_READINGS = 4


def chromium() -> str:
    """Return the path of the browser.

    Raises:
        PeerMissingError: there is none.
    """
    program = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if program is None:
        raise peers.PeerMissingError("chromium is missing: apt-get install chromium")
    return program


@contextlib.contextmanager
def started_browser() -> Iterator[Browser]:
    """Run the browser."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=list(FLAGS))
        yield browser
        browser.close()


class Memory(NamedTuple):
    """The memory of a renderer; 1 MB is 1,000,000 bytes.

    Attributes:
        private: pages that no other process has.
        proportional: these, and its share of what processes share, which is mostly Chromium's program itself (PSS).
    """

    private: float
    proportional: float


def memory_of(browser: Browser, page: Page) -> Memory:
    """Return the memory of the renderer of the browser's only page.

    The browser may keep a renderer in reserve, which is always the smaller one.
    """
    devtools = page.context.new_cdp_session(page)
    session = browser.new_browser_cdp_session()
    processes = session.send("SystemInfo.getProcessInfo")["processInfo"]
    renderers = [each["id"] for each in processes if each["type"] == "renderer"]
    readings = []
    for _ in range(_READINGS):
        devtools.send("HeapProfiler.collectGarbage")
        page.wait_for_timeout(_SETTLED_MS)
        readings.append(max(map(renderer_memory, renderers)))
    return min(readings)  # what was freed is given back a little later


def renderer_memory(process: int) -> Memory:
    """Return the memory of a process as it is."""
    said = Path(f"/proc/{process}/smaps_rollup").read_text()
    found = {name: int(kilobytes) for name, kilobytes in re.findall(r"(?m)^(\w+): +([0-9]+) kB", said)}
    private = found["Private_Clean"] + found["Private_Dirty"] + found["Swap"]
    return Memory(1024 * private / 1e6, 1024 * (found["Pss"] + found["SwapPss"]) / 1e6)
