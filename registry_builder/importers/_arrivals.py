"""What happened to releases at the source, and arrives here as events: yanks, deprecations, channels, attachments."""

from __future__ import annotations

import tempfile
from contextlib import suppress
from pathlib import Path

from registry_builder.authoring.lifecycle import attest, deprecate, promote, yank
from registry_builder.importers._import_run import ImportRun
from registry_builder.importers.foreign import ForeignAttachment, ForeignPlugin, ForeignRelease, SourceError, shown
from registry_builder.source.attachments import MAX_ATTACHMENT_BYTES
from registry_builder.source.documents import without_controls
from registry_builder.source.load import load_tree
from sealdex.errors import SealdexError, UsageError
from sealdex.model.ids import PluginId, file_name_problem
from sealdex.model.plugin import StatusEvent, fold_status

_MAX_REASON = 2000


class Arrivals:
    """Takes events over; what was taken back here stays taken back."""

    def __init__(self, run: ImportRun) -> None:
        self._run = run

    def take_over(self) -> None:
        """Take over yanks, deprecations, channels and attachments, of this run's releases and of earlier ones."""
        if self._run.options.dry_run:
            return
        by_plugin: dict[str, list[ForeignRelease]] = {}
        for release in self._run.found.releases:
            by_plugin.setdefault(release.plugin, []).append(release)
        for foreign_id, releases in by_plugin.items():
            if foreign_id not in self._run.ids or not self._run.available.get(self._run.ids[foreign_id]):
                continue
            for release in releases:
                version = self._run.versions.get((foreign_id, release.version))
                if version is not None and version in self._run.available[self._run.ids[foreign_id]]:
                    self._of_release(self._run.ids[foreign_id], version, release)
            self._of_plugin(self._run.found.plugins[foreign_id])

    def _of_release(self, plugin_id: PluginId, version: str, release: ForeignRelease) -> None:
        if release.yanked is None and not release.channels and not release.attachments:
            return
        events = self._events_of(plugin_id)
        folded = fold_status(events)
        by = self._run.options.by
        if release.yanked is not None and version not in folded.yanked:
            if any(e.action == "unyank" and e.version == version for e in events):
                self._run.report.notes.append(f"{plugin_id} {version}: is yanked at the source; here it was taken back")
            else:
                why = _reason(release.yanked, f"yanked at the source ({self._run.system})")
                self._run.event(yank(self._run.tree, plugin_id, version, why=why, by=by))
        for channel in release.channels:
            if not any(e.action == "demote" and (e.version, e.channel) == (version, channel) for e in events):
                self._run.event(promote(self._run.tree, plugin_id, version, channel, by=by))
        have = folded.attachments.get(version, ())
        for attachment in release.attachments:
            if not any(a.sha256 == attachment.sha256 if attachment.sha256 else a.name == attachment.name for a in have):
                self._attach(plugin_id, version, release, attachment)

    def _attach(
        self, plugin_id: PluginId, version: str, release: ForeignRelease, attachment: ForeignAttachment
    ) -> None:
        if problem := file_name_problem(attachment.name):  # it becomes a path
            self._run.report.refuse(
                release, f"{shown(attachment.name)}: can't be attached: its name {problem}", whole=False
            )
            return
        folder = Path(tempfile.mkdtemp(dir=self._run.staging))
        path = folder / attachment.name
        try:
            path.write_bytes(self._run.contents.data(attachment.origin, MAX_ATTACHMENT_BYTES, attachment.sha256))
            self._run.event(
                attest(self._run.tree, plugin_id, version, path, kind=attachment.kind, by=self._run.options.by)
            )
        except (SourceError, SealdexError) as error:
            self._run.report.refuse(release, f"{attachment.name}: can't be attached: {error}", whole=False)
        finally:
            path.unlink(missing_ok=True)
            folder.rmdir()

    def _of_plugin(self, foreign: ForeignPlugin) -> None:
        plugin_id = self._run.ids[foreign.id]
        if foreign.deprecated is None:
            return
        events = self._events_of(plugin_id)
        if fold_status(events).deprecated is not None or any(e.action == "undeprecate" for e in events):
            return
        use = self._run.ids.get(foreign.use) if foreign.use is not None else None
        why = _reason(foreign.deprecated, f"deprecated at the source ({self._run.system})")
        with suppress(UsageError):  # its own successor
            self._run.event(deprecate(self._run.tree, plugin_id, use=use, why=why, by=self._run.options.by))

    def _events_of(self, plugin_id: PluginId) -> tuple[StatusEvent, ...]:
        source = load_tree(self._run.tree, only=[plugin_id]).plugins.get(plugin_id)
        return tuple(source.status.events) if source is not None else ()


def _reason(stated: str, otherwise: str) -> str:
    """Return the source's reason as an event can have it."""
    return without_controls(stated)[:_MAX_REASON].strip() or otherwise


__all__ = ["Arrivals"]
