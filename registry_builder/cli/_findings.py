"""What `status` and `doctor` found, in the shape that both programs show; see `sealdex.cli.findings`."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from sealdex.cli.findings import document_of, exit_code_of, show_findings

if TYPE_CHECKING:
    from collections.abc import Iterable

    from registry_builder.maintenance.doctor import Finding
    from registry_builder.maintenance.status import RealmStatus, RoleStatus


class Told(NamedTuple):
    """One thing that was looked at; ``subject`` begins with the realm."""

    check: str
    subject: str
    state: str
    detail: str
    remedy: str = ""
    exit_code: int = 0


_STATES = {"ok": "ok", "warning": "warning", "error": "problem", "unknown": "unknown"}


def of_storage(realm: str, findings: Iterable[Finding]) -> list[Told]:
    """Return what `doctor` found of a realm's storage."""
    return [
        Told(f.check, realm, _STATES[f.level], f.message, f.remedy, 1 if f.level == "error" else 0) for f in findings
    ]


def of_status(found: RealmStatus) -> list[Told]:
    """Return what `status` found of a realm: when each role expires, and whether everything is published."""
    told = [_of_role(found.realm, role) for role in found.roles]
    newest = found.newest_root[0]
    if not found.is_published:
        told.append(Told("published", found.realm, "warning", "nothing is published yet", "sealdex-builder publish"))
    elif found.published_root is not None and found.published_root < newest:
        detail = f"root {newest} of the source tree is not published yet"
        told.append(Told("published", found.realm, "warning", detail, "sealdex-builder publish"))
    return told


def _of_role(realm: str, role: RoleStatus) -> Told:
    subject = f"{realm} {role.role}"
    if role.expires is None:
        return Told("expiry", subject, "ok", "is not published yet")
    day = f"{role.expires:%Y-%m-%d}"
    if not role.due:
        return Told("expiry", subject, "ok", f"expires on {day}")
    detail = f"expired on {day}: clients refuse the registry" if role.expired else f"must be re-signed before {day}"
    return Told("expiry", subject, "problem", detail, role.remedy, 1)


__all__ = ["Told", "document_of", "exit_code_of", "of_status", "of_storage", "show_findings"]
