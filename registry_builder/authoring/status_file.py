"""The events of one plugin: what an event refers to, and how it is written, as a file of its own in ``status/``.

Events say who, when and why, and are never edited or removed. Everything is checked before anything is written. What an
event needs is written first: a file that it attaches, and ``"events_in": "status"`` in ``status.json``, without which
earlier builders would overlook it. Branches that each add a first event write the same ``status.json``.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

import msgspec

from registry_builder.source.atomic_write import replace_file, write_new
from registry_builder.source.attachments import attachment_path
from registry_builder.source.documents import control_problems
from registry_builder.source.event_files import STATUS_FOLDER, event_file_name, event_order
from registry_builder.source.load import STATUS_NAME, load_tree
from registry_builder.source.own_folders import require_own_folders
from registry_builder.source.safe_open import Gate, UnreadableError
from registry_builder.source.tree import SourcePlugin
from sealdex.errors import ConfigError, NotFoundError, UsageError
from sealdex.model.decode import DocumentError, FieldProblem, convert_to, encode_pretty, problems_in
from sealdex.model.ids import PluginId
from sealdex.model.plugin import EventAction, FoldedStatus, StatusEvent, event_problems, fold_status
from sealdex.model.release import Release
from sealdex.similar import most_similar

UNTOUCHED = "no event was written"


@dataclass(frozen=True)
class StatusChange:
    """What a lifecycle command did.

    Attributes:
        plugin: the plugin.
        file: the event's file in its ``status/``; its status.json when nothing was written.
        event: what was written; None if nothing had to change.
        note: why nothing was written, if so.
        files: every file that was written, to be committed.
    """

    plugin: PluginId
    file: Path
    event: StatusEvent | None
    note: str = ""
    files: tuple[Path, ...] = ()


@dataclass(frozen=True)
class Report:
    """An evaluation's report: a local file, or a URL with its size in bytes and SHA-256."""

    path: Path | None = None
    url: str | None = None
    sha256: str | None = None
    size: int | None = None
    name: str | None = None


class EventTarget:
    """A plugin of the source tree, and one of its releases if the event is about one."""

    def __init__(self, tree: Path, plugin: PluginId, version: str | None = None) -> None:
        loaded = load_tree(tree, only=[plugin])
        source = loaded.plugins.get(plugin)
        if source is None:
            raise no_plugin(tree, plugin)
        self.source: SourcePlugin = source
        self.policy = loaded.config.attestations
        self.file = source.folder / STATUS_NAME
        places = (f"plugins/{plugin}/{STATUS_NAME}", f"plugins/{plugin}/{STATUS_FOLDER}")
        broken = [p for p in loaded.problems if p.file.startswith(places) and p.severity == "error"]
        if broken:
            raise ConfigError("; ".join(map(str, broken)), subject=str(self.file), untouched=UNTOUCHED)
        self.version = version
        self.release: Release | None = None
        if version is not None:
            self.release = source.releases.get(version)
            if self.release is None:
                raise _no_release(source, version)
        self.status: FoldedStatus = fold_status(source.status.events)

    @property
    def channels(self) -> set[str]:
        """The channels that the release is on."""
        own = {self.release.channel} if self.release is not None else set()
        return own | set(self.status.channels.get(self.version or "", ()))

    @property
    def digests(self) -> set[str]:
        """SHA-256 of the release's artifacts."""
        return {artifact.sha256 for artifact in self.release.artifacts} if self.release is not None else set()

    def unchanged(self, note: str) -> StatusChange:
        """Return a result that says that nothing was written, and why."""
        return StatusChange(self.source.id, self.file, None, note)

    def event(self, action: EventAction, *, by: str | None, at: str | None, **fields: object) -> StatusEvent:
        """Return a checked event.

        Raises:
            UsageError: a value is not valid.
        """
        values = {
            "action": action,
            "at": at or datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "by": by or committer(self.source.folder),
            "version": self.version,
            **fields,
        }
        return _checked({name: value for name, value in values.items() if value is not None})

    def append(self, action: EventAction, *, by: str | None, at: str | None, **fields: object) -> StatusChange:
        """Create an event (see `event`) and write it."""
        return self.write(self.event(action, by=by, at=at, **fields))

    def write(self, event: StatusEvent) -> StatusChange:
        """Write an event into a file of its own.

        Raises:
            ConfigError: it is inconsistent with the existing events.
        """
        status, last = self.source.status, len(self.source.status.events)
        if problems := list(event_problems((*status.events, event))):
            raise ConfigError(
                "; ".join(
                    f"{name} {said}" if number == last else f"{': '.join(self.source.event_place(number, name))} {said}"
                    for number, name, said in problems
                ),
                subject=str(self.file),
                untouched=UNTOUCHED,
            )
        newest = self.source.event_files[-1].rsplit("/", 1)[-1] if self.source.event_files else ""
        file = self.source.folder / STATUS_FOLDER / event_file_name(event, event_order(newest))
        require_own_folders(self.source.root, [self.file, file], untouched=UNTOUCHED)
        files: list[Path] = []
        if status.events_in is None:
            own = status.events[: self.source.in_status_json]
            replace_file(self.file, encode_pretty(msgspec.structs.replace(status, events_in=STATUS_FOLDER, events=own)))
            files.append(self.file)
        write_new(file, encode_pretty(event))
        return StatusChange(self.source.id, file, event, files=(*files, file))

    def attach(self, event: StatusEvent, report: Report | None, data: bytes | None) -> StatusChange:
        """Write an event together with its file, which is copied into the tree first."""
        if report is not None:
            event = self._with_file(event, report, data)
        for before in self.source.status.events:
            # repeated by somebody else or at another time, it adds nothing new
            if msgspec.structs.replace(event, at=before.at, by=before.by, why=before.why) == before:
                return self.unchanged(
                    f"{self.source.id} {self.version} already has "
                    f"{event.name or 'these results'}, by {before.by} at {before.at}"
                )
        if data is not None and event.name is not None:
            self._copy(attachment_path(self.source.folder, self.version or "", event.name), data)
        return self.write(event)

    def _with_file(self, event: StatusEvent, report: Report, data: bytes | None) -> StatusEvent:
        if data is not None and report.path is not None:
            digest, size, name = hashlib.sha256(data).hexdigest(), len(data), report.name or report.path.name
        elif report.url is not None and report.sha256 is not None and report.size is not None:
            digest, size = report.sha256, report.size
            name = report.name or report.url.rstrip("/").rsplit("/", 1)[-1].split("?", 1)[0]
        else:
            raise UsageError(
                "a report at a URL needs its SHA-256 and its size",
                untouched=UNTOUCHED,
                hint="give --sha256 DIGEST and --size BYTES",
            )
        name = self._free_name(name, digest)
        plain = msgspec.to_builtins(event)
        fields = {"name": name, "sha256": digest, "size": size, "url": report.url if data is None else None}
        return _checked({**plain, **{key: value for key, value in fields.items() if value is not None}})

    def _free_name(self, name: str, digest: str) -> str:
        """Return the name, or one that includes the digest if another file of the release has that name."""
        attached = self.status.attachments.get(self.version or "", ())
        taken = {a.name.lower(): a.sha256 for a in attached}
        artifacts = self.release.artifacts if self.release is not None else ()
        others = {"manifest.json", *((a.file or a.source.rsplit("/", 1)[-1]).lower() for a in artifacts)}
        if name.lower() not in others and taken.get(name.lower(), digest) == digest:
            return name
        stem, dot, suffix = name.partition(".")
        return f"{stem}-{digest[:12]}{dot}{suffix}"

    def _copy(self, path: Path, data: bytes) -> None:
        require_own_folders(self.source.root, [path], untouched=UNTOUCHED)
        try:
            write_new(path, data)
        except FileExistsError:
            if not self._holds(path, data):
                raise ConfigError(
                    "another file with this name exists",
                    subject=str(path),
                    untouched=UNTOUCHED,
                    hint="remove it if no event names it, or give the new file another name",
                ) from None

    def _holds(self, path: Path, data: bytes) -> bool:
        try:
            return Gate(self.source.root).read(path, len(data)) == data
        except UnreadableError:
            return False


def _checked(values: dict[str, object]) -> StatusEvent:
    # control characters as well: whoever loads the tree refuses a text that has some
    if problems := [*problems_in(values, StatusEvent), *control_problems(values)]:
        raise UsageError("; ".join(map(str, problems)), untouched=UNTOUCHED)
    try:
        return convert_to(values, StatusEvent)
    except (msgspec.ValidationError, DocumentError) as error:
        raise UsageError(str(FieldProblem("", str(error))), untouched=UNTOUCHED) from error


def committer(folder: Path) -> str:
    """Return whom git would name as the committer in ``folder``: by GIT_COMMITTER_*, GIT_AUTHOR_* or its configuration.

    Raises:
        UsageError: git isn't installed or knows no name.
    """
    answers = []
    for key in ("user.name", "user.email"):
        field = key.partition(".")[2].upper()
        if given := os.environ.get(f"GIT_COMMITTER_{field}") or os.environ.get(f"GIT_AUTHOR_{field}"):
            answers.append(given.strip())
            continue
        try:
            done = subprocess.run(
                ["git", "config", key], cwd=folder, capture_output=True, text=True, check=False, timeout=30
            )
        except (OSError, subprocess.TimeoutExpired):
            answers.append("")
            continue
        answers.append(done.stdout.strip())
    name, email = answers
    if not name and not email:
        raise UsageError(
            "the author of this event is not known: git has no user.name here",
            untouched=UNTOUCHED,
            hint="give --by NAME, set GIT_AUTHOR_NAME, or: git config user.name NAME",
        )
    return f"{name} <{email}>" if name and email else name or email


def no_plugin(tree: Path, plugin: PluginId) -> NotFoundError:
    """Return the error for a plugin that the source tree doesn't have, with the closest names."""
    known = [str(each) for each in load_tree(tree).plugins]
    close = most_similar(str(plugin), known, 3)
    hint = f"did you mean {' or '.join(close)}?" if close else "plugins are the folders plugins/NS/NAME"
    return NotFoundError(
        f"there is no plugin {plugin} in the source tree", subject=str(plugin), untouched=UNTOUCHED, hint=hint
    )


def _no_release(source: SourcePlugin, version: str) -> NotFoundError:
    close = most_similar(version, source.releases, 3)
    newest = ", ".join(list(source.releases)[:5]) or "none yet"
    hint = f"did you mean {' or '.join(close)}?" if close else f"its releases are {newest}"
    return NotFoundError(
        f"{source.id} has no release {version}", subject=str(source.id), untouched=UNTOUCHED, hint=hint
    )


__all__ = ["STATUS_NAME", "UNTOUCHED", "EventTarget", "Report", "StatusChange", "committer", "no_plugin"]
