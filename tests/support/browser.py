"""A real browser for tests: which program it is, and a watch over all that goes wrong on the pages it shows."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, field

from playwright.sync_api import BrowserContext, ConsoleMessage, Page, Request, Response
from support.components import missing

FLAGS = (
    "--no-sandbox",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)
_PROGRAMS = ("chromium", "chromium-browser", "google-chrome")


def chromium() -> str:
    """Return the path of the browser, or see `missing`."""
    found = next(filter(None, map(shutil.which, _PROGRAMS)), None)
    if found is None:
        missing("chromium", "install it with: sudo apt-get install chromium")
    assert found is not None
    return found


@dataclass
class Watch:
    """What went wrong on the pages of a context."""

    origins: list[str]
    trouble: list[str] = field(default_factory=list)

    def over(self, context: BrowserContext) -> None:
        """Watch all pages and workers of a context."""
        context.on("console", self._console)
        context.on("weberror", lambda error: self.trouble.append(f"exception: {error.error}"))
        context.on("requestfinished", self._request)
        context.on("requestfailed", self._request)
        context.on("response", self._response)

    def _console(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            self.trouble.append(f"console {message.type}: {message.text} {message.location.get('url', '')}")

    def _request(self, request: Request) -> None:
        if request.failure == "csp":
            return  # not sent; the console says that the policy stopped it
        if not request.url.startswith(tuple(self.origins)):
            self.trouble.append(f"request off the origin: {request.url}")

    def _response(self, response: Response) -> None:
        if response.status >= 400:
            self.trouble.append(f"answer {response.status}: {response.url}")


Open = Callable[..., Page]
"""``open_page("search.html", color_scheme="dark")``: a path below the site, and a context's options."""
