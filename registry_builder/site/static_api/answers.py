"""Which documents of ``api/`` a change of plugins touches, made one after the other. Same input, same bytes."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial

from registry_builder.signing.metadata import shard_count
from registry_builder.site.affected_pages import Touched
from registry_builder.site.document_source import Shelf
from registry_builder.site.page_context import Frame
from registry_builder.site.pages import AnswersOf, Page, Parts
from registry_builder.site.static_api._plugin_documents import plugin_document, release_documents
from registry_builder.site.static_api._registry_documents import changes_document, list_documents
from registry_builder.site.static_api.gone import SWITCHED_OFF, gone_document
from registry_builder.site.static_api.keys import CHANGES, LIST, OPENAPI, plugin_key, release_key, shard_key
from registry_builder.site.static_api.model_hub import ModelHub
from registry_builder.site.static_api.openapi import openapi_document
from registry_builder.source.config import ApiSection
from sealdex.model.catalog import CatalogRow
from sealdex.model.decode import encode_json
from sealdex.model.ids import PluginId

_BITS_OF_ONE_LIST = 6  # up to 1,000 plugins: a few hundred kilobytes
_REVISION = 1  # another one has all documents made again by the next publish


@dataclass(frozen=True)
class StaticApi:
    """The documents of one realm.

    Attributes:
        frame: the registry's name and address.
        bits: bit length of the succinct delegation, from which the number of the list's parts follows.
        enabled: whether there are documents in ``api/v1/``.
        hub: makes the Model Hub's documents; None if there are none.
    """

    frame: Frame
    bits: int
    enabled: bool = False
    hub: ModelHub | None = None

    @property
    def digest(self) -> str:
        """What all documents depend on: if it differs, all are written again; empty if there are none."""
        if not self.enabled and self.hub is None:
            return ""
        facts = [
            _REVISION,
            self.frame.title,
            self.frame.url,
            self.bits,
            openapi_document("", None, model_hub=True).data.decode(),
        ]
        facts += [self.enabled, None if self.hub is None else [dict(self.hub.services), dict(self.hub.models)]]
        return hashlib.sha256(encode_json(facts)).hexdigest()

    @property
    def _is_whole(self) -> bool:
        return self.bits <= _BITS_OF_ONE_LIST

    def parts(
        self, shelf: Shelf, rows: Mapping[PluginId, CatalogRow], catalog: Mapping[int, str], touched: Touched | None
    ) -> Parts:
        """Return the documents to write, those of each plugin separately; none if there are no documents.

        Args:
            shelf: the source of the documents.
            rows: all plugins, by id.
            catalog: number of a shard of the signed catalog to its key, as far as they are there.
            touched: what changed; None for everything.
        """
        made = []
        if self.enabled:
            made.append(self._plain(shelf, rows, catalog, touched))
        if self.hub is not None and (touched is None or touched.plugins):
            made.append(self.hub.parts(shelf, rows, None if touched is None else touched.plugins))
        return Parts(
            [each for parts in made for each in parts.plugins], lambda: [p for parts in made for p in parts.common()]
        )

    def _plain(
        self, shelf: Shelf, rows: Mapping[PluginId, CatalogRow], catalog: Mapping[int, str], touched: Touched | None
    ) -> Parts:
        plugins = rows.keys() if touched is None else touched.plugins & rows.keys()
        versions = {} if touched is None else touched.releases
        each = [partial(self._of_plugin, shelf, plugin, versions.get(plugin)) for plugin in sorted(plugins)]
        return Parts(each, partial(self._of_registry, shelf, rows, catalog, None if touched is None else plugins))

    def _of_plugin(self, shelf: Shelf, plugin: PluginId, versions: Collection[str] | None) -> Iterator[Page]:
        document, sha256 = shelf.document(plugin)
        yield from release_documents(document, versions, url=self.frame.url, held=shelf.held)
        yield plugin_document(document, sha256, url=self.frame.url, held=shelf.held)

    def _of_registry(
        self,
        shelf: Shelf,
        rows: Mapping[PluginId, CatalogRow],
        catalog: Mapping[int, str],
        touched: Collection[PluginId] | None,
    ) -> Iterator[Page]:
        if touched is None:
            yield openapi_document(self.frame.title, self.frame.url, model_hub=self.hub is not None)
        if touched is None or touched:
            yield from list_documents(
                rows, catalog, touched, shards=shard_count(self.bits), whole=self._is_whole, url=self.frame.url
            )
            yield changes_document(shelf, rows, url=self.frame.url)

    def left(
        self,
        shelf: Shelf,
        rows: Mapping[PluginId, CatalogRow],
        read: Callable[[str], bytes | None],
        *,
        switched_off: bool,
    ) -> Iterator[Page]:
        """Yield what to write over documents that are nobody's any more; before the others, whose lists name them.

        Args:
            shelf: the source of the documents.
            rows: all plugins, by id.
            read: returns a published file, or None.
            switched_off: whether what is off may have been on before.
        """
        if self.hub is not None:
            yield from self.hub.left(rows, read)
        elif switched_off:
            yield from ModelHub().gone(read)
        if switched_off and not self.enabled:
            yield from (page for page in self._gone(shelf) if read(page.key) is not None)

    def _gone(self, shelf: Shelf) -> Iterable[Page]:
        for plugin in sorted(shelf.plugins()):
            document, _ = shelf.document(plugin)
            for release in document.releases:
                yield gone_document(release_key(plugin, release.version), SWITCHED_OFF)
            yield gone_document(plugin_key(plugin), SWITCHED_OFF)
        shared = [] if self._is_whole else [shard_key(number) for number in range(shard_count(self.bits))]
        for key in (*shared, LIST, CHANGES, OPENAPI):
            yield gone_document(key, SWITCHED_OFF)


def api_of(settings: ApiSection, frame: Frame, bits: int) -> StaticApi:
    """Return the documents that registry.toml asks for."""
    hub = ModelHub(settings.services, settings.models) if settings.model_hub else None
    return StaticApi(frame, bits, settings.enabled, hub)


def answers_of(settings: ApiSection) -> AnswersOf:
    """Return what makes all documents of a site that is built as a whole."""

    def made(
        frame: Frame, bits: int, shelf: Shelf, rows: Mapping[PluginId, CatalogRow], catalog: Mapping[int, str]
    ) -> Parts:
        return api_of(settings, frame, bits).parts(shelf, rows, catalog, None)

    return made


__all__ = ["StaticApi", "answers_of", "api_of"]
