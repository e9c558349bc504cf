"""GitHub Pages in a test: one folder of files over HTTP, replaced as a whole, with a cache that may be stale."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path


class PagesFiles(Mapping[str, bytes]):
    """What `support.tree_server.TreeServer` serves; a query is no part of a file's name, as on GitHub Pages.

    Attributes:
        site: path to bytes.
        stale: what a cache still answers with, whatever is live.
    """

    def __init__(self, site: dict[str, bytes]) -> None:
        self.site = site
        self.stale: dict[str, bytes] = {}

    def __getitem__(self, path: str) -> bytes:
        key = path.partition("?")[0]
        return self.stale[key] if key in self.stale else self.site[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self.site)

    def __len__(self) -> int:
        return len(self.site)

    def deploy(self, folder: Path) -> None:
        """Put a folder in place of all that is live."""
        self.site.clear()
        for path in folder.rglob("*"):
            key = path.relative_to(folder).as_posix()
            if path.is_file() and not key.startswith("."):
                self.site[key] = path.read_bytes()
