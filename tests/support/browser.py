"""Real browsers for tests: which programs they are, and a watch over all that goes wrong on the pages they show.

Chromium and Firefox as Debian has them, both driven by Playwright. Firefox is driven over WebDriver BiDi, which can't
switch JavaScript off, choose a theme or bypass a policy: it is started dark, and tests that need one of these are
Chromium's alone.

A context and a page more cost a browser more time than most tests take in them, so tests borrow pages that are kept.
What a page remembers is taken from it in between: routes, storage, cookies, size, theme. Only answers stay in the
browser's cache, as long as they may.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    Playwright,
    Request,
    Response,
    ViewportSize,
    WebError,
)
from playwright.sync_api import Error as PlaywrightError
from support.components import missing

FLAGS = (
    "--no-sandbox",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)
_PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
_FIREFOXES = ("firefox-esr", "firefox")
OLDEST_FIREFOX = 153
"""The oldest that Playwright, as pinned, can drive: 140 lacks commands, and a page's policy stops its scripts."""
_RELAY = Path(__file__).with_name("firefox_relay.py")
_PREFERENCES: dict[str, str | float | bool] = {
    "layout.css.prefers-color-scheme.content-override": 0,  # dark
    "browser.sessionhistory.max_total_viewers": 0,  # "back" loads a page again: of a kept one Playwright hears nothing
}
_VIEWPORT = ViewportSize(width=1280, height=720)
_CHANGED_LATER = {"viewport", "color_scheme"}
_KEPT_WITH: tuple[dict[str, bool], ...] = ({}, {"bypass_csp": True}, {"java_script_enabled": False})
_FORGET = """() => {
  if (!/^http/.test(location.protocol)) return;
  localStorage.clear();
  sessionStorage.clear();
}"""
_STOPPED = ("csp", "NS_ERROR_CONTENT_BLOCKED", "NS_ERROR_DOM_BAD_URI")

ENGINES = ("chromium", "firefox")
both = pytest.mark.parametrize("engine", ENGINES, indirect=True)
"""Marks a test that runs in each browser; the others run in the first alone."""
EVERY = os.environ.get("PAGES") == "all"
"""Whether everything is looked at that can be: each page in each way, and all that `both_at_length` marks."""
both_at_length = pytest.mark.parametrize("engine", ENGINES if EVERY else ENGINES[:1], indirect=True)
"""Marks a test that asks little of a browser that tests of `both` don't: each browser runs it with ``PAGES=all``."""


def chromium() -> str:
    """Return the path of the browser, or see `missing`."""
    found = next(filter(None, map(shutil.which, _PROGRAMS)), None)
    if found is None:
        missing("chromium", "install it with: sudo apt-get install chromium")
    assert found is not None
    return found


def firefox() -> str:
    """Return the path of Firefox, or see `missing`."""
    found = next(filter(None, map(shutil.which, _FIREFOXES)), None)
    if found is None:
        missing("firefox", "install it with: sudo apt-get install firefox-esr (firefox on Ubuntu)")
    assert found is not None
    said = subprocess.run([found, "--version"], capture_output=True, text=True, check=True).stdout
    version = re.search(r"Firefox (\d+)", said)
    if version is None or int(version[1]) < OLDEST_FIREFOX:
        has = said.strip() or "a program that says no version"
        remedy = "sudo apt-get update && sudo apt-get install firefox-esr"
        missing(f"firefox {OLDEST_FIREFOX}", f"{found} is {has}: {remedy}")
    return found


def launch(playwright: Playwright, engine: str, folder: Path) -> Browser:
    """Start a browser.

    Args:
        playwright: what drives it.
        engine: one of `ENGINES`.
        folder: where a script may be written: Playwright starts one program without arguments of ours.
    """
    if engine == "chromium":
        return playwright.chromium.launch(executable_path=chromium(), args=list(FLAGS))
    program = folder / "firefox"
    command = shlex.join([sys.executable, str(_RELAY), firefox()])
    program.write_text(f'#!/bin/sh\nexec {command} "$@"\n', encoding="utf-8")
    program.chmod(0o755)
    return playwright.firefox.launch(channel="moz-firefox", executable_path=program, firefox_user_prefs=_PREFERENCES)


class Browsers:
    """The browsers of one process: each is started when it is first asked for.

    Args:
        playwright: what drives them.
        folder: where a script may be written.
    """

    def __init__(self, playwright: Playwright, folder: Path) -> None:
        self._playwright = playwright
        self._folder = folder
        self._started: dict[str, Browser] = {}
        self._kept: dict[tuple[str, str], list[Page]] = {}

    def started(self, engine: str) -> Browser:
        """Return a browser, one of `ENGINES`."""
        if engine not in self._started:
            self._started[engine] = launch(self._playwright, engine, self._folder)
        return self._started[engine]

    def lend(self, engine: str, options: Mapping[str, Any]) -> Page | None:
        """Return a kept page, blank, or None where no page that others used can be given such options."""
        rest = {name: value for name, value in options.items() if name not in _CHANGED_LATER}
        if rest not in _KEPT_WITH:
            return None
        kept = self._kept.setdefault((engine, str(rest)), [])
        page = kept.pop() if kept else self.started(engine).new_context(**rest).new_page()
        page.set_viewport_size(options.get("viewport") or _VIEWPORT)
        if engine != "firefox":  # whose theme can't be chosen
            page.emulate_media(media="null", color_scheme=options.get("color_scheme", "light"))
        return page

    def give_back(self, engine: str, options: Mapping[str, Any], page: Page) -> None:
        """Let a lent page forget what a test did with it, and keep it; one that can't is closed."""
        rest = {name: value for name, value in options.items() if name not in _CHANGED_LATER}
        try:
            page.unroute_all(behavior="ignoreErrors")
            page.context.unroute_all(behavior="ignoreErrors")
            page.evaluate(_FORGET)
            page.goto("about:blank")
            page.context.clear_cookies()
        except PlaywrightError:
            page.context.close()
        else:
            self._kept[engine, str(rest)].append(page)

    def close(self) -> None:
        """End all of them."""
        for each in self._started.values():
            each.close()


@dataclass
class Watch:
    """What went wrong on the pages of a context."""

    origins: list[str]
    trouble: list[str] = field(default_factory=list)
    expected: str | None = None
    """What a trouble of the test's own making has in it: such are passed over."""
    _over: list[BrowserContext] = field(default_factory=list)
    _asked: set[Request] = field(default_factory=set)
    """What began while this watched: of what whoever had the page before asked for, browsers may tell later."""
    _judged: bool = True

    def end(self) -> None:
        """Judge nothing from now on: this page was attacked, and browsers tell what came of it when they like."""
        self._judged = False
        self.trouble.clear()

    def over(self, context: BrowserContext) -> None:
        """Watch all pages and workers of a context."""
        if context in self._over:
            return
        self._over.append(context)
        context.on("console", self._console)
        context.on("weberror", self._error)
        context.on("request", self._begun)
        context.on("requestfinished", self._request)
        context.on("requestfailed", self._request)
        context.on("response", self._response)

    def leave(self, context: BrowserContext) -> None:
        """End that, where others use the context later."""
        self._over.remove(context)
        context.remove_listener("console", self._console)
        context.remove_listener("weberror", self._error)
        context.remove_listener("request", self._begun)
        context.remove_listener("requestfinished", self._request)
        context.remove_listener("requestfailed", self._request)
        context.remove_listener("response", self._response)

    def _add(self, trouble: str) -> None:
        if self._judged and (self.expected is None or self.expected not in trouble):
            self.trouble.append(trouble)

    def _begun(self, request: Request) -> None:
        self._asked.add(request)

    def _error(self, error: WebError) -> None:
        self._add(f"exception: {error.error}")

    def _console(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            self._add(f"console {message.type}: {message.text} {message.location.get('url', '')}")

    def _request(self, request: Request) -> None:
        if request not in self._asked or request.failure in _STOPPED:
            return  # what is stopped is not sent; the console says that the policy stopped it
        if not request.url.startswith(tuple(self.origins)):
            self._add(f"request off the origin: {request.url} ({request.failure})")

    def _response(self, response: Response) -> None:
        if response.request in self._asked and response.status >= 400:
            self._add(f"answer {response.status}: {response.url}")


Open = Callable[..., Page]
"""``open_page("search.html", color_scheme="dark")``: a path below the site, and a context's options.

The path may be None, for a blank page. ``fresh=True`` gives a page that nobody had before and nobody has afterwards.
"""
