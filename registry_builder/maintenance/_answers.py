"""Compares the documents of ``api/`` with what is made of the signed ones, since nothing signs them."""

from __future__ import annotations

from collections.abc import Iterator

from registry_builder.baseline.diff import Sources
from registry_builder.baseline.documents import target_key
from registry_builder.baseline.state import PublishedReader, PublishedState
from registry_builder.compile.index import Ingestion
from registry_builder.publication.context import Publisher
from registry_builder.signing.metadata import bin_names
from registry_builder.site.document_source import Shelf
from registry_builder.site.page_context import frame_of
from registry_builder.site.static_api.answers import api_of
from registry_builder.site.static_api.keys import shard_of_key
from registry_builder.storage import ObjectMissingError, ObjectTooLargeError
from sealdex.model.index import plugin_of_target


def other_answers(publisher: Publisher, reader: PublishedReader, state: PublishedState) -> Iterator[str]:
    """Yield the keys of documents that are missing, or aren't what a publish would write now.

    Args:
        publisher: of the realm; registry.toml says which documents there are.
        reader: has opened ``state``.
        state: what is published, verified.
    """
    config = publisher.tree.config
    if not (config.api.enabled or config.api.model_hub):
        return
    reader.load_bins(bin_names(state.bits))
    pins = {plugin_of_target(target): pin for target, pin in state.pins()}
    documents = reader.documents.indexes(pins)
    shelf = Shelf(Sources({}, is_complete=True, ingestion=Ingestion()), documents, pins, reader.documents)
    rows = {plugin: shelf.row(plugin) for plugin in sorted(documents)}
    keys = (target_key(target, pin.sha256) for target, pin in state.catalog.pins.items())
    catalog = {shard_of_key(key): key for key in keys}
    parts = api_of(config.api, frame_of(config, publisher.realm), state.bits).parts(shelf, rows, catalog, None)
    for part in (*parts.plugins, parts.common):
        for page in part():
            try:
                found = publisher.storage.get(page.key, max_bytes=len(page.data)).data
            except (ObjectMissingError, ObjectTooLargeError):
                found = None
            if found != page.data:
                yield page.key


__all__ = ["other_answers"]
