"""Maps one krew plugin manifest to a release. Pure. Format: krew's "Writing a plugin manifest", v1alpha1 and v1alpha2.

Mapped are: ``version`` (without ``v``), ``description``, ``caveats``, ``homepage``, and for each platform ``uri``,
``sha256``, ``selector`` (``matchLabels``, ``matchExpressions``; a number such as ``arch: 386`` is read as
text), ``bin`` and ``files``. A platform without ``files`` means all of them, as in a release.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

import msgspec

from registry_builder.source.documents import control_problems
from registry_builder.source.spelling import with_usual_platforms
from sealdex.model.decode import DocumentError, read_values
from sealdex.model.release import (
    Artifact,
    Release,
    artifact_file_name,
    artifact_format,
    artifact_kind,
    release_problems,
)
from sealdex.model.versions import parse_version, version_problem

API_VERSIONS = frozenset({f"krew.googlecontainertools.github.com/v1alpha{n}" for n in (1, 2)})
_KREW_VERSION = re.compile(r"v(?P<semantic>\d.*)")
_KNOWN = {
    "": {"apiVersion", "kind", "metadata", "spec"},
    "metadata": {"name", "annotations"},
    "spec": {"version", "shortDescription", "description", "caveats", "homepage", "platforms"},
    "platform": {"uri", "sha256", "selector", "bin", "files"},
    "selector": {"matchLabels", "matchExpressions"},
    "file": {"from", "to"},
}


class NotRepresentableError(ValueError):
    """A manifest that can't be represented as a release; the message is the reason."""


@dataclass(frozen=True)
class KrewVersion:
    """One version, mapped.

    Attributes:
        release: the resulting release.
        summary, annotations: of the plugin as a whole.
        left_out: reasons why parts of the manifest can't be represented.
        rewritten: values of `os` and `arch` that were normalised to what hosts report.
    """

    name: str
    release: Release
    summary: str
    annotations: Mapping[str, Any] = field(default_factory=dict)
    left_out: tuple[str, ...] = ()
    rewritten: tuple[str, ...] = ()


def semantic_version(version: object) -> str:
    """Return a krew version without its ``v``.

    Raises:
        NotRepresentableError: it isn't ``v`` followed by a semantic version.
    """
    if not isinstance(version, str):
        raise NotRepresentableError(f"version is {version!r}, not a string")
    match = _KREW_VERSION.fullmatch(version)
    if match is None:
        if version_problem(version) is None:
            raise NotRepresentableError(f"version '{version}' lacks the leading v of krew's versions")
        raise NotRepresentableError(f"version '{version}' is not a semantic version such as v1.2.3")
    if problem := version_problem(match["semantic"]):
        raise NotRepresentableError(f"version '{version}': '{match['semantic']}' {problem}")
    return match["semantic"]


def map_manifest(manifest: Mapping[str, Any], published: object) -> KrewVersion:
    """Map one version.

    Args:
        manifest: the plain values of the manifest.
        published: when it was published, ISO 8601 with offset.

    Raises:
        NotRepresentableError: it can't be a release, with every reason.
    """
    metadata, spec = _mapping(manifest, "metadata"), _mapping(manifest, "spec")
    if manifest.get("apiVersion") not in API_VERSIONS or manifest.get("kind") != "Plugin":
        raise NotRepresentableError(f"is not a krew plugin manifest (apiVersion {manifest.get('apiVersion')!r})")
    version = semantic_version(spec.get("version"))
    early = parse_version(version).prerelease is not None
    artifacts = [_artifact(platform) for platform in _list(spec, "platforms")]
    values: dict[str, Any] = {
        "version": version,
        "released_at": _utc(published),
        "channel": "beta" if early else "stable",
        "artifacts": _distinct_names(artifacts),
        "description": _text(spec, "description"),
        "caveats": _text(spec, "caveats"),
        "homepage": _text(spec, "homepage"),
    }
    present = {key: value for key, value in values.items() if value is not None}
    problems = [str(problem) for problem in control_problems(present)]
    try:
        release = read_values(present, Release)
    except DocumentError as error:
        raise NotRepresentableError("; ".join([*map(str, error.problems), *problems])) from error
    release, rewritten = with_usual_platforms(release)
    problems += (f"{where}: {message}" for where, message in release_problems(release))
    problems += _format_problems(release)
    if not release.artifacts:
        problems.append("spec.platforms is empty: there is nothing to install")
    if problems:
        raise NotRepresentableError("; ".join(problems))
    return KrewVersion(
        name=str(metadata.get("name")),
        release=release,
        summary=" ".join(str(spec.get("shortDescription") or metadata.get("name")).split()),
        annotations=metadata.get("annotations") or {},
        left_out=tuple(dict.fromkeys(_left_out(manifest, metadata, spec))),
        rewritten=rewritten,
    )


def _artifact(platform: object) -> dict[str, Any]:
    if not isinstance(platform, Mapping):
        raise NotRepresentableError("spec.platforms has an entry that is not a mapping")
    selector = platform.get("selector") or {}
    labels = {key: _label(value) for key, value in _mapping(selector, "matchLabels").items()}
    expressions = [_expression(e) for e in _list(selector, "matchExpressions")]
    artifact: dict[str, Any] = {"source": platform.get("uri"), "sha256": _lower(platform.get("sha256"))}
    if labels or expressions:
        artifact["selector"] = {"match_labels": labels, "match_expressions": expressions}
    if platform.get("bin"):
        artifact["bin"] = _plain_path(platform["bin"])
    if platform.get("files"):
        artifact["files"] = [
            {"from": _plain_path(f.get("from")), "to": _plain_path(f.get("to", ".")) or "."}
            for f in _list(platform, "files")
        ]
    return artifact


def _label(value: object) -> object:
    # YAML reads 386 as a number, but it is the name of an architecture
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _lower(value: object) -> object:
    return value.lower() if isinstance(value, str) else value


def _plain_path(value: object) -> object:
    return value.removeprefix("./") if isinstance(value, str) else value


def _expression(expression: Mapping[str, Any]) -> dict[str, Any]:
    values = expression.get("values") or []
    return {
        "key": expression.get("key"),
        "operator": expression.get("operator"),
        "values": [_label(value) for value in values],
    }


def _distinct_names(artifacts: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Give artifacts different names if their URLs have the same last part: they may share a folder when published."""
    by_name: dict[str, str] = {}
    for artifact in artifacts:
        if not isinstance(artifact["source"], str) or not isinstance(artifact["sha256"], str):
            continue  # read_values reports what is wrong with it
        name = artifact_file_name(Artifact(artifact["source"], artifact["sha256"]))
        if by_name.setdefault(name.lower(), artifact["sha256"]) != artifact["sha256"]:
            artifact["file"] = f"{artifact['sha256'][:12]}-{name}"
    return artifacts


def _format_problems(release: Release) -> Iterator[str]:
    for i, artifact in enumerate(release.artifacts):
        if artifact_kind(artifact.source) != "url":
            yield f"platforms[{i}].uri: '{artifact.source}' is not an http(s) URL"
        elif artifact_format(artifact) == "file":
            name = artifact_file_name(artifact)
            yield f"platforms[{i}].uri: '{name}' is neither .zip nor .tar.gz, the formats that krew unpacks"


def _utc(published: object) -> str:
    try:
        moment = datetime.fromisoformat(str(published).replace("Z", "+00:00"))
    except ValueError as error:
        raise NotRepresentableError(f"published is {published!r}, not an ISO 8601 time") from error
    if moment.tzinfo is None:
        raise NotRepresentableError(f"published is {published!r}, which has no offset from UTC")
    return moment.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def _mapping(values: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    found = values.get(key) or {}
    if not isinstance(found, Mapping):
        raise NotRepresentableError(f"{key} is not a mapping")
    return found


def _list(values: Mapping[str, Any], key: str) -> list[Any]:
    found = values.get(key) or []
    if not isinstance(found, list) or not all(isinstance(item, Mapping) for item in found):
        raise NotRepresentableError(f"{key} is not a list of mappings")
    return found


def _text(spec: Mapping[str, Any], key: str) -> str | None:
    value = spec.get(key)
    return value if value is None or not isinstance(value, str) else value.strip() or None


def _left_out(manifest: Mapping[str, Any], metadata: Mapping[str, Any], spec: Mapping[str, Any]) -> Iterator[str]:
    def unknown(values: Mapping[str, Any], kind: str, where: str) -> Iterator[str]:
        for key in values:
            if kind == "platform" and key == "head":
                yield "spec.platforms[].head: a URL without a digest, which can't be pinned"
            elif key not in _KNOWN[kind]:
                yield f"{where}{key}: is not a field of a krew manifest"

    yield from unknown(manifest, "", "")
    yield from unknown(metadata, "metadata", "metadata.")
    yield from unknown(spec, "spec", "spec.")
    for platform in _list(spec, "platforms"):
        yield from unknown(platform, "platform", "spec.platforms[].")
        yield from unknown(_mapping(platform, "selector"), "selector", "spec.platforms[].selector.")
        for file in _list(platform, "files"):
            yield from unknown(file, "file", "spec.platforms[].files[].")


def same_release(a: Release, b: Release) -> bool:
    """Return whether two releases are equal except for their times."""
    return msgspec.structs.replace(a, released_at=None) == msgspec.structs.replace(b, released_at=None)


__all__ = ["KrewVersion", "NotRepresentableError", "map_manifest", "same_release", "semantic_version"]
