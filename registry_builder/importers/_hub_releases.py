"""A Model Hub's packages and models as releases: ``service.json``, what the hub says, ``stable`` and ``latest``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from registry_builder.importers._checksums import CHECKSUMS, unlisted, with_sums, wrong_members
from registry_builder.importers._hub_answers import Stated
from registry_builder.importers._packages import ZipPackage
from registry_builder.importers._reading import in_utf8, list_of, strict_json, utc
from registry_builder.importers.foreign import (
    ForeignFile,
    ForeignPlugin,
    ForeignRelease,
    Found,
    LocalFile,
    PackedMember,
    Packing,
    SourceError,
    present,
    shown,
    stated_problems,
    summary_of,
    title_of,
    unknown_fields,
)
from sealdex.errors import UsageError
from sealdex.model.foreign_release import SERVICE_JSON, service_fields
from sealdex.model.versions import parse_version, version_problem

KNOWN = frozenset({
    "service_id", "service_name", "version", "service_type", "port", "description", "models", "dependencies",
    "startup_command", "health_check", "created_at", "sha256",
})  # fmt: skip
_NAMED = {
    "service": "startup_command", "released_at": "created_at", "runtime": "dependencies",
}  # fmt: skip


def add_package(
    found: Found, service: str, version: str, place: str, local: LocalFile, stated: Stated, *, address: str | None
) -> None:
    """Add a service package, or why it can't be one."""
    fields_of = stated.versions.get(version, {})
    problems: list[str] = []
    try:
        with ZipPackage(local) as package:
            data = package.read(SERVICE_JSON)
            if data is None:
                raise SourceError(f"{SERVICE_JSON}: is missing at the top level of the zip")  # noqa: TRY301  # one place lists them
            values = service_values(data, place)
            problems += wrong_members(package)
            problems += (
                f"models[{number}].path: '{shown(model.get('path'))}' is not in the package"
                for number, model in enumerate(list_of(values, "models", problems))
                if isinstance(model, dict)
                and isinstance(path := model.get("path"), str)
                and not any(
                    name == path.rstrip("/") or name.startswith(f"{path.rstrip('/')}/") for name in package.entries
                )
            )
        for name, wanted in (("service_id", service), ("version", version)):
            if values.get(name) != wanted:
                problems.append(f"{name}: is '{shown(values.get(name))}', but the file is that of '{shown(wanted)}'")
        fields = service_fields(values, problems)
        digest = fields_of.get("sha256")
        digests = {"sha256": digest} if digest is not None else {}
        problems += stated_problems(digests, fields_of.get("size_bytes"))
        if problems:
            raise SourceError("\n".join(problems))  # noqa: TRY301  # as above
    except SourceError as error:
        found.refuse(place, service, version, str(error).split("\n"))
        return
    file = ForeignFile(
        local,
        name=f"{service}-{version}.zip",
        digests=digests,
        size=fields_of.get("size_bytes"),
        address=address,
        verify=True,
    )
    _add_service(found, service, version, place, values, fields, file, stated)


def _add_service(
    found: Found,
    service: str,
    version: str,
    place: str,
    values: Mapping[str, Any],
    fields: dict[str, Any],
    file: ForeignFile,
    stated: Stated,
) -> None:
    record = dict(unknown_fields(values, KNOWN))
    left = tuple(f"{name}: is not a field of {SERVICE_JSON}; it is kept in import.json" for name in record)
    if values.get("sha256"):
        record["sha256"] = values["sha256"]  # of what, nobody can tell: no file has the digest of its own archive
    known = found.plugins.get(service)
    if known is None or _is_newer(version, found, service):
        about = {**stated.about, **values}
        found.plugins[service] = ForeignPlugin(
            service, (service,), about_service(about, service), readme=str(values.get("description") or "")
        )
    found.releases.append(
        ForeignRelease(
            plugin=service,
            version=version,
            place=place,
            fields=fields,
            files=(file,),
            named=_NAMED,
            record=record,
            left_out=left,
        )
    )


def _is_newer(version: str, found: Found, plugin: str) -> bool:
    others = [r.version for r in found.releases if r.plugin == plugin and version_problem(r.version) is None]
    return version_problem(version) is None and all(parse_version(version) > parse_version(other) for other in others)


def about_service(values: Mapping[str, Any], service: str) -> dict[str, Any]:
    """Return the fields of a service's plugin."""
    return {
        "type": "service",
        "title": title_of(values.get("service_name")),
        "summary": summary_of(values.get("description"), values.get("service_name"), service),
        "description": values.get("description") if isinstance(values.get("description"), str) else None,
    }


def service_values(data: bytes, place: str) -> dict[str, Any]:
    """Return the values of a ``service.json``.

    Raises:
        SourceError: it can't be read.
    """
    try:
        values = strict_json(in_utf8(data, SERVICE_JSON, place))
    except UsageError as error:
        raise SourceError(f"{SERVICE_JSON}: {error.message}; {error.hint}") from error
    except SourceError as error:
        raise SourceError(f"{SERVICE_JSON}: {error}") from error
    if not isinstance(values, dict):
        raise SourceError(f"{SERVICE_JSON}: is not an object")
    return values


def add_model(
    found: Found, model: str, version: str, place: str, members: dict[str, PackedMember], sums: bytes, stated: Stated
) -> None:
    """Add a version of a model, or why it can't be one."""
    try:
        packed = with_sums(members, sums)
        if not packed:
            raise SourceError("has no files")  # noqa: TRY301  # one place lists them
    except SourceError as error:
        found.refuse(place, model, version, str(error).split("\n"))
        return
    kind = stated.about.get("model_type") or stated.about.get("type")
    entry = {"model_id": model, "version": version, "path": ".", "model_type": kind if isinstance(kind, str) else None}
    fields_of = stated.versions.get(version, {})
    fields: dict[str, Any] = {"models": [present(entry)]}
    if isinstance(fields_of.get("created_at"), str):
        try:
            fields["released_at"] = utc(fields_of["created_at"], "created_at")
        except SourceError as error:
            found.refuse(place, model, version, str(error))
            return
    about = stated.about
    found.plugins[model] = ForeignPlugin(
        model,
        (model,),
        {
            "type": "model",
            "summary": summary_of(about.get("model_name"), about.get("name"), about.get("description"), model),
        },
        readme=str(about.get("description") or ""),
    )
    if unnamed := unlisted(packed, sums):
        names = ", ".join(map(shown, unnamed[:10]))
        found.notes.append(f"{place}: {CHECKSUMS} doesn't name {names}: taken as they are")
    file = ForeignFile(Packing(packed), name=f"{model}-{version}.zip")
    found.releases.append(ForeignRelease(model, version, place, fields, (file,), named=_NAMED))


def set_channels(found: Found, services: Mapping[str, Stated]) -> None:
    """Make ``stable`` and ``latest`` channels: what the hub marks as stable, and what ``latest.zip`` leads to."""
    releases = []
    for release in found.releases:
        stated = services.get(release.plugin, Stated())
        is_stable = stated.versions.get(release.version, {}).get("stable", True) is True
        is_latest = release.version == stated.latest
        fields = dict(release.fields)
        if not is_stable:
            fields["channel"] = "latest" if is_latest else "beta"
        extra = ("latest",) if is_latest and is_stable else ()
        releases.append(replace(release, fields=fields, channels=extra))
    found.releases = releases


__all__ = ["KNOWN", "about_service", "add_model", "add_package", "service_values", "set_channels"]
