"""Splits lists of plugins into pages whose boundaries follow from the content. Pure.

Pages of a fixed length would all shift when a plugin is added near the front. Here a page ends after a plugin whose
id's digest says so (one in `_MEAN`, within limits), so that a new plugin changes its own page, seldom a neighbour,
and no other; and because lists have no versions and dates, a new release changes none at all.
The idea is that of content-defined chunking in deduplicating backups.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from registry_builder.site._languages import ENGLISH, Worded, summary_of, title_of
from registry_builder.site.urls import ListName, list_page
from sealdex.model.catalog import CatalogRow
from sealdex.model.ids import PluginId
from sealdex.text import clean

_T = TypeVar("_T")

_MEAN = 32
_LEAST, _MOST = 12, 96


@dataclass(frozen=True)
class ListRow:
    """One line of a list; nothing in it changes with a release."""

    id: str
    namespace: str
    name: str
    type: str
    summary: str
    license: str
    keywords: tuple[str, ...]
    deprecated: bool
    title: str = ""
    title_language: str = ""
    summary_language: str = ""


@dataclass(frozen=True)
class ListView:
    """One page of a list.

    Attributes:
        key: its path.
        rows: its plugins, by id.
        number: 1 for the first.
        previous, following: keys of its neighbours.
    """

    name: ListName
    key: str
    rows: tuple[ListRow, ...]
    number: int
    previous: str | None
    following: str | None


def list_row(row: CatalogRow, language: str = ENGLISH) -> ListRow:
    """Return a plugin's line in the lists."""
    title, summary = title_of(row, language) or Worded(""), summary_of(row, language)
    return ListRow(
        id=str(row.id),
        namespace=row.namespace,
        name=row.name,
        type=row.type,
        summary=summary.text,
        license=clean(row.license or ""),
        keywords=row.keywords,
        deprecated=row.deprecated is not None,
        title=title.text,
        title_language=title.language,
        summary_language=summary.language,
    )


def lists_of(row: CatalogRow) -> set[ListName]:
    """Return the lists that contain a plugin."""
    return {
        ListName("type", row.type),
        ListName("namespace", row.namespace),
        *(ListName("keyword", keyword) for keyword in row.keywords),
    }


def list_pages(name: ListName, rows: Sequence[CatalogRow], language: str = ENGLISH) -> list[ListView]:
    """Return the pages of one list; a list without plugins has one page that says so.

    Args:
        name: the list.
        rows: its plugins, sorted by id.
        language: that of the page.
    """
    pages = cut([list_row(row, language) for row in rows], lambda row: row.id) or [[]]
    keys = [list_page(name)] + [list_page(name, _first(page[0])) for page in pages[1:]]
    return [
        ListView(
            name=name,
            key=keys[at],
            rows=tuple(page),
            number=at + 1,
            previous=keys[at - 1] if at else None,
            following=keys[at + 1] if at + 1 < len(keys) else None,
        )
        for at, page in enumerate(pages)
    ]


def cut(items: Sequence[_T], name: Callable[[_T], str]) -> list[list[_T]]:
    """Split sorted items into pages; where a page ends depends only on the names near its end."""
    pages: list[list[_T]] = []
    page: list[_T] = []
    for item in items:
        page.append(item)
        ends = int.from_bytes(hashlib.sha256(name(item).encode()).digest()[:4], "big") % _MEAN == 0
        if (ends and len(page) >= _LEAST) or len(page) == _MOST:
            pages.append(page)
            page = []
    return [*pages, page] if page else pages


def _first(row: ListRow) -> PluginId:
    return PluginId(row.namespace, row.name)
