"""What is published of a source tree's plugins, for comparing: verified, and read only where it differs."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from registry_builder.compile.index import Ingestion, same_manifest
from registry_builder.compile.manifest import manifest_bytes, manifest_key, pin
from registry_builder.publisher import Publisher
from registry_builder.signing.roles import TargetPin, bin_names, bin_of
from registry_builder.source.tree import SourcePlugin
from registry_builder.state import PublishedReader, PublishedState
from registry_builder.survey import Sources, target_pin
from sealdex.model.ids import PluginId
from sealdex.model.index import FilePin, IndexDocument, index_target


def published_documents(publisher: Publisher) -> dict[PluginId, IndexDocument]:
    """Return the index documents of one realm: of the tree's plugins, and with a complete tree of all others.

    Where a plugin compiles to the bytes that are published, those are its document and nothing is read. Where a
    release's manifest is the published one in another encoding (that of an older version of this program), its pin is
    given as the one that it has now, so that equal pins mean equal manifests.

    Raises:
        VerificationError: what is published isn't what the trust root vouches for.
        UnavailableError: the storage doesn't answer.
    """
    tree = publisher.tree
    plugins = {i: source for i, source in tree.plugins.items() if source.plugin.realm == publisher.realm}
    with publisher.reader(publisher.clock()) as reader:
        state = reader.open()
        if state is None:
            return {}
        names = bin_names(state.bits) if tree.complete else [bin_of(index_target(p), state.bits) for p in plugins]
        reader.load_bins(names)
        return _documents(reader, state, plugins, Ingestion(enabled=tree.config.registry.ingest), tree.complete)


def _documents(
    reader: PublishedReader,
    state: PublishedState,
    plugins: Mapping[PluginId, SourcePlugin],
    ingestion: Ingestion,
    complete: bool,
) -> dict[PluginId, IndexDocument]:
    sources = Sources(plugins, is_complete=complete, ingestion=ingestion)
    known: dict[PluginId, IndexDocument] = {}
    wanted: dict[PluginId, TargetPin] = {}
    for plugin in plugins:
        published = state.pin(index_target(plugin))
        if published is None:
            continue
        compiled = sources.compile(plugin, None)
        if target_pin(compiled.data) == published:
            known[plugin] = compiled.document
        else:
            wanted[plugin] = published
    if complete:
        for target, published in state.pins():
            namespace, _, name = target.removeprefix("index/").removesuffix(".json").partition("/")
            plugin = PluginId(namespace, name)
            if plugin not in plugins:
                wanted[plugin] = published
    for plugin, document in reader.documents.indexes(wanted).items():
        known[plugin] = _reencoded(reader, plugins[plugin], document) if plugin in plugins else document
    return known


def _reencoded(reader: PublishedReader, source: SourcePlugin, document: IndexDocument) -> IndexDocument:
    now = {version: pin(manifest_bytes(source.id, release)) for version, release in source.releases.items()}
    differing: dict[str, FilePin] = {
        manifest_key(source.id, entry.version): entry.manifest
        for entry in document.releases
        if entry.version in now and now[entry.version] != entry.manifest
    }
    manifests = reader.documents.manifests(differing)
    equal = {
        version
        for version, release in source.releases.items()
        if (key := manifest_key(source.id, version)) in manifests and same_manifest(manifests[key], source.id, release)
    }
    releases = tuple(
        msgspec.structs.replace(entry, manifest=now[entry.version]) if entry.version in equal else entry
        for entry in document.releases
    )
    return msgspec.structs.replace(document, releases=releases)


__all__ = ["published_documents"]
