"""Imports what was read of another system: decides, gets the bytes, compares with the source tree, and writes.

What one plugin is refused for doesn't keep the others from being imported. What is in the source tree stays as it is:
a release never changes, and people may have edited plugin.yaml and README.md. So the same import again changes nothing.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from registry_builder.authoring.status_file import committer
from registry_builder.importers._arrivals import Arrivals
from registry_builder.importers._checked_release import CheckedReleases
from registry_builder.importers._comparison import Comparison
from registry_builder.importers._import_run import ImportRun
from registry_builder.importers._plugin_yaml import plugin_yaml
from registry_builder.importers.contents import Contents, Measured
from registry_builder.importers.foreign import (
    ForeignPlugin,
    ForeignRelease,
    Found,
    NotRepresentable,
    Packing,
    SourceError,
    shown,
    title_of,
)
from registry_builder.importers.krew import register_type
from registry_builder.importers.names import assign, names_file, read_names, write_names
from registry_builder.importers.options import ImportOptions
from registry_builder.importers.report import ImportReport
from registry_builder.importers.version_map import settle
from registry_builder.source.atomic_write import write_new
from registry_builder.source.config import read_config
from registry_builder.source.documents import control_problems, without_controls
from registry_builder.source.load import PLUGIN_FILES, load_tree
from registry_builder.source.own_folders import require_own_folders
from sealdex.errors import UsageError
from sealdex.model.decode import DocumentError, encode_pretty, read_values
from sealdex.model.ids import PluginId
from sealdex.model.plugin import Plugin
from sealdex.model.release import Release
from sealdex.transport import Transport

_STAGING = ".sealdex-import-"
_A_DAY = 24 * 3600
_WRITTEN = ("releases", "status", "dist", "attachments")


def run_import(tree: Path, system: str, found: Found, options: ImportOptions, transport: Transport) -> ImportReport:
    """Write what was found into a source tree; repeating it changes nothing.

    Raises:
        ConfigError: registry.toml or the file of names is invalid, or a folder of the tree is a link to elsewhere.
        UsageError: an event has to be written, and nobody is known to write it.
    """
    config = read_config(tree)
    names = options.names or names_file(tree, system)
    report = ImportReport(names, refused=list(found.refused), notes=list(found.notes))
    if names.is_relative_to(tree):
        require_own_folders(tree, [names], untouched="nothing was imported")
    known = read_names(names)
    existing = _existing(tree)
    shown_names = names.relative_to(tree).as_posix() if names.is_relative_to(tree) else str(names)
    wanted = [found.plugins[i] for i in dict.fromkeys(r.plugin for r in found.releases) if i in found.plugins]
    assigned = assign(wanted, known, namespace=options.namespace, there=existing, file=shown_names)
    places = {release.plugin: release.place for release in reversed(found.releases)}
    for foreign, reason in assigned.refused.items():
        report.refused.append(NotRepresentable(places[foreign], shown(foreign), "", reason, whole=True))
    homes = [tree / "plugins" / i.namespace / i.name for i in assigned.ids.values()]
    written = [home / name / "x" for home in homes for name in _WRITTEN]
    require_own_folders(tree, written, untouched="nothing was imported")
    there = load_tree(tree, only=[i for i in assigned.ids.values() if i in existing])
    ids = {**known, **assigned.ids}
    if not options.dry_run:
        _require_committer(tree, found, ids, options)
        # before any plugin, so that a run that is killed leaves none that the next one wouldn't know
        write_names(names, assigned.new)
    _remove_left_behind(tree)
    with tempfile.TemporaryDirectory(dir=tree, prefix=_STAGING) as staging:
        contents = Contents(
            transport,
            max_bytes=config.registry.max_artifact_size,
            staging=Path(staging),
            allow_files=config.policy.allow_files,
        )
        run = ImportRun(tree, system, found, options, ids, there, contents, Path(staging), report)
        work = _Import(run)
        for plugin in _dependencies_first(wanted, found.releases):
            if plugin.id in assigned.ids:
                work.plugin(plugin)
        Arrivals(run).take_over()
    report.note_unstated()
    report.notes += _unused(options, found)
    report.refused.sort(key=lambda r: (r.place, r.name, r.version, r.reason))
    return report


def _unused(options: ImportOptions, found: Found) -> Iterator[str]:
    """Yield a note for tables of --version-map that are of no plugin: a typo, or a version that isn't in quotes."""
    for plugin in options.versions.by_plugin:
        if plugin not in found.plugins:
            yield (
                f'--version-map: [{shown(plugin)}] is not a plugin of the source; versions need quotes: "1.2" = "1.2.0"'
            )


def _remove_left_behind(tree: Path) -> None:
    """Remove the copies of imports that were killed long ago; a younger one may still be running."""
    for folder in tree.glob(f"{_STAGING}*"):
        with suppress(OSError):
            if folder.stat().st_mtime < time.time() - _A_DAY:
                shutil.rmtree(folder)


def known_digests(tree: Path, system: str, names: Path | None = None) -> frozenset[tuple[str, str, str]]:
    """Return plugin, version and SHA-256 of what was imported of a system: the plugin as the source identifies it."""
    existing = _existing(tree)
    ids = {foreign: i for foreign, i in read_names(names or names_file(tree, system)).items() if i in existing}
    plugins = load_tree(tree, only=list(ids.values())).plugins
    return frozenset(
        (foreign, version, artifact.sha256)
        for foreign, plugin_id in ids.items()
        if plugin_id in plugins
        for version, release in plugins[plugin_id].releases.items()
        for artifact in release.artifacts
    )


def _existing(tree: Path) -> set[PluginId]:
    folder = tree / "plugins"
    return {PluginId(path.parent.name, path.name) for path in folder.glob("*/*") if path.is_dir()}


def _dependencies_first(plugins: list[ForeignPlugin], releases: Iterable[ForeignRelease]) -> list[ForeignPlugin]:
    by_id = {plugin.id: plugin for plugin in plugins}
    needs: dict[str, dict[str, None]] = {}
    for release in releases:
        needs.setdefault(release.plugin, {}).update(dict.fromkeys(release.dependencies))
    order: dict[str, None] = {}
    entered: set[str] = set()
    for first in by_id:
        path = [(first, iter(needs.get(first, ())))]
        entered.add(first)
        while path:
            current, rest = path[-1]
            following = next((each for each in rest if each in by_id and each not in entered), None)
            if following is None:
                order[current] = None
                path.pop()
            else:
                entered.add(following)
                path.append((following, iter(needs.get(following, ()))))
    return [by_id[each] for each in order]


def _require_committer(tree: Path, found: Found, ids: Mapping[str, PluginId], options: ImportOptions) -> None:
    """Find out before anything is written who would write events."""
    eventful = any(
        release.yanked is not None
        or release.channels
        or release.attachments
        or release.record
        or options.versions.of(release.plugin, release.version) != release.version
        or any(isinstance(file.origin, Packing) or set(file.digests) - {"sha256"} for file in release.files)
        for release in found.releases
        if release.plugin in ids
    ) or any(plugin.deprecated is not None for plugin in found.plugins.values() if plugin.id in ids)
    if eventful and options.by is None:
        try:
            committer(tree)
        except UsageError as error:
            raise error.restated(untouched="nothing was imported") from error


class _Import:
    """Writes plugins and their releases."""

    def __init__(self, run: ImportRun) -> None:
        self._run = run
        self._checked, self._comparison = CheckedReleases(run), Comparison(run)
        self._by_plugin: dict[str, list[ForeignRelease]] = {}
        for release in run.found.releases:
            self._by_plugin.setdefault(release.plugin, []).append(release)

    def plugin(self, foreign: ForeignPlugin) -> None:
        """Import the releases of one plugin."""
        plugin_id = self._run.ids[foreign.id]
        source = self._run.there.plugins.get(plugin_id)
        releases = source.releases if source is not None else {}
        self._run.available[plugin_id] = set(releases)
        made: list[tuple[ForeignRelease, Release, list[Measured]]] = []
        for release, version in self._settled(foreign.id, releases):
            if version in releases:
                self._comparison.compare(plugin_id, version, releases[version], release, source)
                self._run.report.unchanged += 1
            elif self._run.options.dry_run:
                self._run.report.releases.append((plugin_id, version, len(release.files)))
            else:
                try:
                    made.append((release, *self._checked.made(plugin_id, version, release)))
                except SourceError as error:
                    self._run.report.refuse(release, str(error))
            self._left_out(release)
        made = list(self._checked.with_valid_schemas(made))
        if not made:
            return
        about = self._about(foreign, made[0][0]) if source is None else None
        if source is None and about is None:
            return
        if about is not None:
            self._write_plugin(plugin_id, foreign, about)
        for release, document, measured in made:
            self._write_release(plugin_id, release, document, measured)
            self._run.available[plugin_id].add(document.version)

    def _settled(self, foreign_id: str, there: Iterable[str]) -> Iterator[tuple[ForeignRelease, str]]:
        by_version: dict[str, ForeignRelease] = {}
        for release in self._by_plugin[foreign_id]:
            first = by_version.setdefault(release.version, release)
            if first is not release:
                self._run.report.refuse(
                    release, f"version: '{shown(release.version)}' is given twice, first in {first.place}"
                )
        settled, refused = settle(foreign_id, by_version, self._run.options.versions, there)
        for version, reason in refused:
            self._run.report.refuse(by_version[version], reason)
        for old, new in settled.items():
            self._run.versions[foreign_id, old] = new
            yield by_version[old], new

    def _about(self, foreign: ForeignPlugin, release: ForeignRelease) -> Plugin | None:
        values = {k: v for k, v in foreign.fields.items() if v not in (None, "", (), [], {})}
        name = foreign.names[0] if foreign.names else foreign.id
        if name != self._run.ids[foreign.id].name and (title := title_of(name)) is not None:
            values.setdefault("title", title)
        if self._run.options.license is not None:
            values.setdefault("license", self._run.options.license)
        problems = list(control_problems(values))
        try:
            plugin = read_values(values, Plugin)
        except DocumentError as error:
            problems = [*error.problems, *problems]
        if problems:
            self._run.report.refuse(release, "; ".join(f"{p.path}: {p.message}" for p in problems))
            return None
        return plugin

    def _write_plugin(self, plugin_id: PluginId, foreign: ForeignPlugin, about: Plugin) -> None:
        if register_type(self._run.tree, about.type):
            self._run.report.types.append(about.type)
        folder = self._run.tree / "plugins" / plugin_id.namespace / plugin_id.name
        if not any((folder / name).exists() for name in PLUGIN_FILES):
            write_new(folder / "plugin.yaml", plugin_yaml(about))
            self._run.report.plugins.append(plugin_id)
        if not (folder / "README.md").exists():
            text = without_controls(foreign.readme).strip() or about.description or about.summary
            heading = (
                "" if text.startswith("# ") else f"# {shown(foreign.names[0] if foreign.names else foreign.id)}\n\n"
            )
            write_new(folder / "README.md", f"{heading}{text}\n".encode())

    def _write_release(
        self, plugin_id: PluginId, foreign: ForeignRelease, document: Release, measured: list[Measured]
    ) -> None:
        folder = self._run.tree / "plugins" / plugin_id.namespace / plugin_id.name
        for artifact, each in zip(document.artifacts, measured, strict=True):
            if each.kept is not None:
                target = self._run.tree / artifact.source
                target.parent.mkdir(parents=True, exist_ok=True)
                each.kept.chmod(0o644)
                each.kept.replace(target)
            if each.left_out:
                self._run.report.notes.append(f"{plugin_id} {document.version}: not packed: {', '.join(each.left_out)}")
        write_new(folder / "releases" / f"{document.version}.json", encode_pretty(document))
        self._run.report.releases.append((plugin_id, document.version, len(document.artifacts)))
        self._run.attach_record(plugin_id, document, foreign, measured)

    def _left_out(self, release: ForeignRelease) -> None:
        for reason in release.left_out:
            self._run.report.refuse(release, reason, whole=False)


__all__ = ["known_digests", "run_import"]
