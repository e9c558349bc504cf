"""The documents of the registry as a whole: the list of plugins, whole or in parts, and what changed lately. Pure."""

from __future__ import annotations

import heapq
from collections.abc import Collection, Iterable, Iterator, Mapping

from registry_builder.compile.catalog import shard_rows
from registry_builder.site.document_source import Shelf
from registry_builder.site.held_files import ALL
from registry_builder.site.pages import Page
from registry_builder.site.registry_index import recent
from registry_builder.site.static_api import _shapes as shapes
from registry_builder.site.static_api._plugin_documents import Addresses
from registry_builder.site.static_api.keys import CHANGES, LIST, plugin_key, shard_key
from registry_builder.storage.headers import TIMESTAMP_KEY
from sealdex.model.catalog import CatalogRow, shard_of, shard_target
from sealdex.model.decode import encode_json
from sealdex.model.ids import PluginId
from sealdex.model.precedence import version_sort_key

MAX_CHANGES = 200
_NOTEWORTHY = frozenset({"yank", "deprecate", "move"})


def list_documents(
    rows: Mapping[PluginId, CatalogRow],
    catalog: Mapping[int, str],
    touched: Collection[PluginId] | None,
    *,
    shards: int,
    whole: bool,
    url: str | None,
) -> Iterator[Page]:
    """Yield the list of plugins; of a large registry its parts, of which only those that are touched, and last itself.

    Args:
        rows: all plugins, by id.
        catalog: number of a shard of the signed catalog to its key, as far as they are there.
        touched: plugins of which something changed; None for all.
        shards: how many shards the catalog has.
        whole: one list of all plugins in place of its parts.
        url: the registry's address with a slash at its end, if it is known.
    """
    at = Addresses(LIST, url, ALL)
    signed = tuple(_signed(number, catalog, at) for number in range(shards))
    if whole:
        listed = tuple(_row(each, at) for each in rows.values())
        yield Page(LIST, encode_json(shapes.PluginList(shapes.API_FORMAT, signed, listed, ())))
        return
    numbers = None if touched is None else {shard_of(plugin, shards) for plugin in touched}
    for number, found in shard_rows(rows.values(), shards).items():
        if numbers is None or number in numbers:
            there = Addresses(shard_key(number), url, ALL)
            ordered = tuple(_row(each, there) for each in sorted(found, key=_row_id))
            part = shapes.Shard(shapes.API_FORMAT, _signed(number, catalog, there), number, shards, ordered)
            yield Page(shard_key(number), encode_json(part))
    parts = tuple(at.of(shard_key(number)) for number in range(shards))
    # without digests, so that a release changes no more than a part
    signed = tuple(shapes.Signed(shard_target(number)) for number in range(shards))
    yield Page(LIST, encode_json(shapes.PluginList(shapes.API_FORMAT, signed, (), parts)))


def changes_document(shelf: Shelf, rows: Mapping[PluginId, CatalogRow], *, url: str | None) -> Page:
    """Return what changed lately: releases by their time, yanks, deprecations and moves by that of their events."""
    at = Addresses(CHANGES, url, ALL)
    released = (
        shapes.Change(each.released_at, "released", str(each.plugin), at.of(plugin_key(each.plugin)), each.version)
        for each in recent(shelf, rows.values(), MAX_CHANGES + 1)
    )
    marked = (change for plugin in rows for change in _marked(shelf, plugin, at))
    found = heapq.nlargest(MAX_CHANGES + 1, [*released, *marked], key=_newest)
    shown = found[:MAX_CHANGES]
    since = shown[-1].at if len(found) > MAX_CHANGES else None
    signed = shapes.Signed(TIMESTAMP_KEY, at.of(TIMESTAMP_KEY))
    return Page(CHANGES, encode_json(shapes.Changes(shapes.API_FORMAT, signed, since, tuple(shown))))


def _marked(shelf: Shelf, plugin: PluginId, at: Addresses) -> Iterable[shapes.Change]:
    if plugin not in shelf.documents:
        events = shelf.sources.plugins[plugin].status.events
        if not any(event.action in _NOTEWORTHY for event in events):
            return  # so that nothing of it has to be compiled
    document = shelf.document(plugin)[0]
    name, details = str(plugin), at.of(plugin_key(plugin))
    for release in document.releases:
        if (mark := release.yanked) is not None:
            yield shapes.Change(mark.at, "yanked", name, details, release.version, mark.why or None)
    if (mark := document.deprecated) is not None:
        yield shapes.Change(mark.at, "deprecated", name, details, None, mark.why or None, mark.use)
    if (moved := document.moved_to) is not None:
        yield shapes.Change(moved.at, "moved", name, details, None, moved.why or None)


def _newest(change: shapes.Change) -> tuple[str, str, str, tuple[object, ...]]:
    return (change.at, change.id, change.kind, version_sort_key(change.version) if change.version else ())


def _signed(number: int, catalog: Mapping[int, str], at: Addresses) -> shapes.Signed:
    target, key = shard_target(number), catalog.get(number)
    if key is None:
        return shapes.Signed(target)
    return shapes.Signed(target, at.of(key), key.rpartition("/")[2].partition(".")[0])


def _row(row: CatalogRow, at: Addresses) -> shapes.PluginRow:
    return shapes.PluginRow(
        id=str(row.id),
        type=row.type,
        summary=row.summary,
        details=at.of(plugin_key(row.id)),
        releases=row.releases,
        latest=row.latest,
        updated_at=row.updated_at,
        license=row.license,
        keywords=row.keywords,
        channels=row.channels,
        deprecated=row.deprecated,
        use=row.use,
    )


def _row_id(row: CatalogRow) -> PluginId:
    return row.id


__all__ = ["MAX_CHANGES", "changes_document", "list_documents"]
