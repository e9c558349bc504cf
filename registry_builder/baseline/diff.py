"""Compares the source tree with the published state: which plugins differ, and how. Reads, never writes.

What a plugin compiles to on its own is compared with the digest that its bin states; only if that differs is the
published document read, and the plugin compiled again on top of it. So a publish of one release reads one bin, one
index document and one shard, and a publish of everything where nothing changed reads no document at all.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace

from msgspec.structs import replace as replace_fields

from registry_builder.baseline.state import PublishedReader, PublishedState
from registry_builder.compile.catalog import catalogue_row
from registry_builder.compile.index import CompiledIndex, Ingestion, ReleaseChange, compile_index, same_manifest
from registry_builder.compile.manifest import manifest_key
from registry_builder.compile.removed_events import Older, older
from registry_builder.parallel import collector_paused
from registry_builder.signing.metadata import TargetPin, bin_names, bin_of, shard_count
from registry_builder.source.readme_file import read_readme
from registry_builder.source.safe_open import UnreadableError
from registry_builder.source.tree import SourcePlugin
from sealdex.errors import SealdexError
from sealdex.model.catalog import CatalogRow, shard_of, shard_target
from sealdex.model.decode import encode_json
from sealdex.model.ids import PluginId
from sealdex.model.index import FilePin, IndexDocument, index_target, plugin_of_target
from sealdex.model.plugin import Attachment


@dataclass(frozen=True)
class PluginChange:
    """One plugin whose index document will be published.

    Attributes:
        source: the plugin.
        data, pin: the new index document.
        is_new: whether nothing of it is published yet.
        new: versions that are not published yet, newest first, and the pins of their manifests.
        readme: its README, if it isn't published yet.
        readme_i18n: likewise its READMEs in other languages.
        attachments: version and file of what is attached to releases and isn't published yet.
        published: its published index document.
    """

    source: SourcePlugin
    data: bytes
    pin: TargetPin
    is_new: bool
    new: Mapping[str, FilePin]
    readme: FilePin | None
    attachments: tuple[tuple[str, Attachment], ...] = ()
    published: IndexDocument | None = None
    readme_i18n: Mapping[str, FilePin] = field(default_factory=dict)


@dataclass(frozen=True)
class Survey:
    """How a realm's part of the source tree differs from what is published.

    Attributes:
        is_complete: whether all plugins of the realm were compared, not just some.
        rows: the catalog row of every plugin that was compared.
        carried: plugins that are published but not in the source tree; they stay. Known only to complete surveys.
        shards: published catalog shards that are needed to write new ones.
        violations: published releases whose manifest was changed.
        kept: plugin and version of releases that are published but not in the source tree; they stay.
        older: plugins of which the source tree seems to have an older state.
    """

    is_complete: bool = False
    changes: tuple[PluginChange, ...] = ()
    rows: Mapping[PluginId, CatalogRow] = field(default_factory=dict)
    carried: tuple[PluginId, ...] = ()
    shards: Mapping[int, tuple[CatalogRow, ...]] = field(default_factory=dict)
    violations: tuple[ReleaseChange, ...] = ()
    kept: tuple[tuple[PluginId, str], ...] = ()
    older: tuple[Older, ...] = ()

    def without(self, held: Collection[PluginId]) -> Survey:
        """Return a survey in which these plugins are unchanged."""
        if not held:
            return self
        rows = dict(self.rows)
        for change in self.changes:
            if change.source.id not in held:
                continue
            if change.published is None:
                rows.pop(change.source.id, None)
            else:
                rows[change.source.id] = catalogue_row(change.published)
        changes = tuple(change for change in self.changes if change.source.id not in held)
        return replace(self, changes=changes, rows=rows)


class Sources:
    """The plugins of one realm to publish, and what they compile to on their own.

    Kept over the attempts of one publish: after a lost race, only what changed is compiled again.

    Args:
        plugins: those to publish.
        is_complete: whether these are all plugins that the source tree has for the realm.
        ingestion: whether URL artifacts are copied into the store.
    """

    def __init__(self, plugins: Mapping[PluginId, SourcePlugin], *, is_complete: bool, ingestion: Ingestion) -> None:
        self.plugins = plugins
        self.is_complete = is_complete
        self.ingestion = ingestion
        self._readmes: dict[PluginId, FilePin] = {}  # of READMEs whose bytes are published unchanged
        self._own: dict[PluginId, tuple[TargetPin, CatalogRow]] = {}

    def with_sizes(self, sizes: Mapping[str, int]) -> Sources:
        """Return these sources, now that the sizes of ingested artifacts are known."""
        return Sources(
            self.plugins,
            is_complete=self.is_complete,
            ingestion=Ingestion(enabled=self.ingestion.enabled, sizes=sizes),
        )

    def own(self, plugin: PluginId) -> tuple[TargetPin, CatalogRow, CompiledIndex | None]:
        """Return pin and row of a plugin compiled on its own, and the compilation the first time it is made."""
        if plugin in self._own:
            return (*self._own[plugin], None)
        compiled = self.compile(plugin, None)
        self._own[plugin] = target_pin(compiled.data), catalogue_row(compiled.document)
        return (*self._own[plugin], compiled)

    def compile(self, plugin: PluginId, published: IndexDocument | None) -> CompiledIndex:
        """Compile a plugin on top of its published state."""
        return compile_index(
            self.plugins[plugin],
            readme=self._readme(plugin, published.readme if published is not None else None),
            published=published,
            ingestion=self.ingestion,
            readme_i18n=self._translated(plugin),
        )

    def _translated(self, plugin: PluginId) -> dict[str, FilePin]:
        source, found = self.plugins[plugin], {}
        for language, path in source.readme_i18n.items():
            try:
                readme = read_readme(source, language)
            except UnreadableError as error:
                raise SealdexError(f"{path} {error}", subject=str(path), untouched="nothing was written") from error
            if readme is not None:
                found[language] = readme.pin()
        return found

    def _readme(self, plugin: PluginId, published: FilePin | None) -> FilePin | None:
        if plugin in self._readmes:
            return self._readmes[plugin]
        try:
            readme = read_readme(self.plugins[plugin])
        except UnreadableError as error:
            path = self.plugins[plugin].readme
            raise SealdexError(f"{path} {error}", subject=str(path), untouched="nothing was written") from error
        if readme is None:
            return None
        if readme.raw is not readme.plain:
            return readme.pin(published)
        return self._readmes.setdefault(plugin, readme.pin())


def target_pin(data: bytes) -> TargetPin:
    """Return length and SHA-256 of a target."""
    return TargetPin(len(data), hashlib.sha256(data).hexdigest())


@collector_paused()
def survey(sources: Sources, state: PublishedState | None, reader: PublishedReader) -> Survey:
    """Compare sources with the published state, reading only what is needed.

    Raises:
        VerificationError: a file that had to be read isn't what was signed.
    """
    if state is None:
        return _first_survey(sources)
    if sources.is_complete:
        reader.load_bins(bin_names(state.bits))
    else:
        reader.load_bins(bin_of(index_target(plugin), state.bits) for plugin in sources.plugins)
    changes: list[PluginChange] = []
    rows: dict[PluginId, CatalogRow] = {}
    differing: dict[PluginId, TargetPin] = {}
    for plugin, source in sources.plugins.items():
        published = state.pin(index_target(plugin))
        own, row, compiled = sources.own(plugin)
        rows[plugin] = row
        if published is None:
            changes.append(plugin_change(source, compiled or sources.compile(plugin, None), None))
        elif published != own:
            differing[plugin] = published
    violations: list[ReleaseChange] = []
    kept: list[tuple[PluginId, str]] = []
    found_older: list[Older] = []
    for plugin, document in reader.documents.indexes(differing).items():
        compiled = sources.compile(plugin, document)
        violations += _violations(reader, sources.plugins[plugin], compiled.changed)
        rows[plugin] = catalogue_row(compiled.document)
        kept += ((plugin, version) for version in compiled.kept)
        if (lacking := older(sources.plugins[plugin], document, compiled.document)) is not None:
            found_older.append(lacking)
        # equal content that is only written differently is not a change: another version of this program wrote it
        if target_pin(compiled.data) != differing[plugin] and not same_document(compiled.document, document):
            changes.append(plugin_change(sources.plugins[plugin], compiled, document))
    carried = _carried(sources, state) if sources.is_complete else ()
    touched = carried if sources.is_complete else [change.source.id for change in changes]
    return Survey(
        is_complete=sources.is_complete,
        changes=tuple(changes),
        rows=rows,
        carried=tuple(carried),
        shards=_shards(touched, state, reader),
        violations=tuple(violations),
        kept=tuple(kept),
        older=tuple(found_older),
    )


def _first_survey(sources: Sources) -> Survey:
    changes: list[PluginChange] = []
    rows: dict[PluginId, CatalogRow] = {}
    for plugin, source in sources.plugins.items():
        _, rows[plugin], compiled = sources.own(plugin)
        changes.append(plugin_change(source, compiled or sources.compile(plugin, None), None))
    return Survey(is_complete=True, changes=tuple(changes), rows=rows)


def plugin_change(source: SourcePlugin, compiled: CompiledIndex, published: IndexDocument | None) -> PluginChange:
    """Return what will be published of a plugin that was compiled on top of its published state."""
    readme, new = compiled.document.readme, {*compiled.new}
    attached = {r.version: r.attachments for r in published.releases} if published else {}
    return PluginChange(
        source=source,
        data=compiled.data,
        pin=target_pin(compiled.data),
        is_new=published is None,
        new={entry.version: entry.manifest for entry in compiled.document.releases if entry.version in new},
        readme=readme if published is None or published.readme != readme else None,
        published=published,
        readme_i18n={
            language: pin
            for language, pin in compiled.document.readme_i18n.items()
            if published is None or pin not in (*published.readme_i18n.values(), published.readme)
        },
        attachments=tuple(
            (entry.version, attachment)
            for entry in compiled.document.releases
            for attachment in entry.attachments
            if attachment not in attached.get(entry.version, ())
        ),
    )


def same_document(compiled: IndexDocument, published: IndexDocument) -> bool:
    """Return whether a compiled document has the same values as the published one, however they are encoded."""
    if not published.taken_back:  # 0.1.0 doesn't write this; its absence alone is no reason to publish again
        compiled = replace_fields(compiled, taken_back=())
    return compiled == published and encode_json(compiled) == encode_json(published)


def _violations(
    reader: PublishedReader, source: SourcePlugin, changed: Collection[ReleaseChange]
) -> list[ReleaseChange]:
    """Return those changes that are more than a different encoding of the same manifest."""
    keys = {manifest_key(source.id, change.version): change for change in changed}
    manifests = reader.documents.manifests({key: change.published for key, change in keys.items()})
    return [
        change
        for key, change in keys.items()
        if not same_manifest(manifests[key], source.id, source.releases[change.version])
    ]


def _carried(sources: Sources, state: PublishedState) -> list[PluginId]:
    published = (plugin_of_target(target) for target, _ in state.pins())
    return sorted(plugin for plugin in published if plugin not in sources.plugins)


def _shards(
    plugins: Iterable[PluginId], state: PublishedState, reader: PublishedReader
) -> dict[int, tuple[CatalogRow, ...]]:
    shards = shard_count(state.bits)
    numbers = sorted({shard_of(plugin, shards) for plugin in plugins})
    pins = {number: state.catalog.pins.get(shard_target(number)) for number in numbers}
    return reader.documents.shards({number: pin for number, pin in pins.items() if pin is not None})


__all__ = ["PluginChange", "Sources", "Survey", "plugin_change", "same_document", "survey", "target_pin"]
