"""Packs a plugin's payload: decides which folder, under which name, and what a service package adds."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path

import msgspec

from registry_builder.authoring._ignore_rules import GIT_IGNORE_FILE, IGNORE_FILE, IgnoreRules
from registry_builder.authoring._service_package import SERVICE_FILE, service_document, stated_version
from registry_builder.authoring.pack import Packed, list_files, pack
from registry_builder.source.archive_check import archive_findings, may_come_to_windows
from registry_builder.source.config import CONFIG_NAME, read_config
from registry_builder.source.documents import MAX_MANIFEST_BYTES
from registry_builder.source.load import load_tree
from registry_builder.source.readme_file import read_readme
from registry_builder.source.release_template import TEMPLATE_NAME, ArtifactTemplate, ReleaseTemplate, read_template
from registry_builder.source.safe_open import Gate
from registry_builder.source.spelling import with_usual_platforms
from registry_builder.source.tree import SourcePlugin
from sealdex.errors import ConfigError
from sealdex.model.ids import PluginId, namespace_problem, normalise_type, part_problem
from sealdex.model.release import Artifact
from sealdex.model.selectors import Selector

SERVICE_TYPE = "service"
README_FILE = "README.md"


def pack_folder(
    folder: Path,
    output: Path | None = None,
    *,
    allow_files: Collection[str] = (),
    selector: Selector | None = None,
) -> Packed:
    """Pack a plugin's folder (its ``src/``), its ``src/`` itself, or any other folder.

    Args:
        folder: the folder to pack.
        output: the zip; by default ``dist/<version>/<name>-<version>.zip`` in the plugin's folder, and
            ``<folder>.zip`` in the current folder for a folder that belongs to no plugin.
        allow_files: patterns of files that may hold secrets, besides those that registry.toml allows.
        selector: what the archive is for; by default what release.yaml says, else every host.

    Raises:
        ConfigError: release.yaml or plugin.yaml is invalid, or the version was released with other bytes.
        UnpackableError: the folder contains what can't be packed.
    """
    home = next((f for f in (folder, folder.parent) if (f / TEMPLATE_NAME).is_file()), None)
    source = _plugin_at(home) if home is not None else None
    if home is None or source is None:
        own = folder / SERVICE_FILE
        return pack(
            folder,
            output or Path(f"{folder.resolve().name}.zip"),
            checksums=own.is_file(),
            allow_files=allow_files,
            windows=may_come_to_windows(selector or Selector()),
        )
    template = read_template(home / TEMPLATE_NAME)
    payload = folder / "src" if folder == home and (folder / "src").is_dir() else folder
    if payload != folder and (problem := Gate(source.root).folder_problem(source.folder / "src")):
        raise ConfigError(f"src/ {problem}", subject=str(payload), untouched="no archive was written")
    version = template.release.version
    target = output or home / "dist" / version / f"{source.id.name}-{version}.zip"
    is_service = normalise_type(source.plugin.type) == SERVICE_TYPE
    added = _service_entries(payload, source, template) if is_service else {}
    packed = pack(
        payload,
        target,
        added=added,
        checksums=is_service,
        accept=lambda made, sha256: _accept(made, sha256, source, template, target, payload),
        windows=_may_come_to_windows(template, target.name) and may_come_to_windows(selector or Selector()),
        allow_files=(*allow_files, *read_config(source.root).policy.allow_files),
        place=f"plugins/{source.id}/dist/{version}/{target.name}",
    )
    return replace(packed, warnings=(*packed.warnings, *_spellings(template)))


def _spellings(template: ReleaseTemplate) -> list[str]:
    stated = (Artifact(each.match, "0" * 64, selector=each.selector) for each in template.artifacts if each.selector)
    _, notes = with_usual_platforms(msgspec.structs.replace(template.release, artifacts=tuple(stated)))
    return [f"{TEMPLATE_NAME}: {note} in the release" for note in notes]


def _may_come_to_windows(template: ReleaseTemplate, name: str) -> bool:
    own = next((artifact.selector for artifact in template.artifacts if fnmatchcase(name, artifact.match)), Selector())
    return may_come_to_windows(template.release.selector, own)


def _plugin_at(home: Path) -> SourcePlugin | None:
    """Return the plugin that the folder belongs to, or None if it isn't in a source tree."""
    resolved = home.resolve()
    if len(resolved.parents) < 3:
        return None
    root, plugin = resolved.parents[2], PluginId(resolved.parent.name, resolved.name)
    if resolved.parents[1].name != "plugins" or not (root / CONFIG_NAME).is_file():
        return None
    if namespace_problem(plugin.namespace) or part_problem(plugin.name):
        return None
    tree = load_tree(root, only=[plugin])
    if plugin not in tree.plugins:
        raise ConfigError("; ".join(map(str, tree.problems)), untouched="no archive was written")
    return tree.plugins[plugin]


def _service_entries(payload: Path, source: SourcePlugin, template: ReleaseTemplate) -> dict[str, bytes]:
    """Return what a service's package has besides its payload: ``service.json`` and the README, if it has none."""
    names = {file.name: file for file in list_files(payload)}
    added: dict[str, bytes] = {}
    if not any(name.lower() in {"readme", "readme.md"} for name in names) and (readme := read_readme(source)):
        added[README_FILE] = readme.plain
    found = names.get(SERVICE_FILE)
    own = found.content if found is not None and not found.is_link else None
    if not isinstance(own, Path):
        return {**added, SERVICE_FILE: service_document(source.id, source.plugin, template.release)}
    stated = stated_version(Gate(payload).read(own, MAX_MANIFEST_BYTES))
    if stated != template.release.version:
        raise ConfigError(
            f"{SERVICE_FILE} states version {stated}, but {TEMPLATE_NAME} states {template.release.version}",
            subject=str(own),
            untouched="no archive was written",
            hint=f"write the same version in both, or remove {SERVICE_FILE}: it is generated from {TEMPLATE_NAME}",
        )
    return added


def _accept(
    made: Path, sha256: str, source: SourcePlugin, template: ReleaseTemplate, target: Path, payload: Path
) -> None:
    """Refuse an archive that couldn't be released: a file is missing that the template names, or the version exists."""
    release = template.release
    _refuse_released(source, release.version, target, sha256)
    of = next((each for each in template.artifacts if fnmatchcase(target.name, each.match)), ArtifactTemplate())
    artifact = Artifact(target.name, sha256, format="zip", selector=of.selector, bin=of.bin, files=of.files)
    found = [f for f in archive_findings(made, artifact, release) if f.severity == "error"]
    if found:
        raise ConfigError(
            "; ".join(f"{each.where}: {each.message}" for each in found),
            subject=str(template.path),
            untouched="no archive was written",
            hint=_left_out_hint(payload)
            or f"add the files that {TEMPLATE_NAME} names to the packed folder, or correct {TEMPLATE_NAME}",
        )


def _left_out_hint(payload: Path) -> str | None:
    """Return a hint with what ignore files excluded: the missing file may be among it."""
    rules, left_out = IgnoreRules(payload), list[str]()
    list_files(payload, rules=rules, left_out=left_out)
    if not left_out:
        return None
    return (
        f"{rules.file_name} excludes {', '.join(left_out[:10])}: if one of these is needed, list in {IGNORE_FILE} what "
        f"is to be excluded; it then replaces {GIT_IGNORE_FILE}"
    )


def _refuse_released(source: SourcePlugin, version: str, target: Path, sha256: str) -> None:
    """Refuse to replace an archive that a release names by another digest: that would break the release."""
    release = source.releases.get(version)
    pinned = {a.sha256 for a in release.artifacts if a.source.endswith(f"/{target.name}")} if release else set()
    if pinned and sha256 not in pinned:
        raise ConfigError(
            f"version {version} of {source.id} was already released with other bytes",
            subject=str(target),
            untouched="the archive was not replaced",
            hint=f"raise the version in {TEMPLATE_NAME}",
        )


__all__ = ["pack_folder"]
