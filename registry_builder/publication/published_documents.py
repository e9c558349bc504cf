"""The published documents of a source tree's plugins, for comparison: verified, and read only if they differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import msgspec

from registry_builder.baseline.diff import PluginChange, Sources, Survey, plugin_change, same_document, target_pin
from registry_builder.baseline.state import PublishedReader, PublishedState
from registry_builder.compile.index import Ingestion, same_manifest
from registry_builder.compile.manifest import manifest_bytes, manifest_key, pin
from registry_builder.compile.removed_events import Older, older
from registry_builder.publication.claims import Waiting
from registry_builder.publication.context import Publisher
from registry_builder.signing.metadata import TargetPin, bin_names, bin_of, claims_of
from registry_builder.source.realms import moved_away
from registry_builder.source.tree import SourcePlugin
from sealdex.model.ids import PluginId
from sealdex.model.index import FilePin, IndexDocument, index_target, plugin_of_target


@dataclass(frozen=True)
class Compared:
    """The published state of a realm, beside the source tree.

    Attributes:
        documents: the index documents of the tree's plugins, and with a complete tree those of all others. If a
            release's manifest is the published one in a different encoding (of an older version of this program), its
            pin is replaced by its current one, so that equal pins mean equal manifests.
        older: plugins of which the tree seems to have an older state.
        waiting: what isn't published until a claimed namespace's own keys have signed it.
    """

    documents: Mapping[PluginId, IndexDocument]
    older: tuple[Older, ...] = ()
    waiting: tuple[Waiting, ...] = ()


def compare(publisher: Publisher) -> Compared:
    """Compare the plugins of one realm with the published state.

    If a plugin compiles to exactly the published bytes, nothing of it is read.

    Raises:
        VerificationError: what is published isn't what the trust root vouches for.
        UnavailableError: the storage doesn't respond.
    """
    tree, now = publisher.tree, publisher.clock()
    plugins = {i: source for i, source in tree.plugins.items() if source.plugin.realm == publisher.realm}
    for i, source in tree.plugins.items():
        if (left := moved_away(source, publisher.realm, tree.config)) is not None:
            plugins[i] = left
    sources = Sources(plugins, is_complete=tree.complete, ingestion=Ingestion(enabled=tree.config.registry.ingest))
    with publisher.reader(now) as reader:
        state = reader.open()
        if state is None:
            changes = [plugin_change(source, sources.compile(i, None), None) for i, source in plugins.items()]
            return Compared({}, waiting=_waiting(publisher, None, changes, now))
        names = bin_names(state.bits) if tree.complete else [bin_of(index_target(p), state.bits) for p in plugins]
        reader.load_bins(names)
        return _compared(publisher, reader, state, sources, now)


def _compared(
    publisher: Publisher, reader: PublishedReader, state: PublishedState, sources: Sources, now: datetime
) -> Compared:
    plugins = sources.plugins
    known: dict[PluginId, IndexDocument] = {}
    wanted: dict[PluginId, TargetPin] = {}
    changes: list[PluginChange] = []
    found_older: list[Older] = []
    for plugin, source in plugins.items():
        published = state.pin(index_target(plugin))
        compiled = sources.compile(plugin, None)
        if published is None:
            changes.append(plugin_change(source, compiled, None))
        elif target_pin(compiled.data) == published:
            known[plugin] = compiled.document
        else:
            wanted[plugin] = published
    if sources.is_complete:
        for target, published in state.pins():
            plugin = plugin_of_target(target)
            if plugin not in plugins:
                wanted[plugin] = published
    for plugin, document in reader.documents.indexes(wanted).items():
        if plugin not in plugins:
            known[plugin] = document
            continue
        known[plugin] = _reencoded(reader, plugins[plugin], document)
        compiled = sources.compile(plugin, document)
        if (lacking := older(plugins[plugin], document, compiled.document)) is not None:
            found_older.append(lacking)
        if not same_document(compiled.document, document):
            changes.append(plugin_change(plugins[plugin], compiled, document))
    return Compared(known, tuple(found_older), _waiting(publisher, state, changes, now))


def _waiting(
    publisher: Publisher, state: PublishedState | None, changes: Sequence[PluginChange], now: datetime
) -> tuple[Waiting, ...]:
    claimed = claims_of(publisher.trust.targets_role)
    if not publisher.tree.complete and state is not None and not set(claimed) <= set(state.claims):
        return ()  # this would need all plugins of a newly claimed namespace
    found = Survey(is_complete=publisher.tree.complete, changes=tuple(changes))
    return publisher.decide_claims(state, found, now).waiting


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


__all__ = ["Compared", "compare"]
