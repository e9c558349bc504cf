"""The Model Hub's documents of a whole registry: which there are, and which a change touches."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial

import msgspec
from msgspec import Struct

from registry_builder.compile.manifest import manifest_key
from registry_builder.site.document_source import Shelf
from registry_builder.site.pages import Page, Parts
from registry_builder.site.static_api._hub_documents import (
    Hubbed,
    Manifest,
    Rewrite,
    model_document,
    model_documents,
    model_rewrites,
    service_documents,
    service_rewrites,
    service_row,
)
from registry_builder.site.static_api.gone import NO_LONGER, SWITCHED_OFF, gone_document
from registry_builder.site.static_api.keys import (
    MODELS,
    REWRITES,
    SERVICES,
    checksum_key,
    checksums_key,
    hub_key,
    list_key,
)
from registry_builder.site.static_api.rewrites import rewrite_tables
from registry_builder.source.hub_ids import HubKind, hub_ids
from sealdex.model.catalog import CatalogRow
from sealdex.model.decode import decode_as, encode_json
from sealdex.model.ids import PluginId
from sealdex.model.index import ReleaseEntry
from sealdex.model.release import PublishedManifest
from sealdex.model.versions import version_problem

_FOLDERS: dict[HubKind, str] = {"service": SERVICES, "model": MODELS}
_ID = re.compile(r"[A-Za-z0-9]+([._-][A-Za-z0-9]+)*")


class _Version(Struct):
    version: str


class _Listed(Struct):
    versions: list[_Version]
    service_id: str | None = None
    model_id: str | None = None


@dataclass(frozen=True)
class ModelHub:
    """The documents of one realm's services and models.

    Attributes:
        services, models: ids of registry.toml, each with ``namespace/name``.
    """

    services: Mapping[str, str] = field(default_factory=dict)
    models: Mapping[str, str] = field(default_factory=dict)

    def parts(self, shelf: Shelf, rows: Mapping[PluginId, CatalogRow], touched: Collection[PluginId] | None) -> Parts:
        """Return the documents to write; see `StaticApi.parts`."""
        services, models = self._ids(rows, "service"), self._ids(rows, "model")
        each = [
            *(
                partial(_of_service, shelf, name, plugin)
                for name, plugin in services.items()
                if _is_in(plugin, touched)
            ),
            *(partial(_of_model, shelf, name, plugin) for name, plugin in models.items() if _is_in(plugin, touched)),
        ]
        return Parts(each, partial(_common, shelf, services, models))

    def left(self, rows: Mapping[PluginId, CatalogRow], read: Callable[[str], bytes | None]) -> Iterator[Page]:
        """Yield what to write over the documents of ids that nothing has any more, as the published lists name them.

        Args:
            rows: all plugins, by id.
            read: returns a published file, or None.
        """
        for kind, folder in _FOLDERS.items():
            ids = self._ids(rows, kind)
            for name, versions in _listed(read(list_key(folder))):
                if name not in ids:
                    yield from _gone(folder, name, versions, NO_LONGER)

    def gone(self, read: Callable[[str], bytes | None]) -> Iterator[Page]:
        """Yield what to write over all documents that the published lists name: they were switched off."""
        for folder in _FOLDERS.values():
            data = read(list_key(folder))
            for name, versions in _listed(data):
                yield from _gone(folder, name, versions, SWITCHED_OFF)
            if data is not None:
                yield Page(list_key(folder), b"[]")
        if read(REWRITES) is not None:
            yield from rewrite_tables(())

    def _ids(self, rows: Mapping[PluginId, CatalogRow], kind: HubKind) -> dict[str, PluginId]:
        stated = self.services if kind == "service" else self.models
        return hub_ids(((plugin, row.type) for plugin, row in rows.items()), kind, stated)


def _is_in(plugin: PluginId, touched: Collection[PluginId] | None) -> bool:
    return touched is None or plugin in touched


def _of_service(shelf: Shelf, name: str, plugin: PluginId) -> Iterator[Page]:
    yield from service_documents(_hubbed(shelf, name, plugin), _manifests(shelf))


def _of_model(shelf: Shelf, name: str, plugin: PluginId) -> Iterator[Page]:
    yield from model_documents(_hubbed(shelf, name, plugin))


def _common(shelf: Shelf, services: Mapping[str, PluginId], models: Mapping[str, PluginId]) -> Iterator[Page]:
    rewrites: list[Rewrite] = []
    rows = []
    for name, plugin in services.items():
        found = _hubbed(shelf, name, plugin)
        rows.append(service_row(found, _manifests(shelf)))
        rewrites += service_rewrites(found, shelf.held)
    yield Page(list_key(SERVICES), encode_json(rows))
    listed = []
    for name, plugin in models.items():
        found = _hubbed(shelf, name, plugin)
        listed.append(model_document(found))
        rewrites += model_rewrites(found, shelf.held)
    yield Page(list_key(MODELS), encode_json(listed))
    yield from rewrite_tables(rewrites)


def _gone(folder: str, name: str, versions: Iterable[str], why: str) -> Iterator[Page]:
    for version in versions:
        if folder == SERVICES:
            yield gone_document(checksum_key(name, version), why)
        else:
            yield Page(checksums_key(name, version), b"")
    yield gone_document(hub_key(folder, name), why)


def _listed(data: bytes | None) -> Iterator[tuple[str, list[str]]]:
    """Yield the ids of a published list, each with its versions; what isn't one is nobody's, and names no key."""
    try:
        rows = decode_as(data, list[_Listed]) if data is not None else []
    except msgspec.DecodeError:
        return
    for row in rows:
        name = row.service_id or row.model_id or ""
        if _ID.fullmatch(name):
            yield name, [each.version for each in row.versions if version_problem(each.version) is None]


def _hubbed(shelf: Shelf, name: str, plugin: PluginId) -> Hubbed:
    return Hubbed(name, shelf.document(plugin)[0])


def _manifests(shelf: Shelf) -> Manifest:
    def manifest(plugin: PluginId, release: ReleaseEntry) -> PublishedManifest | None:
        if not shelf.held.has(manifest_key(plugin, release.version)):
            return None
        return shelf.manifest(plugin, release)

    return manifest


__all__ = ["ModelHub"]
