"""Builds the pages: reads documents, decides what each page shows, renders it. Same input, same bytes.

`Builder.plugin_pages` are those of one plugin and need no other; `Builder.parts` are those of a whole registry.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

from registry_builder.compile.manifest import manifest_key
from registry_builder.signing.metadata import shard_count
from registry_builder.site import urls
from registry_builder.site._badges import plugin_badges
from registry_builder.site._feeds import feed_of
from registry_builder.site._format import format_date
from registry_builder.site._languages import Worded, summary_of, title_of
from registry_builder.site._list_pages import ListRow, cut, list_pages
from registry_builder.site._readme_html import render_readme
from registry_builder.site._release_view import release_view
from registry_builder.site.affected_pages import Touched
from registry_builder.site.document_source import Shelf
from registry_builder.site.page_context import Frame, Signers, TrustBox
from registry_builder.site.plugin_view import plugin_view
from registry_builder.site.registry_index import RECENT_ON_HOME, Overview, recent
from registry_builder.site.templates import Templates
from registry_builder.site.urls import IndexName, ListKind, ListName
from sealdex.model.catalog import CatalogRow, shard_of
from sealdex.model.decode import encode_json
from sealdex.model.ids import PluginId
from sealdex.model.index import IndexDocument

DOCUMENT_FORMAT = 1
DEPENDENTS = "dependents.json"

_EXAMPLE = PluginId("NAMESPACE", "NAME")
_INDEXED: tuple[tuple[ListKind, IndexName, str], ...] = (
    ("namespace", "namespaces", "Namespaces"),
    ("keyword", "keywords", "Keywords"),
)


class Page(NamedTuple):
    """A file of the site."""

    key: str
    data: bytes


class Parts(NamedTuple):
    """The pages of a site, built on demand.

    Attributes:
        plugins: builds the pages of one plugin each; they can be built and written in any order, anywhere.
        common: builds the pages of the registry as a whole, the home page last; written after those of plugins.
    """

    plugins: Sequence[Callable[[], Iterable[Page]]]
    common: Callable[[], Iterable[Page]]


AnswersOf = Callable[[Frame, int, Shelf, Mapping[PluginId, CatalogRow], Mapping[int, str]], Parts]
"""Makes all documents of ``api/`` for the shelf that the pages are made of (`static_api.answers.answers_of`): of the
frame, the bit length, the shelf, the rows, and the number of each shard of the signed catalog with its key."""


def no_answers(
    _frame: Frame, _bits: int, _shelf: Shelf, _rows: Mapping[PluginId, CatalogRow], _catalog: Mapping[int, str]
) -> Parts:
    """Make none."""
    return Parts([], tuple)


@dataclass(frozen=True)
class Builder:
    """Renders pages of one realm.

    Attributes:
        templates: the templates.
        frame: what all pages share.
        signers: which role signs which plugin.
    """

    templates: Templates
    frame: Frame
    signers: Signers

    # --- one plugin -----------------------------------------------------------------------------------------------

    def plugin_pages(
        self,
        shelf: Shelf,
        plugin: PluginId,
        versions: Collection[str] | None,
        *,
        dependents: Collection[PluginId],
        known: Collection[PluginId],
    ) -> Iterator[Page]:
        """Yield a plugin's page, badges, and the pages of its releases.

        Args:
            shelf: the source of the documents.
            plugin: the plugin.
            versions: the releases; None for all.
            dependents: the plugins that need it.
            known: plugins that have a page.
        """
        document, sha256 = shelf.document(plugin)
        source = shelf.readme(document)
        view = plugin_view(
            document,
            sha256=sha256,
            role=self.signers.role_of(plugin),
            readme=render_readme(source, plugin.name) if source is not None else None,
            dependents=dependents,
            known=known,
            held=shelf.held,
        )
        badges = plugin_badges(view, document)
        yield self._page(
            "plugin.html.j2",
            urls.plugin_page(plugin),
            plugin=view,
            badges=badges,
            feed=urls.plugin_file(plugin, urls.FEED),
            type_page=urls.list_page(ListName("type", view.type)),
            namespace_page=urls.list_page(ListName("namespace", plugin.namespace)),
            keyword_pages={word: urls.list_page(ListName("keyword", word)) for word in view.keywords},
            release_pages={
                line.version: urls.release_page(plugin, line.version) for line in view.releases if line.is_here
            },
        )
        for badge in badges.values():
            yield self._page("badge.svg.j2", badge.key, badge=badge)
        yield from self._releases(shelf, document, versions, known)

    def _releases(
        self, shelf: Shelf, document: IndexDocument, versions: Collection[str] | None, known: Collection[PluginId]
    ) -> Iterator[Page]:
        role = self.signers.role_of(document.id)
        for release in document.releases:
            if not shelf.held.has(manifest_key(document.id, release.version)):
                continue
            if versions is None or release.version in versions:
                manifest = shelf.manifest(document.id, release)
                view = release_view(document, release, manifest, role=role, known=known, held=shelf.held)
                key = urls.release_page(document.id, release.version)
                yield self._page("release.html.j2", key, release=view, plugin_page=urls.plugin_page(document.id))

    def plugin_feed(self, shelf: Shelf, plugin: PluginId) -> Page:
        """Return the feed of one plugin."""
        row = shelf.row(plugin)
        feed = feed_of(
            self.frame,
            recent(shelf, [row]),
            lambda _: row,
            key=urls.plugin_file(plugin, urls.FEED),
            html=urls.plugin_page(plugin),
            title=f"{plugin}: releases",
        )
        return self._page("feed.xml.j2", feed.key, feed=feed)

    # --- the registry as a whole ----------------------------------------------------------------------------------

    def parts(self, shelf: Shelf, overview: Overview, trust: TrustBox, touched: Touched) -> Parts:
        """Return all affected pages, those of each plugin separately."""
        plugins = sorted((touched.plugins | touched.dependents) & overview.rows.keys())
        return Parts(
            [partial(self._touched_pages, shelf, overview, touched, plugin) for plugin in plugins],
            partial(self._common_pages, shelf, overview, trust, touched),
        )

    def _touched_pages(self, shelf: Shelf, overview: Overview, touched: Touched, plugin: PluginId) -> Iterator[Page]:
        everything = plugin in touched.plugins and plugin not in touched.releases
        dependents = overview.dependents.get(plugin, frozenset())
        versions = None if everything else touched.releases.get(plugin, ())
        yield from self.plugin_pages(shelf, plugin, versions, dependents=dependents, known=overview.rows)
        if plugin in touched.plugins:
            yield self.plugin_feed(shelf, plugin)

    def _common_pages(self, shelf: Shelf, overview: Overview, trust: TrustBox, touched: Touched) -> Iterator[Page]:
        rows = overview.rows
        for plugin in sorted(touched.dependents & rows.keys()):
            yield dependents_document(plugin, overview.dependents.get(plugin, frozenset()))
        for name in sorted(touched.lists):
            yield from self._list(overview, name)
        if touched.indexes:
            yield from self._indexes(overview)
            yield from self._sitemap(overview)
        for namespace in sorted({plugin.namespace for plugin in touched.plugins & rows.keys()}):
            yield self._namespace_feed(shelf, overview, namespace)
        yield from self._fixed(overview, trust)
        yield from self._home(shelf, overview, trust)

    def _list(self, overview: Overview, name: ListName) -> Iterator[Page]:
        views = list_pages(name, overview.lists.get(name, ()))
        for view in views:
            document = urls.list_document(view.key)
            following = urls.list_document(view.following) if view.following else None
            yield self._page(
                "list.html.j2",
                view.key,
                list=view,
                folder=_row_page,
                document=document,
                feed=urls.namespace_feed(name.value),
            )
            yield Page(
                document,
                encode_json(
                    {
                        "format": DOCUMENT_FORMAT,
                        name.kind: name.value,
                        "plugins": [
                            {
                                "id": row.id,
                                "type": row.type,
                                **({"title": row.title} if row.title else {}),
                                "summary": row.summary,
                                "license": row.license or None,
                                "keywords": row.keywords,
                                "deprecated": row.deprecated,
                            }
                            for row in view.rows
                        ],
                        "next": urls.link(following, page=document) if following else None,
                    }
                ),
            )

    def _indexes(self, overview: Overview) -> Iterator[Page]:
        for kind, index, title in _INDEXED:
            names = sorted(name.value for name in overview.lists if name.kind == kind)
            pages = cut(names, str) or [[]]
            keys = [urls.index_page(index, page[0] if at else None) for at, page in enumerate(pages)]
            for at, page in enumerate(pages):
                yield self._page(
                    "names.html.j2",
                    keys[at],
                    names={
                        "title": title,
                        "number": at + 1,
                        "entries": [(name, urls.list_page(ListName(kind, name))) for name in page],
                        "previous": keys[at - 1] if at else None,
                        "following": keys[at + 1] if at + 1 < len(keys) else None,
                    },
                )

    def _sitemap(self, overview: Overview) -> Iterator[Page]:
        if self.frame.url is None:  # a sitemap needs absolute URLs
            return
        shards = shard_count(self.signers.bits)
        sorted_in: dict[int, list[str]] = {}
        for plugin in overview.rows:
            key = urls.plugin_page(plugin)
            sorted_in.setdefault(shard_of(plugin, shards), []).append(urls.address(key))
        first = [urls.HOME, urls.VERIFY, urls.DOCUMENTS]
        first += [urls.list_page(name) for name in sorted(overview.lists) if name.kind != "keyword"]
        parts = {"sitemap/site.xml": [urls.address(key) for key in first]}
        parts |= {urls.sitemap_page(shard): plugins for shard, plugins in sorted(sorted_in.items())}
        for key, found in parts.items():
            yield self._page("sitemap.xml.j2", key, addresses=found)
        yield self._page("sitemap_index.xml.j2", urls.SITEMAP, addresses=list(parts))

    def _namespace_feed(self, shelf: Shelf, overview: Overview, namespace: str) -> Page:
        rows = overview.lists[ListName("namespace", namespace)]
        feed = feed_of(
            self.frame,
            recent(shelf, rows),
            overview.rows.__getitem__,
            key=urls.namespace_feed(namespace),
            html=urls.list_page(ListName("namespace", namespace)),
            title=f"{namespace}: releases",
        )
        return self._page("feed.xml.j2", feed.key, feed=feed)

    def _fixed(self, overview: Overview, trust: TrustBox) -> Iterator[Page]:
        example = next(iter(overview.rows), _EXAMPLE)
        yield self._page("search.html.j2", urls.SEARCH)
        yield self._page("verify.html.j2", urls.VERIFY, trust=trust, example=example)
        yield self._page("documents.html.j2", urls.DOCUMENTS)
        yield self._page("not_found.html.j2", urls.NOT_FOUND, base=self.frame.base)
        yield self._page("robots.txt.j2", urls.ROBOTS)

    def _home(self, shelf: Shelf, overview: Overview, trust: TrustBox) -> Iterator[Page]:
        rows = overview.rows
        newest = recent(shelf, rows.values())
        feed = feed_of(
            self.frame,
            newest,
            rows.__getitem__,
            key=urls.FEED,
            html=urls.HOME,
            title=f"{self.frame.title}: releases",
        )
        yield self._page("feed.xml.j2", feed.key, feed=feed)
        types = sorted(name for name in overview.lists if name.kind == "type")
        home = {
            "total": len(rows),
            "releases": sum(row.releases for row in rows.values()),
            "types": [(name.value, urls.list_page(name), len(overview.lists[name])) for name in types],
            "recent": [
                {
                    "namespace": each.plugin.namespace,
                    "name": each.plugin.name,
                    "version": each.version,
                    "type": rows[each.plugin].type,
                    "title": title_of(rows[each.plugin]) or Worded(""),
                    "summary": summary_of(rows[each.plugin]),
                    "timestamp": each.released_at,
                    "date": format_date(each.released_at),
                    "page": urls.plugin_page(each.plugin),
                }
                for each in newest[:RECENT_ON_HOME]
            ],
        }
        yield self._page("home.html.j2", urls.HOME, home=home, trust=trust)

    def assets(self) -> Iterator[Page]:
        """Yield the files that pages load; their names have digests in them."""
        for asset in self.templates.assets.values():
            yield Page(asset.key, asset.data)

    def _page(self, template: str, key: str, *, base: str | None = None, **values: Any) -> Page:
        shared = {"site": self.frame, "here": urls.address(key)}
        return Page(key, self.templates.render(template, key, {**shared, **values}, base=base))


def dependents_document(plugin: PluginId, dependents: Collection[PluginId]) -> Page:
    """Return the list of plugins that need ``plugin``, which a publish of only that plugin reads again."""
    values: Mapping[str, Any] = {
        "format": DOCUMENT_FORMAT,
        "plugin": str(plugin),
        "dependents": [str(each) for each in sorted(dependents)],
    }
    return Page(urls.plugin_file(plugin, DEPENDENTS), encode_json(values))


def _row_page(row: ListRow) -> str:
    return urls.plugin_page(PluginId(row.namespace, row.name))


__all__ = ["DEPENDENTS", "AnswersOf", "Builder", "Page", "Parts", "dependents_document", "no_answers"]
