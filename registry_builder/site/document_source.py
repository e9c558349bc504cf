"""Where the pages get their documents: from the source tree if it has them, else from the verified published state."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from registry_builder.baseline.diff import Sources, target_pin
from registry_builder.baseline.documents import DocumentReader
from registry_builder.compile.catalog import catalogue_row
from registry_builder.compile.manifest import manifest_key
from registry_builder.signing.metadata import TargetPin
from registry_builder.site._languages import nearest_language
from registry_builder.site.held_files import ALL, HeldFiles
from registry_builder.site.plugin_view import dependencies_of
from registry_builder.source.attachments import MAX_ATTACHMENT_BYTES, attachment_path
from registry_builder.source.readme_file import read_readme
from registry_builder.source.readme_images import StoredImage, read_image, read_record, record_data
from registry_builder.source.safe_open import Gate, UnreadableError
from sealdex.model.catalog import CatalogRow
from sealdex.model.ids import PluginId
from sealdex.model.index import IndexDocument, ReleaseEntry, readme_key, release_folder
from sealdex.model.plugin import Attachment, fold_status
from sealdex.model.release import PublishedManifest, published_manifest


@dataclass(frozen=True)
class Dated:
    """A release and its time."""

    released_at: str
    plugin: PluginId
    version: str


@dataclass
class Shelf:
    """The documents of one realm.

    Attributes:
        sources: the plugins of the source tree.
        documents: index documents that aren't what the source tree alone compiles to, or that it doesn't have.
        reader: reads published documents; None if nothing is published.
        pins: digests of `documents`.
        absent: plugins of the source tree that aren't published, and so have no page.
        held: the files that pages may link.
    """

    sources: Sources
    documents: Mapping[PluginId, IndexDocument] = field(default_factory=dict)
    pins: Mapping[PluginId, TargetPin] = field(default_factory=dict)
    reader: DocumentReader | None = None
    absent: Collection[PluginId] = frozenset()
    held: HeldFiles = ALL

    def plugins(self) -> set[PluginId]:
        """Return all plugins it has."""
        return {*self.sources.plugins, *self.documents} - set(self.absent)

    def row(self, plugin: PluginId) -> CatalogRow:
        """Return a plugin's catalog row."""
        if plugin in self.documents:
            return catalogue_row(self.documents[plugin])
        return self.sources.own(plugin)[1]

    def document(self, plugin: PluginId) -> tuple[IndexDocument, str]:
        """Return a plugin's index document and its SHA-256."""
        if plugin in self.documents:
            return self.documents[plugin], self.pins[plugin].sha256
        compiled = self.sources.compile(plugin, None)
        return compiled.document, target_pin(compiled.data).sha256

    def manifest(self, plugin: PluginId, release: ReleaseEntry) -> PublishedManifest:
        """Return the manifest of a release.

        Raises:
            VerificationError: it is only published, and doesn't match its pin.
        """
        source = self.sources.plugins.get(plugin)
        if source is not None and release.version in source.releases:
            return published_manifest(plugin.namespace, plugin.name, source.releases[release.version])
        key = manifest_key(plugin, release.version)
        return self._published().manifests({key: release.manifest})[key]

    def readme_for(self, document: IndexDocument, language: str) -> tuple[bytes | None, str | None]:
        """Return a plugin's README for readers of a language, and the language if the README is a translation.

        Raises:
            VerificationError: it is only published, and doesn't match its pin.
        """
        tag = nearest_language(document.readme_i18n, language)
        if tag is None:
            return self.readme(document), None
        source = self.sources.plugins.get(document.id)
        if source is not None and tag in source.readme_i18n:
            readme = read_readme(source, tag)
            return (readme.plain if readme is not None else None), tag
        pin = document.readme_i18n[tag]
        key = readme_key(document.id, pin.sha256)
        if not self.held.has(key):
            return self.readme(document), None
        return self._published().file(key, TargetPin(pin.size, pin.sha256)), tag

    def readme(self, document: IndexDocument) -> bytes | None:
        """Return a plugin's README as Markdown; None if it has none, or a mirror doesn't have it.

        Raises:
            VerificationError: it is only published, and doesn't match its pin.
        """
        if document.readme is None:
            return None
        source = self.sources.plugins.get(document.id)
        if source is not None and source.readme is not None:
            readme = read_readme(source)
            return readme.plain if readme is not None else None
        key = readme_key(document.id, document.readme.sha256)
        if not self.held.has(key):
            return None
        return self._published().file(key, TargetPin(document.readme.size, document.readme.sha256))

    def images(self, plugin: PluginId) -> Mapping[str, StoredImage]:
        """Return the images that the source tree keeps for a plugin's READMEs, by address; none if it can't be read."""
        source = self.sources.plugins.get(plugin)
        if source is None or not source.has_images:
            return {}
        try:
            return read_record(source)
        except UnreadableError:
            return {}  # `validate` says so; the page has links

    def image(self, plugin: PluginId, image: StoredImage) -> bytes | None:
        """Return an image that `images` named; None if the file isn't that."""
        source = self.sources.plugins.get(plugin)
        if source is None:
            return None
        try:
            return read_image(source, image)
        except UnreadableError:
            return None

    def attachment(self, document: IndexDocument, release: ReleaseEntry, attachment: Attachment) -> bytes | None:
        """Return an attached file of a release; None if it is elsewhere, not here, or another one in the source tree.

        Raises:
            VerificationError: it is only published, and doesn't match its pin.
        """
        if attachment.url is not None:
            return None
        source = self.sources.plugins.get(document.id)
        if source is not None and release.version in source.releases:
            path = attachment_path(source.folder, release.version, attachment.name)
            with suppress(UnreadableError):
                data = Gate(source.root).read(path, MAX_ATTACHMENT_BYTES)
                return data if hashlib.sha256(data).hexdigest() == attachment.sha256 else None
        key = f"{release_folder(document.id, release.version)}/{attachment.name}"
        if self.reader is None or not self.held.has(key):
            return None
        return self.reader.file(key, TargetPin(attachment.size, attachment.sha256))

    def dated(self, plugin: PluginId) -> Iterator[Dated]:
        """Yield the releases of a plugin that state a time and aren't yanked."""
        if plugin in self.documents:
            for entry in self.documents[plugin].releases:
                if entry.released_at and entry.yanked is None:
                    yield Dated(entry.released_at, plugin, entry.version)
            return
        source = self.sources.plugins[plugin]
        yanked = fold_status(source.status.events).yanked
        for version, release in source.releases.items():
            if release.released_at and version not in yanked:
                yield Dated(release.released_at, plugin, version)

    def dependencies(self, row: CatalogRow) -> Iterable[PluginId]:
        """Return the dependencies of a plugin's latest release."""
        plugin = row.id
        if plugin in self.documents:
            return dependencies_of(self.documents[plugin])
        release = self.sources.plugins[plugin].releases.get(row.latest) if row.latest else None
        if release is None or not release.dependencies:
            return ()
        return dependencies_of(self.sources.compile(plugin, None).document)

    def _published(self) -> DocumentReader:
        if self.reader is None:
            raise RuntimeError("documents that are not in the source tree can only be read from the published state")
        return self.reader


def image_marks(sources: Sources) -> dict[PluginId, str]:
    """Return a digest of the record of images of each plugin that has one.

    Images aren't in the index document: this tells which pages they change.
    """
    marks = {}
    for plugin, source in sources.plugins.items():
        if source.has_images:
            with suppress(UnreadableError):
                marks[plugin] = hashlib.sha256(record_data(source) or b"").hexdigest()[:16]
    return marks
