"""Atom feeds (RFC 4287) of releases: of the registry, a namespace, a plugin. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from registry_builder.site._languages import summary_of, title_of
from registry_builder.site.document_source import Dated
from registry_builder.site.page_context import Frame
from registry_builder.site.urls import address, release_page
from sealdex.model.catalog import CatalogRow
from sealdex.model.ids import PluginId

_NEVER = "1970-01-01T00:00:00Z"  # for a feed without entries: Atom requires a time, and pages have no clock


@dataclass(frozen=True)
class Entry:
    """One release in a feed."""

    id: str
    title: str
    updated: str
    key: str
    address: str
    summary: str


@dataclass(frozen=True)
class Feed:
    """A feed: ``key`` is its path, ``html`` the page that it belongs to."""

    id: str
    title: str
    updated: str
    key: str
    address: str
    html: str
    html_address: str
    entries: tuple[Entry, ...]


def feed_of(
    frame: Frame, releases: Iterable[Dated], row: Callable[[PluginId], CatalogRow], *, key: str, html: str, title: str
) -> Feed:
    """Return a feed of releases, newest first.

    Args:
        frame: the registry.
        releases: newest first.
        row: a plugin's row of the catalog.
        key: the feed's path.
        html: the page that it belongs to.
        title: its title.
    """
    entries = tuple(
        Entry(
            id=frame.id_of("release", str(each.plugin), each.version),
            title=_entry_title(row(each.plugin), each.version, frame.languages[0]),
            updated=each.released_at,
            key=release_page(each.plugin, each.version),
            address=address(release_page(each.plugin, each.version)),
            summary=summary_of(row(each.plugin), frame.languages[0]).text,
        )
        for each in releases
    )
    return Feed(
        id=frame.id_of("feed", key),
        title=title,
        updated=entries[0].updated if entries else _NEVER,
        key=key,
        address=address(key),
        html=html,
        html_address=address(html),
        entries=entries,
    )


def _entry_title(row: CatalogRow, version: str, language: str) -> str:
    title = title_of(row, language)
    return f"{title.text} ({row.id}) {version}" if title else f"{row.id} {version}"
