"""The browse site in a real browser: a registry published once a run, a server and a browser for each worker.

The browser is Debian's Chromium, driven by Playwright. Each page that a test opens is watched:
an error on the console, an exception, a request to another origin or an answer of 400 and above fails the test.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock
from playwright.sync_api import Browser, Page, sync_playwright
from support import browse_registry
from support.browser import FLAGS, Open, Watch, chromium

from registry_builder.site.preview.server import running_server


@pytest.fixture(scope="session")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The published folder, made by whichever worker is first."""
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent  # each worker has its own base in the run's
    folder = folder / "browse"
    folder.mkdir(exist_ok=True)
    made = folder / "made"
    with FileLock(folder / "lock"):
        if not made.exists():
            browse_registry.make(folder)
            made.touch()
    return folder / "tree" / "published"


@pytest.fixture(scope="session")
def site(published: Path) -> Iterator[str]:
    """The site's address, with a slash at its end."""
    with running_server(published) as address:
        yield f"{address}/"


@pytest.fixture
def prefixed(published: Path, watch: Watch) -> Iterator[str]:
    """The address of the same site below a prefix, where only relative links work."""
    with running_server(published.parent) as address:
        watch.origins.append(address)
        yield f"{address}/{published.name}/"


@pytest.fixture(scope="package")  # not longer: Playwright leaves an event loop running in the thread
def browser() -> Iterator[Browser]:
    """One browser."""
    program = chromium()
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=program, args=list(FLAGS))
        yield started
        started.close()


@pytest.fixture
def watch(site: str) -> Iterator[Watch]:
    """What happened on the test's pages; trouble that the test doesn't take out fails it."""
    watched = Watch([site])
    yield watched
    assert watched.trouble == []


@pytest.fixture
def open_page(browser: Browser, site: str, watch: Watch) -> Iterator[Open]:
    """Open a page of the site: ``open_page("search.html", color_scheme="dark")``, with a context's options."""
    contexts = []

    def open_(path: str = "", **options: Any) -> Page:
        context = browser.new_context(**options)
        contexts.append(context)
        context.set_default_timeout(15_000)
        watch.over(context)
        page = context.new_page()
        page.goto(site + path)
        return page

    yield open_
    for context in contexts:
        context.close()
