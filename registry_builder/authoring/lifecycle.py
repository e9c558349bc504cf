"""What happens to a release after it was published: one event each, in a file of its own.

An event that would change nothing isn't written, so repeating a command succeeds. How events are written:
`registry_builder.authoring.status_file`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec

from registry_builder.authoring.status_file import UNTOUCHED, EventTarget, Report, StatusChange, no_plugin
from registry_builder.source.attachments import KINDS, attachment_problems, kind_of, read_attachment
from registry_builder.source.attestations import AttestationChecks
from registry_builder.source.load import load_tree
from sealdex.errors import ConfigError, UsageError
from sealdex.model.decode import decode_as
from sealdex.model.ids import PluginId


def yank(
    tree: Path, plugin: PluginId, version: str, *, why: str = "", by: str | None = None, at: str | None = None
) -> StatusChange:
    """Yank a release: it is no longer selected, except by an exact version.

    Args:
        tree: the source tree.
        plugin: the plugin.
        version: its release.
        why: the reason, shown to all users.
        by: who does it; git's ``user.name <user.email>`` by default. The same in the functions below.
        at: when, such as ``2026-11-21T12:00:00Z``; now by default. The same in the functions below.

    Raises:
        NotFoundError: no such plugin or release; the closest names are given.
        UsageError: ``by`` is missing and git knows no name.
    """
    target = EventTarget(tree, plugin, version)
    before = target.status.yanked.get(version)
    if before is not None and why in {"", before.why}:
        return target.unchanged(f"{plugin} {version} is already yanked, by {before.by} at {before.at}")
    return target.append("yank", by=by, at=at, why=why)


def unyank(
    tree: Path, plugin: PluginId, version: str, *, why: str = "", by: str | None = None, at: str | None = None
) -> StatusChange:
    """Undo a yank. Arguments and errors are those of `yank`."""
    target = EventTarget(tree, plugin, version)
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
    """Deprecate a plugin and name its successor.

    Raises:
        NotFoundError: the plugin or the successor is not in the source tree.
        UsageError: it is its own successor, or ``by`` is missing and git knows no name.
    """
    target = EventTarget(tree, plugin)
    if use == plugin:
        raise UsageError(f"{plugin} can't be its own successor", untouched=UNTOUCHED)
    if use is not None and use not in load_tree(tree, only=[use]).plugins:
        raise no_plugin(tree, use)
    successor = str(use) if use is not None else None
    before = target.status.deprecated
    if before is not None and before.use == successor and why in {"", before.why}:
        return target.unchanged(f"{plugin} is already deprecated, by {before.by} at {before.at}")
    return target.append("deprecate", by=by, at=at, why=why, use=successor)


def undeprecate(
    tree: Path, plugin: PluginId, *, why: str = "", by: str | None = None, at: str | None = None
) -> StatusChange:
    """Undo a deprecation. Arguments and errors are those of `yank`."""
    target = EventTarget(tree, plugin)
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
    """Add a release to one more channel. Arguments and errors are those of `yank`."""
    target = EventTarget(tree, plugin, version)
    if channel in target.channels:
        return target.unchanged(f"{plugin} {version} is already on channel {channel}")
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
    """Remove a release from a channel that it was promoted to.

    Raises:
        UsageError: it was released on that channel, which its manifest states permanently.
        NotFoundError: as `yank`.
    """
    target = EventTarget(tree, plugin, version)
    if target.release is not None and channel == target.release.channel:
        raise UsageError(
            f"{plugin} {version} was released on channel {channel}, which can't change",
            untouched=UNTOUCHED,
            hint=f"to keep it from being selected: sealdex-builder yank {plugin}@{version}",
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
        report: the complete report, attached to the release. The top-level fields ``metrics`` (numbers by name),
            ``dataset`` and ``evaluator`` of a JSON report are used if the arguments don't give them.
        metrics: the results, by name.
        dataset: the dataset that was used.
        evaluator: who or what evaluated it.
        why: a comment.
        by: as in `yank`.
        at: as in `yank`.

    Raises:
        UsageError: there are no metrics, or a value is not valid.
        ConfigError: the report can't be read, or another file of its name is already attached.
        NotFoundError: as `yank`.
    """
    target = EventTarget(tree, plugin, version)
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
            "no metrics were given",
            untouched=UNTOUCHED,
            hint='put them into the report, {"metrics": {"top1": 0.83}}, or give --metric top1=0.83',
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
        path: the file, which is copied into the source tree.
        kind: its kind; detected from its content by default.
        why: a comment.
        by: as in `yank`.
        at: as in `yank`.

    Raises:
        UsageError: the kind can't be detected.
        ConfigError: the file is not valid, is about something else, or another file has its name.
        VerificationError: a Sigstore bundle isn't signed by an accepted identity, or the extra isn't installed.
        NotFoundError: as `yank`.
    """
    target = EventTarget(tree, plugin, version)
    data = read_attachment(path)
    told = kind or kind_of(data)
    if told is None:
        raise UsageError(
            f"{path.name} is not an in-toto statement, CycloneDX or SPDX document or Sigstore bundle in JSON",
            untouched=UNTOUCHED,
            hint=f"give its kind with --kind KIND; the kinds that are checked are {', '.join(KINDS)}",
        )
    if problems := attachment_problems(told, data, target.digests):
        raise ConfigError(
            "; ".join(f"{path.name}: {problem}" for problem in problems), subject=str(path), untouched=UNTOUCHED
        )
    if told == "sigstore-bundle":
        checks = AttestationChecks(tree, target.policy)
        checks.verify(plugin.namespace, data, target.digests)
    return target.attach(target.event("attest", by=by, at=at, why=why, kind=told), Report(path=path), data)


class _Results(msgspec.Struct, frozen=True):
    """What a JSON report may say about itself."""

    metrics: dict[str, float] = {}
    dataset: str | None = None
    evaluator: str | None = None


def _stated_results(data: bytes | None) -> _Results:
    if data is None:
        return _Results()
    try:
        return decode_as(data, _Results)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return _Results()  # a report may be a PDF: then the arguments must give them


__all__ = [
    "attest",
    "demote",
    "deprecate",
    "evaluate",
    "promote",
    "undeprecate",
    "unyank",
    "yank",
]
