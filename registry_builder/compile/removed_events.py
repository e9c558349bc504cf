"""Which events of a published document the source tree lacks: it is probably an older checkout. Pure.

Publishing such a tree would undo what others published: a yanked release would be installed again. An event that
is undone on purpose has another event for that (``unyank``), and stays in the tree beside it. So everything
that a published document shows must come from an event in the tree, whatever came after it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from registry_builder.source.tree import SourcePlugin
from sealdex.errors import SealdexError
from sealdex.model.ids import PluginId
from sealdex.model.index import IndexDocument, ReleaseEntry
from sealdex.model.plugin import (
    EventAction,
    Mark,
    StatusEvent,
    TakenBack,
    attachment_of,
    evaluation_of,
    mark_of,
    taken_back_of,
)
from sealdex.text import counted

_T = TypeVar("_T")
_FIELDS = {
    "summary": "summary",
    "title": "title",
    "language": "language",
    "title_i18n": "titles in other languages",
    "summary_i18n": "summaries in other languages",
    "description": "description",
    "license": "license",
    "keywords": "keywords",
    "owners": "owners",
    "homepage": "homepage",
    "repository": "repository",
    "documentation": "documentation",
    "links": "links",
    "readme": "README",
    "readme_i18n": "READMEs in other languages",
}


@dataclass(frozen=True, order=True)
class RemovedEvent:
    """An event that is published but not in the source tree.

    Attributes:
        plugin: the plugin.
        action: as in ``status.json``.
        version: the release; empty for the plugin as a whole.
        detail: what it was about: a channel, a file, a successor, metrics.
        at, by, why: when, who and the reason, as far as the document has it.
    """

    plugin: PluginId
    action: str
    version: str = ""
    detail: str = ""
    at: str = ""
    by: str = ""
    why: str = ""

    def __str__(self) -> str:
        said = " ".join(filter(None, (self.action, self.version, self.detail)))
        who = f" by {self.by} at {self.at}" if self.by else ""
        return f"{said}{who}" + (f" ({self.why})" if self.why else "")


@dataclass(frozen=True)
class Older:
    """A plugin of which the source tree seems to have an older state.

    Attributes:
        plugin: the plugin.
        events: published events that the tree doesn't have.
        releases: published releases that the tree doesn't have.
        differing: other published values that differ, such as ``owners``; either may be newer.
    """

    plugin: PluginId
    events: tuple[RemovedEvent, ...] = ()
    releases: tuple[str, ...] = ()
    differing: tuple[str, ...] = field(default=())

    @property
    def warning(self) -> str | None:
        """Which other values may go back with this publish; None if none do."""
        if not self.differing:
            return None
        lacking = [counted(len(self.releases), "published release")] if self.releases else []
        lacking += [counted(len(self.events), "published event")] if self.events else []
        return (
            f"{self.plugin}: {', '.join(self.differing)} may go back to an older state: they differ from what is "
            f"published, and the source tree lacks {' and '.join(lacking)}; if it is an older checkout: git pull"
        )


class EventsRemovedError(SealdexError):
    """The source tree lacks events that are already published.

    Args:
        older: the plugins, with those events.
        untouched: what was not changed.
        command: the command that does it nevertheless, with ``--accept-removed`` and their names.
    """

    code = "events-removed"

    def __init__(self, older: Sequence[Older], *, untouched: str, command: str) -> None:
        said = "; ".join(f"{each.plugin}: {', '.join(map(str, each.events))}" for each in older)
        accepted = " ".join(f"--accept-removed {each.plugin}" for each in older)
        super().__init__(
            f"published events are missing from the source tree: {said}",
            subject=", ".join(str(each.plugin) for each in older),
            untouched=untouched,
            hint=f"is the source tree an older checkout? git pull; to remove them on purpose: {command} {accepted}",
        )


def older(source: SourcePlugin, published: IndexDocument, compiled: IndexDocument) -> Older | None:
    """Compare a plugin with its published state; None if the tree has every release and event of it.

    Args:
        source: the plugin of the source tree.
        published: its published index document.
        compiled: what it compiles to on top of the published state.
    """
    events = tuple(removed_events(source, published, compiled))
    releases = tuple(entry.version for entry in published.releases if entry.version not in source.releases)
    if not events and not releases:
        return None
    differing = tuple(said for name, said in _FIELDS.items() if getattr(published, name) != getattr(compiled, name))
    return Older(source.id, events, releases, differing)


def removed_events(source: SourcePlugin, published: IndexDocument, compiled: IndexDocument) -> Iterator[RemovedEvent]:
    """Yield every event that ``published`` shows, ``compiled`` doesn't, and no event of the source tree explains."""
    events = source.status.events
    mark = published.deprecated
    if mark is not None and mark != compiled.deprecated and not _has_mark(events, "deprecate", None, mark):
        yield _of_mark(source.id, "deprecate", "", mark)
    left = published.moved_to
    moves = {(event.at, event.by) for event in events if event.action == "move"}
    if left is not None and left != compiled.moved_to and (left.at, left.by) not in moves:
        yield RemovedEvent(source.id, "move", "", f"to {left.realm}", left.at, left.by, left.why)
    known = {taken_back_of(event) for event in events}
    for each in published.taken_back:
        if each not in known and each not in compiled.taken_back:
            detail = f"from {each.channel}" if each.channel else ""
            yield RemovedEvent(source.id, each.action, each.version or "", detail, each.at, each.by)
    now = {entry.version: entry for entry in compiled.releases}  # every published release among them
    for entry in published.releases:
        own = [event for event in events if event.version == entry.version]
        yield from _of_release(source.id, entry, now[entry.version], own)
        for channel in entry.channels:
            if channel not in now[entry.version].channels and not _promoted(own, channel, published.taken_back):
                yield RemovedEvent(source.id, "promote", entry.version, f"to {channel}")


def _of_release(
    plugin: PluginId, before: ReleaseEntry, after: ReleaseEntry, events: list[StatusEvent]
) -> Iterator[RemovedEvent]:
    version, mark = before.version, before.yanked
    if mark is not None and mark != after.yanked and not _has_mark(events, "yank", version, mark):
        yield _of_mark(plugin, "yank", version, mark)
    lost = _lost(before.evaluations, after.evaluations)
    told = [evaluation_of(event) for event in events if event.action == "evaluate"] if lost else []
    lost = [evaluation for evaluation in lost if evaluation not in told]
    for each in lost:
        metrics = ", ".join(f"{name} {value:g}" for name, value in each.metrics.items())
        yield RemovedEvent(plugin, "evaluate", version, metrics, each.at, each.by, each.why)
    reports = {each.report for each in lost}  # whose evaluation is listed already
    for attachment in _lost(before.attachments, after.attachments):
        if attachment not in map(attachment_of, events) and attachment.name not in reports:
            yield RemovedEvent(plugin, "attest", version, f"{attachment.name} ({attachment.kind})")


def _lost(before: Sequence[_T], after: Sequence[_T]) -> list[_T]:
    """Return what is missing; fast in the usual case that items were only appended."""
    if after[: len(before)] == before:
        return []
    return [each for each in before if each not in after]


def _promoted(events: Iterable[StatusEvent], channel: str, taken_back: Collection[TakenBack]) -> bool:
    """Return whether the events of a release put it on a channel after everything that took it off."""
    promoted = False
    for event in events:
        if event.channel == channel and event.action == "promote":
            promoted = True
        elif event.channel == channel and taken_back_of(event) in taken_back:
            promoted = False
    return promoted


def _has_mark(events: Iterable[StatusEvent], action: EventAction, version: str | None, mark: Mark) -> bool:
    return any(e.action == action and e.version == version and mark_of(e) == mark for e in events)


def _of_mark(plugin: PluginId, action: EventAction, version: str, mark: Mark) -> RemovedEvent:
    return RemovedEvent(plugin, action, version, f"use {mark.use}" if mark.use else "", mark.at, mark.by, mark.why)


__all__ = ["EventsRemovedError", "Older", "RemovedEvent", "older", "removed_events"]
