"""Writes a release into the source tree: archives and a template in, ``releases/<version>.json`` out.

Decides first, acts later: `plan_release` reads and checks, `carry_out` copies archives from outside the tree
to ``plugins/<ns>/<name>/dist/<version>/`` and writes the manifest last, so that a manifest never names a missing
file. ``dist/`` is part of the tree and not ignored by git: publishing happens on merge, on a machine that has nothing
but the checkout. Once a version is published, its archives may be removed from the tree.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

import msgspec

from registry_builder.authoring._release_artifacts import (
    UNTOUCHED,
    Archive,
    Image,
    artifacts_of,
    folder_address,
    images_of,
)
from registry_builder.authoring._release_checks import checked, same_release_exists
from registry_builder.authoring._service_package import source_date
from registry_builder.source.atomic_write import write_new
from registry_builder.source.load import load_tree
from registry_builder.source.own_folders import require_own_folders
from registry_builder.source.release_template import (
    TEMPLATE_NAME,
    ReleaseTemplate,
    read_template,
)
from registry_builder.source.spelling import with_usual_platforms
from registry_builder.source.tree import SCHEMA_FOLDER, SourcePlugin
from sealdex.errors import ConfigError, NotFoundError, UsageError
from sealdex.model.decode import encode_pretty
from sealdex.model.ids import PluginId, namespace_problem, part_problem
from sealdex.model.release import Release
from sealdex.model.versions import parse_version, version_problem

_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True)
class ReleasePlan:
    """The plan for one release.

    Attributes:
        file: the release file.
        release: its contents.
        copies: (from, to) of archives that are outside the tree.
        exists: whether the same release exists already, so that nothing needs to be written.
        warnings: what works only on some hosts, by field.
        rewritten: values of `os` and `arch` that are normalised to what hosts report, by field.
    """

    plugin: PluginId
    file: Path
    release: Release
    copies: tuple[tuple[Path, Path], ...]
    exists: bool
    warnings: tuple[str, ...] = ()
    rewritten: tuple[str, ...] = ()


def write_release(
    tree: Path,
    archives: Sequence[Archive],
    *,
    plugin: PluginId | None = None,
    version: str | None = None,
    channel: str | None = None,
    released_at: str | None = None,
    allow_files: Collection[str] = (),
    at: str | None = None,
    images: Sequence[Image] = (),
) -> ReleasePlan:
    """Write one release; repeating it succeeds and changes nothing.

    Args:
        tree: the source tree.
        archives: the release's files; none for a release that only depends on others.
        plugin: by default the plugin in whose folder the first archive is.
        version: by default the template's.
        channel: by default the template's, else ``beta`` for a pre-release and ``stable`` otherwise.
        released_at: UTC, such as ``2026-11-21T12:00:00Z``; $SOURCE_DATE_EPOCH or now by default.
        allow_files: patterns of files that may hold secrets, besides those that registry.toml allows.
        at: the address of the folder where the archives are, or will be: they are named there, and not copied.
        images: container images, beside the archives and those in the template.

    Raises:
        UsageError: the plugin or version can't be determined, or `at` isn't an https address.
        NotFoundError: the plugin or an archive doesn't exist.
        ConfigError: the release would be invalid, or the version exists with other contents.
    """
    plan = plan_release(
        tree,
        archives,
        plugin=plugin,
        version=version,
        channel=channel,
        released_at=released_at,
        allow_files=allow_files,
        at=at,
        images=images,
    )
    carry_out(plan)
    return plan


def plan_release(
    tree: Path,
    archives: Sequence[Archive],
    *,
    plugin: PluginId | None = None,
    version: str | None = None,
    channel: str | None = None,
    released_at: str | None = None,
    allow_files: Collection[str] = (),
    at: str | None = None,
    images: Sequence[Image] = (),
) -> ReleasePlan:
    """Check everything and return what `release` would write; changes nothing. Takes and raises what `release` does."""
    for archive in archives:
        if not archive.path.is_file():
            raise NotFoundError(
                f"archive {archive.path} does not exist",
                subject=str(archive.path),
                untouched=UNTOUCHED,
                hint="create it with: sealdex-builder pack plugins/NS/NAME",
            )
    wanted = plugin or _plugin_at(tree, archives)
    source_tree = load_tree(tree, only=[wanted], allow_files=allow_files)
    source = source_tree.plugins.get(wanted)
    if source is None:
        said = "; ".join(str(problem) for problem in source_tree.problems)
        raise NotFoundError(
            said or f"there is no plugin {wanted}", untouched=UNTOUCHED, hint=f"sealdex-builder new TYPE {wanted}"
        )
    template = _template(source, archives)
    number = version or (template.release.version if template else None)
    if number is None:
        raise UsageError(
            "the version can't be determined", untouched=UNTOUCHED, hint=f"give --version, or write {TEMPLATE_NAME}"
        )
    if problem := version_problem(number):
        raise UsageError(f"'{number}' {problem}", untouched=UNTOUCHED)
    base = template.release if template else Release(version=number)
    early = parse_version(number).prerelease is not None
    guessed = base.channel if template and template.states_channel else "beta" if early else "stable"
    artifacts, copies = artifacts_of(source_tree, source, number, archives, template, at=folder_address(at))
    artifacts += images_of(images, template)
    file = source.folder / "releases" / f"{number}.json"
    require_own_folders(tree, [file, *(target for _, target in copies)], untouched=UNTOUCHED)
    planned = msgspec.structs.replace(
        base,
        schema=base.schema or _schema_line(tree),
        version=number,
        channel=channel or guessed,
        released_at=released_at or base.released_at or _now(),
        artifacts=artifacts,
    )
    planned, rewritten = with_usual_platforms(planned)
    exists = same_release_exists(source_tree, source, planned, states_time=bool(released_at or base.released_at))
    files = artifacts[: len(archives)]
    elsewhere = {made.source: each.path for made, each in zip(files, archives, strict=True)} if at else {}
    warnings = [] if exists else checked(source_tree, source, planned, copies, elsewhere)
    return ReleasePlan(
        plugin=wanted,
        file=tree / source.files[number] if exists else file,
        release=source.releases[number] if exists else planned,
        copies=tuple(copies),
        exists=exists,
        warnings=tuple(warnings),
        rewritten=rewritten,
    )


def carry_out(plan: ReleasePlan) -> None:
    """Copy archives from outside the tree, then write the manifest under a name that isn't taken."""
    for origin, target in plan.copies:
        if target.exists():
            continue  # planning compared its bytes
        target.parent.mkdir(parents=True, exist_ok=True)
        part = target.with_name(f".{target.name}.{os.getpid()}.part")
        try:
            _copy(origin, part, plan)
            part.replace(target)
        finally:
            part.unlink(missing_ok=True)
    if not plan.exists:
        try:
            write_new(plan.file, encode_pretty(plan.release))
        except FileExistsError as error:
            raise ConfigError(
                f"version {plan.release.version} was released meanwhile by another process",
                subject=str(plan.file),
                untouched=UNTOUCHED,
                hint="repeat the command to compare",
            ) from error


def _copy(origin: Path, target: Path, plan: ReleasePlan) -> None:
    """Copy an archive, unless it isn't one of those that were planned: a build may still be writing to it."""
    digest = hashlib.sha256()
    with origin.open("rb") as source, target.open("wb") as copy:
        while chunk := source.read(_CHUNK_BYTES):
            digest.update(chunk)
            copy.write(chunk)
    if digest.hexdigest() not in {artifact.sha256 for artifact in plan.release.artifacts}:
        raise ConfigError(
            f"{origin} changed while it was released",
            subject=str(origin),
            untouched=UNTOUCHED,
            hint="repeat the command once nothing writes to it any more",
        )


def _schema_line(tree: Path) -> str | None:
    """Return the ``$schema`` of a release file, if the tree has the schema that `init` writes."""
    name = f"{SCHEMA_FOLDER}/release.schema.json"
    return f"../../../../{name}" if (tree / name).is_file() else None


def _plugin_at(tree: Path, archives: Sequence[Archive]) -> PluginId:
    for archive in archives:
        try:
            parts = archive.path.resolve().relative_to(tree.resolve()).parts
        except ValueError:
            continue
        if len(parts) > 3 and parts[0] == "plugins" and not namespace_problem(parts[1]) and not part_problem(parts[2]):
            return PluginId(parts[1], parts[2])
    raise UsageError(
        "the archive is not in a plugin's folder, so the plugin is not known" if archives else "no plugin was given",
        untouched=UNTOUCHED,
        hint="give --plugin NS/NAME" if archives else "give an archive in plugins/NS/NAME/dist/, or --plugin NS/NAME",
    )


def _template(source: SourcePlugin, archives: Sequence[Archive]) -> ReleaseTemplate | None:
    """Return the template beside the first archive, else the plugin's own."""
    beside = [archives[0].path.parent / TEMPLATE_NAME] if archives else []
    for candidate in (*beside, source.folder / TEMPLATE_NAME):
        if candidate.is_file():
            return read_template(candidate)
    return None


def _now() -> str:
    return source_date() or datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


__all__ = [
    "Archive",
    "Image",
    "ReleasePlan",
    "carry_out",
    "plan_release",
    "write_release",
]
