"""What an import did, and what it couldn't: collected by its steps, told by the command line."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from registry_builder.importers.foreign import ForeignRelease, NotRepresentable, shown
from sealdex.model.ids import PluginId
from sealdex.model.plugin import StatusEvent
from sealdex.text import counted


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
        unstated: what came over the network and of which the source states no checksum, so that it is pinned as it
            came: (release, address).
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
    unstated: list[tuple[str, str]] = field(default_factory=list)
    types: list[str] = field(default_factory=list)

    def refuse(self, release: ForeignRelease, reason: str, *, whole: bool = True) -> None:
        """Add why a release isn't imported, or a part of it."""
        name, version = shown(release.plugin), shown(release.version)
        self.refused.append(NotRepresentable(release.place, name, version, reason, whole))

    def note_unstated(self) -> None:
        """Add the note about what is pinned although the source states no checksum of it; nothing, if that is none."""
        if not self.unstated:
            return
        releases = list(dict.fromkeys(release for release, _ in self.unstated))
        more = f" and {len(releases) - _NAMED} more" if len(releases) > _NAMED else ""
        others = ", ..." if len(self.unstated) > 1 else ""
        self.notes.append(
            f"the source states no checksum of {counted(len(self.unstated), 'file')}, so that nothing was compared: "
            f"what came today is pinned: {', '.join(releases[:_NAMED])}{more} ({self.unstated[0][1]}{others})"
        )


_NAMED = 5

__all__ = ["ImportReport"]
