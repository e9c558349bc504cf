"""The site of a source tree, rebuilt when a file changes: for authors of templates, READMEs and manifests."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from registry_builder.signing.metadata import realm_marker
from registry_builder.signing.offline_metadata import load_trust
from registry_builder.site.from_tree import site_from_tree
from registry_builder.site.pages import Page, Parts
from registry_builder.site.static_api.answers import answers_of
from registry_builder.site.templates import own_folder
from registry_builder.site.writer import write_pages
from registry_builder.source.load import load_tree
from sealdex.errors import SealdexError
from sealdex.text import counted

RELOAD_SCRIPT = "reload.js"
RELOAD_MARK = "reload.txt"

_PERIOD_S = 0.5
_WATCHED = ("registry.toml", "plugins", "site")

Facts = dict[str, tuple[int, int]]


class LiveSite:
    """Keeps the pages in a folder up to date with the source tree.

    Args:
        tree: the source tree.
        realm: the realm whose plugins are shown.
        folder: where the pages are written.
        say: called with what was built, or why not; the pages then stay unchanged.
    """

    def __init__(self, tree: Path, realm: str, folder: Path, say: Callable[[str], None]) -> None:
        self._tree = tree
        self._realm = realm
        self._folder = folder
        self._say = say
        self._made = 0
        self._seen: Facts = {}
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="sealdex-site", daemon=True)

    def __enter__(self) -> LiveSite:  # noqa: PYI034  # typing.Self came with Python 3.11
        self.update()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()

    def update(self) -> bool:
        """Rebuild the pages if a file changed since the last time; return whether they were rebuilt."""
        now = dict(self._facts())
        if now == self._seen:
            return False
        self._seen = now
        try:
            result = write_pages(self._pages(), self._folder)
        except (SealdexError, OSError) as error:  # a full disk, too, must not end the thread that watches
            why = error.message if isinstance(error, SealdexError) else str(error)
            self._say(f"the pages were not changed: {why}")
            return False
        self._say(f"wrote {len(result.written)} of {counted(result.pages, 'file')}")
        return True

    def _watch(self) -> None:
        while not self._end.wait(_PERIOD_S):
            self.update()

    def _pages(self) -> Parts:
        tree = load_tree(self._tree)
        trust = load_trust(self._tree, self._realm, realm_marker(tree.config, self._realm))
        script = (own_folder() / RELOAD_SCRIPT).read_bytes()
        answers = answers_of(tree.config.api)
        pages = site_from_tree(tree, self._realm, trust, {RELOAD_SCRIPT: script}, answers_of=answers)

        def common() -> Iterator[Page]:
            yield from pages.common()
            self._made += 1
            yield Page(RELOAD_MARK, f"{self._made}\n".encode())  # last: browsers poll it for complete pages

        return Parts(pages.plugins, common)

    def _facts(self) -> Iterator[tuple[str, tuple[int, int]]]:
        for place in (*(self._tree / name for name in _WATCHED), own_folder()):
            if place.is_file():
                yield str(place), _stamp(place)
            for folder, _, names in os.walk(place):
                for name in names:
                    path = Path(folder, name)
                    yield str(path), _stamp(path)


def _stamp(path: Path) -> tuple[int, int]:
    try:
        facts = path.stat()
    except OSError:
        return (0, -1)  # gone since it was listed
    return (facts.st_mtime_ns, facts.st_size)


__all__ = ["LiveSite"]
