"""axe on a page of a browser: which rules of accessibility it breaks."""

from __future__ import annotations

from functools import cache
from typing import Any

from playwright.sync_api import Page
from support.node_tools import installed
from support.places import REPOSITORY


@cache
def axe_source() -> str:
    """The script that has to be evaluated on a page first, or see `missing`."""
    folder = installed(REPOSITORY / "tests/browser/node")
    return (folder / "axe-core" / "axe.min.js").read_text(encoding="utf-8")


def violations(page: Page, *, of_colours_alone: bool = False) -> list[str]:
    """What axe finds, one line a rule and element."""
    options = {"resultTypes": ["violations"], "preload": False}  # what it would preload, no rule of these reads
    if of_colours_alone:
        options |= {"runOnly": ["color-contrast", "link-in-text-block"]}
    found: list[dict[str, Any]] = page.evaluate(
        "async (options) => (await axe.run(document, options)).violations", options
    )
    return [
        f"{rule['id']}: {node['target']} {node['html'][:160]} {node.get('failureSummary', '')[:300]}"
        for rule in found
        for node in rule["nodes"]
    ]
