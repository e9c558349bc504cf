"""The artifacts of a release: from archives and images, and what release.yaml says they are for."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from urllib.parse import quote

import msgspec

from registry_builder.source.file_list import file_list_pin
from registry_builder.source.release_template import IMAGE_PATTERN, TEMPLATE_NAME, ArtifactTemplate, ReleaseTemplate
from registry_builder.source.tree import SourcePlugin, SourceTree
from sealdex.archive.entries import DamagedArchiveError, RefusedArchiveError
from sealdex.errors import ConfigError, UsageError
from sealdex.model.ids import file_name_problem
from sealdex.model.release import Artifact, artifact_format, artifact_kind
from sealdex.model.selectors import Selector

_CHUNK_BYTES = 1 << 20
UNTOUCHED = "no release was written"


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


def artifacts_of(
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
            raise UsageError(f"file name '{name}' {problem}: rename the archive", untouched=UNTOUCHED)
        number = next((i for i, t in enumerate(templates) if fnmatchcase(name, t.match)), None)
        if number is None and template is not None and template.artifacts and archive.selector is None:
            listed = ", ".join(repr(t.match) for t in templates) or "container images alone"
            raise ConfigError(
                f"'{name}' matches no artifact in {TEMPLATE_NAME} ({listed})",
                untouched=UNTOUCHED,
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
            untouched=UNTOUCHED,
            hint="give all archives of the release in one command, or remove the entries",
        )
    return tuple(artifacts), copies


def images_of(given: Sequence[Image], template: ReleaseTemplate | None) -> tuple[Artifact, ...]:
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
                untouched=UNTOUCHED,
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


def folder_address(at: str | None) -> str | None:
    if at is not None and not re.fullmatch(r"https://[^/?#\s]+(/[^?#\s]*)?", at):
        raise UsageError(
            f"'{at}' is not an https address of a folder",
            untouched=UNTOUCHED,
            hint="such as https://github.com/acme/slack/releases/download/v1.2.0",
        )
    return None if at is None else f"{at.rstrip('/')}/"


def _check_free(origin: Path, target: Path) -> None:
    if target.exists() and _sha256(target) != _sha256(origin):
        raise ConfigError(
            "another file with this name exists",
            subject=str(target),
            untouched=UNTOUCHED,
            hint="raise the version, or remove that file if it was never published",
        )


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


__all__ = ["UNTOUCHED", "Archive", "Image", "artifacts_of", "folder_address", "images_of"]
