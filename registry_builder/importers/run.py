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
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from registry_builder.authoring.lifecycle import attest, deprecate, promote, yank
from registry_builder.authoring.status_file import committer
from registry_builder.importers import _record
from registry_builder.importers._build import build_release, wants_bytes
from registry_builder.importers._plugin_yaml import plugin_yaml
from registry_builder.importers.contents import Contents, Measured
from registry_builder.importers.foreign import (
    ForeignAttachment,
    ForeignFile,
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
from registry_builder.importers.version_map import settle
from registry_builder.source.allowed_secrets import is_allowed, refusal
from registry_builder.source.atomic_write import write_new
from registry_builder.source.attachments import MAX_ATTACHMENT_BYTES
from registry_builder.source.config import read_config
from registry_builder.source.lint.artifacts import ArtifactChecks
from registry_builder.source.lint.schemas import SchemaChecks
from registry_builder.source.load import PLUGIN_FILES, load_tree
from registry_builder.source.secrets.text import secrets_in
from registry_builder.source.tree import SourcePlugin, SourceTree
from sealdex.errors import SealdexError, UsageError
from sealdex.model.decode import DocumentError, encode_json, encode_pretty, read_values
from sealdex.model.ids import PluginId
from sealdex.model.plugin import Plugin, StatusEvent, fold_status
from sealdex.model.ranges import parse_range
from sealdex.model.release import Release
from sealdex.model.versions import parse_version
from sealdex.transport import Transport

_STAGING = ".sealdex-import-"
_A_DAY = 24 * 3600
_COMPARED = (
    "description", "changelog", "caveats", "homepage", "license", "entry_point", "min_host_version", "resources",
    "config_schema", "params_schema", "default_config",
)  # fmt: skip


@dataclass
class ImportReport:
    """What an import did.

    Attributes:
        plugins: that were written newly.
        releases: that were written, with the number of their artifacts; with ``dry_run``, that would be.
        unchanged: how many releases were there already.
        events: what happened to releases at the source, and arrived.
        kept: releases that differ at the source, and stay as they are here: (plugin, version, how).
        security: releases whose bytes are others at the source: (plugin, version, how).
        refused: what couldn't be represented.
        notes: for people.
        types: that were added to registry.toml.
        names: the file of names.
    """

    names: Path
    plugins: list[PluginId] = field(default_factory=list)
    releases: list[tuple[PluginId, str, int]] = field(default_factory=list)
    unchanged: int = 0
    events: list[StatusEvent] = field(default_factory=list)
    kept: list[tuple[PluginId, str, str]] = field(default_factory=list)
    security: list[tuple[PluginId, str, str]] = field(default_factory=list)
    refused: list[NotRepresentable] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    types: list[str] = field(default_factory=list)


def run_import(tree: Path, system: str, found: Found, options: ImportOptions, transport: Transport) -> ImportReport:
    """Write what was found into a source tree; repeating it changes nothing.

    Raises:
        ConfigError: registry.toml or the file of names is invalid.
        UsageError: an event has to be written, and nobody is known to write it.
    """
    config = read_config(tree)
    names = options.names or names_file(tree, system)
    report = ImportReport(names, refused=list(found.refused), notes=list(found.notes))
    known = read_names(names)
    existing = _existing(tree)
    shown_names = names.relative_to(tree).as_posix() if names.is_relative_to(tree) else str(names)
    wanted = [found.plugins[i] for i in dict.fromkeys(r.plugin for r in found.releases) if i in found.plugins]
    assigned = assign(wanted, known, namespace=options.namespace, there=existing, file=shown_names)
    places = {release.plugin: release.place for release in reversed(found.releases)}
    for foreign, reason in assigned.refused.items():
        report.refused.append(NotRepresentable(places[foreign], shown(foreign), "", reason, whole=True))
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
        work = _Import(tree, system, found, options, ids, there, contents, Path(staging), report)
        for plugin in _dependencies_first(wanted, found.releases):
            if plugin.id in assigned.ids:
                work.plugin(plugin)
        work.events()
    report.refused.sort(key=lambda r: (r.place, r.name, r.version, r.reason))
    return report


def _remove_left_behind(tree: Path) -> None:
    """Remove the copies of imports that were killed long ago; a younger one may still be running."""
    for folder in tree.glob(f"{_STAGING}*"):
        with suppress(OSError):
            if folder.stat().st_mtime < time.time() - _A_DAY:
                shutil.rmtree(folder)


def known_digests(tree: Path, system: str, names: Path | None = None) -> frozenset[str]:
    """Return the SHA-256 of every artifact that plugins of a system have in the source tree."""
    ids = [i for i in read_names(names or names_file(tree, system)).values() if i in _existing(tree)]
    plugins = load_tree(tree, only=ids).plugins.values()
    return frozenset(a.sha256 for plugin in plugins for release in plugin.releases.values() for a in release.artifacts)


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
    def __init__(
        self,
        tree: Path,
        system: str,
        found: Found,
        options: ImportOptions,
        ids: Mapping[str, PluginId],
        there: SourceTree,
        contents: Contents,
        staging: Path,
        report: ImportReport,
    ) -> None:
        self._tree, self._system, self._found, self._options = tree, system, found, options
        self._ids, self._there, self._contents, self._report = ids, there, contents, report
        self._staging = staging
        self._checks = ArtifactChecks(there)
        self._by_plugin: dict[str, list[ForeignRelease]] = {}
        for release in found.releases:
            self._by_plugin.setdefault(release.plugin, []).append(release)
        self._available: dict[PluginId, set[str]] = {}
        self._versions: dict[tuple[str, str], str] = {}

    # --- one plugin -----------------------------------------------------------------------------------------------

    def plugin(self, foreign: ForeignPlugin) -> None:
        """Import the releases of one plugin."""
        plugin_id = self._ids[foreign.id]
        source = self._there.plugins.get(plugin_id)
        releases = source.releases if source is not None else {}
        self._available[plugin_id] = set(releases)
        made: list[tuple[ForeignRelease, Release, list[Measured]]] = []
        for release, version in self._settled(foreign.id, releases):
            if version in releases:
                self._compare(plugin_id, version, releases[version], release, source)
                self._report.unchanged += 1
            elif self._options.dry_run:
                self._report.releases.append((plugin_id, version, len(release.files)))
            else:
                try:
                    made.append((release, *self._made(plugin_id, version, release)))
                except SourceError as error:
                    self._refuse(release, str(error))
            self._left_out(release)
        made = list(self._with_valid_schemas(made))
        if not made:
            return
        about = self._about(foreign, made[0][0]) if source is None else None
        if source is None and about is None:
            return
        if about is not None:
            self._write_plugin(plugin_id, foreign, about)
        for release, document, measured in made:
            self._write_release(plugin_id, release, document, measured)
            self._available[plugin_id].add(document.version)

    def _settled(self, foreign_id: str, there: Iterable[str]) -> Iterator[tuple[ForeignRelease, str]]:
        by_version: dict[str, ForeignRelease] = {}
        for release in self._by_plugin[foreign_id]:
            first = by_version.setdefault(release.version, release)
            if first is not release:
                self._refuse(release, f"version: '{shown(release.version)}' is given twice, first in {first.place}")
        settled, refused = settle(foreign_id, by_version, self._options.versions, there)
        for version, reason in refused:
            self._refuse(by_version[version], reason)
        for old, new in settled.items():
            self._versions[foreign_id, old] = new
            yield by_version[old], new

    def _about(self, foreign: ForeignPlugin, release: ForeignRelease) -> Plugin | None:
        values = {k: v for k, v in foreign.fields.items() if v not in (None, "", (), [], {})}
        name = foreign.names[0] if foreign.names else foreign.id
        if name != self._ids[foreign.id].name and (title := title_of(name)) is not None:
            values.setdefault("title", title)
        if self._options.license is not None:
            values.setdefault("license", self._options.license)
        try:
            return read_values(values, Plugin)
        except DocumentError as error:
            self._refuse(release, "; ".join(f"{p.path}: {p.message}" for p in error.problems))
            return None

    def _write_plugin(self, plugin_id: PluginId, foreign: ForeignPlugin, about: Plugin) -> None:
        if register_type(self._tree, about.type):
            self._report.types.append(about.type)
        folder = self._tree / "plugins" / plugin_id.namespace / plugin_id.name
        if not any((folder / name).exists() for name in PLUGIN_FILES):
            write_new(folder / "plugin.yaml", plugin_yaml(about))
            self._report.plugins.append(plugin_id)
        if not (folder / "README.md").exists():
            text = foreign.readme.strip() or about.description or about.summary
            heading = (
                "" if text.startswith("# ") else f"# {shown(foreign.names[0] if foreign.names else foreign.id)}\n\n"
            )
            write_new(folder / "README.md", f"{heading}{text}\n".encode())

    # --- one release ----------------------------------------------------------------------------------------------

    def _made(self, plugin_id: PluginId, version: str, release: ForeignRelease) -> tuple[Release, list[Measured]]:
        """Return a release, checked, and what was read of its files.

        Raises:
            SourceError: it can't be one, with every reason.
        """
        dependencies, problems = self._dependencies(release)
        measured: list[Measured] = []
        for number, file in enumerate(release.files):
            try:
                measured.append(self._measured(file))
            except SourceError as error:  # noqa: PERF203  # all of them are told
                problems.append(str(error) if len(release.files) == 1 else f"files[{number}]: {error}")
        if problems:
            self._drop(measured)
            raise SourceError("; ".join(problems))
        try:
            document = build_release(plugin_id, version, release, measured, dependencies, self._options)
            problems = list(self._problems(plugin_id, release, document, measured))
        except SourceError:
            self._drop(measured)
            raise
        if problems:
            self._drop(measured)
            raise SourceError("; ".join(problems))
        return document, measured

    def _drop(self, measured: Iterable[Measured]) -> None:
        for each in measured:
            if each.kept is not None:
                each.kept.unlink(missing_ok=True)

    def _measured(self, file: ForeignFile) -> Measured:
        wants = wants_bytes(file, self._options)
        if wants.reading:
            return self._contents.measure(file.origin, file.digests, file.size, keep=wants.keeping)
        head = b""
        if file.is_library and file.head is None and not isinstance(file.origin, Packing):
            head = self._contents.head(file.origin)
        return Measured(-1 if file.size is None else file.size, file.digests["sha256"].lower(), {}, head)

    def _dependencies(self, release: ForeignRelease) -> tuple[dict[str, str], list[str]]:
        found: dict[str, str] = {}
        problems: list[str] = []
        name = release.named.get("dependencies", "dependencies")
        for other, wanted in release.dependencies.items():
            plugin = self._ids.get(other)
            if plugin is None:
                problems.append(
                    f"{name}: '{shown(other)}' is not a plugin of this import: write what it is called here into "
                    f"{self._report.names.name}, below [names]"
                )
                continue
            if plugin not in self._available:
                source = load_tree(self._tree, only=[plugin]).plugins.get(plugin)
                self._available[plugin] = set(source.releases) if source is not None else set()
            try:
                parsed = parse_range(wanted)
            except ValueError as error:
                problems.append(f"{name}: '{shown(other)}': {error}")
                continue
            if not any(parsed.contains(parse_version(v), include_prereleases=True) for v in self._available[plugin]):
                problems.append(f"{name}: no release of {plugin} that was imported is in the range '{wanted}'")
            found[str(plugin)] = wanted
        return found, problems

    def _problems(
        self, plugin_id: PluginId, release: ForeignRelease, document: Release, measured: list[Measured]
    ) -> Iterator[str]:
        origins = {
            self._tree / artifact.source: each.kept
            for artifact, each in zip(document.artifacts, measured, strict=True)
            if each.kept is not None
        }
        for place, _ in list(origins.items()):
            if place.exists() and not _is_same(place, origins[place]):
                yield f"another file is at {place.relative_to(self._tree).as_posix()}: remove it if nothing names it"
        checks = ArtifactChecks(self._there, origins)
        for finding in checks.problems(plugin_id, document):
            if finding.severity == "error":
                yield f"{finding.where}: {finding.message}"
        file = f"plugins/{plugin_id}/releases/{document.version}.json"
        allowed = self._there.config.policy.allow_files
        texts = [encode_json(document), encode_json(release.record)]
        for secret in {s.shown: s for data in texts for s in secrets_in(data)}.values():
            if not is_allowed(allowed, file):
                yield refusal(file, secret._replace(line=0))

    def _with_valid_schemas(
        self, made: list[tuple[ForeignRelease, Release, list[Measured]]]
    ) -> Iterator[tuple[ForeignRelease, Release, list[Measured]]]:
        schemas = SchemaChecks()
        for number, (_, document, _) in enumerate(made):
            schemas.add(str(number), document)
        wrong: dict[str, list[str]] = {}
        for place, where, message in schemas.problems():
            named = made[int(place)][0].named
            first, dot, rest = where.partition(".")
            wrong.setdefault(place, []).append(f"{named.get(first, first)}{dot}{rest}: {message}")
        for number, each in enumerate(made):
            if str(number) in wrong:
                self._drop(each[2])
                self._refuse(each[0], "; ".join(wrong[str(number)]))
            else:
                yield each

    def _write_release(
        self, plugin_id: PluginId, foreign: ForeignRelease, document: Release, measured: list[Measured]
    ) -> None:
        folder = self._tree / "plugins" / plugin_id.namespace / plugin_id.name
        for artifact, each in zip(document.artifacts, measured, strict=True):
            if each.kept is not None:
                target = self._tree / artifact.source
                target.parent.mkdir(parents=True, exist_ok=True)
                each.kept.chmod(0o644)
                each.kept.replace(target)
            if each.left_out:
                self._report.notes.append(f"{plugin_id} {document.version}: not packed: {', '.join(each.left_out)}")
        write_new(folder / "releases" / f"{document.version}.json", encode_pretty(document))
        self._report.releases.append((plugin_id, document.version, len(document.artifacts)))
        self._attach_record(plugin_id, document, foreign, measured)

    def _attach_record(
        self, plugin_id: PluginId, document: Release, foreign: ForeignRelease, measured: list[Measured]
    ) -> None:
        record = _record.document(self._system, plugin_id, document, foreign, measured)
        if record is not None:
            path = Path(tempfile.mkdtemp(dir=self._staging)) / _record.NAME
            try:
                path.write_bytes(record)
                self._event(
                    attest(self._tree, plugin_id, document.version, path, kind=_record.KIND, by=self._options.by)
                )
            finally:
                path.unlink(missing_ok=True)
                path.parent.rmdir()

    # --- a release that is there ------------------------------------------------------------------------------------

    def _compare(
        self, plugin_id: PluginId, version: str, release: Release, foreign: ForeignRelease, source: SourcePlugin | None
    ) -> None:
        """Look whether the source still has what was imported; ours stays in any case."""
        if self._options.dry_run:
            return
        report, ours = self._report, {artifact.sha256 for artifact in release.artifacts}
        told = len(report.security)
        record = _record.read(self._tree, source, version) if source is not None else {}
        for file in foreign.files:
            try:
                changed = self._changed(file, ours, record)
            except SourceError as error:
                self._refuse(foreign, f"couldn't be compared with what was imported: {error}", whole=False)
                continue
            if changed is not None:
                report.security.append((plugin_id, version, f"{changed}; what was imported is kept"))
        if len(foreign.files) != len(release.artifacts):
            how = f"the source has {len(foreign.files)} files, and {len(release.artifacts)} were imported"
            report.kept.append((plugin_id, version, how))
        elif not record and len(report.security) == told and _record.is_due(foreign, version):
            self._record_again(plugin_id, release, foreign, ours)
        have = msgspec.to_builtins(release)
        differing = [
            foreign.named.get(name, name)
            for name in _COMPARED
            if name in foreign.fields and foreign.fields[name] != have.get(name)
        ]
        if differing:
            report.kept.append((plugin_id, version, f"differs at the source: {', '.join(differing)}"))

    def _record_again(self, plugin_id: PluginId, release: Release, foreign: ForeignRelease, ours: set[str]) -> None:
        """Attach the record of a release whose import was ended before it, if the source still has the same bytes."""
        measured: list[Measured] = []
        try:
            measured = [self._contents.measure(file.origin, file.digests, file.size) for file in foreign.files]
        except SourceError as error:
            self._refuse(foreign, f"{_record.NAME} is missing and can't be made: {error}", whole=False)
            return
        self._drop(measured)
        if {each.sha256 for each in measured} <= ours:
            self._attach_record(plugin_id, release, foreign, measured)

    def _changed(self, file: ForeignFile, ours: set[str], record: Mapping[str, Any]) -> str | None:
        if isinstance(file.origin, Packing):
            recorded = record.get("files")
            if not isinstance(recorded, dict):
                return None
            now = self._contents.members(file.origin)
            wrong = sorted({path for path in {*now, *recorded} if now.get(path) != recorded.get(path)})
            return f"these files have other bytes at the source: {', '.join(wrong[:10])}" if wrong else None
        stated = file.digests.get("sha256", "").lower()
        if not file.verify or not _is_local(file):
            if stated:
                return None if stated in ours else f"{file.origin} is stated with SHA-256 {stated}, another one"
            others = {name: digest.lower() for name, digest in file.digests.items()}
            if others and others.items() <= _record.digests(record, str(file.origin)).items():
                return None
        actual = self._contents.measure(file.origin, {}).sha256
        if actual not in ours:
            return f"{file.origin} has other bytes at the source (SHA-256 {actual})"
        if stated and stated != actual:
            return f"{file.origin} is stated with SHA-256 {stated}, another one than that of its bytes"
        return None

    # --- what happened at the source ------------------------------------------------------------------------------

    def events(self) -> None:
        """Take over yanks, deprecations, channels and attachments, of this run's releases and of earlier ones."""
        if self._options.dry_run:
            return
        for foreign_id, releases in self._by_plugin.items():
            if foreign_id not in self._ids or not self._available.get(self._ids[foreign_id]):
                continue
            for release in releases:
                version = self._versions.get((foreign_id, release.version))
                if version is not None and version in self._available[self._ids[foreign_id]]:
                    self._of_release(self._ids[foreign_id], version, release)
            self._of_plugin(self._found.plugins[foreign_id])

    def _of_release(self, plugin_id: PluginId, version: str, release: ForeignRelease) -> None:
        if release.yanked is None and not release.channels and not release.attachments:
            return
        events = self._events_of(plugin_id)
        folded = fold_status(events)
        by = self._options.by
        if release.yanked is not None and version not in folded.yanked:
            if any(e.action == "unyank" and e.version == version for e in events):
                self._report.notes.append(f"{plugin_id} {version}: is yanked at the source; here it was taken back")
            else:
                why = release.yanked or f"yanked at the source ({self._system})"
                self._event(yank(self._tree, plugin_id, version, why=why[:2000], by=by))
        for channel in release.channels:
            if not any(e.action == "demote" and (e.version, e.channel) == (version, channel) for e in events):
                self._event(promote(self._tree, plugin_id, version, channel, by=by))
        have = folded.attachments.get(version, ())
        for attachment in release.attachments:
            if not any(a.sha256 == attachment.sha256 if attachment.sha256 else a.name == attachment.name for a in have):
                self._attach(plugin_id, version, release, attachment)

    def _attach(
        self, plugin_id: PluginId, version: str, release: ForeignRelease, attachment: ForeignAttachment
    ) -> None:
        folder = Path(tempfile.mkdtemp(dir=self._staging))
        path = folder / attachment.name
        try:
            path.write_bytes(self._contents.data(attachment.origin, MAX_ATTACHMENT_BYTES, attachment.sha256))
            self._event(attest(self._tree, plugin_id, version, path, kind=attachment.kind, by=self._options.by))
        except (SourceError, SealdexError) as error:
            self._refuse(release, f"{attachment.name}: can't be attached: {error}", whole=False)
        finally:
            path.unlink(missing_ok=True)
            folder.rmdir()

    def _of_plugin(self, foreign: ForeignPlugin) -> None:
        plugin_id = self._ids[foreign.id]
        if foreign.deprecated is None:
            return
        events = self._events_of(plugin_id)
        if fold_status(events).deprecated is not None or any(e.action == "undeprecate" for e in events):
            return
        use = self._ids.get(foreign.use) if foreign.use is not None else None
        why = foreign.deprecated or f"deprecated at the source ({self._system})"
        with suppress(UsageError):  # its own successor
            self._event(deprecate(self._tree, plugin_id, use=use, why=why[:2000], by=self._options.by))

    def _events_of(self, plugin_id: PluginId) -> tuple[StatusEvent, ...]:
        source = load_tree(self._tree, only=[plugin_id]).plugins.get(plugin_id)
        return tuple(source.status.events) if source is not None else ()

    def _event(self, change: Any) -> None:
        if change.event is not None:
            self._report.events.append(change.event)

    # --- what is told -----------------------------------------------------------------------------------------------

    def _refuse(self, release: ForeignRelease, reason: str, *, whole: bool = True) -> None:
        name, version = shown(release.plugin), shown(release.version)
        self._report.refused.append(NotRepresentable(release.place, name, version, reason, whole))

    def _left_out(self, release: ForeignRelease) -> None:
        for reason in release.left_out:
            self._refuse(release, reason, whole=False)


def _is_local(file: ForeignFile) -> bool:
    return hasattr(file.origin, "path")


def _is_same(path: Path, other: Path | None) -> bool:
    if other is None or path.stat().st_size != other.stat().st_size:
        return False
    with path.open("rb") as one, other.open("rb") as two:
        while (chunk := one.read(1 << 20)) == two.read(1 << 20):
            if not chunk:
                return True
    return False


__all__ = ["ImportReport", "known_digests", "run_import"]
