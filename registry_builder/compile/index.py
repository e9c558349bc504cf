"""Compiles one plugin into its index document. Pure: what was published comes in as a document.

The rules, in order:

1. A release that is published keeps its published entry: its pins, its artifacts and their locations. Only what
   ``status.json`` adds up to (channels, yanked, attachments, evaluations) is updated.
2. A release whose manifest isn't the published one is reported as a `ReleaseChange`, with both pins. Whether it was
   really changed, or is only encoded differently by another version of this program, is for the caller to determine
   from the published manifest (`same_manifest`).
3. A release that was published and is no longer in the source tree stays published: nothing is ever unpublished by
   leaving it out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from registry_builder.compile.manifest import manifest_bytes, pin
from registry_builder.source.tree import SourcePlugin
from sealdex.model.decode import encode_json
from sealdex.model.ids import PluginId, normalise_type
from sealdex.model.index import INDEX_FORMAT, AbEntry, ArtifactEntry, FilePin, IndexDocument, MappedFile, ReleaseEntry
from sealdex.model.plugin import FoldedStatus, fold_status
from sealdex.model.precedence import version_sort_key
from sealdex.model.release import (
    AbTest,
    Artifact,
    PublishedManifest,
    Release,
    artifact_file_name,
    artifact_format,
    artifact_kind,
    published_manifest,
)
from sealdex.model.selectors import Selector

_MANIFEST_NAME = "manifest.json"


@dataclass(frozen=True)
class Ingestion:
    """Whether artifacts at URLs are copied into the store, and the sizes of those that were fetched already.

    Attributes:
        enabled: ``ingest`` of registry.toml.
        sizes: SHA-256 to bytes, for artifacts whose manifest doesn't state it.
    """

    enabled: bool = False
    sizes: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class ReleaseChange:
    """A release whose manifest in the source tree isn't the published one."""

    plugin: PluginId
    version: str
    published: FilePin
    source: FilePin


@dataclass(frozen=True)
class CompiledIndex:
    """An index document and its differences from the published one.

    Attributes:
        document: all releases, newest first.
        data: its bytes.
        new: versions that are not published yet, newest first.
        changed: releases that are published with a different manifest.
        kept: versions that are published but no longer in the source tree.
    """

    document: IndexDocument
    data: bytes
    new: tuple[str, ...]
    changed: tuple[ReleaseChange, ...]
    kept: tuple[str, ...]


def compile_index(
    source: SourcePlugin,
    *,
    readme: FilePin | None,
    published: IndexDocument | None,
    ingestion: Ingestion,
    readme_i18n: Mapping[str, FilePin] | None = None,
) -> CompiledIndex:
    """Compile a plugin of the source tree on top of its published state.

    Args:
        source: the plugin, as loaded.
        readme: size and digest of its README.
        published: its published index document; None if there is none.
        ingestion: whether URL artifacts are copied into the store.
        readme_i18n: of READMEs in other languages.
    """
    status = fold_status(source.status.events)
    before = {entry.version: entry for entry in published.releases} if published else {}
    entries: list[ReleaseEntry] = []
    changed: list[ReleaseChange] = []
    for version, release in source.releases.items():
        own = pin(manifest_bytes(source.id, release))
        old = before.pop(version, None)
        if old is None:
            entries.append(compile_release(release, own, status, ingestion))
            continue
        if old.manifest != own:
            changed.append(ReleaseChange(source.id, version, old.manifest, own))
        entries.append(
            msgspec.structs.replace(
                old,
                channels=_channels(release, status),
                yanked=status.yanked.get(version),
                attachments=status.attachments.get(version, ()),
                evaluations=status.evaluations.get(version, ()),
            )
        )
    for version, old in before.items():
        # its status.json may be missing too, which must not remove a mark
        entries.append(
            msgspec.structs.replace(
                old,
                yanked=status.yanked.get(version) or old.yanked,
                attachments=status.attachments.get(version) or old.attachments,
                evaluations=status.evaluations.get(version) or old.evaluations,
            )
        )
    if before and len(entries) > 1:
        entries.sort(key=lambda entry: version_sort_key(entry.version), reverse=True)
    plugin = source.plugin
    kept = [each for each in published.taken_back if each.version in before] if published and before else []
    document = IndexDocument(
        format=INDEX_FORMAT,
        namespace=source.id.namespace,
        name=source.id.name,
        type=normalise_type(plugin.type),
        summary=plugin.summary,
        title=plugin.title,
        language=plugin.language,
        title_i18n=plugin.title_i18n,
        summary_i18n=plugin.summary_i18n,
        releases=tuple(entries),
        description=plugin.description,
        license=plugin.license,
        keywords=plugin.keywords,
        owners=plugin.owners,
        homepage=plugin.homepage,
        repository=plugin.repository,
        documentation=plugin.documentation,
        icon=plugin.icon,
        links=plugin.links,
        deprecated=status.deprecated,
        readme=readme,
        readme_i18n=dict(readme_i18n or {}),
        moved_to=source.moved_to,
        taken_back=(*status.taken_back, *(each for each in kept if each not in status.taken_back)),
    )
    published_versions = {entry.version for entry in published.releases} if published else set()
    return CompiledIndex(
        document=document,
        data=encode_json(document),
        new=tuple(entry.version for entry in entries if entry.version not in published_versions),
        changed=tuple(changed),
        kept=tuple(before),
    )


def compile_release(release: Release, manifest: FilePin, status: FoldedStatus, ingestion: Ingestion) -> ReleaseEntry:
    """Return the index entry of a release that isn't published yet."""
    return ReleaseEntry(
        version=release.version,
        manifest=manifest,
        released_at=release.released_at,
        channels=_channels(release, status),
        artifacts=_artifacts(release.artifacts, ingestion) if release.artifacts else (),
        selector=_plain(release.selector),
        tags=release.tags,
        min_host_version=release.min_host_version,
        dependencies=release.dependencies,
        yanked=status.yanked.get(release.version),
        rollout=release.rollout if release.ab is None else 0,
        ab=_ab(release.ab) if release.ab is not None else None,
        attachments=status.attachments.get(release.version, ()),
        evaluations=status.evaluations.get(release.version, ()),
    )


def _ab(test: AbTest) -> AbEntry:
    return AbEntry(test.experiment, test.share, test.by, _plain(test.selector))


def same_manifest(published: PublishedManifest, plugin: PluginId, release: Release) -> bool:
    """Return whether a published manifest equals a release of the source tree, however it was encoded."""
    return published == published_manifest(plugin.namespace, plugin.name, release)


def is_ingested(artifact: Artifact, ingestion: Ingestion) -> bool:
    """Return whether publishing copies an artifact from its URL into the store."""
    return ingestion.enabled and artifact_kind(artifact.source) == "url"


def stored_names(artifacts: tuple[Artifact, ...], ingestion: Ingestion) -> tuple[str, ...]:
    """Return the file name of each artifact in its release's folder, or of its download.

    URLs with the same last part (``.../linux/tool.zip``, ``.../darwin/tool.zip``) don't share a name when their
    files are side by side in the store: all but the first get their digest as a prefix.
    """
    names: list[str] = []
    taken: dict[str, str] = {_MANIFEST_NAME: ""}
    for artifact in artifacts:
        if artifact.source.startswith("oci:"):
            names.append(artifact.file or _image_name(artifact.source))
            continue
        name = artifact_file_name(artifact)
        if taken.get(name.lower(), artifact.sha256) != artifact.sha256 and is_ingested(artifact, ingestion):
            name = f"{artifact.sha256[:12]}-{name}"
        taken.setdefault(name.lower(), artifact.sha256)
        names.append(name)
    return tuple(names)


def _artifacts(artifacts: tuple[Artifact, ...], ingestion: Ingestion) -> tuple[ArtifactEntry, ...]:
    entries = []
    for artifact, name in zip(artifacts, stored_names(artifacts, ingestion), strict=True):
        kind = artifact_kind(artifact.source)
        url = artifact.source if kind == "url" and not ingestion.enabled else None
        entries.append(
            ArtifactEntry(
                file=name,
                sha256=artifact.sha256,
                format=artifact_format(artifact),
                size=artifact.size if artifact.size is not None else ingestion.sizes.get(artifact.sha256),
                url=artifact.source.removeprefix("oci:") if kind == "oci" else url,
                selector=_plain(artifact.selector),
                tags=artifact.tags,
                bin=artifact.bin,
                # from a list: msgspec recognises defaults by identity, and Python 3.10 makes a new () from a generator
                files=tuple([MappedFile(mapping.source, mapping.to) for mapping in artifact.files]),
                file_list=FilePin(artifact.file_list.size, artifact.file_list.sha256) if artifact.file_list else None,
            )
        )
    return tuple(entries)


def _image_name(source: str) -> str:
    """``oci:harbor.example:5000/team/tool:1.2@sha256:...`` is named ``tool``."""
    return source.removeprefix("oci:").split("@", 1)[0].rsplit("/", 1)[-1].split(":", 1)[0]


def _channels(release: Release, status: FoldedStatus) -> tuple[str, ...]:
    promoted = status.channels.get(release.version)
    return (release.channel, *(c for c in promoted if c != release.channel)) if promoted else (release.channel,)


def _plain(selector: Selector) -> dict[str, Any]:
    plain: dict[str, Any] = msgspec.to_builtins(selector) if selector else {}
    return plain
