"""The browse site in real browsers: a registry published once a run, a server and browsers for each worker.

The browsers are Debian's Chromium and, for tests marked `both`, its Firefox, driven by Playwright. Each page that a
test opens is watched: an error on the console, an exception, a request to another origin or an answer of 400 and above
fails the test.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import pytest
from filelock import FileLock
from playwright.sync_api import BrowserContext, Page, expect, sync_playwright
from support import browse_registry
from support.browser import ENGINES, Browsers, Open, Watch

from registry_builder.site.preview.server import running_server

HERE = Path(__file__).parent
PATIENCE_MS = 300_000
"""What a page may take for a step: pytest ends what hangs, and five seconds are little on a machine with other work."""

expect.set_options(timeout=PATIENCE_MS)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put what wants Firefox together, behind the rest of this folder: then most often one process starts it."""
    own = [at for at, item in enumerate(items) if item.path.is_relative_to(HERE)]
    for at, item in zip(own, sorted((items[at] for at in own), key=_in_firefox), strict=True):
        items[at] = item


def _in_firefox(item: pytest.Item) -> bool:
    chosen = getattr(item, "callspec", None)
    return chosen is not None and chosen.params.get("engine") == "firefox"


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


@pytest.fixture(scope="session")
def parent_of_site(published: Path) -> Iterator[str]:
    """The address of a server that has the site in a folder."""
    with running_server(published.parent) as address:
        yield address


@pytest.fixture
def prefixed(published: Path, parent_of_site: str, watch: Watch) -> str:
    """The address of the same site below a prefix, where only relative links work."""
    watch.origins.append(parent_of_site)
    return f"{parent_of_site}/{published.name}/"


@pytest.fixture(scope="package")  # not longer: Playwright leaves an event loop running in the thread
def browsers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browsers]:
    """Each browser, started for the first test that wants it."""
    with sync_playwright() as playwright:
        made = Browsers(playwright, tmp_path_factory.mktemp("browser"))
        yield made
        made.close()


@pytest.fixture
def engine(request: pytest.FixtureRequest) -> str:
    """The browser's name: the first, unless the test is marked `both`."""
    name: str = getattr(request, "param", ENGINES[0])
    return name


@pytest.fixture
def watch(site: str) -> Iterator[Watch]:
    """What happened on the test's pages; trouble that the test doesn't take out fails it."""
    watched = Watch([site])
    yield watched
    assert watched.trouble == []


@pytest.fixture
def open_page(browsers: Browsers, engine: str, site: str, watch: Watch) -> Iterator[Open]:
    """Open a page of the site: see `Open`."""
    own: list[BrowserContext] = []
    lent: list[tuple[Page, dict[str, Any]]] = []

    def open_(path: str | None = "", *, fresh: bool = False, **options: Any) -> Page:
        page = None if fresh else browsers.lend(engine, options)
        if page is None:
            context = browsers.started(engine).new_context(**options)
            own.append(context)
            page = context.new_page()
        else:
            lent.append((page, options))
        watch.over(page.context)
        page.set_default_timeout(PATIENCE_MS)
        if path is not None:
            page.goto(urljoin(site, path))
        return page

    yield open_
    for context in own:
        context.close()
    for page, options in lent:
        watch.leave(page.context)
        browsers.give_back(engine, options, page)
