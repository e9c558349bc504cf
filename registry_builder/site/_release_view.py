"""The contents of a release's page. Pure.

They follow from the release's index entry and manifest alone, so that a new release doesn't change the pages of older
ones.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import msgspec
from markupsafe import Markup

from registry_builder.compile.manifest import manifest_key
from registry_builder.site._format import format_selector, format_size
from registry_builder.site._languages import Worded, language_of, title_of
from registry_builder.site._provenance import Provenance
from registry_builder.site._readme_html import render_readme
from registry_builder.site._schema_table import SettingRow, setting_rows
from registry_builder.site._words import ENGLISH_WORDS, Words
from registry_builder.site.held_files import ALL, HeldFiles
from registry_builder.site.plugin_view import (
    WEB,
    AttachmentView,
    EvaluationView,
    LinkedPlugin,
    MarkView,
    attachments_of,
    evaluations_of,
    mark_view,
    named_plugins,
)
from sealdex.model.decode import encode_json
from sealdex.model.ids import PluginId
from sealdex.model.index import ArtifactEntry, IndexDocument, ReleaseEntry, release_folder
from sealdex.model.release import PublishedManifest
from sealdex.model.versions import parse_version
from sealdex.text import clean


@dataclass(frozen=True)
class ArtifactView:
    """One artifact of a release: ``key`` in the published tree, or ``url`` elsewhere; neither is on this mirror."""

    file: str
    format: str
    size: str
    bytes: int | None
    sha256: str
    conditions: str
    key: str | None
    url: str | None
    image: str | None
    bin: str | None
    files: tuple[tuple[str, str], ...]
    is_missing: bool = False


@dataclass(frozen=True)
class ReleaseView:
    """The contents of a release's page; ``manifest`` is the published manifest."""

    id: str
    plugin: PluginId
    version: str
    type: str
    date: str
    timestamp: str
    channels: tuple[str, ...]
    prerelease: bool
    yanked: MarkView | None
    rollout: int
    ab: str
    artifacts: tuple[ArtifactView, ...]
    conditions: str
    facts: tuple[tuple[str, str], ...]
    dependencies: tuple[LinkedPlugin, ...]
    config: tuple[SettingRow, ...]
    params: tuple[SettingRow, ...]
    default_config: str | None
    service: tuple[tuple[str, str], ...]
    health: tuple[str, str] | None
    """The request of the health check, and how often it is made."""
    models: tuple[tuple[str, str, str, str], ...]
    description: str
    changelog: Markup
    caveats: str
    attachments: tuple[AttachmentView, ...]
    evaluations: tuple[EvaluationView, ...]
    manifest_key: str
    manifest_size: str
    manifest_sha256: str
    role: str
    title: str = ""
    title_language: str = ""
    text_language: str = ""
    provenance: tuple[Provenance, ...] = ()


def release_view(
    document: IndexDocument,
    release: ReleaseEntry,
    manifest: PublishedManifest,
    *,
    role: str,
    known: Collection[PluginId],
    held: HeldFiles = ALL,
    words: Words = ENGLISH_WORDS,
    provenance: tuple[Provenance, ...] = (),
) -> ReleaseView:
    """Return the contents of a release's page; of ``document`` only what no later release changes."""
    plugin = document.id
    title = title_of(document, words.language) or Worded("")
    said = " ".join(filter(None, (manifest.description, manifest.changelog, manifest.caveats)))
    language = language_of(said, document.language)
    return ReleaseView(
        id=str(plugin),
        plugin=plugin,
        version=release.version,
        type=document.type,
        date=words.date(release.released_at),
        timestamp=release.released_at or "",
        channels=release.channels,
        prerelease=parse_version(release.version).prerelease is not None,
        yanked=mark_view(release.yanked, (), words),
        rollout=release.rollout,
        ab=str(release.ab) if release.ab is not None else "",
        artifacts=tuple(_artifact(plugin, release, each, held, words) for each in release.artifacts),
        conditions=format_selector(release.selector, release.tags, words),
        facts=tuple(_facts(manifest, words)),
        dependencies=named_plugins(release.dependencies, known),
        config=setting_rows(manifest.config_schema, manifest.default_config, words),
        params=setting_rows(manifest.params_schema, words=words),
        default_config=_pretty(manifest.default_config) if manifest.default_config else None,
        service=tuple(_service(manifest, words)),
        health=_health(manifest, words),
        models=tuple((m.model_id, m.model_type or "", m.version or "", m.path) for m in manifest.models),
        description=(manifest.description or "").strip(),
        changelog=render_readme((manifest.changelog or "").strip().encode(), plugin.name, words=words),
        caveats=(manifest.caveats or "").strip(),
        attachments=attachments_of(plugin, release, held, words),
        evaluations=evaluations_of(plugin, release, held, words),
        manifest_key=manifest_key(plugin, release.version),
        manifest_size=format_size(release.manifest.size, words),
        manifest_sha256=release.manifest.sha256,
        role=role,
        title=title.text,
        title_language=title.language,
        text_language="" if language == words.language else language,
        provenance=provenance,
    )


def _artifact(
    plugin: PluginId, release: ReleaseEntry, artifact: ArtifactEntry, held: HeldFiles, words: Words
) -> ArtifactView:
    is_image = artifact.format == "oci"
    key, url = held.place_of(f"{release_folder(plugin, release.version)}/{artifact.file}", artifact.url)
    url = url if url and not is_image and url.lower().startswith(WEB) else None
    return ArtifactView(
        file=artifact.file,
        format=artifact.format,
        size=format_size(artifact.size, words),
        bytes=artifact.size,
        sha256=artifact.sha256,
        conditions=format_selector(artifact.selector, artifact.tags, words),
        key=None if is_image else key,
        url=url,
        image=clean(artifact.url or "") if is_image else None,
        bin=artifact.bin,
        files=tuple((mapped.source, mapped.to) for mapped in artifact.files),
        is_missing=not is_image and key is None and artifact.url is None,
    )


def _facts(manifest: PublishedManifest, words: Words) -> list[tuple[str, str]]:
    facts: list[tuple[str, str | None]] = [(words.say("Entry point"), manifest.entry_point)]
    if manifest.runtime is not None:
        needs = words.say(", ").join(f"{name} {wanted}" for name, wanted in sorted(manifest.runtime.requires.items()))
        wanted = f" {words.say('(%(what)s)', what=needs)}" if needs else ""
        facts.append((words.say("Runtime"), manifest.runtime.kind + wanted))
    facts.append((words.say("Minimum host version"), manifest.min_host_version))
    if manifest.resources is not None:
        asked = {name: getattr(manifest.resources, name) for name in ("cpu", "memory", "disk", "gpu")}
        facts.append(
            (words.say("Resources"), words.say(", ").join(f"{name} {value}" for name, value in asked.items() if value))
        )
    facts += [(words.say("License"), manifest.license), (words.say("Authors"), words.say(", ").join(manifest.authors))]
    return [(label, clean(value)) for label, value in facts if value]


def _service(manifest: PublishedManifest, words: Words) -> list[tuple[str, str]]:
    service = manifest.service
    if service is None:
        return []
    facts = [(words.say("Command"), " ".join(service.command))]
    if service.port is not None:
        facts.append((words.say("Port"), str(service.port)))
    facts += [(words.say("Environment %(name)s", name=name), value) for name, value in sorted(service.env.items())]
    return [(clean(label), clean(value)) for label, value in facts]


def _health(manifest: PublishedManifest, words: Words) -> tuple[str, str] | None:
    if manifest.service is None or (check := manifest.service.health_check) is None:
        return None
    port = words.say("port %(port)s", port=check.port) if check.port is not None else ""
    pace = words.say(
        "every %(interval)s s, gives up after %(timeout)s s",
        interval=f"{check.interval:g}",
        timeout=f"{check.timeout:g}",
    )
    return clean(f"{check.method} {check.endpoint}"), words.say(
        "%(first)s, %(second)s", first=port, second=pace
    ) if port else pace


def _pretty(value: Any) -> str:
    return msgspec.json.format(encode_json(value), indent=2).decode()
