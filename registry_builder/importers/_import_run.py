"""One import: what its steps share, from the tree to the report; and how they write events."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from registry_builder.authoring.lifecycle import attest
from registry_builder.importers import _record
from registry_builder.importers.contents import Contents, Measured
from registry_builder.importers.foreign import ForeignRelease, Found
from registry_builder.importers.options import ImportOptions
from registry_builder.importers.report import ImportReport
from registry_builder.source.load import load_tree
from registry_builder.source.tree import SourceTree
from sealdex.model.ids import PluginId
from sealdex.model.release import Release


@dataclass
class ImportRun:
    """One import.

    Attributes:
        tree: the source tree.
        system: what is imported from.
        found: what was read of it.
        options: what the user asks.
        ids: the source's identifier of a plugin to its name here.
        there: the plugins of the tree that it may write to, as they were.
        contents: reads foreign files.
        staging: a folder for what is on its way.
        report: what happened.
        available: the versions that each plugin has by now.
        versions: the source's identifier and version to the version here.
    """

    tree: Path
    system: str
    found: Found
    options: ImportOptions
    ids: Mapping[str, PluginId]
    there: SourceTree
    contents: Contents
    staging: Path
    report: ImportReport
    available: dict[PluginId, set[str]] = field(default_factory=dict)
    versions: dict[tuple[str, str], str] = field(default_factory=dict)

    def available_of(self, plugin: PluginId) -> set[str]:
        """Return the versions that a plugin has in the tree by now."""
        if plugin not in self.available:
            source = load_tree(self.tree, only=[plugin]).plugins.get(plugin)
            self.available[plugin] = set(source.releases) if source is not None else set()
        return self.available[plugin]

    def event(self, change: Any) -> None:
        """Report an event that was written; nothing, if it was there already."""
        if change.event is not None:
            self.report.events.append(change.event)

    def attach_record(
        self, plugin_id: PluginId, document: Release, foreign: ForeignRelease, measured: list[Measured]
    ) -> None:
        """Attach what no field of a release holds; nothing, if there is nothing of the kind."""
        record = _record.document(self.system, plugin_id, document, foreign, measured)
        if record is not None:
            path = Path(tempfile.mkdtemp(dir=self.staging)) / _record.NAME
            try:
                path.write_bytes(record)
                self.event(attest(self.tree, plugin_id, document.version, path, kind=_record.KIND, by=self.options.by))
            finally:
                path.unlink(missing_ok=True)
                path.parent.rmdir()


def drop(measured: Iterable[Measured]) -> None:
    """Remove the copies of files that aren't wanted after all."""
    for each in measured:
        if each.kept is not None:
            each.kept.unlink(missing_ok=True)


__all__ = ["ImportRun", "drop"]
