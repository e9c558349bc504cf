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
        own: what it wrote or made: its share of memory that is no file's.
        proportional: that, and its share of files in memory, which is Chromium's program nearly alone (PSS). That share
            is a matter of how many other processes of Chromium run: an empty page has 57 MB where there is none, and 22
            beside a few.
    """

    own: float
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
    swapped = found["SwapPss"]
    return Memory(*(1024 * size / 1e6 for size in (found["Pss"] - found["Pss_File"] + swapped, found["Pss"] + swapped)))
