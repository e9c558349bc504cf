"""Writes a release into the source tree: archives and a template in, ``releases/<version>.json`` out.

Decides first, acts later: `plan_release` reads and checks, `carry_out` copies archives from outside the tree
to ``plugins/<ns>/<name>/dist/<version>/`` and writes the manifest last, so that a manifest never names a missing
file. ``dist/`` is part of the tree and not ignored by git: publishing happens on merge, on a machine that has nothing
but the checkout. Once a version is published, its archives may be removed from the tree.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timezone
from fnmatch import fnmatchcase
from pathlib import Path
from urllib.parse import quote

import msgspec

from registry_builder.authoring._service_package import source_date
from registry_builder.source.atomic_write import write_new
from registry_builder.source.file_list import file_list_pin
from registry_builder.source.lint.artifacts import ArtifactChecks
from registry_builder.source.lint.schemas import SchemaChecks
from registry_builder.source.load import load_tree
from registry_builder.source.release_template import (
    IMAGE_PATTERN,
    TEMPLATE_NAME,
    ArtifactTemplate,
    ReleaseTemplate,
    read_template,
)
from registry_builder.source.spelling import platform_warnings, with_usual_platforms
from registry_builder.source.tree import SCHEMA_FOLDER, SourcePlugin, SourceTree
from sealdex.archive.entries import DamagedArchiveError, RefusedArchiveError
from sealdex.errors import ConfigError, NotFoundError, UsageError
from sealdex.model.decode import encode_pretty
from sealdex.model.ids import PluginId, file_name_problem, namespace_problem, part_problem
from sealdex.model.release import Artifact, Release, artifact_format, artifact_kind, release_problems
from sealdex.model.selectors import Selector
from sealdex.model.versions import parse_version, same_version_key, version_clash, version_problem

_CHUNK_BYTES = 1 << 20
_UNTOUCHED = "no release was written"
_COMMAND = "sealdex-builder release"


@dataclass(frozen=True)
class Archive:
    """One file of a future release, and what it is for if the caller says so (else the template does)."""

    path: Path
    selector: Selector | None = None
    tags: tuple[str, ...] = ()


@dataclass(frozen=True)
class Image:
    """A container image of a future release, ``REPOSITORY@sha256:DIGEST``, and what it is for."""

    reference: str
    selector: Selector | None = None
    tags: tuple[str, ...] = ()


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
                untouched=_UNTOUCHED,
                hint="create it with: sealdex-builder pack plugins/NS/NAME",
            )
    wanted = plugin or _plugin_at(tree, archives)
    source_tree = load_tree(tree, only=[wanted], allow_files=allow_files)
    source = source_tree.plugins.get(wanted)
    if source is None:
        said = "; ".join(str(problem) for problem in source_tree.problems)
        raise NotFoundError(
            said or f"there is no plugin {wanted}", untouched=_UNTOUCHED, hint=f"sealdex-builder new TYPE {wanted}"
        )
    template = _template(source, archives)
    number = version or (template.release.version if template else None)
    if number is None:
        raise UsageError(
            "the version can't be determined", untouched=_UNTOUCHED, hint=f"give --version, or write {TEMPLATE_NAME}"
        )
    if problem := version_problem(number):
        raise UsageError(f"'{number}' {problem}", untouched=_UNTOUCHED)
    base = template.release if template else Release(version=number)
    early = parse_version(number).prerelease is not None
    guessed = base.channel if template and template.states_channel else "beta" if early else "stable"
    artifacts, copies = _artifacts(source_tree, source, number, archives, template, at=_folder_address(at))
    artifacts += _images(images, template)
    planned = msgspec.structs.replace(
        base,
        schema=base.schema or _schema_line(tree),
        version=number,
        channel=channel or guessed,
        released_at=released_at or base.released_at or _now(),
        artifacts=artifacts,
    )
    planned, rewritten = with_usual_platforms(planned)
    exists = _same_release_exists(source_tree, source, planned, states_time=bool(released_at or base.released_at))
    files = artifacts[: len(archives)]
    elsewhere = {made.source: each.path for made, each in zip(files, archives, strict=True)} if at else {}
    warnings = [] if exists else _check(source_tree, source, planned, copies, elsewhere)
    return ReleasePlan(
        plugin=wanted,
        file=tree / source.files[number] if exists else source.folder / "releases" / f"{number}.json",
        release=source.releases[number] if exists else planned,
        copies=tuple(copies),
        exists=exists,
        warnings=tuple(warnings),
        rewritten=rewritten,
    )


def stated_version_of(folder: Path) -> str:
    """Return the version in a plugin's release.yaml.

    Raises:
        NotFoundError: there is none. ConfigError: it is wrong.
    """
    return _own_template(folder).release.version


def has_built_archives(folder: Path) -> bool:
    """Return whether release.yaml lists artifacts of other names than `pack` gives: they are built elsewhere."""
    template = _own_template(folder)
    usual = f"{folder.name}-{template.release.version}.zip"
    archives = [each for each in template.artifacts if each.image is None]
    return bool(template.artifacts) and not any(fnmatchcase(usual, each.match) for each in archives)


def archives_of(folder: Path) -> list[Path]:
    """Return the archives in ``dist/VERSION/`` of a plugin's folder that the release of its release.yaml has.

    Raises:
        NotFoundError: there are none, or there is no release.yaml. ConfigError: it is wrong.
    """
    template = _own_template(folder)
    version = template.release.version
    below = folder / "dist" / version
    archives = [each for each in template.artifacts if each.image is None]
    if template.artifacts and not archives:
        return []  # container images alone
    patterns = [each.match for each in archives] or [f"{folder.name}-{version}.zip"]
    found = sorted(path for path in (below.iterdir() if below.is_dir() else ()) if path.is_file())
    wanted = [path for path in found if any(fnmatchcase(path.name, pattern) for pattern in patterns)]
    if not wanted:
        raise NotFoundError(
            f"dist/{version}/ has no archive of this release ({', '.join(patterns)})",
            subject=str(folder),
            untouched=_UNTOUCHED,
            hint=f"sealdex-builder pack {folder.parent.name}/{folder.name}",
        )
    return wanted


def _own_template(folder: Path) -> ReleaseTemplate:
    path = folder / TEMPLATE_NAME
    if not path.is_file():
        raise NotFoundError(
            f"{folder} has no {TEMPLATE_NAME}",
            subject=str(path),
            untouched=_UNTOUCHED,
            hint=f"write one with at least: version: 0.1.0, or give archives and --version to {_COMMAND}",
        )
    return read_template(path)


def carry_out(plan: ReleasePlan) -> None:
    """Copy archives from outside the tree, then write the manifest under a name that isn't taken."""
    for origin, target in plan.copies:
        if target.exists():
            continue  # planning compared its bytes
        target.parent.mkdir(parents=True, exist_ok=True)
        part = target.with_name(f".{target.name}.{os.getpid()}.part")
        try:
            shutil.copyfile(origin, part)
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
                untouched=_UNTOUCHED,
                hint="repeat the command to compare",
            ) from error


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
        untouched=_UNTOUCHED,
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


# --- artifacts -------------------------------------------------------------------------------------------------------


def _artifacts(
    tree: SourceTree,
    source: SourcePlugin,
    version: str,
    archives: Sequence[Archive],
    template: ReleaseTemplate | None,
    *,
    at: str | None,
) -> tuple[tuple[Artifact, ...], list[tuple[Path, Path]]]:
    root = tree.root.resolve()
    copies: list[tuple[Path, Path]] = []
    artifacts: list[Artifact] = []
    templates = [each for each in template.artifacts if each.image is None] if template else []
    used: set[int] = set()
    for archive in archives:
        name = archive.path.name
        if problem := file_name_problem(name):
            raise UsageError(f"file name '{name}' {problem}: rename the archive", untouched=_UNTOUCHED)
        number = next((i for i, t in enumerate(templates) if fnmatchcase(name, t.match)), None)
        if number is None and template is not None and template.artifacts and archive.selector is None:
            listed = ", ".join(repr(t.match) for t in templates) or "container images alone"
            raise ConfigError(
                f"'{name}' matches no artifact in {TEMPLATE_NAME} ({listed})",
                untouched=_UNTOUCHED,
                hint=f"say what it is for: {name}:os=linux,arch=amd64, or add it to {TEMPLATE_NAME}",
            )
        if number is not None:
            used.add(number)
        origin = archive.path.resolve()
        if at is not None:
            placed = f"{at}{quote(name)}"
        elif origin.is_relative_to(root):
            placed = origin.relative_to(root).as_posix()
        else:
            target = source.folder / "dist" / version / name
            placed = f"plugins/{source.id}/dist/{version}/{name}"
            _check_free(origin, target)
            copies.append((origin, target))
        artifacts.append(_artifact(archive, placed, templates[number] if number is not None else ArtifactTemplate()))
    missing = [repr(t.match) for i, t in enumerate(templates) if i not in used]
    if missing:
        raise ConfigError(
            f"no archive matches these artifacts of {TEMPLATE_NAME}: {', '.join(missing)}",
            subject=str(template.path if template else ""),
            untouched=_UNTOUCHED,
            hint="give all archives of the release in one command, or remove the entries",
        )
    return tuple(artifacts), copies


def _images(given: Sequence[Image], template: ReleaseTemplate | None) -> tuple[Artifact, ...]:
    """Return the container images of the command line, then those of the template that it doesn't name."""
    stated = [
        Image(each.image, each.selector, each.tags)
        for each in (template.artifacts if template else ())
        if each.image is not None
    ]
    artifacts: dict[str, Artifact] = {}
    for image in (*given, *stated):
        reference = image.reference.removeprefix("oci:")
        if not re.fullmatch(IMAGE_PATTERN, reference):
            raise UsageError(
                f"'{image.reference}' is not an image with a digest",
                untouched=_UNTOUCHED,
                hint="write REPOSITORY@sha256:DIGEST, as docker inspect --format '{{.RepoDigests}}' IMAGE prints it",
            )
        made = Artifact(f"oci:{reference}", reference.rpartition(":")[2], tags=image.tags)
        if image.selector:
            made = msgspec.structs.replace(made, selector=image.selector)
        artifacts.setdefault(reference, made)
    return tuple(artifacts.values())


def _artifact(archive: Archive, placed: str, template: ArtifactTemplate) -> Artifact:
    selector = archive.selector if archive.selector is not None else template.selector
    artifact = Artifact(
        source=placed,
        sha256=_sha256(archive.path),
        size=archive.path.stat().st_size,
        format=template.format,
        file=template.file,
        tags=archive.tags or template.tags,
        bin=template.bin,
        files=template.files,
    )
    if artifact_kind(placed) == "path" and artifact_format(artifact) == "zip":
        with suppress(DamagedArchiveError, RefusedArchiveError):  # later checks report it
            artifact = msgspec.structs.replace(artifact, file_list=file_list_pin(archive.path))
    # an empty selector is written only when it isn't the default instance
    return msgspec.structs.replace(artifact, selector=selector) if selector else artifact


def _folder_address(at: str | None) -> str | None:
    if at is not None and not re.fullmatch(r"https://[^/?#\s]+(/[^?#\s]*)?", at):
        raise UsageError(
            f"'{at}' is not an https address of a folder",
            untouched=_UNTOUCHED,
            hint="such as https://github.com/acme/slack/releases/download/v1.2.0",
        )
    return None if at is None else f"{at.rstrip('/')}/"


def _check_free(origin: Path, target: Path) -> None:
    if target.exists() and _sha256(target) != _sha256(origin):
        raise ConfigError(
            "another file with this name exists",
            subject=str(target),
            untouched=_UNTOUCHED,
            hint="raise the version, or remove that file if it was never published",
        )


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


# --- checks ----------------------------------------------------------------------------------------------------------


def _same_release_exists(tree: SourceTree, source: SourcePlugin, planned: Release, *, states_time: bool) -> bool:
    version = planned.version
    for there in source.releases:
        if there != version and same_version_key(there) == same_version_key(version):
            raise ConfigError(
                f"version {version_clash(version, there)}",
                subject=str(tree.root / source.files[there]),
                untouched=_UNTOUCHED,
                hint="raise the version",
            )
    existing = source.releases.get(version)
    if existing is None:
        stem = f"plugins/{source.id}/releases/{version}."
        broken = [str(problem) for problem in tree.problems if problem.file.startswith(stem)]
        if broken:
            raise ConfigError("; ".join(broken), untouched=_UNTOUCHED, hint="sealdex-builder validate")
        return False
    kept = (
        {"schema": existing.schema} if states_time else {"schema": existing.schema, "released_at": existing.released_at}
    )
    same = msgspec.structs.replace(planned, **kept)
    # a release by an older version keeps its spellings
    if same == existing or same == with_usual_platforms(existing)[0]:  # neither has a hash
        return True
    differing = [f for f in Release.__struct_fields__ if getattr(same, f) != getattr(existing, f)]
    raise ConfigError(
        f"version {version} of {source.id} was already released and differs in: {', '.join(differing)}",
        subject=str(tree.root / source.files[version]),
        untouched=_UNTOUCHED,
        hint="raise the version; a release that was never published may be removed and created again",
    )


def _check(
    tree: SourceTree,
    source: SourcePlugin,
    planned: Release,
    copies: list[tuple[Path, Path]],
    elsewhere: dict[str, Path],
) -> list[str]:
    problems, warnings = list(release_problems(planned)), list[str]()
    schemas = SchemaChecks()
    schemas.add("", planned)
    problems += ((where, message) for _, where, message in schemas.problems())
    if not problems:
        origins = {target: origin for origin, target in copies}
        found = list(ArtifactChecks(tree, origins, elsewhere).problems(source.id, planned))
        problems += ((f.where, f.message) for f in found if f.severity == "error")
        warnings += (f"{f.where}: {f.message}" for f in found if f.severity == "warning")
    if problems:
        raise ConfigError(
            "; ".join(f"{where}: {message}" for where, message in problems),
            subject=f"{source.id} {planned.version}",
            untouched=_UNTOUCHED,
        )
    return [*warnings, *(f"{where}: {message}" for where, message in platform_warnings(planned))]


__all__ = [
    "Archive",
    "ReleasePlan",
    "archives_of",
    "carry_out",
    "has_built_archives",
    "plan_release",
    "stated_version_of",
    "write_release",
]
