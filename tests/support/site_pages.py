"""Reads a built site as a browser and a crawler would: elements with their attributes, links and what they lead to."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timezone
from html.parser import HTMLParser
from pathlib import Path
from posixpath import normpath
from urllib.parse import unquote, urlsplit

from registry_builder.publication.publish import PublishResult

NOW = datetime(2026, 11, 21, 12, tzinfo=timezone.utc)

Publish = Callable[..., PublishResult]


@dataclass
class Document:
    """The elements of a page in document order, its ids and its text."""

    elements: list[tuple[str, dict[str, str | None]]] = field(default_factory=list)
    text: str = ""

    @property
    def ids(self) -> set[str | None]:
        return {attributes["id"] for _, attributes in self.elements if "id" in attributes}

    def links(self) -> Iterator[str]:
        for tag, attributes in self.elements:
            for name in ("href", "src", "action", "data-catalogue", "data-names", "data-worker", "data-root"):
                value = attributes.get(name)
                if value and tag != "base":
                    yield value


class _Parser(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.document = Document()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.document.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.document.text += data


def parsed(page: bytes) -> Document:
    parser = _Parser()
    parser.feed(page.decode())
    parser.close()
    return parser.document


def pages_of(site: Path) -> dict[str, Document]:
    return {
        path.relative_to(site).as_posix(): parsed(path.read_bytes())
        for path in sorted(site.rglob("*.html"))
        if path.is_file() and "plugins" not in path.relative_to(site).parts[:1]
    }


def dead_links(site: Path) -> list[str]:
    """Return the links between the site's own files that lead nowhere: ``page -> link``."""
    pages = pages_of(site)
    dead = []
    for key, document in pages.items():
        for link in document.links():
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            folder = key.rpartition("/")[0]
            path = unquote(parts.path)
            target = path.lstrip("/") if path.startswith("/") else normpath(f"{folder}/{path}" if path else key)
            if path.endswith("/") or path in {"", ".", "./"} or target == ".":
                target = key if not path else normpath(f"{target}/index.html")
            target = target.lstrip("/")
            alive = (site / target).is_file() and not target.startswith("..")
            if alive and parts.fragment:
                alive = unquote(parts.fragment) in pages[target].ids
            if not alive:
                dead.append(f"{key} -> {link}")
    return dead
