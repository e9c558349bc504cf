"""The contents of the home page: what is new, what others build on, what was released last, and the types. Pure.

The home page is written by every publish of all plugins, so it may say what changes with any of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from registry_builder.site._languages import Worded, summary_of, title_of
from registry_builder.site._words import Words
from registry_builder.site.document_source import Dated, Shelf
from registry_builder.site.registry_index import RECENT_ON_HOME, Overview
from registry_builder.site.urls import list_page, plugin_page
from sealdex.model.ids import PluginId

_NEW = 6
_USED = 8
_LOOKED_AT = 24


def home_view(shelf: Shelf, overview: Overview, newest: Sequence[Dated], words: Words) -> dict[str, Any]:
    """Return what the home page shows; ``newest`` are the latest releases, newest first."""
    rows = overview.rows
    types = sorted(name for name in overview.lists if name.kind == "type")
    used = sorted(
        ((len(users), plugin) for plugin, users in overview.dependents.items() if plugin in rows and users),
        key=lambda found: (-found[0], found[1]),
    )
    return {
        "total": len(rows),
        "releases": sum(row.releases for row in rows.values()),
        "types": [(name.value, list_page(name), len(overview.lists[name])) for name in types],
        "recent": [
            {**_line(overview, each.plugin, words), "version": each.version, **_when(each.released_at, words)}
            for each in newest[:RECENT_ON_HOME]
        ],
        "new": [
            {**_line(overview, plugin, words), **_when(since, words)} for since, plugin in _new(shelf, overview, newest)
        ],
        "used": [{**_line(overview, plugin, words), "count": count} for count, plugin in used[:_USED]],
    }


def _line(overview: Overview, plugin: PluginId, words: Words) -> dict[str, Any]:
    row = overview.rows[plugin]
    return {
        "namespace": plugin.namespace,
        "name": plugin.name,
        "type": row.type,
        "title": title_of(row, words.language) or Worded(""),
        "summary": summary_of(row, words.language),
        "page": plugin_page(plugin),
    }


def _when(timestamp: str, words: Words) -> dict[str, str]:
    return {"timestamp": timestamp, "date": words.date(timestamp)}


def _new(shelf: Shelf, overview: Overview, newest: Sequence[Dated]) -> list[tuple[str, PluginId]]:
    """Return the plugins whose first release is the latest, with its time, newest first.

    A plugin is at most as new as its latest release, so only those with the latest releases are looked at, and those
    with one release alone.
    """
    single = [row for row in overview.rows.values() if row.releases == 1 and row.updated_at]
    single.sort(key=lambda row: (row.updated_at or "", row.id), reverse=True)
    looked_at = {each.plugin for each in newest} | {row.id for row in single[:_LOOKED_AT]}
    found = []
    for plugin in looked_at:
        times = [each.released_at for each in shelf.dated(plugin)]
        if times and overview.rows[plugin].deprecated is None:
            found.append((min(times), plugin))
    return sorted(found, key=lambda each: (each[0], each[1]), reverse=True)[:_NEW]


__all__ = ["home_view"]
