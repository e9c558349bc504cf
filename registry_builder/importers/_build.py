"""From a foreign release, and what was read of its files, to a release. Looks into kept archives, writes nothing."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

from registry_builder.importers._binaries import platform_of
from registry_builder.importers.addresses import ascii_address, is_generated, unstable_address
from registry_builder.importers.contents import Measured
from registry_builder.importers.foreign import (
    ForeignFile,
    ForeignRelease,
    Packing,
    RemoteFile,
    SourceError,
    slug,
    stated_problems,
)
from registry_builder.importers.options import ImportOptions
from registry_builder.source.documents import control_problems
from registry_builder.source.file_list import file_list_pin
from registry_builder.source.spelling import with_usual_platforms
from sealdex.errors import SealdexError
from sealdex.model.decode import DocumentError, read_values
from sealdex.model.ids import PluginId, file_name_problem
from sealdex.model.release import Artifact, Release, artifact_file_name, artifact_format, release_problems
from sealdex.model.versions import parse_version

_IMAGE = re.compile(r"oci:[^\s@]+@sha256:[0-9a-f]{64}")
_ENDING = re.compile(r"(?:\.tar)?\.[A-Za-z0-9]{1,8}$")


class Wants(NamedTuple):
    """Whether the bytes of a file are read, and whether a copy is kept."""

    reading: bool
    keeping: bool


def wants_bytes(file: ForeignFile, options: ImportOptions) -> Wants:
    """Decide whether a file is read, and whether it is copied into the source tree.

    Raises:
        SourceError: what the source states can't be, or it can't stay where it is and may not be copied.
    """
    problems = list(stated_problems(file.digests, file.size))
    if problems:
        raise SourceError("; ".join(problems))
    if isinstance(file.origin, RemoteFile) and _IMAGE.fullmatch(file.origin.url):
        return Wants(reading=False, keeping=False)  # named by its digest, and never fetched
    url = file.origin.url if isinstance(file.origin, RemoteFile) else file.address
    if url is None:
        return Wants(reading=True, keeping=True)
    generated = file.generated or is_generated(url)
    if generated and options.ingest is not True:
        raise SourceError(
            f"{url}: is a source archive that the forge generates on request: its bytes change, so it can't be pinned. "
            "Take a file that was uploaded to the release, or copy it into the registry with --ingest"
        )
    unstable = file.unstable or unstable_address(url)
    keeping = options.ingest if options.ingest is not None else unstable is not None
    if unstable is not None and not keeping and not url.startswith(("http://", "https://")):
        raise SourceError(f"{url}: {unstable}: leave out --no-ingest")
    return Wants(reading=keeping or file.verify or "sha256" not in file.digests, keeping=keeping)


def build_release(
    plugin: PluginId,
    version: str,
    foreign: ForeignRelease,
    measured: Sequence[Measured],
    dependencies: Mapping[str, str],
    options: ImportOptions,
) -> Release:
    """Return the release.

    Args:
        plugin: what it is called here.
        version: what its version is here.
        foreign: what the source says.
        measured: what was read of its files.
        dependencies: by the names here.
        options: of the import.

    Raises:
        SourceError: it can't be one, with every reason.
    """
    early = parse_version(version).prerelease is not None
    values: dict[str, Any] = {"channel": "beta" if early else "stable", **foreign.fields, "version": version}
    if dependencies:
        values["dependencies"] = dict(dependencies)
    if "runtime" not in values and any(file.is_library for file in foreign.files):
        values["runtime"] = {"kind": "native"}
    problems: list[str] = []
    artifacts: list[dict[str, Any]] = []
    for number, (file, each) in enumerate(zip(foreign.files, measured, strict=True)):
        try:
            artifacts.append(_artifact(plugin, version, file, each, options))
        except SourceError as error:  # noqa: PERF203  # all of them are told
            problems.append(f"files[{number}]: {error}")
    values["artifacts"] = _distinct_names(artifacts)
    values = {name: value for name, value in values.items() if value not in (None, "", (), [])}
    problems += (f"{_named(foreign, p.path)}: {p.message}" for p in control_problems(values))
    try:
        release = read_values(values, Release)
    except DocumentError as error:
        raise SourceError(
            "; ".join([*(_said(foreign, p.path, p.message) for p in error.problems), *problems])
        ) from error
    release, _ = with_usual_platforms(release)
    problems += (_said(foreign, where, message) for where, message in release_problems(release))
    if not release.artifacts and not release.dependencies:
        problems.append("has no file and depends on nothing: there is nothing to install")
    if problems:
        raise SourceError("; ".join(problems))
    return release


def _said(foreign: ForeignRelease, where: str, message: str) -> str:
    return f"{_named(foreign, where)}: {message}" if where else message


def _named(foreign: ForeignRelease, where: str) -> str:
    """Return the path of a field with the source's name of it."""
    first = re.split(r"[.\[]", where, maxsplit=1)[0]
    return foreign.named.get(first, first) + where[len(first) :]


def _artifact(
    plugin: PluginId, version: str, file: ForeignFile, measured: Measured, options: ImportOptions
) -> dict[str, Any]:
    fields = dict(file.fields)
    if "selector" not in fields:
        selector = _selector(file, measured, options)
        if selector:
            fields["selector"] = selector
    if options.tags and "tags" not in fields:
        fields["tags"] = list(options.tags)
    if isinstance(file.origin, RemoteFile) and _IMAGE.fullmatch(file.origin.url):
        return {**fields, "source": file.origin.url, "sha256": measured.sha256}
    name = file.name or _last_part(file)
    plain = _plain_name(plugin, version, name)
    values: dict[str, Any] = {**fields, "sha256": measured.sha256}
    if measured.size >= 0:
        values["size"] = measured.size
    if measured.kept is None:
        values["source"] = ascii_address(file.address or str(file.origin))
        guessed = artifact_file_name(Artifact(values["source"], measured.sha256))
        if plain != guessed:
            values["file"] = plain
    else:
        values["source"] = f"plugins/{plugin}/dist/{version}/{plain}"
        fmt = artifact_format(Artifact(values["source"], measured.sha256, format=values.get("format")))
        if fmt == "zip":
            with suppress(SealdexError):  # the checks that follow report it
                if (pin := file_list_pin(measured.kept)) is not None:
                    values["file_list"] = {"size": pin.size, "sha256": pin.sha256}
    return values


def _selector(file: ForeignFile, measured: Measured, options: ImportOptions) -> Mapping[str, Any] | None:
    if file.is_library:
        platform = platform_of(measured.head if file.head is None else file.head)
        if platform is not None:
            return {"match_labels": platform}
        if options.selector is None:
            raise SourceError(
                f"{file.origin}: is not a library of a known platform (no ELF, Mach-O or PE header): rebuild it, or "
                "say what it is for with --selector os=linux,arch=amd64"
            )
    return options.selector


def _last_part(file: ForeignFile) -> str:
    if isinstance(file.origin, Packing):
        raise SourceError("an archive that is made needs a name")
    if isinstance(file.origin, RemoteFile):
        return file.origin.url.split("?", 1)[0].split("#", 1)[0].rstrip("/").rpartition("/")[2]
    return file.origin.path.name


def _plain_name(plugin: PluginId, version: str, name: str) -> str:
    """Return a name that a published file can have: as it is, or the plugin's with the same ending."""
    if file_name_problem(name) is None and name.lower() != "manifest.json":
        return name
    made = slug(name)
    if made is not None and file_name_problem(made) is None and made != "manifest.json":
        return made
    ending = _ENDING.search(name)
    return f"{plugin.name}-{version}{ending.group() if ending else ''}"


def _distinct_names(artifacts: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Give artifacts different names where theirs are the same: they share a folder when published."""
    by_name: dict[str, str] = {}
    for artifact in artifacts:
        if artifact["source"].startswith("oci:"):
            continue
        name = artifact_file_name(Artifact(artifact["source"], artifact["sha256"], file=artifact.get("file")))
        if by_name.setdefault(name.lower(), artifact["sha256"]) != artifact["sha256"]:
            own = f"{artifact['sha256'][:12]}-{name}"
            if artifact["source"].startswith(("http://", "https://")):
                artifact["file"] = own
            else:
                artifact["source"] = artifact["source"].rpartition("/")[0] + f"/{own}"
    return artifacts


__all__ = ["Wants", "build_release", "wants_bytes"]
