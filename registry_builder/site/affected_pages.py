"""Which pages are affected by changes of index documents. Pure: two documents in, names of pages out.

Not affected by a new release, because they don't show it: lists, indexes and the sitemap (no versions, no
dates), the pages of other releases, the pages of other plugins unless what the plugin needs changed.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from registry_builder.compile.catalog import catalogue_row
from registry_builder.site._list_pages import list_row, lists_of
from registry_builder.site.plugin_view import dependencies_of
from registry_builder.site.urls import ListName
from sealdex.model.catalog import CatalogRow
from sealdex.model.ids import PluginId
from sealdex.model.index import IndexDocument


@dataclass(frozen=True)
class Touched:
    """What has to be rewritten.

    Attributes:
        plugins: plugins whose page changes.
        releases: plugins whose release pages change: versions.
        dependents: plugins that others need for the first time, or no longer: their list of dependents changes.
        lists: lists with a changed page.
        indexes: whether a namespace, keyword or plugin is new or gone.
    """

    plugins: frozenset[PluginId] = frozenset()
    releases: Mapping[PluginId, Collection[str]] = field(default_factory=dict)
    dependents: frozenset[PluginId] = frozenset()
    lists: frozenset[ListName] = frozenset()
    indexes: bool = False


def touched_by(changes: Iterable[tuple[IndexDocument | None, IndexDocument]]) -> Touched:
    """Return what changes of index documents affect, each a pair of the old document, if any, and the new one."""
    plugins: set[PluginId] = set()
    releases: dict[PluginId, Collection[str]] = {}
    dependents: set[PluginId] = set()
    lists: set[ListName] = set()
    indexes = False
    for old, new in changes:
        plugins.add(new.id)
        before = {entry.version: entry for entry in old.releases} if old else {}
        releases[new.id] = [entry.version for entry in new.releases if before.get(entry.version) != entry]
        needed_before = dependencies_of(old) if old else frozenset()
        dependents |= needed_before ^ dependencies_of(new)
        row, row_before = catalogue_row(new), catalogue_row(old) if old else None
        if row_before is None or _listed(row) != _listed(row_before):
            lists |= lists_of(row) | (lists_of(row_before) if row_before else set())
        indexes |= row_before is None or lists_of(row) != lists_of(row_before)
    return Touched(frozenset(plugins), releases, frozenset(dependents), frozenset(lists), indexes)


def _listed(row: CatalogRow) -> tuple[object, ...]:
    """Return all that lists show of a plugin, in any language."""
    return list_row(row), row.language, row.title_i18n, row.summary_i18n


def everything(rows: Mapping[PluginId, CatalogRow], dependents: Collection[PluginId]) -> Touched:
    """Return that all pages have to be written; for plugins that aren't in ``releases``, all their releases."""
    lists = {name for row in rows.values() for name in lists_of(row)}
    return Touched(frozenset(rows), {}, frozenset(dependents), frozenset(lists), indexes=True)
