"""Service packages out of code and models that are apart: a map says which models a service's code works with.

    [services.nmt-m2m100]
    code = "services/nmt_m2m100"          # below the folder of the map
    version = "1.0.0"
    startup_command = "python nmt_service.py"
    models = [{ model_id = "m2m100-en-zh", version = "1.0.0", path = "models/nmt/m2m100-en-zh" }]

Other keys are those of ``service.json``; where the code has one, it is the default. ``stable`` and ``latest`` say which
channels the release is on. The models come from the Model Hub that is imported at the same time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from registry_builder.importers._hub_releases import service_values
from registry_builder.importers._packages import MAX_MANIFEST_BYTES, files_below
from registry_builder.importers._reading import export_bytes, list_of, text_of
from registry_builder.importers.foreign import (
    ForeignFile,
    ForeignPlugin,
    ForeignRelease,
    Found,
    LocalFile,
    PackedMember,
    Packing,
    SourceError,
    shown,
    summary_of,
    title_of,
    unknown_fields,
)
from registry_builder.source.safe_open import Gate, UnreadableError
from sealdex.archive.entries import path_problem
from sealdex.config.toml_reader import toml_values
from sealdex.errors import UsageError
from sealdex.model.decode import encode_pretty
from sealdex.model.foreign_release import MODELS_DIR, service_fields

_OF_SERVICE = frozenset({
    "service_id", "service_name", "version", "service_type", "port", "description", "models", "dependencies",
    "startup_command", "health_check", "created_at",
})  # fmt: skip
_KNOWN = _OF_SERVICE | {"code", "stable", "latest", "models_dir"}


def as_services(found: Found, path: Path) -> Found:
    """Return what was found with the services of a map in place of the models that they take.

    Raises:
        NotFoundError: there is no such map. UsageError: it isn't one.
    """
    try:
        values = toml_values(export_bytes(path).decode())
    except ValueError as error:
        raise UsageError(f"is not valid TOML: {error}", subject=str(path), untouched="nothing was imported") from error
    services = values.get("services")
    if not isinstance(services, dict) or not all(isinstance(each, dict) for each in services.values()):
        raise UsageError(
            "has no [services.ID]", subject=str(path), untouched="nothing was imported",
            hint="see: sealdex-builder import model-hub --help",
        )  # fmt: skip
    models = {(release.plugin, release.version): release for release in found.releases if _is_model(release)}
    made = replace(found, releases=list(found.releases), refused=list(found.refused), plugins=dict(found.plugins))
    used: set[tuple[str, str]] = set()
    for service, about in services.items():
        place = f"{path.name}: services.{service}"
        made.entries += 1
        try:
            release, plugin, taken = _service(service, dict(about), path.parent, place, models)
        except SourceError as error:
            made.refuse(place, service, about.get("version"), str(error).split("\n"))
            used |= _named(about, models)  # they are meant for the package, which the next run makes
            continue
        used |= taken
        made.plugins[service] = plugin
        made.releases.append(release)
    made.releases = [
        release for release in made.releases if (release.plugin, release.version) not in used or not _is_model(release)
    ]
    return made


def _named(about: Mapping[str, Any], models: Mapping[tuple[str, str], ForeignRelease]) -> set[tuple[str, str]]:
    """Return the models that a service of the map names, whatever else is wrong with it."""
    listed = about.get("models")
    wanted = [model for model in (listed if isinstance(listed, list) else []) if isinstance(model, dict)]
    return {
        (model, version)
        for model, version in models
        for each in wanted
        if each.get("model_id") == model and each.get("version", version) == version
    }


def _is_model(release: ForeignRelease) -> bool:
    return len(release.files) == 1 and isinstance(release.files[0].origin, Packing) and "service" not in release.fields


def _service(
    service: str,
    about: dict[str, Any],
    folder: Path,
    place: str,
    models: Mapping[tuple[str, str], ForeignRelease],
) -> tuple[ForeignRelease, ForeignPlugin, set[tuple[str, str]]]:
    problems: list[str] = [f"{name}: is not a key of a service's map" for name, _ in unknown_fields(about, _KNOWN)]
    code = text_of(about, "code", problems, required=True) or ""
    if path_problem(code.rstrip("/")) is not None:
        problems.append(f"code: '{shown(code)}' is not a folder below that of the map")
    elif not (folder / code).is_dir():
        problems.append(f"code: there is no folder '{shown(code)}' beside the map")
    if problems:
        raise SourceError("\n".join(problems))
    members = files_below(folder / code, root=folder)
    values: dict[str, Any] = {"service_id": service, "service_type": "python"}
    own = members.pop("service.json", None)
    if own is not None and isinstance(own.origin, LocalFile):
        try:
            values |= service_values(Gate(folder).read(own.origin.path, MAX_MANIFEST_BYTES), place)
        except UnreadableError as error:
            raise SourceError(f"service.json {error}") from error
    members.pop("checksum.sha256", None)  # made again
    values |= {key: value for key, value in about.items() if key in _OF_SERVICE}
    values.pop("sha256", None)
    version = text_of(values, "version", problems, required=True) or ""
    models_dir = text_of(about, "models_dir", problems) or MODELS_DIR
    taken: set[tuple[str, str]] = set()
    for number, model in enumerate(list_of(values, "models", problems)):
        where = f"models[{number}]"
        if not isinstance(model, dict) or not isinstance(model.get("model_id"), str):
            problems.append(f"{where}: is not a table with model_id, version and path")
            continue
        model.setdefault("path", f"{models_dir}/{model['model_id']}")
        known = sorted(v for m, v in models if m == model["model_id"])
        wanted = model.setdefault("version", known[0] if len(known) == 1 else None)
        release = models.get((model["model_id"], str(wanted)))
        if release is None:
            there = f"; it has {', '.join(known)}" if known else ""
            problems.append(f"{where}: the hub has no model '{shown(model['model_id'])}' {shown(wanted)}{there}")
            continue
        taken.add((model["model_id"], str(wanted)))
        problems += _placed(members, release, str(model["path"]).rstrip("/"), where)
    fields = service_fields(values, problems, models_dir)
    if problems:
        raise SourceError("\n".join(problems))
    if about.get("stable") is False:
        fields["channel"] = "latest" if about.get("latest") else "beta"
    packing = Packing(members, {"service.json": encode_pretty(values)}, checksums=True)
    plugin = ForeignPlugin(
        service,
        (service,),
        {
            "type": "service",
            "title": title_of(values.get("service_name")),
            "summary": summary_of(values.get("description"), values.get("service_name"), service),
            "description": values.get("description"),
        },
        readme=str(values.get("description") or ""),
    )
    release = ForeignRelease(
        plugin=service,
        version=version,
        place=place,
        fields=fields,
        files=(ForeignFile(packing, name=f"{service}-{version}.zip"),),
        named={"service": "startup_command", "released_at": "created_at"},
        channels=("latest",) if about.get("latest") and about.get("stable") is not False else (),
    )
    return release, plugin, taken


def _placed(members: dict[str, PackedMember], release: ForeignRelease, path: str, where: str) -> list[str]:
    """Put the files of a model below its path in the package; return what is wrong."""
    if problem := path_problem(path):
        return [f"{where}.path: '{shown(path)}' {problem}"]
    packing = release.files[0].origin
    wrong = []
    for name, member in packing.members.items() if isinstance(packing, Packing) else ():
        target = f"{path}/{name}"
        if target in members:
            wrong.append(f"{where}.path: '{shown(target)}' is in the code already")
        members[target] = member
    return wrong


__all__ = ["as_services"]
