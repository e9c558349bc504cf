"""``release.yaml``: the starting point of the next release's manifest, kept beside the payload in the working copy.

It has the fields of a release file. Its ``artifacts`` say what each archive is for, before size and digest are known:

    version: 1.2.0
    entry_point: slack:Plugin
    artifacts:
      - match: "*-linux-amd64.zip"
        selector: {match_labels: {os: linux, arch: amd64}}
      - image: harbor.example/acme/slack@sha256:0123…       # a container image, beside archives or alone

``release`` adds what only the archives can tell. Without ``artifacts``, there is one archive, for every host.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from msgspec import Meta, Struct

from registry_builder.source.documents import MAX_MANIFEST_BYTES, control_problems
from registry_builder.source.safe_open import Gate, UnreadableError
from registry_builder.source.text import text_problem, without_mark
from registry_builder.source.yaml12 import YamlError, read_yaml
from sealdex.errors import ConfigError
from sealdex.model.decode import DocumentError, FieldProblem, problems_in, read_values
from sealdex.model.ids import FileName
from sealdex.model.release import FileMapping, RelativePath, Release, release_problems
from sealdex.model.selectors import Selector, Tag

TEMPLATE_NAME = "release.yaml"
IMAGE_PATTERN = r"^(oci:)?[a-z0-9]+(_[A-Za-z0-9_]+)?([.:/-][A-Za-z0-9_]+)*@sha256:[0-9a-f]{64}$"


class ArtifactTemplate(Struct, forbid_unknown_fields=True, frozen=True):
    """One future artifact: ``match`` is a shell pattern for an archive's file name; the rest is as in a release file.

    With ``image`` it is a container image, ``REPOSITORY@sha256:DIGEST``, and no archive is needed for it.
    """

    match: Annotated[str, Meta(min_length=1, max_length=200)] = "*"
    image: Annotated[str, Meta(pattern=IMAGE_PATTERN)] | None = None
    format: Annotated[str, Meta(pattern="^(zip|tar\\.gz|tar\\.zst|file)$")] | None = None
    file: FileName | None = None
    selector: Selector = Selector()
    tags: tuple[Tag, ...] = ()
    bin: RelativePath | None = None
    files: tuple[FileMapping, ...] = ()


class _ArtifactTemplates(Struct, frozen=True):
    artifacts: tuple[ArtifactTemplate, ...] = ()


@dataclass(frozen=True)
class ReleaseTemplate:
    """A template as read.

    Attributes:
        path: the file.
        release: its fields, without artifacts.
        artifacts: what its archives are for; empty if it doesn't say.
        states_channel: whether it names a channel, so that none is guessed.
    """

    path: Path
    release: Release
    artifacts: tuple[ArtifactTemplate, ...]
    states_channel: bool


def read_template(path: Path) -> ReleaseTemplate:
    """Read a release template.

    Raises:
        ConfigError: it can't be read or is wrong; all problems are listed.
    """
    try:
        values = _values(Gate(path.parent), path)
        release, artifacts = _split(values)
    except (UnreadableError, YamlError) as error:
        raise ConfigError(f"{TEMPLATE_NAME} {error}", subject=str(path)) from error
    except DocumentError as error:
        raise ConfigError("; ".join(map(str, error.problems)), subject=str(path)) from error
    return ReleaseTemplate(path, release, artifacts, states_channel="channel" in values)


def checked_template(gate: Gate, path: Path) -> tuple[Release | None, list[FieldProblem]]:
    """Read a release template through a gate, and return its fields, if they can be read, with every problem."""
    try:
        release, _ = _split(_values(gate, path))
    except (UnreadableError, YamlError) as error:
        return None, [FieldProblem("", str(error))]
    except ConfigError as error:
        return None, [FieldProblem("", error.message.removeprefix(f"{TEMPLATE_NAME} "))]
    except DocumentError as error:
        return None, error.problems
    return release, [FieldProblem(where, message) for where, message in release_problems(release)]


def _values(gate: Gate, path: Path) -> Any:
    data = without_mark(gate.read(path, MAX_MANIFEST_BYTES))
    if problem := text_problem(data, TEMPLATE_NAME):
        raise ConfigError(f"{TEMPLATE_NAME} {problem}", subject=str(path))
    return read_yaml(data)


def _split(values: Any) -> tuple[Release, tuple[ArtifactTemplate, ...]]:
    if not isinstance(values, dict):
        raise DocumentError([FieldProblem("", "must be a mapping, such as 'version: 1.0.0'")])
    about_artifacts = {name: value for name, value in values.items() if name == "artifacts"}
    rest = {name: value for name, value in values.items() if name != "artifacts"}
    problems = [
        *problems_in(rest, Release),
        *problems_in(about_artifacts, _ArtifactTemplates),
        *control_problems(values),
        *_image_problems(about_artifacts.get("artifacts")),
    ]
    if problems:
        raise DocumentError(problems)
    return read_values(rest, Release), read_values(about_artifacts, _ArtifactTemplates).artifacts


def _image_problems(artifacts: Any) -> Iterator[FieldProblem]:
    """Yield the fields of archives that stand beside ``image``."""
    for number, each in enumerate(artifacts if isinstance(artifacts, list) else ()):
        if isinstance(each, dict) and "image" in each:
            for field in ("match", "format", "file", "bin", "files"):
                if field in each:
                    yield FieldProblem(f"artifacts[{number}].{field}", "is for archives: remove it beside `image`")


__all__ = ["TEMPLATE_NAME", "ArtifactTemplate", "ReleaseTemplate", "checked_template", "read_template"]
