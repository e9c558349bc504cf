"""The manifest of one release, as authors write it: ``releases/<version>.json`` (or YAML).

Strict: a field that is not named here is refused as a typo. The published form (`PublishedManifest`) is the same with
the plugin's identity added; clients read it leniently, so that they live on when fields are added.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

from msgspec import Meta, Struct, field

from sealdex.lazy import regex
from sealdex.model.ids import (
    FileName,
    IdentifierPart,
    PluginType,
    Sha256,
    Timestamp,
    file_name_problem,
    parse_plugin_id,
)
from sealdex.model.ranges import RangeText, parse_range
from sealdex.model.selectors import LabelKey, Selector, Tag, overlap, selector_problems
from sealdex.model.versions import VersionText, version_problem

MANIFEST_FORMAT = 1
ARCHIVE_FORMATS = ("zip", "tar.gz", "tar.zst")
ARTIFACT_FORMATS = (*ARCHIVE_FORMATS, "file", "oci")

RelativePath = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=1024,
        extra={"expects": "a relative path with forward slashes and without '..'"},
    ),
]
Quantity = Annotated[
    str,
    Meta(
        pattern=r"^\d+(\.\d+)?(m|k|M|G|T|P|Ki|Mi|Gi|Ti|Pi)?$(?!\n)",
        examples=["100m", "128Mi", "4"],
        extra={"expects": "a Kubernetes quantity such as 100m, 4, 128Mi or 2Gi"},
    ),
]
Channel = Annotated[
    str,
    Meta(
        pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$(?!\n)",
        max_length=32,
        examples=["stable", "beta"],
        extra={"expects": "a channel name such as 'stable' or 'beta'"},
    ),
]


class FileMapping(Struct, forbid_unknown_fields=True, omit_defaults=True, frozen=True, rename={"source": "from"}):
    """Which files of an archive go where: parts of ``from`` may hold ``*``, ``/*`` ends a whole folder."""

    source: Annotated[str, Meta(min_length=1, max_length=1024)]
    to: Annotated[str, Meta(max_length=1024)] = "."


class FileListPin(Struct, forbid_unknown_fields=True, omit_defaults=True, frozen=True):
    """Bytes and SHA-256 of an archive's list of files, ``<file>.files.json`` (`sealdex.model.files`)."""

    size: Annotated[int, Meta(ge=1)]
    sha256: Sha256


class Artifact(Struct, forbid_unknown_fields=True, omit_defaults=True, frozen=True):
    """One downloadable file and the environments it is for.

    Attributes:
        source: a path in the source tree, an ``https://`` address, or ``oci:REPOSITORY@sha256:DIGEST``.
        sha256: digest of the file; for a container image, that of its manifest.
        size: bytes; may be left out for an address, whose length then isn't known.
        format: ``zip``, ``tar.gz``, ``tar.zst``, ``file`` (installed as it is) or ``oci``; guessed from the name.
        file: name under the release's folder in the published tree; default: the last part of `source`.
        selector: environments it is for; empty means all.
        tags: compatibility tags the environment must all have.
        bin: the program that this artifact brings, as a path after unpacking.
        files: what is taken out of the archive; empty means all of it.
        file_list: the list of all files of a zip in the source tree; `release` writes it.
    """

    source: Annotated[str, Meta(min_length=1, max_length=2048)]
    sha256: Sha256
    size: Annotated[int, Meta(ge=0)] | None = None
    format: Annotated[str, Meta(pattern=r"^(zip|tar\.gz|tar\.zst|file|oci)$(?!\n)")] | None = None
    file: FileName | None = None
    selector: Selector = Selector()
    tags: tuple[Tag, ...] = ()
    bin: RelativePath | None = None
    files: tuple[FileMapping, ...] = ()
    file_list: FileListPin | None = None


class Resources(Struct, forbid_unknown_fields=True, omit_defaults=True, frozen=True):
    """What the plugin needs from the host, in Kubernetes quantities."""

    cpu: Quantity | None = None
    memory: Quantity | None = None
    disk: Quantity | None = None
    gpu: Quantity | None = None


class Runtime(Struct, forbid_unknown_fields=True, omit_defaults=True, frozen=True):
    """What runs the entry point: ``python``, ``process``, ``native``, ``rust``, ``container`` ... and its needs.

    ``requires`` maps a tool or facility to a range or to ``optional`` (``{"python": ">=3.10", "cuda": "optional"}``).
    """

    kind: Annotated[str, Meta(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$(?!\n)", max_length=32)]
    requires: dict[str, str] = {}


class Model(Struct, forbid_unknown_fields=True, omit_defaults=True, frozen=True):
    """A model inside the package: what it is and its path after unpacking."""

    model_id: Annotated[str, Meta(min_length=1, max_length=128)]
    path: RelativePath
    model_type: Annotated[str, Meta(max_length=64)] | None = None
    version: Annotated[str, Meta(max_length=128)] | None = None


class HealthCheck(Struct, forbid_unknown_fields=True, omit_defaults=True, frozen=True):
    """The health check of a running service; ``timeout`` and ``interval`` are in seconds."""

    endpoint: Annotated[str, Meta(pattern="^/", max_length=1024, extra={"expects": "a path such as /health"})]
    method: Annotated[str, Meta(pattern=r"^(GET|HEAD|POST)$(?!\n)")] = "GET"
    port: Annotated[int, Meta(ge=1, le=65535)] | None = None
    timeout: Annotated[float, Meta(gt=0)] = 5.0
    interval: Annotated[float, Meta(gt=0)] = 1.0


class Service(Struct, forbid_unknown_fields=True, omit_defaults=True, frozen=True):
    """How a service package is started: ``command`` is an argument list, run in the version's folder."""

    command: tuple[Annotated[str, Meta(min_length=1)], ...]
    port: Annotated[int, Meta(ge=1, le=65535)] | None = None
    env: dict[str, str] = {}
    health_check: HealthCheck | None = None


class AbTest(Struct, forbid_unknown_fields=True, omit_defaults=True, frozen=True):
    """To which hosts a release is offered in an A/B test; the others stay with what they would get without it.

    Attributes:
        experiment: its name: releases of one namespace with the same name reach the same hosts.
        share: the share, in per cent, of the hosts or label values that are offered it.
        by: the label whose value decides; default: the random id of the host.
        selector: the hosts that take part, by their labels.
    """

    experiment: IdentifierPart
    share: Annotated[int, Meta(ge=0, le=100)] = 100
    by: LabelKey | None = None
    selector: Selector = Selector()


class _ReleaseFields(Struct, forbid_unknown_fields=True, omit_defaults=True, frozen=True, kw_only=True):
    """What authored and published manifests have in common."""

    version: VersionText
    released_at: Timestamp | None = None
    channel: Channel = "stable"
    artifacts: tuple[Artifact, ...] = ()
    description: str | None = None
    changelog: str | None = None
    caveats: str | None = None
    homepage: str | None = None
    authors: tuple[str, ...] = ()
    license: str | None = None
    selector: Selector = Selector()
    tags: tuple[Tag, ...] = ()
    min_host_version: VersionText | None = None
    dependencies: dict[str, RangeText] = {}
    entry_point: Annotated[str, Meta(min_length=1, max_length=512)] | None = None
    runtime: Runtime | None = None
    resources: Resources | None = None
    config_schema: dict[str, Any] | None = None
    params_schema: dict[str, Any] | None = None
    default_config: dict[str, Any] | None = None
    icon: str | None = None
    models: tuple[Model, ...] = ()
    service: Service | None = None
    rollout: Annotated[int, Meta(ge=0, le=100)] = 100
    ab: AbTest | None = None


class Release(_ReleaseFields, forbid_unknown_fields=True, omit_defaults=True, frozen=True, kw_only=True):
    """The manifest of one release, as written in the source tree. Never changes once published.

    Attributes:
        schema: the ``$schema`` line that points editors at the JSON Schema.
        format: format number of this file.
        version: the semantic version; the file's name must be the same.
        released_at: when the release was made, UTC.
        channel: the channel it is released to; ``promote`` adds others later.
        artifacts: tried in order: the first whose selector and tags match is the one.
        selector, tags, min_host_version: conditions that every artifact shares.
        dependencies: plugin id to version range.
        entry_point: what a host loads: ``module:attribute``, a library or a program.
        rollout: the share of hosts, in per cent, that are offered this release.
        ab: an A/B test, instead of a rollout.
    """

    schema: str | None = field(default=None, name="$schema")
    format: Annotated[int, Meta(ge=1)] = MANIFEST_FORMAT


class PublishedManifest(_ReleaseFields, forbid_unknown_fields=True, omit_defaults=True, frozen=True, kw_only=True):
    """The full manifest as it is published, pinned by the index document; written once."""

    format: Annotated[int, Meta(ge=1)]
    namespace: str
    name: str


# --- meaning: what the types alone don't say -------------------------------------------------------------------------

_ANY_SCHEME = regex(r"[a-zA-Z][a-zA-Z0-9+.-]+://")
_PLAIN_PATH = regex(r"[A-Za-z0-9_.@+-][A-Za-z0-9_.@+ /-]*")
_DRIVE = regex(r"[A-Za-z]:")
_CONTROL = regex(r"[\x00-\x1f\x7f]")
_HOST = regex(r"(?:\[[0-9A-Fa-f:.]+\]|[^\[\]:?#]+)(?::(?P<port>[0-9]{0,5}))?(?=[?#]|$)")
_BLANK = regex(r"[\s\x00-\x1f]")  # what str.isspace knows, and C0
_FORMATS = {".zip": "zip", ".tar.gz": "tar.gz", ".tgz": "tar.gz", ".tar.zst": "tar.zst", ".tzst": "tar.zst"}
_ENDINGS = tuple(_FORMATS)
_OCI_RE = regex(r"oci:[a-z0-9]+(_[a-z0-9_]+)?([.:/-][a-z0-9_]+)*@sha256:(?P<digest>[0-9a-f]{64})")


def artifact_kind(source: str) -> str:
    """Return ``oci``, ``url`` or ``path``: the kind of an artifact's source."""
    if source.startswith(("https://", "http://")):
        return "url"  # nearly all of them, told without the pattern
    if source.startswith("oci:"):
        return "oci"
    return "url" if _ANY_SCHEME.match(source) else "path"


def artifact_file_name(artifact: Artifact) -> str:
    """Return the artifact's file name under its release's folder: stated, or the last part of its source."""
    if artifact.file is not None:
        return artifact.file
    path = artifact.source
    if "?" in path or "#" in path:
        path = path.split("?", 1)[0].split("#", 1)[0]
    return path.rstrip("/").rpartition("/")[2]


def artifact_format(artifact: Artifact) -> str:
    """Return the format: stated, or told by the source's ending; anything unknown is a single ``file``."""
    if artifact.format is not None:
        return artifact.format
    if artifact.source.startswith("oci:"):
        return "oci"
    name = artifact_file_name(artifact).lower()
    if not name.endswith(_ENDINGS):
        return "file"
    return next(fmt for ending, fmt in _FORMATS.items() if name.endswith(ending))


def relative_path_problem(path: str) -> str | None:
    """Return why a path can't be used inside an installation, or None if it can."""
    if ".." not in path and _PLAIN_PATH.fullmatch(path):
        return None  # nearly all of them, told at once
    if path.startswith(("/", "\\")) or _DRIVE.match(path):
        return "must be relative"
    if "\\" in path:
        return "must use forward slashes"
    if ".." in path.split("/"):
        return "must not contain '..'"
    if _CONTROL.search(path):
        return "must not contain control characters"
    return None


def release_problems(release: Release) -> Iterator[tuple[str, str]]:
    """Yield (field path, what is wrong and what to write) for every rule that the types don't express.

    Pure: rules that need the rest of the tree (does a dependency exist?) are the builder's lint.
    """
    if release.format > MANIFEST_FORMAT:
        upgrade = "upgrade it (pip install --upgrade sealdex-builder), and what your workflows install"
        yield "format", f"is {release.format}, and this version reads up to format {MANIFEST_FORMAT}: {upgrade}"
    if problem := version_problem(release.version):
        yield "version", f"'{release.version}' {problem}"
    if release.min_host_version and (problem := version_problem(release.min_host_version)):
        yield "min_host_version", f"'{release.min_host_version}' {problem}"
    for where, problem in selector_problems(release.selector):
        yield f"selector.{where}".rstrip("."), problem
    if release.ab is not None:
        yield from _ab_problems(release.ab, release.rollout)
    for plugin, wanted in release.dependencies.items():
        yield from _dependency_problems(plugin, wanted)
    for i, model in enumerate(release.models):
        if path_problem := relative_path_problem(model.path):
            yield f"models[{i}].path", f"'{model.path}' {path_problem}"
    if release.service is not None and not release.service.command:
        yield "service.command", "is empty: write the program and its arguments as a list"
    for i, artifact in enumerate(release.artifacts):
        for where, problem in _artifact_problems(artifact):
            yield f"artifacts[{i}].{where}".rstrip("."), problem
    yield from _artifacts_together(release.artifacts)


def _ab_problems(test: AbTest, rollout: int) -> Iterator[tuple[str, str]]:
    if rollout != 100:
        yield "rollout", "can't stand beside ab: write the share of the A/B test as ab.share, and remove rollout"
    if test.share == 100 and not test.selector:
        yield "ab", "offers the release to every host: write a share below 100, or a selector"
    for where, problem in selector_problems(test.selector):
        yield f"ab.selector.{where}".rstrip("."), problem


def _dependency_problems(plugin: str, wanted: str) -> Iterator[tuple[str, str]]:
    try:
        parse_plugin_id(plugin)
    except ValueError as error:
        yield f'dependencies["{plugin}"]', str(error)
    try:
        parse_range(wanted)
    except ValueError as error:
        yield f'dependencies["{plugin}"]', str(error)


def _is_host(authority: str) -> bool:
    match = _HOST.match(authority)
    return match is not None and int(match["port"] or 0) < 1 << 16


def _artifact_problems(artifact: Artifact) -> Iterator[tuple[str, str]]:
    kind = artifact_kind(artifact.source)
    if kind == "oci":
        match = _OCI_RE.fullmatch(artifact.source)
        if match is None:
            yield "source", f"'{artifact.source}' is not an image with a digest: write oci:REPOSITORY@sha256:DIGEST"
        elif match["digest"] != artifact.sha256:
            yield "sha256", "differs from the digest in source: write the same digest"
    elif kind == "url":
        scheme = artifact.source.split(":", 1)[0].lower()
        if scheme not in {"https", "http"}:
            yield "source", f"scheme '{scheme}' is not supported: write an https:// address or a path"
        elif _BLANK.search(artifact.source):
            yield "source", "contains white space: percent-encode it (%20)"
        elif "@" in artifact.source.split("/", 3)[2]:
            yield "source", "contains a user name or password: remove it, the manifest is public"
        elif not _is_host(artifact.source.split("/", 3)[2]):
            yield "source", "has no valid host and port: correct the address"
    else:
        if problem := relative_path_problem(artifact.source):
            yield "source", f"'{artifact.source}' {problem} (paths are relative to the source tree)"
        if artifact.size is None:
            yield "size", "is missing: an artifact in the source tree states its size in bytes"
    if kind != "oci":
        if artifact.format == "oci":
            yield "format", "is 'oci', but source is not an image: write oci:REPOSITORY@sha256:DIGEST"
        name = artifact_file_name(artifact)
        if problem := file_name_problem(name):
            yield "file" if artifact.file else "source", f"file name '{name}' {problem}; set `file`"
        elif name.lower() == "manifest.json":
            yield (
                "file" if artifact.file else "source",
                "manifest.json is the name of the full manifest; set `file`",
            )
    if artifact.file_list is not None and (kind != "path" or artifact_format(artifact) != "zip"):
        yield "file_list", "is for zip archives in the source tree: remove it"
    if artifact.selector.match_expressions:
        for where, problem in selector_problems(artifact.selector):
            yield f"selector.{where}".rstrip("."), problem
    if artifact.bin is not None and (problem := relative_path_problem(artifact.bin)):
        yield "bin", f"'{artifact.bin}' {problem}"
    for i, mapping in enumerate(artifact.files):
        for name, path in (("from", mapping.source.lstrip("/")), ("to", mapping.to)):
            if problem := relative_path_problem(path):
                yield f"files[{i}].{name}", f"'{path}' {problem}"


def _artifacts_together(artifacts: tuple[Artifact, ...]) -> Iterator[tuple[str, str]]:
    by_name: dict[str, int] = {}
    tags = [frozenset(artifact.tags) for artifact in artifacts]
    for i, artifact in enumerate(artifacts):
        if not artifact.source.startswith("oci:"):
            first = by_name.setdefault(artifact_file_name(artifact).lower(), i)
            # one archive may serve several environments; two different files may not share a name
            if artifacts[first].sha256 != artifact.sha256 and artifact_kind(artifact.source) == "path":
                yield f"artifacts[{i}].file", f"has the same file name as artifacts[{first}]: set `file`"
        for j in range(i):
            other = artifacts[j]
            if tags[i] != tags[j]:
                continue  # order decides between artifacts that need different tags
            if (witness := overlap(artifact.selector, other.selector)) is not None:
                example = ", ".join(f"{k}={v}" for k, v in witness.items()) or "any environment"
                yield (
                    f"artifacts[{i}].selector",
                    f"overlaps with artifacts[{j}].selector: both match {example}; make them exclude each other",
                )


def published_manifest(namespace: str, name: str, release: Release) -> PublishedManifest:
    """Return the published form of a release: the same fields plus identity, without ``$schema``."""
    shared = {f: getattr(release, f) for f in _ReleaseFields.__struct_fields__}
    return PublishedManifest(format=release.format, namespace=namespace, name=name, **shared)


__all__ = [
    "ARCHIVE_FORMATS",
    "ARTIFACT_FORMATS",
    "MANIFEST_FORMAT",
    "Artifact",
    "Channel",
    "FileMapping",
    "HealthCheck",
    "Model",
    "PluginType",
    "PublishedManifest",
    "Release",
    "Resources",
    "Runtime",
    "Service",
    "artifact_file_name",
    "artifact_format",
    "artifact_kind",
    "published_manifest",
    "relative_path_problem",
    "release_problems",
]
