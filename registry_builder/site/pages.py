"""Builds the pages: reads documents, decides what each page shows, renders it. Same input, same bytes.

`Builder.plugin_pages` are those of one plugin and need no other; `Builder.parts` are those of a whole registry.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product, starmap
from typing import Any, NamedTuple

from registry_builder.compile.manifest import manifest_key
from registry_builder.signing.metadata import shard_count
from registry_builder.site import urls
from registry_builder.site._badges import Badge, plugin_badges
from registry_builder.site._extras import Judge, changes_of, provenance_of_release
from registry_builder.site._feeds import feed_of
from registry_builder.site._home_view import home_view
from registry_builder.site._languages import language_of
from registry_builder.site._list_pages import ListRow, ListView, cut, list_pages
from registry_builder.site._neighbours import dependency_drawing
from registry_builder.site._offline_verifier import offline_verifier
from registry_builder.site._provenance import Provenance
from registry_builder.site._readme_html import image_addresses, render_readme
from registry_builder.site._readme_rewrite import ShownImage
from registry_builder.site._release_view import release_view
from registry_builder.site._words import N_, Words, language_name
from registry_builder.site.affected_pages import Touched
from registry_builder.site.document_source import Shelf
from registry_builder.site.page_context import Frame, Signers, TrustBox
from registry_builder.site.plugin_view import Extras, PluginView, plugin_view
from registry_builder.site.registry_index import Overview, recent
from registry_builder.site.templates import Templates
from registry_builder.site.urls import IndexName, ListKind, ListName
from registry_builder.source.readme_images import image_key
from sealdex.model.catalog import CatalogRow, shard_of
from sealdex.model.decode import encode_json
from sealdex.model.ids import PluginId
from sealdex.model.index import IndexDocument, ReleaseEntry, latest_release

DOCUMENT_FORMAT = 1
DEPENDENTS = "dependents.json"

_EXAMPLE = PluginId("NAMESPACE", "NAME")
_INDEXED: tuple[tuple[ListKind, IndexName, str], ...] = (
    ("namespace", "namespaces", N_("Namespaces")),
    ("keyword", "keywords", N_("Keywords")),
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
        judge: verifies Sigstore bundles by the registry's policy; None verifies none.
    """

    templates: Templates
    frame: Frame
    signers: Signers
    judge: Judge | None = None

    # --- one plugin -----------------------------------------------------------------------------------------------

    def plugin_pages(
        self,
        shelf: Shelf,
        plugin: PluginId,
        versions: Collection[str] | None,
        *,
        dependents: Collection[PluginId],
        known: Collection[PluginId],
        first_language_only: bool = False,
    ) -> Iterator[Page]:
        """Yield a plugin's page, badges, and the pages of its releases, in all languages.

        Args:
            shelf: the source of the documents.
            plugin: the plugin.
            versions: the releases; None for all.
            dependents: the plugins that need it.
            known: plugins that have a page.
            first_language_only: leave pages in further languages for later.
        """
        document, sha256 = shelf.document(plugin)
        pictures: dict[str, bytes] = {}  # by key, of all languages
        provenance: dict[str, tuple[Provenance, ...]] = {}

        def built(release: ReleaseEntry | None) -> tuple[Provenance, ...]:
            version = release.version if release is not None else ""
            if version not in provenance:
                provenance[version] = provenance_of_release(shelf, document, release, self.judge)
            return provenance[version]

        for number, words in enumerate(self._words(first_only=first_language_only)):
            view = self._plugin(shelf, document, sha256, words, dependents, known, built, pictures)
            badges = plugin_badges(view, document)
            yield self._plugin_page(view, badges, words)
            if number == 0:
                for badge in badges.values():
                    yield self._page("badge.svg.j2", badge.key, badge=badge)
            yield from self._releases(shelf, document, versions, known, words, built)
        yield from starmap(Page, sorted(pictures.items()))

    def _words(self, *, first_only: bool = False) -> list[Words]:
        found = [self.templates.words[tag] for tag in self.frame.languages]
        return found[:1] if first_only else found

    def _plugin(
        self,
        shelf: Shelf,
        document: IndexDocument,
        sha256: str,
        words: Words,
        dependents: Collection[PluginId],
        known: Collection[PluginId],
        built: Callable[[ReleaseEntry | None], tuple[Provenance, ...]],
        pictures: dict[str, bytes],
    ) -> PluginView:
        plugin = document.id
        source, translated = shelf.readme_for(document, words.language)
        text = source.decode(errors="replace") if source else ""
        readme_language = (translated or language_of(text, document.language)) if source else ""
        readme = None
        if source is not None:
            images = self._images(shelf, plugin, source, words, pictures)
            readme = render_readme(source, plugin.name, words=words, images=images)
        changes, more = changes_of(shelf, document, words)
        shown = latest_release(document) or (document.releases[0] if document.releases else None)
        return plugin_view(
            document,
            sha256=sha256,
            role=self.signers.role_of(plugin),
            readme=readme,
            dependents=dependents,
            known=known,
            held=shelf.held,
            words=words,
            extras=Extras(
                changes=changes,
                more_changes=more,
                provenance=built(shown),
                readme_language="" if readme_language == words.language else readme_language,
            ),
        )

    def _images(
        self, shelf: Shelf, plugin: PluginId, readme: bytes, words: Words, pictures: dict[str, bytes]
    ) -> Mapping[str, ShownImage]:
        """Return what the page shows for images of a README; adds their files to ``pictures``."""
        kept = shelf.images(plugin)
        shown = {}
        for address in image_addresses(readme) if kept else ():
            image = kept.get(address)
            if image is None:
                continue
            key = image_key(image)
            data = pictures.get(key) or shelf.image(plugin, image)
            if data is not None:
                pictures[key] = data
                page = self._place(urls.plugin_page(plugin), words)
                shown[address] = ShownImage(urls.link(key, page=page), image.width, image.height)
        return shown

    def _plugin_page(self, view: PluginView, badges: Mapping[str, Badge], words: Words) -> Page:
        plugin = view.plugin
        return self._page(
            "plugin.html.j2",
            urls.plugin_page(plugin),
            words=words,
            plugin=view,
            drawing=dependency_drawing(view.id, view.dependencies, view.dependents),
            badges=badges,
            compare=urls.COMPARE,
            feed=urls.plugin_file(plugin, urls.FEED),
            type_page=urls.list_page(ListName("type", view.type)),
            namespace_page=urls.list_page(ListName("namespace", plugin.namespace)),
            keyword_pages={word: urls.list_page(ListName("keyword", word)) for word in view.keywords},
            release_pages={
                line.version: urls.release_page(plugin, line.version) for line in view.releases if line.is_here
            },
        )

    def _releases(
        self,
        shelf: Shelf,
        document: IndexDocument,
        versions: Collection[str] | None,
        known: Collection[PluginId],
        words: Words,
        built: Callable[[ReleaseEntry | None], tuple[Provenance, ...]],
    ) -> Iterator[Page]:
        role = self.signers.role_of(document.id)
        for release in document.releases:
            if not shelf.held.has(manifest_key(document.id, release.version)):
                continue
            if versions is None or release.version in versions:
                manifest = shelf.manifest(document.id, release)
                view = release_view(
                    document,
                    release,
                    manifest,
                    role=role,
                    known=known,
                    held=shelf.held,
                    words=words,
                    provenance=built(release),
                )
                yield self._page(
                    "release.html.j2",
                    urls.release_page(document.id, release.version),
                    words=words,
                    release=view,
                    plugin_page=urls.plugin_page(document.id),
                    compare=urls.COMPARE,
                )

    def plugin_feed(self, shelf: Shelf, plugin: PluginId) -> Page:
        """Return the feed of one plugin."""
        row = shelf.row(plugin)
        feed = feed_of(
            self.frame,
            recent(shelf, [row]),
            lambda _: row,
            key=urls.plugin_file(plugin, urls.FEED),
            html=urls.plugin_page(plugin),
            title=self._feed_title(str(plugin)),
        )
        return self._page("feed.xml.j2", feed.key, feed=feed)

    def _feed_title(self, of: str) -> str:
        """Return the title of a feed; there is one in all languages, in the first of them."""
        return self._words(first_only=True)[0].say("%(of)s: releases", of=of)

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
        rows = overview.lists.get(name, ())
        for number, words in enumerate(self._words()):
            views = list_pages(name, rows, words.language)
            for view in views:
                yield self._page(
                    "list.html.j2",
                    view.key,
                    words=words,
                    list=view,
                    folder=_row_page,
                    document=urls.list_document(view.key),
                    whole=urls.list_document(views[0].key),
                    feed=urls.namespace_feed(name.value),
                )
            if number == 0:
                yield from self._list_documents(name, views, len(rows))

    def _list_documents(self, name: ListName, views: Sequence[ListView], total: int) -> Iterator[Page]:
        for view in views:
            document = urls.list_document(view.key)
            following = urls.list_document(view.following) if view.following else None
            # where its pages begin stands in the first document alone: a plugin more changes no other
            whole = {
                "total": total,
                "pages": [
                    {"first": each.rows[0].id if each.rows else "", "page": urls.address(each.key)} for each in views
                ],
            }
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
                        **(whole if view.number == 1 else {}),
                    }
                ),
            )

    def _indexes(self, overview: Overview) -> Iterator[Page]:
        for kind, index, title in _INDEXED:
            names = sorted(name.value for name in overview.lists if name.kind == kind)
            pages = cut(names, str) or [[]]
            keys = [urls.index_page(index, page[0] if at else None) for at, page in enumerate(pages)]
            yield Page(
                urls.index_document(index),
                encode_json(
                    {
                        "format": DOCUMENT_FORMAT,
                        "total": len(names),
                        "pages": [
                            {"first": page[0] if page else "", "page": urls.address(key)}
                            for page, key in zip(pages, keys, strict=True)
                        ],
                        "counts": {name: len(overview.lists[ListName(kind, name)]) for name in names},
                    }
                ),
            )
            for words, (at, page) in product(self._words(), enumerate(pages)):
                yield self._page(
                    "names.html.j2",
                    keys[at],
                    words=words,
                    document=urls.index_document(index),
                    names={
                        "title": words.say(title),
                        "number": at + 1,
                        "key": keys[at],
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
            title=self._feed_title(namespace),
        )
        return self._page("feed.xml.j2", feed.key, feed=feed)

    def _fixed(self, overview: Overview, trust: TrustBox) -> Iterator[Page]:
        example = next(iter(overview.rows), _EXAMPLE)
        for words in self._words():
            yield self._page("search.html.j2", urls.SEARCH, words=words)
            yield self._page("verify.html.j2", urls.VERIFY, words=words, trust=trust, example=example)
            yield self._page("documents.html.j2", urls.DOCUMENTS, words=words)
            yield self._page("compare.html.j2", urls.COMPARE, words=words)
        yield Page(urls.OFFLINE_VERIFIER, offline_verifier())
        parts = [self._not_found(words) for words in self._words()]
        yield self._page("not_found.html.j2", urls.NOT_FOUND, base=self.frame.base, parts=parts)
        yield self._page("robots.txt.j2", urls.ROBOTS)

    def _not_found(self, words: Words) -> Mapping[str, Any]:
        """Return what the page for all addresses without a page says in one language."""
        links = (
            (words.say("All namespaces"), urls.index_page("namespaces")),
            (words.say("All keywords"), urls.index_page("keywords")),
            (words.say("Front page"), urls.HOME),
        )
        return {
            "tag": words.language,
            "name": language_name(words.language),
            "title": words.say("Not found"),
            "heading": words.say("Page not found"),
            "lead": words.say("The plugin or release may have another name."),
            "home": self._place(urls.HOME, words),
            "search": self._place(urls.SEARCH, words),
            "search_label": words.say("Search plugins"),
            "search_button": words.say("Search"),
            "links": [(text, self._place(key, words)) for text, key in links],
        }

    def _home(self, shelf: Shelf, overview: Overview, trust: TrustBox) -> Iterator[Page]:
        rows = overview.rows
        newest = recent(shelf, rows.values())
        feed = feed_of(
            self.frame,
            newest,
            rows.__getitem__,
            key=urls.FEED,
            html=urls.HOME,
            title=self._feed_title(self.frame.title),
        )
        yield self._page("feed.xml.j2", feed.key, feed=feed)
        for words in reversed(self._words()):  # the first language last: it is the front page
            home = home_view(shelf, overview, newest, words)
            yield self._page("home.html.j2", urls.HOME, words=words, home=home, trust=trust)

    def assets(self) -> Iterator[Page]:
        """Yield the files that pages load; their names have digests in them."""
        for asset in self.templates.assets.values():
            yield Page(asset.key, asset.data)

    def _place(self, key: str, words: Words | None) -> str:
        """Return the key of a page in the language of its words."""
        is_first = words is None or words.language == self.frame.languages[0]
        return key if is_first or words is None else urls.language_folder(words.language) + key

    def _page(
        self, template: str, key: str, *, base: str | None = None, words: Words | None = None, **values: Any
    ) -> Page:
        tags = self.frame.languages
        language = words.language if words is not None else tags[0]
        place = self._place(key, words)
        others = tags if len(tags) > 1 and urls.is_translated(key) else ()
        shared = {
            "site": self.frame,
            "here": urls.address(place),
            "translations": [
                {
                    "tag": tag,
                    "name": language_name(tag),
                    "is_here": tag == language,
                    "address": urls.address(translated),
                    "page": urls.link(translated, page=place),
                }
                for tag in others
                for translated in [key if tag == tags[0] else urls.language_folder(tag) + key]
            ],
        }
        return Page(place, self.templates.render(template, place, {**shared, **values}, base=base, language=language))


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
