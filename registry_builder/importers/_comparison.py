"""Whether the source still has what was imported. Ours stays: other bytes are SECURITY, other texts are told."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from registry_builder.importers import _record
from registry_builder.importers._import_run import ImportRun, drop
from registry_builder.importers.contents import Measured
from registry_builder.importers.foreign import ForeignFile, ForeignRelease, Packing, SourceError
from registry_builder.source.tree import SourcePlugin
from sealdex.model.ids import PluginId
from sealdex.model.release import Release

_COMPARED = (
    "description", "changelog", "caveats", "homepage", "license", "entry_point", "min_host_version", "resources",
    "config_schema", "params_schema", "default_config",
)  # fmt: skip


class Comparison:
    """Compares releases of the tree with those of the source."""

    def __init__(self, run: ImportRun) -> None:
        self._run = run

    def compare(
        self, plugin_id: PluginId, version: str, release: Release, foreign: ForeignRelease, source: SourcePlugin | None
    ) -> None:
        """Look whether the source still has what was imported; ours stays in any case."""
        if self._run.options.dry_run:
            return
        report, ours = self._run.report, {artifact.sha256 for artifact in release.artifacts}
        told = len(report.security)
        record = _record.read(self._run.tree, source, version) if source is not None else {}
        for file in foreign.files:
            try:
                changed = self._changed(file, ours, record)
            except SourceError as error:
                self._run.report.refuse(foreign, f"couldn't be compared with what was imported: {error}", whole=False)
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
            measured = [self._run.contents.measure(file.origin, file.digests, file.size) for file in foreign.files]
        except SourceError as error:
            self._run.report.refuse(foreign, f"{_record.NAME} is missing and can't be made: {error}", whole=False)
            return
        drop(measured)
        if {each.sha256 for each in measured} <= ours:
            self._run.attach_record(plugin_id, release, foreign, measured)

    def _changed(self, file: ForeignFile, ours: set[str], record: Mapping[str, Any]) -> str | None:
        if isinstance(file.origin, Packing):
            recorded = record.get("files")
            if not isinstance(recorded, dict):
                return None
            now = self._run.contents.members(file.origin)
            wrong = sorted({path for path in {*now, *recorded} if now.get(path) != recorded.get(path)})
            return f"these files have other bytes at the source: {', '.join(wrong[:10])}" if wrong else None
        stated = file.digests.get("sha256", "").lower()
        if not file.verify or not _is_local(file):
            if stated:
                return None if stated in ours else f"{file.origin} is stated with another SHA-256, {stated}"
            others = {name: digest.lower() for name, digest in file.digests.items()}
            if others and others.items() <= _record.digests(record, str(file.origin)).items():
                return None
        actual = self._run.contents.measure(file.origin, {}).sha256
        if actual not in ours:
            return f"{file.origin} has other bytes at the source (SHA-256 {actual})"
        if stated and stated != actual:
            return f"{file.origin} is stated with SHA-256 {stated}, which is not that of its bytes"
        return None


def _is_local(file: ForeignFile) -> bool:
    return hasattr(file.origin, "path")


__all__ = ["Comparison"]
