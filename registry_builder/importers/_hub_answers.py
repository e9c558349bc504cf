"""What a Model Hub says of its services and models: answers of ``/api/services`` and ``/api/models``, live or saved."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

from registry_builder.importers._reading import MAX_EXPORT_BYTES, export_bytes, in_utf8, strict_json
from registry_builder.importers.foreign import Found, SourceError, shown
from sealdex.errors import UsageError
from sealdex.transport import HttpStatusError, Transport


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


def saved_answers(folder: Path, kind: str, found: Found) -> dict[str, Stated]:
    """Return what is saved beside a hub's folder, by id; a note where nothing is.

    Raises:
        UsageError: it is something else.
    """
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


def asked(transport: Transport, url: str, kind: str, *, required: bool = True) -> dict[str, Stated]:
    """Return what a running hub answers, by id.

    Raises:
        UnavailableError: it doesn't answer. UsageError: it answers with something else.
    """
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


def detailed(transport: Transport, hub: str, service: str, stated: Stated, found: Found) -> Stated:
    """Add what ``/api/services/{id}`` says: digests are in it, and not in the list. What can't be read is a note."""
    try:
        details = asked(transport, f"{hub}/api/services/{quote(service, safe='')}", "services", required=False)
    except UsageError as error:
        found.notes.append(f"services/{service}: {error.message}, so no digest of the hub is compared")
        return stated
    for version, fields in details.get(service, Stated()).versions.items():
        stated.versions[version] = {**stated.versions.get(version, {}), **fields}
    stated.about = {**details.get(service, Stated()).about, **stated.about}
    return stated


__all__ = ["Stated", "asked", "detailed", "saved_answers"]
