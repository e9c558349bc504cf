"""Make a picture of each kind of page of the browse site: light and dark, on a telephone, a tablet, a wide screen.

    .venv/bin/python scripts/screenshots.py [--published DIR] [--output build/screenshots] [KIND...]

Without ``--published``, the registry that the browser tests use is made: the examples, and plugins in every state.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import ViewportSize, sync_playwright

HERE = Path(__file__).resolve().parent.parent
sys.path.append(str(HERE / "tests"))

from support import browse_registry  # noqa: E402  # the tests are no package
from support.browser import FLAGS, chromium  # noqa: E402  # as above

from registry_builder.site.preview.server import running_server  # noqa: E402  # as above

SIZES = {
    "phone": ViewportSize(width=390, height=844),
    "tablet": ViewportSize(width=820, height=1100),
    "wide": ViewportSize(width=1440, height=900),
}


def main() -> None:
    """Make the pictures and say where they are."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--published", type=Path, help="a published folder; by default one is created")
    parser.add_argument("--output", type=Path, default=HERE / "build" / "screenshots")
    parser.add_argument("--address", action="append", default=[], help="a page of --published, such as krew/krew/")
    parser.add_argument("kinds", nargs="*", metavar="KIND", help=f"{', '.join(browse_registry.PAGES)} (all)")
    options = parser.parse_args()
    pages = {kind: browse_registry.PAGES[kind] for kind in options.kinds or browse_registry.PAGES}
    if options.address:
        pages = {address.strip("/").replace("/", " "): address for address in options.address}
    options.output.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as stack:
        published = options.published or browse_registry.make(Path(stack.enter_context(tempfile.TemporaryDirectory())))
        site = stack.enter_context(running_server(published))
        playwright = stack.enter_context(sync_playwright())
        browser = playwright.chromium.launch(executable_path=chromium(), args=list(FLAGS))
        for theme in ("light", "dark"):
            for size, viewport in SIZES.items():
                context = browser.new_context(color_scheme=theme, viewport=viewport, device_scale_factor=1)
                for kind, path in pages.items():
                    page = context.new_page()
                    page.goto(f"{site}/{path}")
                    if page.locator("[data-search]").count():
                        page.wait_for_selector("[data-search][data-state=answered]")
                    page.wait_for_load_state("networkidle")
                    name = f"{kind.replace(' ', '-')}.{size}.{theme}.png"
                    page.screenshot(path=options.output / name, full_page=True)
                    page.close()
                context.close()
        browser.close()
    print(options.output)


if __name__ == "__main__":
    main()
