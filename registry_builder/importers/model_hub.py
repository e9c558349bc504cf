"""Reads a Model Hub: service packages and models, from its storage folder or from its address.

    storage/services/{id}/{version}.zip      with service.json and checksum.sha256 inside; latest.zip is a link
    storage/models/{id}/{version}/...        files of a model, with checksum.sha256 where the hub wrote it

Of a folder, ``api/services.json`` and ``api/models.json`` beside ``storage/`` may have what ``GET /api/services`` and
``GET /api/models`` answered: which versions are stable is told nowhere else.
"""

from __future__ import annotations

import hashlib
import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

from registry_builder.importers._packages import MAX_MANIFEST_BYTES, ZipPackage, files_below
from registry_builder.importers._reading import (
    MAX_EXPORT_BYTES,
    export_bytes,
    in_utf8,
    list_of,
    object_of,
    strict_json,
    text_of,
    utc,
)
from registry_builder.importers.contents import Contents
from registry_builder.importers.foreign import (
    ForeignFile,
    ForeignPlugin,
    ForeignRelease,
    Found,
    LocalFile,
    PackedMember,
    Packing,
    RemoteFile,
    SourceError,
    present,
    shown,
    stated_problems,
    summary_of,
    title_of,
    unknown_fields,
)
from registry_builder.source.safe_open import Gate, UnreadableError
from sealdex.errors import NotFoundError, UnavailableError, UsageError
from sealdex.model.versions import parse_version, version_problem
from sealdex.transport import HttpStatusError, Transport

SYSTEM = "model-hub"
SERVICE_JSON = "service.json"
CHECKSUMS = "checksum.sha256"
LATEST = "latest"
_KNOWN = frozenset({
    "service_id", "service_name", "version", "service_type", "port", "description", "models", "dependencies",
    "startup_command", "health_check", "created_at", "sha256",
})  # fmt: skip
_NAMED = {
    "service": "startup_command", "released_at": "created_at", "runtime": "dependencies",
}  # fmt: skip
_SUM_LINE = re.compile(r"\\?(?P<digest>[0-9a-fA-F]{64}) [ *](?P<path>.+)")
_WHOLE_SUM = re.compile(r"\s*[0-9a-fA-F]{64}\s*")


@dataclass
class Stated:
    """What the hub's API says of one service or model.

    Attributes:
        about: the fields of the whole.
        versions: version to its fields.
        latest: the version behind ``latest``.
    """

    about: dict[str, Any] = field(default_factory=dict)
    versions: dict[str, dict[str, Any]] = field(default_factory=dict)
    latest: str | None = None


# --- a folder --------------------------------------------------------------------------------------------------------


def read_hub_folder(folder: Path) -> Found:
    """Read the hub's storage.

    Raises:
        NotFoundError: there is no such folder. UsageError: it isn't a hub's, or a saved answer can't be read.
    """
    if not folder.is_dir():
        raise NotFoundError("is not a folder", subject=str(folder), untouched="nothing was imported")
    storage = folder / "storage" if (folder / "storage").is_dir() else folder
    if not any((storage / kind).is_dir() for kind in ("services", "models")):
        raise UsageError(
            "has neither services/ nor models/", subject=str(folder), untouched="nothing was imported",
            hint="give the folder that has storage/, or storage/ itself",
        )  # fmt: skip
    found, gate = Found(), Gate(storage)
    services = _saved(folder, "services", found)
    for service in _folders(gate, storage / "services", found):
        stated = services.setdefault(service.name, Stated())
        for entry in _entries(gate, Path(service.path), found):
            version, dot, ending = entry.name.rpartition(".")
            if not dot or ending.lower() != "zip" or entry.is_folder:
                continue
            path = Path(entry.path)
            if version == LATEST:
                stated.latest = stated.latest or _target_of(path)
                continue
            found.entries += 1
            place = f"services/{service.name}/{entry.name}"
            local = LocalFile(storage, path)
            _package(found, service.name, version, place, local, stated, address=None)
    models = _saved(folder, "models", found)
    for model in _folders(gate, storage / "models", found):
        for entry in _folders(gate, Path(model.path), found):
            if entry.name == LATEST:
                continue
            found.entries += 1
            place = f"models/{model.name}/{entry.name}"
            try:
                members = files_below(Path(entry.path), root=storage)
            except SourceError as error:
                found.refuse(place, model.name, entry.name, str(error))
                continue
            sums = members.pop(CHECKSUMS, None)
            data = b""
            if sums is not None and isinstance(sums.origin, LocalFile):
                try:
                    data = gate.read(sums.origin.path, MAX_MANIFEST_BYTES)
                except UnreadableError as error:
                    found.refuse(place, model.name, entry.name, f"{CHECKSUMS} {error}")
                    continue
            _model(found, model.name, entry.name, place, members, data, models.get(model.name, Stated()))
    _channels(found, services)
    return found


def _target_of(path: Path) -> str | None:
    """Return the version that ``latest.zip`` links to; None for a copy."""
    return Path(path.readlink()).stem if path.is_symlink() else None


def _saved(folder: Path, kind: str, found: Found) -> dict[str, Stated]:
    for name in (f"api/{kind}.json", f"api/{kind}/index.json"):
        path = folder / name
        if path.is_file():
            try:
                return _stated(strict_json(export_bytes(path)), kind)
            except SourceError as error:
                raise UsageError(str(error), subject=str(path), untouched="nothing was imported") from error
    if kind == "services":
        found.notes.append(
            "no api/services.json is beside storage/: every release counts as stable, as nothing says otherwise "
            "(save it with: curl HUB/api/services)"
        )
    return {}


def _stated(values: object, kind: str) -> dict[str, Stated]:
    """Return what an answer of ``/api/services`` or ``/api/models`` says, by id.

    Raises:
        SourceError: it is something else.
    """
    if isinstance(values, dict):
        values = values.get(kind, values.get("data", [values]))
    if not isinstance(values, list) or not all(isinstance(each, dict) for each in values):
        raise SourceError(f"is not a list of {kind}")
    answer: dict[str, Stated] = {}
    for each in values:
        identity = each.get("service_id") or each.get("model_id") or each.get("id")
        if not isinstance(identity, str) or not identity:
            raise SourceError(f"has an entry without {kind[:-1]}_id")
        if identity in answer:
            raise SourceError(f"has '{shown(identity)}' twice")
        stated = Stated(about={k: v for k, v in each.items() if k != "versions"})
        latest = each.get("latest_version")
        stated.latest = latest if isinstance(latest, str) else None
        versions = each.get("versions")
        for version in versions if isinstance(versions, list) else [each.get("version")]:
            fields = version if isinstance(version, dict) else {"version": version}
            if isinstance(fields.get("version"), str):
                stated.versions[fields["version"]] = fields
        answer[identity] = stated
    return answer


def _folders(gate: Gate, folder: Path, found: Found) -> list[Any]:
    return [entry for entry in _entries(gate, folder, found) if entry.is_folder]


def _entries(gate: Gate, folder: Path, found: Found) -> list[Any]:
    if not gate.is_there(folder):
        return []

    def refused(path: str, why: str) -> None:
        found.refuse(gate.relative(path), Path(path).name, None, why)

    try:
        return [entry for entry in gate.entries(folder, refused) if not entry.name.startswith(".")]
    except UnreadableError as error:
        found.refuse(gate.relative(folder), folder.name, None, str(error))
        return []


# --- an address ------------------------------------------------------------------------------------------------------


def read_hub_address(
    url: str, transport: Transport, scratch: Path, *, max_bytes: int, known: frozenset[str] = frozenset()
) -> Found:
    """Read a running hub. Packages are fetched once, since ``service.json`` is inside; they may stay at their address.

    Args:
        url: of the hub.
        transport: what asks it.
        scratch: a folder for packages.
        max_bytes: the maximum size of any of them.
        known: SHA-256 of packages that were imported already; these aren't fetched again.

    Raises:
        UnavailableError: it doesn't answer. UsageError: it answers with something else.
    """
    hub, found = url.rstrip("/"), Found()
    contents = Contents(transport, max_bytes=max_bytes, staging=scratch)
    services = _asked(transport, f"{hub}/api/services", "services")
    for service, stated in services.items():
        for number, (version, fields) in enumerate(_detailed(transport, hub, service, stated).versions.items()):
            found.entries += 1
            address = f"{hub}/storage/services/{quote(service, safe='')}/{quote(version, safe='')}.zip"
            place, digest = address, fields.get("sha256")
            if isinstance(digest, str) and digest.lower() in known:
                file = ForeignFile(RemoteFile(address), digests={"sha256": digest.lower()})
                found.releases.append(ForeignRelease(service, version, place, {}, (file,)))
                found.plugins.setdefault(service, ForeignPlugin(service, (service,), _about(stated.about, service)))
                continue
            digests = {"sha256": digest} if digest is not None else {}
            try:
                if problems := list(stated_problems(digests, fields.get("size_bytes"))):
                    raise SourceError("; ".join(problems))  # noqa: TRY301  # one place lists them
                measured = contents.measure(RemoteFile(address), digests, fields.get("size_bytes"), keep=True)
            except SourceError as error:
                found.refuse(place, service, version, str(error))
                continue
            copy = scratch / f"{len(found.releases)}-{number}.zip"
            (measured.kept or copy).replace(copy)
            _package(found, service, version, place, LocalFile(scratch, copy), stated, address=address)
    models = _asked(transport, f"{hub}/api/models", "models", required=False)
    for model, stated in models.items():
        for version in stated.versions:
            found.entries += 1
            base = f"{hub}/storage/models/{quote(model, safe='')}/{quote(version, safe='')}/"
            try:
                sums = transport.read(f"{base}{CHECKSUMS}", max_bytes=MAX_MANIFEST_BYTES).data
                members = {path: PackedMember(RemoteFile(base + quote(path))) for path, _ in _sums(sums)}
            except (SourceError, UnavailableError) as error:
                found.refuse(base, model, version, f"{CHECKSUMS}: {error}: it says which files a model has")
                continue
            _model(found, model, version, base, members, sums, stated)
    _channels(found, services)
    return found


def _asked(transport: Transport, url: str, kind: str, *, required: bool = True) -> dict[str, Stated]:
    try:
        data = transport.read(url, max_bytes=MAX_EXPORT_BYTES).data
    except HttpStatusError as error:
        if error.status == 404 and not required:
            return {}
        raise
    try:
        return _stated(strict_json(in_utf8(data, f"{kind}.json", url)), kind)
    except SourceError as error:
        raise UsageError(str(error), subject=url, untouched="nothing was imported") from error


def _detailed(transport: Transport, hub: str, service: str, stated: Stated) -> Stated:
    """Add what ``/api/services/{id}`` says: digests are in it, and not in the list."""
    try:
        details = _asked(transport, f"{hub}/api/services/{quote(service, safe='')}", "services", required=False)
    except UsageError:
        return stated
    for version, fields in details.get(service, Stated()).versions.items():
        stated.versions[version] = {**stated.versions.get(version, {}), **fields}
    stated.about = {**details.get(service, Stated()).about, **stated.about}
    return stated


# --- a service package -----------------------------------------------------------------------------------------------


def _package(
    found: Found, service: str, version: str, place: str, local: LocalFile, stated: Stated, *, address: str | None
) -> None:
    fields_of = stated.versions.get(version, {})
    problems: list[str] = []
    try:
        with ZipPackage(local) as package:
            data = package.read(SERVICE_JSON)
            if data is None:
                raise SourceError(f"{SERVICE_JSON}: is missing at the top level of the zip")  # noqa: TRY301  # one place lists them
            values = service_values(data, place)
            problems += _wrong_members(package)
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
    record = dict(unknown_fields(values, _KNOWN))
    left = tuple(f"{name}: is not a field of {SERVICE_JSON}; it is kept in import.json" for name in record)
    if values.get("sha256"):
        record["sha256"] = values["sha256"]  # of what, nobody can tell: no file has the digest of its own archive
    known = found.plugins.get(service)
    if known is None or _is_newer(version, found, service):
        about = {**stated.about, **values}
        found.plugins[service] = ForeignPlugin(
            service, (service,), _about(about, service), readme=str(values.get("description") or "")
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


def _about(values: Mapping[str, Any], service: str) -> dict[str, Any]:
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


def service_fields(values: dict[str, Any], problems: list[str], models_dir: str = "models") -> dict[str, Any]:
    """Return the fields of a release for a ``service.json``; what is wrong goes to ``problems``."""
    kind = text_of(values, "service_type", problems) or "process"
    requires = object_of(values, "dependencies", problems) or {}
    problems += (
        f"dependencies.{shown(name)}: is '{shown(wanted)}', not a range or 'optional'"
        for name, wanted in requires.items()
        if not isinstance(wanted, str)
    )
    models = []
    for number, model in enumerate(list_of(values, "models", problems)):
        if not isinstance(model, dict):
            problems.append(f"models[{number}]: is not an object with model_id and path")
            continue
        entry = {k: model.get(k) for k in ("model_id", "model_type", "version", "path") if model.get(k) is not None}
        if isinstance(path := entry.get("path"), str):
            entry["path"] = path.rstrip("/")
        models.append(entry)
    fields: dict[str, Any] = {
        "description": text_of(values, "description", problems),
        "runtime": {"kind": kind.lower().replace("_", "-"), **({"requires": requires} if requires else {})},
        "models": models,
    }
    command = text_of(values, "startup_command", problems)
    service: dict[str, Any] = {}
    if command is not None:
        try:
            service["command"] = shlex.split(command)
        except ValueError as error:
            problems.append(f"startup_command: can't be read as a command: {error}")
    if values.get("port") is not None:
        service["port"] = values["port"]
    check = object_of(values, "health_check", problems)
    if check is not None:
        service["health_check"] = check
    if service and "command" not in service:
        problems.append("startup_command: is missing, and port or health_check are there: write how it is started")
    elif service:
        service["env"] = {"MODELS_DIR": models_dir}
        fields["service"] = service
    if values.get("created_at") is not None:
        try:
            fields["released_at"] = utc(values["created_at"], "created_at")
        except SourceError as error:
            problems.append(str(error))
    return present(fields)


def _wrong_members(package: ZipPackage) -> Iterator[str]:
    """Yield what of a package isn't what its ``checksum.sha256`` says."""
    data = package.read(CHECKSUMS)
    if data is None or _WHOLE_SUM.fullmatch(data.decode("ascii", "replace")):
        return  # of the package as a whole, which no file in it can state
    try:
        sums = list(_sums(data))
    except SourceError as error:
        yield f"{CHECKSUMS}: {error}"
        return
    for path, digest in sums:
        if not package.is_file(path):
            yield f"{CHECKSUMS}: names '{shown(path)}', which is not in the package"
            continue
        actual = hashlib.sha256()
        for piece in package.pieces(path):
            actual.update(piece)
        if actual.hexdigest() != digest:
            yield f"{path}: has other bytes than {CHECKSUMS} says: restore it"


def _sums(data: bytes) -> Iterator[tuple[str, str]]:
    """Yield path and digest of each line, in the format of ``sha256sum``.

    Raises:
        SourceError: a line is something else.
    """
    try:
        text = in_utf8(data, CHECKSUMS, CHECKSUMS).decode()
    except UsageError as error:
        raise SourceError(error.message) from error
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        match = _SUM_LINE.fullmatch(line)
        if match is None:
            raise SourceError(f"line {number} is not a line of sha256sum: DIGEST  FILE")
        yield match["path"].removeprefix("./"), match["digest"].lower()


# --- a model ---------------------------------------------------------------------------------------------------------


def _model(
    found: Found, model: str, version: str, place: str, members: dict[str, PackedMember], sums: bytes, stated: Stated
) -> None:
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
    file = ForeignFile(Packing(packed), name=f"{model}-{version}.zip")
    found.releases.append(ForeignRelease(model, version, place, fields, (file,), named=_NAMED))


def with_sums(members: Mapping[str, PackedMember], sums: bytes) -> dict[str, PackedMember]:
    """Return the files of a model with the digests that its ``checksum.sha256`` states.

    Raises:
        SourceError: it names a file that isn't there.
    """
    if not sums or _WHOLE_SUM.fullmatch(sums.decode("ascii", "replace")):
        return dict(members)
    digests = dict(_sums(sums))
    missing = [path for path in digests if path not in members and path != CHECKSUMS]
    if missing:
        raise SourceError("\n".join(f"{CHECKSUMS}: names '{shown(path)}', which is missing" for path in missing))
    return {
        path: PackedMember(member.origin, {"sha256": digests[path]} if path in digests else {})
        for path, member in members.items()
    }


# --- stable and latest -----------------------------------------------------------------------------------------------


def _channels(found: Found, services: Mapping[str, Stated]) -> None:
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


__all__ = ["SYSTEM", "Stated", "read_hub_address", "read_hub_folder", "service_fields", "service_values", "with_sums"]
