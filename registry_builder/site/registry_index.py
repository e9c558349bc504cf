"""The registry as a whole, for lists, home page and feeds: rows, latest releases, dependents. Pure."""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from registry_builder.site._list_pages import lists_of
from registry_builder.site.document_source import Dated, Shelf
from registry_builder.site.urls import ListName
from sealdex.model.catalog import CatalogRow
from sealdex.model.ids import PluginId
from sealdex.model.precedence import version_sort_key

RECENT_ON_HOME = 12
RECENT_IN_FEED = 50


@dataclass(frozen=True)
class Overview:
    """All plugins of a realm.

    Attributes:
        rows: by id, in its order.
        lists: each list to its plugins, in the order of ids.
        dependents: plugin to those whose latest release needs it.
    """

    rows: Mapping[PluginId, CatalogRow]
    lists: Mapping[ListName, Sequence[CatalogRow]]
    dependents: Mapping[PluginId, frozenset[PluginId]]


def overview_of(shelf: Shelf) -> Overview:
    """Read all plugins of a document source."""
    rows = {plugin: shelf.row(plugin) for plugin in sorted(shelf.plugins())}
    lists: dict[ListName, list[CatalogRow]] = defaultdict(list)
    needed_by: dict[PluginId, set[PluginId]] = defaultdict(set)
    for plugin, row in rows.items():
        for name in lists_of(row):
            lists[name].append(row)
        for needed in shelf.dependencies(row):
            needed_by[needed].add(plugin)
    return Overview(rows, dict(lists), {plugin: frozenset(users) for plugin, users in needed_by.items()})


def recent(shelf: Shelf, rows: Iterable[CatalogRow], count: int = RECENT_IN_FEED) -> list[Dated]:
    """Return the latest releases, newest first; ties by id and version, so that the order is unique.

    Each release is at most as new as its plugin's row says, so only the plugins with the newest rows are read.
    """
    found: list[Dated] = []
    ordered = sorted((row for row in rows if row.updated_at), key=lambda row: row.id)
    ordered.sort(key=lambda row: row.updated_at or "", reverse=True)
    for row in ordered:
        if len(found) >= count and (row.updated_at or "") < found[count - 1].released_at:
            break
        found = heapq.nlargest(count, [*found, *shelf.dated(row.id)], key=_newest)
    return found


def _newest(release: Dated) -> tuple[str, PluginId, tuple[object, ...]]:
    return (release.released_at, release.plugin, version_sort_key(release.version))
