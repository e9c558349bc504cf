"""Reads a Model Hub: service packages and models, from its storage folder or from its address.

    storage/services/{id}/{version}.zip      with service.json and checksum.sha256 inside; latest.zip is a link
    storage/models/{id}/{version}/...        files of a model, with checksum.sha256 where the hub wrote it

Of a folder, ``api/services.json`` and ``api/models.json`` beside ``storage/`` may have what ``GET /api/services`` and
``GET /api/models`` answered: which versions are stable is told nowhere else.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import quote

from registry_builder.importers._checksums import CHECKSUMS, sums_in
from registry_builder.importers._hub_answers import Stated, asked, detailed, saved_answers
from registry_builder.importers._hub_releases import about_service, add_model, add_package, set_channels
from registry_builder.importers._packages import MAX_MANIFEST_BYTES, files_below
from registry_builder.importers.contents import Contents
from registry_builder.importers.foreign import (
    ForeignFile,
    ForeignPlugin,
    ForeignRelease,
    Found,
    LocalFile,
    PackedMember,
    RemoteFile,
    SourceError,
    shown,
    stated_problems,
)
from registry_builder.source.safe_open import Gate, UnreadableError
from sealdex.errors import NotFoundError, UnavailableError, UsageError
from sealdex.transport import Transport

SYSTEM = "model-hub"
LATEST = "latest"


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
    services = saved_answers(folder, "services", found)
    for service in _folders(gate, storage / "services", found):
        stated = services.setdefault(service.name, Stated())
        for entry in _entries(gate, Path(service.path), found):
            version, dot, ending = entry.name.rpartition(".")
            if not dot or ending.lower() != "zip" or entry.is_folder:
                found.notes.append(f"services/{service.name}/{shown(entry.name)}: not read: packages are VERSION.zip")
                continue
            path = Path(entry.path)
            if version == LATEST:
                stated.latest = stated.latest or _target_of(path)
                continue
            found.entries += 1
            place = f"services/{service.name}/{entry.name}"
            local = LocalFile(storage, path)
            add_package(found, service.name, version, place, local, stated, address=None)
    models = saved_answers(folder, "models", found)
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
            add_model(found, model.name, entry.name, place, members, data, models.get(model.name, Stated()))
    set_channels(found, services)
    return found


def _target_of(path: Path) -> str | None:
    """Return the version that ``latest.zip`` links to; None for a copy."""
    return Path(path.readlink()).stem if path.is_symlink() else None


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
    url: str,
    transport: Transport,
    scratch: Path,
    *,
    max_bytes: int,
    known: frozenset[tuple[str, str, str]] = frozenset(),
) -> Found:
    """Read a running hub. Packages are fetched once, since ``service.json`` is inside; they may stay at their address.

    Args:
        url: of the hub.
        transport: what asks it.
        scratch: a folder for packages.
        max_bytes: the maximum size of any of them.
        known: service, version and SHA-256 of packages that were imported already; these aren't fetched again.

    Raises:
        UnavailableError: it doesn't answer. UsageError: it answers with something else.
    """
    hub, found = url.rstrip("/"), Found()
    contents = Contents(transport, max_bytes=max_bytes, staging=scratch)
    services = asked(transport, f"{hub}/api/services", "services")
    for service, stated in services.items():
        for number, (version, fields) in enumerate(detailed(transport, hub, service, stated, found).versions.items()):
            found.entries += 1
            address = f"{hub}/storage/services/{quote(service, safe='')}/{quote(version, safe='')}.zip"
            place, digest = address, fields.get("sha256")
            if isinstance(digest, str) and (service, version, digest.lower()) in known:
                file = ForeignFile(RemoteFile(address), digests={"sha256": digest.lower()})
                found.releases.append(ForeignRelease(service, version, place, {}, (file,)))
                found.plugins.setdefault(
                    service, ForeignPlugin(service, (service,), about_service(stated.about, service))
                )
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
            add_package(found, service, version, place, LocalFile(scratch, copy), stated, address=address)
    models = asked(transport, f"{hub}/api/models", "models", required=False)
    for model, stated in models.items():
        for version in stated.versions:
            found.entries += 1
            base = f"{hub}/storage/models/{quote(model, safe='')}/{quote(version, safe='')}/"
            try:
                sums = transport.read(f"{base}{CHECKSUMS}", max_bytes=MAX_MANIFEST_BYTES).data
                members = {path: PackedMember(RemoteFile(base + quote(path))) for path, _ in sums_in(sums)}
            except (SourceError, UnavailableError) as error:
                found.refuse(base, model, version, f"{CHECKSUMS}: {error}: it says which files a model has")
                continue
            add_model(found, model, version, base, members, sums, stated)
    set_channels(found, services)
    return found


__all__ = ["SYSTEM", "read_hub_address", "read_hub_folder"]
