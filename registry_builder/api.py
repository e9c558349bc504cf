"""Releasing and publishing from programs: training pipelines, evaluation jobs, services. Never prompts.

    import registry_builder

    released = registry_builder.release(tree, "vision/blob-model", "1.1.0", [folder_or_archive])
    published = registry_builder.publish(tree, only=["vision/blob-model"])

Each call may be repeated: an identical release succeeds and writes nothing, a different one with the same version
is an error. Results are plain data; errors are raised as `sealdex.errors.SealdexError`,
with what was left untouched and a hint.
"""

from __future__ import annotations

import tempfile
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

from registry_builder.authoring import lifecycle
from registry_builder.authoring.pack import pack
from registry_builder.authoring.release import Archive, write_release
from registry_builder.authoring.status_file import Report, StatusChange
from registry_builder.publication.context import open_publisher
from registry_builder.publication.publish import NotAllPublishedError, PublishResult, publish_realm
from registry_builder.source.config import read_config
from registry_builder.source.load import load_tree
from registry_builder.source.realms import realms_of
from registry_builder.storage import Storage
from sealdex.errors import NotFoundError, UsageError
from sealdex.model.ids import PluginId, parse_plugin_id

StrPath = str | PathLike[str]


@dataclass(frozen=True)
class Released:
    """What `release` did.

    Attributes:
        plugin, version, channel: the release.
        file: its manifest in the source tree, to be committed.
        artifacts: file name to SHA-256.
        written: False if the same release existed already.
    """

    plugin: PluginId
    version: str
    channel: str
    file: Path
    artifacts: Mapping[str, str]
    written: bool


def release(
    tree: StrPath,
    plugin: PluginId | str,
    version: str,
    files: Sequence[StrPath | Archive] = (),
    *,
    channel: str | None = None,
    released_at: str | None = None,
    allow_files: Collection[str] = (),
) -> Released:
    """Write a release into the source tree.

    Args:
        tree: the source tree.
        plugin: ``namespace/name``; its plugin.yaml exists, and release.yaml has the fields of each release.
        version: a semantic version that isn't taken.
        files: archives, or folders that are packed reproducibly to ``NAME-VERSION.zip``.
        channel: by default that of release.yaml, else ``beta`` for a pre-release and ``stable`` otherwise.
        released_at: UTC, such as ``2026-11-21T12:00:00Z``; by default now.
        allow_files: patterns of files that may hold secrets, besides those that registry.toml allows.

    Raises:
        UsageError: plugin or version is not valid.
        NotFoundError: the plugin or a file doesn't exist.
        ConfigError: the release would be invalid, or the version exists with other contents; nothing was written.
    """
    asked = _plugin(plugin)
    allowed = (*allow_files, *read_config(Path(tree)).policy.allow_files)
    with tempfile.TemporaryDirectory(prefix="sealdex-release-") as temporary:
        archives = [_archive(each, asked, version, Path(temporary), allowed) for each in files]
        plan = write_release(
            Path(tree),
            archives,
            plugin=asked,
            version=version,
            channel=channel,
            released_at=released_at,
            allow_files=allow_files,
        )
    return Released(
        plugin=plan.plugin,
        version=plan.release.version,
        channel=plan.release.channel,
        file=plan.file,
        artifacts={a.source.rsplit("/", 1)[-1]: a.sha256 for a in plan.release.artifacts},
        written=not plan.exists,
    )


def publish(
    tree: StrPath,
    *,
    realm: str | None = None,
    only: Collection[PluginId | str] | None = None,
    dry_run: bool = False,
    storage: Storage | None = None,
    accept_removed: Collection[PluginId | str] = (),
    allow_files: Collection[str] = (),
) -> list[PublishResult]:
    """Publish what changed, one realm after the other.

    Args:
        tree: the source tree.
        realm: only this one; by default all of registry.toml.
        only: only these plugins; the time then doesn't depend on how many others there are.
        dry_run: plan, but write nothing.
        storage: instead of the one in registry.toml; for one realm.
        accept_removed: plugins that are published although they lack published events.
        allow_files: patterns of files that may hold secrets, besides those that registry.toml allows.

    Returns:
        One result per realm; with `only`, for the realms that these plugins are in.

    Raises:
        UsageError: one of `only` or `accept_removed` is not a valid plugin id.
        NotFoundError: the realm or plugin does not exist.
        NotAllPublishedError: some plugins lack published events; all others, in all realms, were published.
        SealdexError: as `registry_builder.publication.publish.publish_realm`.
    """
    plugins = None if only is None else [_plugin(each) for each in only]
    loaded = load_tree(Path(tree), only=plugins, allow_files=allow_files)
    realms = [realm] if realm is not None else list(loaded.config.realms)
    if plugins is not None:
        if missing := [str(each) for each in plugins if each not in loaded.plugins]:
            said = "; ".join(str(problem) for problem in loaded.problems)
            raise NotFoundError(said or f"there is no plugin {', '.join(missing)}", untouched="nothing was published")
        inside = {name for each in plugins for name in realms_of(loaded.plugins[each], loaded.config)}
        realms = [each for each in realms if each in inside]
    if storage is not None and len(realms) != 1:
        raise UsageError("a storage is for one realm: give the realm", untouched="nothing was published")
    accepted = [_plugin(each) for each in accept_removed]
    results: list[PublishResult] = []
    for each in realms:
        publisher = open_publisher(loaded, each, storage=storage)
        try:
            results.append(publish_realm(publisher, only=plugins, dry_run=dry_run, accept_removed=accepted))
        except NotAllPublishedError as error:  # continue with the other realms
            results += error.results
    if not dry_run and any(result.plan.held for result in results):
        raise NotAllPublishedError(results)
    return results


def evaluate(
    tree: StrPath,
    plugin: PluginId | str,
    version: str,
    report: StrPath | Report | None = None,
    *,
    metrics: Mapping[str, float] | None = None,
    dataset: str | None = None,
    evaluator: str | None = None,
    by: str | None = None,
) -> StatusChange:
    """Link evaluation results to a release; see `registry_builder.authoring.lifecycle.evaluate`."""
    given = report if report is None or isinstance(report, Report) else Report(path=Path(report))
    return lifecycle.evaluate(
        Path(tree), _plugin(plugin), version, given, metrics=metrics, dataset=dataset, evaluator=evaluator, by=by
    )


def _plugin(plugin: PluginId | str) -> PluginId:
    if isinstance(plugin, PluginId):
        return plugin
    try:
        return parse_plugin_id(plugin)
    except ValueError as error:
        raise UsageError(str(error), untouched="nothing was written") from error


def _archive(
    given: StrPath | Archive, plugin: PluginId, version: str, temporary: Path, allow_files: Collection[str]
) -> Archive:
    if isinstance(given, Archive):
        return given
    path = Path(given)
    if not path.is_dir():
        return Archive(path)
    target = temporary / f"{plugin.name}-{version}.zip"
    if target.exists():
        raise UsageError("only one folder can be packed for a release: pack the others first")
    return Archive(pack(path, target, allow_files=allow_files).path)


__all__ = ["Released", "Report", "StatusChange", "evaluate", "publish", "release"]
