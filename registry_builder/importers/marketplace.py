"""Reads the marketplace's messages as JSON: ``PluginDetails``, ``RegisterPluginRequest``, ``DownloadPluginResponse``.

A file has one message, a list of them, or an object with ``plugins``, ``requests`` and ``downloads`` (plugin to version
to ``download_url``). Fields are named as in proto3 (``download_url``) or in its JSON (``downloadUrl``); enums are names
or numbers. ``PluginIdentifier`` is defined nowhere in the marketplace's documents: a text, or an object with
``namespace``, ``name`` and ``version``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from registry_builder.importers._reading import export_bytes, list_of, split_name, strict_json, text_of
from registry_builder.importers.foreign import (
    ForeignFile,
    ForeignPlugin,
    ForeignRelease,
    Found,
    RemoteFile,
    SourceError,
    keywords,
    present,
    shown,
    stated_problems,
    summary_of,
    unknown_fields,
    web_address,
)
from sealdex.errors import UsageError
from sealdex.model.ids import normalise_type
from sealdex.model.versions import version_problem
from sealdex.text import counted

SYSTEM = "marketplace"
TYPES = ("TYPE_UNSPECIFIED", "HAL_DRIVER", "ACR_ALGORITHM", "TRAINING_SCRIPT", "APPLICATION_SUITE")
_IMAGE = re.compile(r"(?:oci:(?://)?|docker://)?(?P<repository>[^\s@]+)@sha256:(?P<digest>[0-9a-f]{64})")
_OF_FILE = ("download_url", "sha256", "checksum", "size")
_FALSE = (None, False, "", "false", "False")  # 0 is one too
_TAGGED = re.compile(r"(?:oci://|docker://)?[a-z0-9.-]+(?::\d+)?/[a-z0-9._/-]+:[\w.-]+")
KNOWN = frozenset({
    "id", "name", "type", "description", "versions", "version", "author", "license", "homepage", "repository",
    "documentation", "keywords", "tags", "compatibility", "compatibility_tags", "download_url", "sha256", "checksum",
    "size", "dependencies", "private", "visibility",
})  # fmt: skip


def read_marketplace(path: Path, *, template: str | None = None, plugin_type: str | None = None) -> Found:
    """Read a file of messages.

    Args:
        path: the file.
        template: where downloads are that no message names, with ``{namespace}``, ``{name}`` and ``{version}``.
        plugin_type: of plugins whose type isn't stated.

    Raises:
        NotFoundError: there is no such file. UsageError: it isn't such messages.
    """
    try:
        values = strict_json(export_bytes(path))
        messages, downloads = _messages(values)
    except SourceError as error:
        raise UsageError(str(error), subject=str(path), untouched="nothing was imported") from error
    found = Found()
    merged: dict[str, dict[str, Any]] = {}
    places: dict[str, str] = {}
    refused: set[tuple[str, str]] = set()
    for number, message in enumerate(messages, 1):
        found.entries += 1
        place = f"{path.name}:{number}"
        try:
            identity, version = _identity(message)
            if identity in merged and "versions" in message and "versions" in merged[identity]:
                raise SourceError(f"id: '{shown(identity)}' is given twice, first in {places[identity]}")  # noqa: TRY301  # one place lists them
        except SourceError as error:
            found.refuse(place, message.get("name") or message.get("id"), None, str(error).split("\n"))
            continue
        entry = merged.setdefault(identity, {})
        places.setdefault(identity, place)
        about = {k: v for k, v in message.items() if v not in (None, "", [])}
        if version is not None:
            of_versions = entry.setdefault("of_versions", {})
            before = of_versions.get(version, {})
            if differing := [k for k in _OF_FILE if k in before and k in about and before[k] != about[k]]:
                why = f"{', '.join(differing)}: differs from another message about {shown(version)}: keep one of them"
                found.refuse(place, identity, version, why)
                refused.add((identity, version))
            of_versions[version] = {**before, **about}
            about = {k: v for k, v in about.items() if k not in _OF_FILE}  # a file is of one version
        entry.update(about)
    for identity, message in merged.items():
        _plugin(found, identity, message, places[identity], downloads.get(identity, {}), template, plugin_type)
    found.releases = [release for release in found.releases if (release.plugin, release.version) not in refused]
    return found


def _messages(values: Any) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    downloads: dict[str, Any] = {}
    if isinstance(values, dict) and not ({"id", "name"} & {_snake(key) for key in values}):
        raw = values.get("downloads")
        if raw is not None and not isinstance(raw, dict):
            raise SourceError('downloads: is not an object such as {"PLUGIN": {"VERSION": {"download_url": ...}}}')
        downloads = raw or {}
        lists = [values[key] for key in ("plugins", "requests") if key in values]
        if not lists:
            raise SourceError("has neither a message nor 'plugins' or 'requests'")
        if not all(isinstance(each, list) for each in lists):
            raise SourceError("plugins, requests: is not a list")
        values = [message for each in lists for message in each]
    elif isinstance(values, dict):
        values = [values]
    if not isinstance(values, list) or not all(isinstance(message, dict) for message in values):
        raise SourceError("is not a list of PluginDetails and RegisterPluginRequest")
    return [{_snake(key): value for key, value in message.items()} for message in values], downloads


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])([A-Z])", lambda m: f"_{m[1].lower()}", name)


def _identity(message: Mapping[str, Any]) -> tuple[str, str | None]:
    """Return how the marketplace identifies a plugin, and the version where a message is about one."""
    version = message.get("version")
    identity = message.get("id", message.get("name"))
    if isinstance(identity, dict):
        plain = {_snake(key): value for key, value in identity.items()}
        name = plain.get("name") or plain.get("id") or plain.get("plugin_id")
        space = plain.get("namespace") or plain.get("organization") or plain.get("owner")
        version = plain.get("version") or version
        identity = f"{space}/{name}" if space and name else name
    if not isinstance(identity, str) or not identity.strip():
        raise SourceError("id: is missing: a PluginIdentifier has a name")
    return identity.strip(), version if isinstance(version, str) and version else None


def _plugin(
    found: Found,
    identity: str,
    message: dict[str, Any],
    place: str,
    downloads: object,
    template: str | None,
    plugin_type: str | None,
) -> None:
    problems: list[str] = []
    kind = _type(message.get("type"), plugin_type, problems)
    description = text_of(message, "description", problems)
    words, left = keywords(message.get("keywords") or message.get("tags"), "keywords")
    space, name = split_name(identity)
    of_versions: dict[str, Any] = message.pop("of_versions", {})
    versions = [*list_of(message, "versions", problems), *of_versions]
    for number, version in enumerate(versions):
        if not isinstance(version, str):
            problems.append(f"versions[{number}]: is {shown(version)!r}, not a text")
    if not versions:
        problems.append("versions: is empty: there is nothing to import")
    if not isinstance(downloads, dict):
        problems.append(f"downloads.{shown(identity)}: is not an object of versions")
    if problems:
        found.refuse(place, identity, None, problems)
        return
    if message.get("private") not in _FALSE or str(message.get("visibility") or "public").lower() != "public":
        left.append(
            "private: who may read it is decided by the realm that a plugin is in: see docs/private.md, and set realm "
            "in plugin.yaml before it is published"
        )
    if problem := _one_address(message, [v for v in versions if v not in of_versions], downloads):
        found.refuse(place, identity, None, problem)
        return
    record = dict(unknown_fields(message, KNOWN))
    author = message.get("author")
    found.plugins[identity] = ForeignPlugin(
        identity,
        (name,),
        {
            "type": kind,
            "summary": summary_of(description, name),
            "description": description,
            "license": message.get("license") if isinstance(message.get("license"), str) else None,
            "keywords": words,
            "owners": [{"name": author[:128]}] if isinstance(author, str) and author.strip() else [],
            **{key: web_address(message.get(key)) for key in ("homepage", "repository", "documentation")},
        },
        readme=description or "",
        namespace=space,
    )
    for version in dict.fromkeys(versions):
        own = {**message, **of_versions.get(version, {})}
        stated = downloads.get(version) if isinstance(downloads, dict) else None
        try:
            file = _file(own, stated, _filled(template, space, name, version))
        except SourceError as error:
            found.refuse(place, identity, version, str(error).split("\n"))
            continue
        fields = {
            "description": description,
            "license": own.get("license"),
            "authors": [author] if isinstance(author, str) and author.strip() else None,
            "tags": own.get("compatibility_tags") or own.get("compatibility"),
        }
        dependencies = dict(_dependencies(own))
        found.releases.append(
            ForeignRelease(
                plugin=identity,
                version=version,
                place=place,
                fields=present(fields),
                files=(file,) if file is not None else (),
                named={"tags": "compatibility"},
                dependencies=dependencies,
                record=record,
                left_out=tuple(left),
            )
        )


def _one_address(message: Mapping[str, Any], versions: list[Any], downloads: object) -> str | None:
    """Return why one address can't be that of all versions; an alias such as ``latest`` may share it."""
    stated = downloads if isinstance(downloads, dict) else {}
    sharing = {version for version in versions if version_problem(version) is None and version not in stated}
    if len(sharing) < 2 or not message.get("download_url"):
        return None
    several = counted(len(sharing), "version")
    return f"download_url: is one address for {several}: say below 'downloads' which file each has"


def _type(value: object, plugin_type: str | None, problems: list[str]) -> str | None:
    if isinstance(value, int) and not isinstance(value, bool):
        value = TYPES[value] if 0 <= value < len(TYPES) else None
    if value in (None, "", TYPES[0]):
        value = plugin_type
    if value is None:
        problems.append(f"type: is missing or unknown: known are {', '.join(TYPES[1:])}; or give --type TYPE")
        return None
    return normalise_type(str(value))


def _filled(template: str | None, space: str | None, name: str, version: str) -> str | None:
    if template is None:
        return None
    for key, value in (("namespace", space or ""), ("name", name), ("version", version)):
        template = template.replace(f"{{{key}}}", value)
    return template


def _file(own: Mapping[str, Any], stated: object, filled: str | None) -> ForeignFile | None:
    if isinstance(stated, str):
        stated = {"download_url": stated}
    values = {_snake(k): v for k, v in stated.items()} if isinstance(stated, dict) else dict(own)
    address = values.get("download_url") or filled
    if address is None:
        if own.get("dependencies"):
            return None  # a suite
        raise SourceError(
            "download_url: is missing: add it to 'downloads' of the file, or give --downloads with a template such as "
            "https://nexus.example/{name}/{version}.zip"
        )
    if not isinstance(address, str):
        raise SourceError(f"download_url: is {shown(address)!r}, not a text")
    stated_digests = [
        str(values[name]).removeprefix("sha256:").lower() for name in ("sha256", "checksum") if values.get(name)
    ]
    digests = {"sha256": stated_digests[0]} if stated_digests else {}
    if len(set(stated_digests)) > 1:
        raise SourceError("sha256, checksum: are different digests: keep the one that is right")
    size: Any = int(values["size"]) if str(values.get("size", "")).isdecimal() else values.get("size")
    if problems := list(stated_problems(digests, size)):
        raise SourceError("\n".join(problems))
    image = _IMAGE.fullmatch(address)
    if image is not None:
        source = f"oci:{image['repository']}@sha256:{image['digest']}"
        return ForeignFile(RemoteFile(source), digests={"sha256": image["digest"]})
    if _TAGGED.fullmatch(address):
        raise SourceError(
            f"download_url: '{shown(address)}' is a tag of a container image, which may be moved: write "
            "REPOSITORY@sha256:DIGEST (docker buildx imagetools inspect shows it)"
        )
    if not address.startswith(("http://", "https://")):
        raise SourceError(f"download_url: '{shown(address)}' is neither an http(s) address nor an image with a digest")
    return ForeignFile(RemoteFile(address), digests=digests, size=size)


def _dependencies(own: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    found = own.get("dependencies")
    if isinstance(found, dict):
        yield from ((str(name), str(wanted)) for name, wanted in found.items())
    for each in found if isinstance(found, list) else []:
        if isinstance(each, dict):
            try:
                identity, version = _identity({_snake(k): v for k, v in each.items()})
            except SourceError:
                continue
            yield identity, version or "*"
        else:
            name, _, wanted = str(each).partition("@")
            yield name, wanted or "*"


__all__ = ["KNOWN", "SYSTEM", "TYPES", "read_marketplace"]
