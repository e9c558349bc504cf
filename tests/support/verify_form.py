"""The form that verifies a plugin in a browser, filled in and answered."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from playwright.sync_api import Page, expect

PLUGIN = "robotics/kalman"


def fingerprint(published: Path) -> str:
    """Return the fingerprint of a published folder's first root."""
    return hashlib.sha256((published / "metadata/1.root.json").read_bytes()).hexdigest()


def ask(page: Page, button: str = "Verify", **fields: str) -> str:
    """Fill in the form, and return what it says in the end."""
    for name, value in fields.items():
        page.locator(f"form[data-verify] [name={name}]").fill(value)
    page.get_by_role("button", name=button, exact=True).click()
    output = page.locator("form[data-verify] output")
    expect(output).to_have_attribute("data-state", re.compile("proved|refused"))
    return f"{output.get_attribute('data-state')}: {output.inner_text()}"
