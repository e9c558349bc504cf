"""Reads a list: JSON lines that a five-line script prints, one a file; lines of one version are one release.

{"name": "tool", "version": "1.0.0", "address": "https://files.example/tool.zip", "digest": "sha256:...",
"selector": {"os": "linux"}, "licence": "MIT"}
"""

from __future__ import annotations

import urllib.parse
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from registry_builder.importers._reading import (
    by_length,
    lines_of,
    list_of,
    object_of,
    split_name,
    strict_json,
    text_of,
    utc,
)
from registry_builder.importers.foreign import (
    ForeignAttachment,
    ForeignFile,
    ForeignPlugin,
    ForeignRelease,
    Found,
    LocalFile,
    RemoteFile,
    SourceError,
    keywords,
    shown,
    stated_problems,
    summary_of,
    web_address,
)

SYSTEM = "list"
DEFAULT_LIST_TYPE = "build"
_OF_RELEASE = (
    "description", "changelog", "caveats", "homepage", "entry_point", "min_host_version", "channel", "runtime",
    "resources", "config_schema", "params_schema", "default_config", "service", "models", "rollout", "icon", "authors",
)  # fmt: skip
_OF_FILE = ("tags", "format", "bin", "files")
_OF_PLUGIN = ("type", "summary", "repository", "documentation")
KNOWN = frozenset({
    "name", "version", "address", "digest", "digests", "size", "file", "selector", "licence", "license", "released_at",
    "yanked", "deprecated", "use", "keywords", "dependencies", "attachments", *_OF_RELEASE, *_OF_FILE, *_OF_PLUGIN,
})  # fmt: skip


def read_list(path: Path, *, plugin_type: str = DEFAULT_LIST_TYPE) -> Found:
    """Read a list.

    Raises:
        NotFoundError: there is no such file. UsageError: it can't be read, or is not in UTF-8.
    """
    found = Found()
    releases: dict[tuple[str, str], ForeignRelease] = {}
    for number, line in lines_of(path):
        found.entries += 1
        place, name, version = f"{path.name}:{number}", "", ""
        try:
            if isinstance(line, SourceError):
                raise line  # one place lists them
            values = strict_json(line)
            if not isinstance(values, dict):
                raise SourceError('is not an object: {"name": ..., "version": ..., "address": ...}')  # noqa: TRY301
            name, version = shown(values.get("name")), shown(values.get("version"))
            release, plugin = _entry(values, place, path.parent, plugin_type)
        except SourceError as error:
            found.refuse(place, name, version, str(error).split("\n"))
            continue
        key = release.plugin, release.version
        if key in releases:
            try:
                releases[key] = _joined(releases[key], release)
            except SourceError as error:
                found.refuse(place, name, version, str(error))
                continue
        else:
            releases[key] = release
        # the last line of a plugin describes it
        found.plugins[release.plugin] = plugin
    found.releases = list(releases.values())
    return found


def _joined(first: ForeignRelease, other: ForeignRelease) -> ForeignRelease:
    differing = [k for k in {**first.fields, **other.fields} if first.fields.get(k) != other.fields.get(k)]
    if first.dependencies != other.dependencies:
        differing.append("dependencies")
    if differing:
        raise SourceError(
            f"{', '.join(differing)}: differs from {first.place}, which is of the same version: write the same in both"
        )
    return replace(
        first,
        files=(*first.files, *other.files),
        yanked=first.yanked if first.yanked is not None else other.yanked,
        attachments=(*first.attachments, *other.attachments),
        left_out=tuple(dict.fromkeys((*first.left_out, *other.left_out))),
    )


def _entry(values: dict[str, Any], place: str, folder: Path, plugin_type: str) -> tuple[ForeignRelease, ForeignPlugin]:
    problems: list[str] = []
    name = text_of(values, "name", problems, required=True) or ""
    version = text_of(values, "version", problems, required=True) or ""
    files = list(_files(values, folder, problems))
    fields: dict[str, Any] = {key: values[key] for key in _OF_RELEASE if values.get(key) is not None}
    terms = text_of(values, "licence", problems) or text_of(values, "license", problems)
    if terms:
        fields["license"] = terms
    if values.get("released_at") is not None:
        try:
            fields["released_at"] = utc(values["released_at"], "released_at")
        except SourceError as error:
            problems.append(str(error))
    dependencies = object_of(values, "dependencies", problems) or {}
    problems += [
        f"dependencies.{shown(other)}: is {shown(wanted)!r}, not a range such as '^1.2'"
        for other, wanted in dependencies.items()
        if not isinstance(wanted, str)
    ]
    attachments = tuple(_attachments(values, folder, problems))
    found_keywords, left = keywords(values.get("keywords"), "keywords")
    left += (f"{key}: is not a field of a list" for key in values if key not in KNOWN)
    if problems:
        raise SourceError("\n".join(problems))
    space, rest = split_name(name)
    plugin = ForeignPlugin(
        id=name,
        names=(rest,),
        namespace=space,
        fields={
            "type": values.get("type") or plugin_type,
            "summary": summary_of(values.get("summary"), values.get("description"), rest),
            "description": values.get("description"),
            "license": terms,
            "keywords": found_keywords,
            **{key: web_address(values.get(key)) for key in ("homepage", "repository", "documentation")},
        },
        readme=str(values.get("description") or ""),
        deprecated=_reason(values, "deprecated"),
        use=values.get("use") if isinstance(values.get("use"), str) else None,
    )
    release = ForeignRelease(
        plugin=name,
        version=version,
        place=place,
        fields=fields,
        files=tuple(files),
        dependencies=dependencies,
        yanked=_reason(values, "yanked"),
        attachments=attachments,
        left_out=tuple(left),
    )
    return release, plugin


def _reason(values: dict[str, Any], name: str) -> str | None:
    """Return the reason of a mark: ``true`` is one without, a text is its reason."""
    value = values.get(name)
    return value if isinstance(value, str) else "" if value is True else None


def _files(values: dict[str, Any], folder: Path, problems: list[str]) -> Iterator[ForeignFile]:
    address = text_of(values, "address", problems)
    if address is None:
        if not values.get("dependencies"):
            problems.append("address: is missing: write where the file is, or what the release depends on")
        return
    digests: dict[str, str] = {}
    stated = [values["digest"]] if values.get("digest") is not None else []
    for digest in [*stated, *list_of(values, "digests", problems)]:
        try:
            if not isinstance(digest, str):
                raise SourceError(f"digest: is {shown(digest)!r}, not a text")  # noqa: TRY301  # one place lists them
            algorithm, digits = by_length(digest)
            digests[algorithm] = digits
        except SourceError as error:  # noqa: PERF203  # all of them are told
            problems.append(str(error))
    problems += stated_problems(digests, values.get("size"))
    fields = {key: values[key] for key in _OF_FILE if values.get(key) is not None}
    if values.get("selector") is not None:
        fields["selector"] = _selector(values["selector"], problems)
    origin = _origin(address, folder, problems)
    if origin is not None:
        name = text_of(values, "file", problems)
        yield ForeignFile(origin, name=name, digests=digests, size=values.get("size"), fields=fields)


def _selector(value: object, problems: list[str]) -> Any:
    if not isinstance(value, dict):
        problems.append('selector: is not an object such as {"os": "linux", "arch": "amd64"}')
        return None
    return value if {"match_labels", "match_expressions"} & set(value) else {"match_labels": value}


def _origin(address: str, folder: Path, problems: list[str]) -> LocalFile | RemoteFile | None:
    if address.startswith(("http://", "https://", "oci:")):
        return RemoteFile(address)
    if "://" in address:
        scheme = urllib.parse.urlsplit(address).scheme
        problems.append(f"address: scheme '{shown(scheme)}' is not supported: write an https:// address or a path")
        return None
    parts = Path(address).parts
    if address.startswith(("/", "\\")) or ".." in parts or "\\" in address:
        problems.append(f"address: '{shown(address)}' is not a path below the folder of the list, with forward slashes")
        return None
    return LocalFile(folder, folder / address)


def _attachments(values: dict[str, Any], folder: Path, problems: list[str]) -> Iterator[ForeignAttachment]:
    for number, each in enumerate(list_of(values, "attachments", problems)):
        where = f"attachments[{number}]"
        if not isinstance(each, dict) or not isinstance(each.get("address"), str):
            problems.append(f'{where}: is not an object such as {{"address": ..., "kind": ...}}')
            continue
        origin = _origin(each["address"], folder, problems)
        if origin is None:
            continue
        sha256: str | None = None
        if isinstance(each.get("digest"), str):
            try:
                algorithm, digits = by_length(each["digest"])
            except SourceError as error:
                problems.append(f"{where}.{error}")
                continue
            sha256 = digits if algorithm == "sha256" else None
        name = each.get("name") or each["address"].split("?", 1)[0].rstrip("/").rpartition("/")[2]
        yield ForeignAttachment(origin, str(name), each.get("kind"), sha256)


__all__ = ["DEFAULT_LIST_TYPE", "KNOWN", "SYSTEM", "read_list"]
