"""Imports kubectl plugins from the history of a krew index: JSON lines of ``{"published", "manifest"}``.

Decides first (`read_history`, pure except for reading its input), acts later (`write_import`). An entry that can't
be a release, and every field that can't be represented, is reported with its reason; nothing is dropped silently.
"""

from __future__ import annotations

import lzma
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import tomlkit

from registry_builder.importers._krew_manifest import (
    KrewVersion,
    NotRepresentableError,
    map_manifest,
    same_release,
)
from registry_builder.importers._plugin_yaml import plugin_yaml
from registry_builder.source.atomic_write import replace_file, write_new
from registry_builder.source.config import CONFIG_NAME, read_config, read_config_text
from registry_builder.source.load import load_tree
from registry_builder.source.own_folders import require_own_folders
from registry_builder.source.spelling import with_usual_platforms
from registry_builder.source.yaml12 import YamlError, read_yaml
from sealdex.errors import NotFoundError, UsageError
from sealdex.model.decode import encode_pretty
from sealdex.model.foreign_json import json_values
from sealdex.model.ids import KNOWN_TYPES, PluginId, normalise_type, part_problem
from sealdex.model.plugin import Owner, Plugin
from sealdex.model.release import Release
from sealdex.model.versions import parse_version

DEFAULT_NAMESPACE = "krew"
DEFAULT_TYPE = "kubectl-plugin"
MAX_LINE_BYTES = 4 * 1024 * 1024
_MAX_SUMMARY = 250
_ARTIFACT_HUB = "artifacthub.io/"
_MAPPED_ANNOTATIONS = frozenset({"category", "keywords", "license", "links", "provider", "readme"})


class NotImported(NamedTuple):
    """One thing that can't be represented.

    Attributes:
        line: number of the input's line.
        version: as the input writes it.
        whole: whether the whole entry is skipped, not only a field of it.
    """

    line: int
    name: str
    version: str
    reason: str
    whole: bool


@dataclass
class ImportedPlugin:
    """One future plugin: its fields, its README, and its releases by version."""

    plugin: Plugin
    readme: str
    releases: dict[str, Release]


@dataclass(frozen=True)
class KrewHistory:
    """The contents of an input: plugins by name, what can't be represented, and which spellings were rewritten."""

    plugins: dict[str, ImportedPlugin]
    not_imported: tuple[NotImported, ...]
    entries: int
    rewritten: tuple[str, ...] = ()


@dataclass(frozen=True)
class Written:
    """The result of writing: files written, releases that existed, and conflicts as (plugin, version, why)."""

    plugins: int = 0
    releases: int = 0
    unchanged: int = 0
    conflicts: tuple[tuple[PluginId, str, str], ...] = field(default=())


def read_history(path: Path, *, plugin_type: str = DEFAULT_TYPE) -> KrewHistory:
    """Read a history, ``.jsonl`` or ``.jsonl.xz``.

    Raises:
        NotFoundError: the file doesn't exist.
        UsageError: it is not valid.
    """
    if not path.is_file():
        raise NotFoundError("the file does not exist", subject=str(path), untouched="nothing was imported")
    opener: Any = lzma.open if path.suffix == ".xz" else open
    with opener(path, "rb") as stream:
        try:
            return _history(stream, plugin_type)
        except (lzma.LZMAError, EOFError) as error:
            raise UsageError(
                f"is not a complete xz file: {error}", subject=str(path), untouched="nothing was imported"
            ) from error


def _history(stream: BinaryIO, plugin_type: str) -> KrewHistory:
    left: list[NotImported] = []
    rewritten: list[str] = []
    versions: dict[str, dict[str, KrewVersion]] = {}
    without_v: list[tuple[int, str, str]] = []
    number = 0
    while line := stream.readline(MAX_LINE_BYTES + 1):
        number += 1
        if len(line) > MAX_LINE_BYTES:  # in a few bytes of xz there may be a line without end: it isn't skipped
            raise UsageError(f"line {number} has more than {MAX_LINE_BYTES} bytes", untouched="nothing was imported")
        if not line.strip():
            continue
        name = written = "?"
        try:
            manifest, published = _entry(line)
            name, written = _identity(manifest)
            if problem := part_problem(name):
                raise NotRepresentableError(f"name '{name[:80]}' {problem}")  # noqa: TRY301  # one place lists them
            mapped = map_manifest(manifest, published)
            if mapped.release.version in versions.setdefault(name, {}):
                raise NotRepresentableError(f"version {written} appears twice")  # noqa: TRY301  # as above
        except NotRepresentableError as error:
            left.append(NotImported(number, name, written, str(error), whole=True))
            without_v.append((len(left) - 1, name, written))
            continue
        versions[name][mapped.release.version] = mapped
        left += (NotImported(number, name, written, reason, whole=False) for reason in mapped.left_out)
        rewritten += (f"{name} {written}: {note}" for note in mapped.rewritten)
    for position, name, written in without_v:
        if written in versions.get(name, {}):
            reason = f"{left[position].reason}; that version is imported from the entry v{written}"
            left[position] = left[position]._replace(reason=reason)
    plugins = {name: _plugin(name, found, plugin_type, left) for name, found in versions.items() if found}
    return KrewHistory(plugins, tuple(sorted(left)), number, tuple(rewritten))


def _entry(line: bytes) -> tuple[Mapping[str, Any], object]:
    try:
        entry = json_values(line)
    except ValueError as error:
        raise NotRepresentableError(f"is not JSON: {error}") from error
    if not isinstance(entry, dict) or not isinstance(entry.get("manifest"), dict):
        raise NotRepresentableError('is not {"published": ..., "manifest": {...}}')
    return entry["manifest"], entry.get("published")


def _identity(manifest: Mapping[str, Any]) -> tuple[str, str]:
    metadata, spec = manifest.get("metadata"), manifest.get("spec")
    name = metadata.get("name") if isinstance(metadata, dict) else None
    version = spec.get("version") if isinstance(spec, dict) else None
    return str(name), str(version)


# --- the plugin as a whole -------------------------------------------------------------------------------------------


def _plugin(name: str, found: Mapping[str, KrewVersion], plugin_type: str, left: list[NotImported]) -> ImportedPlugin:
    ordered = sorted(found.values(), key=lambda v: parse_version(v.release.version), reverse=True)
    newest = next((v for v in ordered if v.release.channel == "stable"), ordered[0])
    hub = {k.removeprefix(_ARTIFACT_HUB): v for k, v in newest.annotations.items() if k.startswith(_ARTIFACT_HUB)}
    for key in newest.annotations:
        if key.removeprefix(_ARTIFACT_HUB) not in _MAPPED_ANNOTATIONS:
            written = f"v{newest.release.version}"
            reason = f"metadata.annotations.{key}: a plugin has no such field"
            left.append(NotImported(0, name, written, reason, whole=False))
    links = dict(_links(hub.get("links")))
    keywords = ["kubectl", *_keywords(hub.get("keywords")), *_keywords(hub.get("category"))]
    summary = newest.summary if len(newest.summary) <= _MAX_SUMMARY else newest.summary[: _MAX_SUMMARY - 1] + "…"
    homepage = newest.release.homepage
    plugin = Plugin(
        type=plugin_type,
        summary=summary,
        license=hub.get("license") or None,
        keywords=tuple(dict.fromkeys(keywords)),
        owners=(Owner(name=str(hub["provider"])[:128]),) if hub.get("provider") else (),
        homepage=homepage if homepage and _is_address(homepage) else None,
        repository=links.pop("repository", None),
        links=links,
    )
    readme = str(hub.get("readme") or newest.release.description or summary).strip()
    heading = "" if readme.startswith("# ") else f"# {name}\n\n"
    return ImportedPlugin(plugin, f"{heading}{readme}\n", {v.release.version: v.release for v in ordered})


def _keywords(text: object) -> Iterator[str]:
    for part in re.split(r"[\n,]", text if isinstance(text, str) else ""):
        keyword = re.sub(r"[^a-z0-9]+", "-", part.lower()).strip("-")
        if 0 < len(keyword) <= 64:
            yield keyword


def _links(text: object) -> Iterator[tuple[str, str]]:
    try:
        links = read_yaml(text.encode()) if isinstance(text, str) else []
    except (YamlError, UnicodeEncodeError):
        return
    for link in links if isinstance(links, list) else []:
        if isinstance(link, dict) and isinstance(link.get("url"), str) and _is_address(link["url"]):
            yield str(link.get("name", "link")), link["url"]


def _is_address(text: str) -> bool:
    return re.fullmatch(r"https?://\S+", text) is not None and len(text) <= 2048


# --- writing ---------------------------------------------------------------------------------------------------------


def write_import(tree: Path, history: KrewHistory, *, namespace: str = DEFAULT_NAMESPACE) -> Written:
    """Write a history into a source tree; repeating it changes nothing.

    An existing plugin.yaml or README.md is left alone, because people may have edited it; an existing release
    with different contents is a conflict and is left alone too.

    Raises:
        ConfigError: registry.toml is invalid.
    """
    ids = {PluginId(namespace, name): imported for name, imported in history.plugins.items()}
    there = load_tree(tree, only=[i for i in ids if (tree / "plugins" / i.namespace / i.name).is_dir()]).plugins
    written = [tree / "plugins" / i.namespace / i.name / "releases" / "x" for i in ids]
    require_own_folders(tree, written, untouched="nothing was imported")
    plugins = releases = unchanged = 0
    conflicts: list[tuple[PluginId, str, str]] = []
    for plugin_id, imported in ids.items():
        folder = tree / "plugins" / plugin_id.namespace / plugin_id.name
        existing = there[plugin_id].releases if plugin_id in there else {}
        for version, release in imported.releases.items():
            target = folder / "releases" / f"{version}.json"
            if version in existing:
                if release in (existing[version], with_usual_platforms(existing[version])[0]):
                    unchanged += 1
                else:
                    when = " only in its time" if same_release(existing[version], release) else ""
                    conflicts.append((plugin_id, version, f"the existing release differs{when}"))
            elif target.exists():
                conflicts.append((plugin_id, version, "the existing release can't be read"))
            else:
                write_new(target, encode_pretty(release))
                releases += 1
        if not any((folder / name).exists() for name in ("plugin.yaml", "plugin.yml", "plugin.json")):
            write_new(folder / "plugin.yaml", plugin_yaml(imported.plugin))
            plugins += 1
        if not (folder / "README.md").exists():
            write_new(folder / "README.md", imported.readme.encode())
    return Written(plugins, releases, unchanged, tuple(conflicts))


def register_type(tree: Path, plugin_type: str) -> bool:
    """Add a plugin type to registry.toml if it is missing, keeping comments; return whether it was added.

    Raises:
        ConfigError: registry.toml is invalid.
    """
    known = {*KNOWN_TYPES, *map(normalise_type, read_config(tree).registry.types)}
    if normalise_type(plugin_type) in known:
        return False
    path = tree / CONFIG_NAME
    document = tomlkit.parse(read_config_text(tree))
    registry: Any = document["registry"]
    types = registry.get("types")
    if types is None:
        registry["types"] = [plugin_type]
    else:
        types.append(plugin_type)
    replace_file(path, tomlkit.dumps(document).encode())
    read_config(tree)
    return True


__all__ = [
    "DEFAULT_NAMESPACE",
    "DEFAULT_TYPE",
    "KrewHistory",
    "NotImported",
    "Written",
    "read_history",
    "register_type",
    "write_import",
]
