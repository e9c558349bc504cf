"""What happens to a release after it was published: one event appended to ``status.json`` for each.

Events say who, when and why, and are never edited or removed. An event that would change nothing isn't written, so
the same command again is a success. Decided first (`_Target`), written last and in one step.
"""

from __future__ import annotations

import difflib
import hashlib
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

import msgspec

from registry_builder.source.atomic import replace_file, write_new
from registry_builder.source.attachments import (
    KINDS,
    attachment_path,
    attachment_problems,
    kind_of,
    read_attachment,
)
from registry_builder.source.load import load_tree
from registry_builder.source.tree import SourcePlugin
from sealdex.errors import ConfigError, NotFoundError, UsageError
from sealdex.model.decode import DocumentError, FieldProblem, encode_pretty, problems_in
from sealdex.model.ids import PluginId
from sealdex.model.plugin import FoldedStatus, StatusEvent, fold_status, status_problems
from sealdex.model.release import Release

STATUS_NAME = "status.json"
_UNTOUCHED = f"{STATUS_NAME} was left as it is"


@dataclass(frozen=True)
class StatusChange:
    """What a lifecycle command did.

    Attributes:
        plugin: the plugin.
        file: its status.json.
        event: what was appended; None when everything was so already.
        note: why nothing was appended.
    """

    plugin: PluginId
    file: Path
    event: StatusEvent | None
    note: str = ""


@dataclass(frozen=True)
class Report:
    """An evaluation's report: a local file, or an address with size in bytes and SHA-256 of what lies there."""

    path: Path | None = None
    url: str | None = None
    sha256: str | None = None
    size: int | None = None
    name: str | None = None


def yank(
    tree: Path, plugin: PluginId, version: str, *, why: str = "", by: str | None = None, at: str | None = None
) -> StatusChange:
    """Mark a release as not to be chosen any more; who pinned it still gets it.

    Args:
        tree: the source tree.
        plugin: the plugin.
        version: its release.
        why: the reason, shown to everybody.
        by: who does it; git's ``user.name <user.email>`` when left out. So in the functions below.
        at: when, such as ``2026-11-21T12:00:00Z``; now when left out. So in the functions below.

    Raises:
        NotFoundError: no such plugin or release; the nearest names are given.
        UsageError: nobody can be named as who did it.
    """
    target = _Target(tree, plugin, version)
    before = target.status.yanked.get(version)
    if before is not None and why in {"", before.why}:
        return target.unchanged(f"{plugin} {version} is yanked already, by {before.by} at {before.at}")
    return target.append("yank", by=by, at=at, why=why)


def unyank(
    tree: Path, plugin: PluginId, version: str, *, why: str = "", by: str | None = None, at: str | None = None
) -> StatusChange:
    """Take a yank back. Arguments and errors are those of `yank`."""
    target = _Target(tree, plugin, version)
    if version not in target.status.yanked:
        return target.unchanged(f"{plugin} {version} is not yanked")
    return target.append("unyank", by=by, at=at, why=why)


def deprecate(
    tree: Path,
    plugin: PluginId,
    *,
    use: PluginId | None = None,
    why: str = "",
    by: str | None = None,
    at: str | None = None,
) -> StatusChange:
    """Mark a plugin as one that nobody should start with, and name its successor.

    Raises:
        NotFoundError: there is no such plugin, or no such successor in the source tree.
        UsageError: it is its own successor, or nobody can be named.
    """
    target = _Target(tree, plugin)
    if use == plugin:
        raise UsageError(f"{plugin} can't be its own successor", untouched=_UNTOUCHED)
    if use is not None and use not in load_tree(tree, only=[use]).plugins:
        raise _no_plugin(tree, use)
    successor = str(use) if use is not None else None
    before = target.status.deprecated
    if before is not None and before.use == successor and why in {"", before.why}:
        return target.unchanged(f"{plugin} is deprecated already, by {before.by} at {before.at}")
    return target.append("deprecate", by=by, at=at, why=why, use=successor)


def undeprecate(
    tree: Path, plugin: PluginId, *, why: str = "", by: str | None = None, at: str | None = None
) -> StatusChange:
    """Take a deprecation back. Arguments and errors are those of `yank`."""
    target = _Target(tree, plugin)
    if target.status.deprecated is None:
        return target.unchanged(f"{plugin} is not deprecated")
    return target.append("undeprecate", by=by, at=at, why=why)


def promote(
    tree: Path,
    plugin: PluginId,
    version: str,
    channel: str,
    *,
    why: str = "",
    by: str | None = None,
    at: str | None = None,
) -> StatusChange:
    """Put a release on one more channel. Arguments and errors are those of `yank`."""
    target = _Target(tree, plugin, version)
    if channel in target.channels:
        return target.unchanged(f"{plugin} {version} is on channel {channel} already")
    return target.append("promote", by=by, at=at, why=why, channel=channel)


def demote(
    tree: Path,
    plugin: PluginId,
    version: str,
    channel: str,
    *,
    why: str = "",
    by: str | None = None,
    at: str | None = None,
) -> StatusChange:
    """Take a release off a channel that it was promoted to.

    Raises:
        UsageError: it was released on that channel, which its manifest says for ever.
        NotFoundError: as `yank`.
    """
    target = _Target(tree, plugin, version)
    if target.release is not None and channel == target.release.channel:
        raise UsageError(
            f"{plugin} {version} was released on channel {channel}, and a release never changes",
            untouched=_UNTOUCHED,
            hint=f"sealdex-builder yank {plugin}@{version} keeps it from being chosen",
        )
    if channel not in target.channels:
        return target.unchanged(f"{plugin} {version} is not on channel {channel}")
    return target.append("demote", by=by, at=at, why=why, channel=channel)


def evaluate(
    tree: Path,
    plugin: PluginId,
    version: str,
    report: Report | None,
    *,
    metrics: Mapping[str, float] | None = None,
    dataset: str | None = None,
    evaluator: str | None = None,
    why: str = "",
    by: str | None = None,
    at: str | None = None,
) -> StatusChange:
    """Link the results of an evaluation to a release.

    Args:
        tree: the source tree.
        plugin: the plugin.
        version: its release.
        report: the whole report, attached to the release. What a JSON report says in its top-level fields
            ``metrics`` (numbers by name), ``dataset`` and ``evaluator`` counts where the arguments say nothing.
        metrics: what was measured, by name.
        dataset: what it was measured with.
        evaluator: who or what measured it.
        why: a remark.
        by: as in `yank`.
        at: as in `yank`.

    Raises:
        UsageError: there are no metrics, or a value has not the form it must have.
        ConfigError: the report can't be read, or another file of its name is attached already.
        NotFoundError: as `yank`.
    """
    target = _Target(tree, plugin, version)
    data = read_attachment(report.path) if report is not None and report.path is not None else None
    stated = _stated_results(data)
    event = target.event(
        "evaluate",
        by=by,
        at=at,
        why=why,
        metrics=dict(metrics or stated.metrics),
        dataset=dataset or stated.dataset,
        evaluator=evaluator or stated.evaluator,
    )
    if not event.metrics:
        raise UsageError(
            "there are no metrics",
            untouched=_UNTOUCHED,
            hint='write them in the report, {"metrics": {"top1": 0.83}}, or give --metric top1=0.83',
        )
    return target.attach(event, report, data)


def attest(
    tree: Path,
    plugin: PluginId,
    version: str,
    path: Path,
    *,
    kind: str | None = None,
    why: str = "",
    by: str | None = None,
    at: str | None = None,
) -> StatusChange:
    """Attach an attestation to a release: an in-toto statement, an SBOM, a Sigstore bundle, or a file of another kind.

    Args:
        tree: the source tree.
        plugin: the plugin.
        version: its release.
        path: the file; it is copied into the source tree.
        kind: what it is; told from its content when left out.
        why: a remark.
        by: as in `yank`.
        at: as in `yank`.

    Raises:
        UsageError: the kind can't be told.
        ConfigError: the file isn't what it must be, is about something else, or another one has its name.
        NotFoundError: as `yank`.
    """
    target = _Target(tree, plugin, version)
    data = read_attachment(path)
    told = kind or kind_of(data)
    if told is None:
        raise UsageError(
            f"{path.name} is no in-toto statement, CycloneDX or SPDX document or Sigstore bundle in JSON",
            untouched=_UNTOUCHED,
            hint=f"name what it is: --kind KIND; the kinds that are checked are {', '.join(KINDS)}",
        )
    if problems := attachment_problems(told, data, target.digests):
        raise ConfigError(
            "; ".join(f"{path.name}: {problem}" for problem in problems), subject=str(path), untouched=_UNTOUCHED
        )
    return target.attach(target.event("attest", by=by, at=at, why=why, kind=told), Report(path=path), data)


# --- the plugin that an event is about -------------------------------------------------------------------------------


class _Target:
    """A plugin of the source tree, and one of its releases where the event is about one."""

    def __init__(self, tree: Path, plugin: PluginId, version: str | None = None) -> None:
        loaded = load_tree(tree, only=[plugin])
        source = loaded.plugins.get(plugin)
        if source is None:
            raise _no_plugin(tree, plugin)
        self.source: SourcePlugin = source
        self.file = source.folder / STATUS_NAME
        broken = [problem for problem in loaded.problems if problem.file.endswith(f"/{STATUS_NAME}")]
        if broken:
            raise ConfigError("; ".join(map(str, broken)), subject=str(self.file), untouched=_UNTOUCHED)
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
        return {artifact.sha256 for artifact in self.release.artifacts} if self.release is not None else set()

    def unchanged(self, note: str) -> StatusChange:
        return StatusChange(self.source.id, self.file, None, note)

    def event(self, action: str, *, by: str | None, at: str | None, **fields: object) -> StatusEvent:
        """Return a checked event.

        Raises:
            UsageError: a value has not the form it must have.
        """
        values = {
            "action": action,
            "at": at or datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "by": by or committer(self.source.folder),
            "version": self.version,
            **fields,
        }
        return _checked({name: value for name, value in values.items() if value is not None})

    def append(self, action: str, *, by: str | None, at: str | None, **fields: object) -> StatusChange:
        return self.write(self.event(action, by=by, at=at, **fields))

    def write(self, event: StatusEvent) -> StatusChange:
        status = msgspec.structs.replace(self.source.status, events=(*self.source.status.events, event))
        if problems := list(status_problems(status)):
            raise ConfigError(
                "; ".join(f"{where} {message}" for where, message in problems),
                subject=str(self.file),
                untouched=_UNTOUCHED,
            )
        replace_file(self.file, encode_pretty(status))
        return StatusChange(self.source.id, self.file, event)

    def attach(self, event: StatusEvent, report: Report | None, data: bytes | None) -> StatusChange:
        """Append an event together with its file, which is copied into the tree first."""
        if report is not None:
            event = self._with_file(event, report, data)
        for before in self.source.status.events:
            # said again by somebody else or at another time, it still says nothing new
            if msgspec.structs.replace(event, at=before.at, by=before.by, why=before.why) == before:
                return self.unchanged(
                    f"{self.source.id} {self.version} has this already: "
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
                "a report at an address needs its SHA-256 and its size: nothing is pinned without",
                untouched=_UNTOUCHED,
                hint="give --sha256 DIGEST and --size BYTES",
            )
        name = self._free_name(name, digest)
        plain = msgspec.to_builtins(event)
        fields = {"name": name, "sha256": digest, "size": size, "url": report.url if data is None else None}
        return _checked({**plain, **{key: value for key, value in fields.items() if value is not None}})

    def _free_name(self, name: str, digest: str) -> str:
        """Return the name, or one with the digest in it where another file of the release has it."""
        attached = self.status.attachments.get(self.version or "", ())
        taken = {a.name.lower(): a.sha256 for a in attached}
        artifacts = self.release.artifacts if self.release is not None else ()
        others = {"manifest.json", *((a.file or a.source.rsplit("/", 1)[-1]).lower() for a in artifacts)}
        if name.lower() not in others and taken.get(name.lower(), digest) == digest:
            return name
        stem, dot, suffix = name.partition(".")
        return f"{stem}-{digest[:12]}{dot}{suffix}"

    def _copy(self, path: Path, data: bytes) -> None:
        try:
            write_new(path, data)
        except FileExistsError:
            if path.read_bytes() != data:
                raise ConfigError(
                    "another file is there already",
                    subject=str(path),
                    untouched=_UNTOUCHED,
                    hint="remove it if no event in status.json names it, or give the new one another name",
                ) from None


class _Results(msgspec.Struct, frozen=True):
    """What a report in JSON may say of itself."""

    metrics: dict[str, float] = {}
    dataset: str | None = None
    evaluator: str | None = None


def _stated_results(data: bytes | None) -> _Results:
    if data is None:
        return _Results()
    try:
        return msgspec.json.decode(data, type=_Results)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return _Results()  # a report may be a PDF: then the arguments say it


def _checked(values: dict[str, object]) -> StatusEvent:
    if problems := problems_in(values, StatusEvent):
        raise UsageError("; ".join(map(str, problems)), untouched=_UNTOUCHED)
    try:
        return msgspec.convert(values, StatusEvent)
    except (msgspec.ValidationError, DocumentError) as error:
        raise UsageError(str(FieldProblem("", str(error))), untouched=_UNTOUCHED) from error


def committer(folder: Path) -> str:
    """Return who git would name as the committer in ``folder``.

    Raises:
        UsageError: git isn't there or knows no name.
    """
    answers = []
    for key in ("user.name", "user.email"):
        try:
            done = subprocess.run(
                ["git", "config", key], cwd=folder, capture_output=True, text=True, check=False, timeout=30
            )
        except (OSError, subprocess.TimeoutExpired):
            break
        answers.append(done.stdout.strip())
    name, email = (*answers, "", "")[:2]
    if not name and not email:
        raise UsageError(
            "who does this can't be told: git knows no user.name here",
            untouched=_UNTOUCHED,
            hint="give --by NAME, or: git config user.name NAME",
        )
    return f"{name} <{email}>" if name and email else name or email


def _no_plugin(tree: Path, plugin: PluginId) -> NotFoundError:
    known = [str(each) for each in load_tree(tree).plugins]
    close = difflib.get_close_matches(str(plugin), known, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(close)}?" if close else "sealdex-builder validate shows what is there"
    return NotFoundError(
        f"there is no plugin {plugin} in the source tree", subject=str(plugin), untouched=_UNTOUCHED, hint=hint
    )


def _no_release(source: SourcePlugin, version: str) -> NotFoundError:
    close = difflib.get_close_matches(version, source.releases, n=3, cutoff=0.5)
    newest = ", ".join(list(source.releases)[:5]) or "none yet"
    hint = f"did you mean {' or '.join(close)}?" if close else f"its releases are {newest}"
    return NotFoundError(
        f"{source.id} has no release {version}", subject=str(source.id), untouched=_UNTOUCHED, hint=hint
    )


__all__ = [
    "Report",
    "StatusChange",
    "attest",
    "committer",
    "demote",
    "deprecate",
    "evaluate",
    "promote",
    "undeprecate",
    "unyank",
    "yank",
]
