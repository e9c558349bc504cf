"""From a foreign release to one of the tree: its files read, its fields made, and all checks that lint would make."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from registry_builder.importers._build import build_release, wants_bytes
from registry_builder.importers._import_run import ImportRun, drop
from registry_builder.importers.contents import Measured
from registry_builder.importers.foreign import ForeignFile, ForeignRelease, Packing, RemoteFile, SourceError, shown
from registry_builder.source.allowed_secrets import is_allowed, refusal
from registry_builder.source.attachments import MAX_ATTACHMENT_BYTES
from registry_builder.source.lint.artifacts import ArtifactChecks
from registry_builder.source.lint.schemas import SchemaChecks
from registry_builder.source.secrets.text import secrets_in
from sealdex.model.decode import encode_json
from sealdex.model.ids import PluginId
from sealdex.model.ranges import parse_range
from sealdex.model.release import Release
from sealdex.model.versions import parse_version


class CheckedReleases:
    """Makes releases; writes nothing but copies of files in the staging folder."""

    def __init__(self, run: ImportRun) -> None:
        self._run = run

    def made(self, plugin_id: PluginId, version: str, release: ForeignRelease) -> tuple[Release, list[Measured]]:
        """Return a release, checked, and what was read of its files.

        Raises:
            SourceError: it can't be one, with every reason.
        """
        dependencies, problems = self._dependencies(release)
        measured: list[Measured] = []
        unstated: list[str] = []
        for number, file in enumerate(release.files):
            try:
                measured.append(self._measured(file))
                unstated += _unstated(file)
            except SourceError as error:  # noqa: PERF203  # all of them are told
                problems.append(str(error) if len(release.files) == 1 else f"files[{number}]: {error}")
        if problems:
            drop(measured)
            raise SourceError("; ".join(problems))
        try:
            document = build_release(plugin_id, version, release, measured, dependencies, self._run.options)
            problems = list(self._problems(plugin_id, release, document, measured))
        except SourceError:
            drop(measured)
            raise
        if problems:
            drop(measured)
            raise SourceError("; ".join(problems))
        named = f"{plugin_id} {version}"
        self._run.report.unstated += [(named, address) for address in unstated]
        return document, measured

    def _measured(self, file: ForeignFile) -> Measured:
        wants = wants_bytes(file, self._run.options)
        if wants.reading:
            return self._run.contents.measure(file.origin, file.digests, file.size, keep=wants.keeping)
        head = b""
        if file.is_library and file.head is None and not isinstance(file.origin, Packing):
            head = self._run.contents.head(file.origin)
        return Measured(-1 if file.size is None else file.size, file.digests["sha256"].lower(), {}, head)

    def _dependencies(self, release: ForeignRelease) -> tuple[dict[str, str], list[str]]:
        found: dict[str, str] = {}
        problems: list[str] = []
        name = release.named.get("dependencies", "dependencies")
        for other, wanted in release.dependencies.items():
            plugin = self._run.ids.get(other)
            if plugin is None:
                problems.append(
                    f"{name}: '{shown(other)}' is not a plugin of this import: write what it is called here into "
                    f"{self._run.report.names.name}, below [names]"
                )
                continue
            try:
                parsed = parse_range(wanted)
            except ValueError as error:
                problems.append(f"{name}: '{shown(other)}': {error}")
                continue
            if not any(
                parsed.contains(parse_version(v), include_prereleases=True) for v in self._run.available_of(plugin)
            ):
                problems.append(f"{name}: no release of {plugin} that was imported is in the range '{wanted}'")
            found[str(plugin)] = wanted
        return found, problems

    def _problems(
        self, plugin_id: PluginId, release: ForeignRelease, document: Release, measured: list[Measured]
    ) -> Iterator[str]:
        origins = {
            self._run.tree / artifact.source: each.kept
            for artifact, each in zip(document.artifacts, measured, strict=True)
            if each.kept is not None
        }
        for place, _ in list(origins.items()):
            if place.exists() and not _is_same(place, origins[place]):
                taken = place.relative_to(self._run.tree).as_posix()
                yield f"another file is at {taken}: remove it if nothing names it"
        checks = ArtifactChecks(self._run.there, origins)
        for finding in checks.problems(plugin_id, document):
            if finding.severity == "error":
                yield f"{finding.where}: {finding.message}"
        file = f"plugins/{plugin_id}/releases/{document.version}.json"
        allowed = self._run.there.config.policy.allow_files
        record = encode_json(release.record)
        if len(record) > MAX_ATTACHMENT_BYTES // 2:  # indented, and with what else belongs to it
            yield f"has {len(record)} bytes of fields that no release has, which import.json can't hold"
        texts = [encode_json(document), record]
        for secret in {s.shown: s for data in texts for s in secrets_in(data)}.values():
            if not is_allowed(allowed, file):
                yield refusal(file, secret._replace(line=0))

    def with_valid_schemas(
        self, made: list[tuple[ForeignRelease, Release, list[Measured]]]
    ) -> Iterator[tuple[ForeignRelease, Release, list[Measured]]]:
        """Yield the releases whose JSON Schemas are valid; all are checked at once, since a check starts a process."""
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
                drop(each[2])
                self._run.report.refuse(each[0], "; ".join(wrong[str(number)]))
            else:
                yield each


def _unstated(file: ForeignFile) -> list[str]:
    """Return the addresses of what is read over the network and has no digest at the source."""
    if isinstance(file.origin, Packing):
        members = file.origin.members.values()
        return [m.origin.url for m in members if isinstance(m.origin, RemoteFile) and not m.digests]
    address = file.origin.url if isinstance(file.origin, RemoteFile) else file.address
    return [address] if address is not None and not file.digests else []


def _is_same(path: Path, other: Path | None) -> bool:
    if other is None or path.stat().st_size != other.stat().st_size:
        return False
    with path.open("rb") as one, other.open("rb") as two:
        while (chunk := one.read(1 << 20)) == two.read(1 << 20):
            if not chunk:
                return True
    return False


__all__ = ["CheckedReleases"]
