"""The files that a publish creates for plugins and releases, each with its pin and the source of its bytes. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal, NamedTuple

from registry_builder.baseline.diff import PluginChange
from registry_builder.baseline.documents import target_key
from registry_builder.compile.index import Ingestion, is_ingested, stored_names
from registry_builder.compile.manifest import manifest_key
from registry_builder.source.attachments import attachment_path
from registry_builder.source.safe_open import Gate, UnreadableError
from registry_builder.source.tree import SourcePlugin
from sealdex.model.files import file_list_name
from sealdex.model.ids import PluginId
from sealdex.model.index import index_target, readme_key, release_folder
from sealdex.model.release import Release, artifact_kind


class ManifestSource(NamedTuple):
    """A manifest that is encoded when it is uploaded, since a full publish has a hundred thousand of them."""

    plugin: PluginId
    release: Release


class TreeFile(NamedTuple):
    """A file of the source tree, opened by the gate when it is uploaded."""

    root: Path
    path: Path

    def open(self) -> BinaryIO:
        """Open it.

        Raises:
            OSError: it can't be read, or is refused now.
        """
        try:
            # published files were checked by lint, and by their digest
            return Gate(self.root, on_stray=lambda _path, _why: None, allow_names=lambda _path: True).open(self.path)
        except UnreadableError as error:
            raise OSError(str(error)) from error


class ReadmeSource(NamedTuple):
    """A plugin's README, or that in another language, read when it is uploaded."""

    plugin: SourcePlugin
    language: str | None = None


class FileListSource(NamedTuple):
    """The list of files of this archive, generated when it is uploaded."""

    archive: TreeFile


UploadKind = Literal["artifacts", "manifests", "readmes", "attachments", "index documents", "catalogue shards"]
"""What a file to create is, as plans and progress name it."""


@dataclass(frozen=True)
class Upload:
    """One immutable file to create; ``content`` is its bytes, the file with them, or a way to generate them."""

    key: str
    size: int
    sha256: str
    content: bytes | TreeFile | ReadmeSource | ManifestSource | FileListSource


@dataclass(frozen=True)
class IngestedArtifact:
    """An artifact to copy from its URL into the store; ``size`` is None if it is unknown."""

    key: str
    url: str
    sha256: str
    size: int | None


def index_files(changes: Iterable[PluginChange]) -> Iterable[Upload]:
    """Yield the index documents."""
    for change in changes:
        key = target_key(index_target(change.source.id), change.pin.sha256)
        yield Upload(key, change.pin.size, change.pin.sha256, change.data)


def release_files(
    changes: Iterable[PluginChange], root: Path, ingestion: Ingestion
) -> tuple[tuple[Upload, ...], tuple[Upload, ...], tuple[IngestedArtifact, ...]]:
    """Return manifests, artifacts that are uploaded, and artifacts that are copied from their URL, of new releases.

    Args:
        changes: the plugins.
        root: the source tree's folder, which artifact paths are relative to.
        ingestion: whether URL artifacts are copied into the store.
    """
    manifests: list[Upload] = []
    artifacts: dict[str, Upload] = {}  # by key: one archive may serve several environments
    ingest: dict[str, IngestedArtifact] = {}
    for change in changes:
        for version, manifest in change.new.items():
            release = change.source.releases[version]
            source = ManifestSource(change.source.id, release)
            manifests.append(Upload(manifest_key(change.source.id, version), manifest.size, manifest.sha256, source))
            if not ingestion.enabled and all(artifact_kind(each.source) != "path" for each in release.artifacts):
                continue  # nothing of it is in the store
            folder = release_folder(change.source.id, version)
            for artifact, name in zip(release.artifacts, stored_names(release.artifacts, ingestion), strict=True):
                key = f"{folder}/{name}"
                if is_ingested(artifact, ingestion):
                    size = artifact.size if artifact.size is not None else ingestion.sizes.get(artifact.sha256)
                    ingest[key] = IngestedArtifact(key, artifact.source, artifact.sha256, size)
                elif artifact_kind(artifact.source) == "path":
                    file = TreeFile(root, root / artifact.source)
                    artifacts[key] = Upload(key, artifact.size or 0, artifact.sha256, file)
                    if (listed := artifact.file_list) is not None:
                        key = f"{folder}/{file_list_name(name)}"
                        artifacts[key] = Upload(key, listed.size, listed.sha256, FileListSource(file))
    return tuple(manifests), tuple(artifacts.values()), tuple(ingest.values())


def readme_files(changes: Iterable[PluginChange]) -> Iterable[Upload]:
    """Yield the READMEs that aren't published yet."""
    for change in changes:
        if change.readme is not None and change.source.readme is not None:
            key = readme_key(change.source.id, change.readme.sha256)
            yield Upload(key, change.readme.size, change.readme.sha256, ReadmeSource(change.source))
        there = {change.readme.sha256} if change.readme is not None else set()
        for language, pin in change.readme_i18n.items():
            if language in change.source.readme_i18n and pin.sha256 not in there:
                there.add(pin.sha256)  # two languages may have the same text, and a file is created once
                key = readme_key(change.source.id, pin.sha256)
                yield Upload(key, pin.size, pin.sha256, ReadmeSource(change.source, language))


def attachment_files(changes: Iterable[PluginChange]) -> Iterable[Upload]:
    """Yield the attachments that aren't published yet and are in the source tree."""
    for change in changes:
        for version, file in change.attachments:
            if file.url is None:
                path = attachment_path(change.source.folder, version, file.name)
                content = TreeFile(change.source.root, path)
                key = f"{release_folder(change.source.id, version)}/{file.name}"
                yield Upload(key, file.size, file.sha256, content)


__all__ = [
    "FileListSource",
    "IngestedArtifact",
    "ManifestSource",
    "ReadmeSource",
    "TreeFile",
    "Upload",
    "attachment_files",
    "index_files",
    "readme_files",
    "release_files",
]
