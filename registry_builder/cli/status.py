"""The ``status`` command: what is published, when it expires, who signs it and which keys are available."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from registry_builder import maintenance
from registry_builder.cli._findings import document_of, exit_code_of, of_status, show_findings
from registry_builder.cli.markdown import status_markdown
from registry_builder.cli.options import BY_URL, REALMS, SUMMARY, append, example, reader_storage, tree_of
from registry_builder.cli.realms import open_realm, realms_named, tree_without_plugins
from sealdex.cli.group import output_of, output_options
from sealdex.text import counted

if TYPE_CHECKING:
    from registry_builder.maintenance.status import RealmStatus, RoleStatus
    from sealdex.cli.output import Output


@click.command(epilog=example("sealdex-builder status", "sealdex-builder status --json"))
@REALMS
@BY_URL
@SUMMARY
@output_options
@click.pass_context
def status(ctx: click.Context, realms: tuple[str, ...], by_url: bool, summary: Path | None) -> int:
    """Show what is published, when it expires, who signs it and which keys are available here.

    Exits 1 if a role expires soon or has expired: run refresh, or let the holders of its keys sign. The storage itself
    is checked by sealdex-builder doctor.
    """
    out, root = output_of(ctx), tree_of(ctx)
    tree = tree_without_plugins(root)
    found: list[RealmStatus] = []
    for name in realms_named(tree, realms):
        if by_url and not realms and tree.config.realms[name].url is None:
            out.warn(f"realm {name} is skipped: it has no url in registry.toml")
            continue
        place = reader_storage(tree.config, name, by_url=by_url)
        with out.progress(f"reading {name}") as progress:
            found.append(maintenance.realm_status(open_realm(tree, name, progress, storage=place, allow_expired=True)))
    for each in found:
        _show_status(out, each)
    if summary is not None:
        append(summary, status_markdown(found))
    told = [each for realm in found for each in of_status(realm)]
    out.result(
        {
            **document_of(told),
            "needs_signing": any(each.needs_signing for each in found),
            "realms": list(map(_status_document, found)),
        }
    )
    return exit_code_of(told)


def _show_status(out: Output, status_: RealmStatus) -> None:
    published = counted(status_.plugins, "plugin") if status_.is_published else "nothing is published yet"
    out.line(f"realm {status_.realm}: {status_.storage}, {published}", style="bold")
    rows = [
        (
            role.role if role.count == 1 else out.say(f"{role.count} {role.role}"),
            "-" if role.version is None else str(role.version),
            f"{role.expires:%Y-%m-%d}" if role.expires else "-",
            f"{role.threshold} of {len(role.keys)} keys",
            ", ".join(_key(key.name, key.here) for key in role.keys),
            role.when,
        )
        for role in status_.roles
    ]
    out.table(("role", "version", "expires", "signed by", "keys (here: *)", ""), rows, worded=("signed by", ""))
    first, newest = status_.first_root, status_.newest_root
    out.line(f"root {first[0]}: SHA-256 {first[1]}")
    if newest != first:
        out.line(f"root {newest[0]}: SHA-256 {newest[1]}")
    show_findings(out, [each for each in of_status(status_) if each.state != "ok"])
    if status_.expired_text:
        out.warn(status_.expired_text)
    for note in status_.notes:
        out.note(note)


def _key(name: str, here: bool) -> str:
    return f"{name}*" if here else name


def _status_document(status_: RealmStatus) -> dict[str, Any]:
    return {
        "realm": status_.realm,
        "storage": status_.storage,
        "published": status_.is_published,
        "published_root": status_.published_root,
        "plugins": status_.plugins,
        "needs_signing": status_.needs_signing,
        "expired": bool(status_.expired),
        "roots": [{"version": v, "sha256": d} for v, d in dict([status_.first_root, status_.newest_root]).items()],
        "roles": [_role_document(role) for role in status_.roles],
        "api": status_.answers,
        "notes": status_.notes,
    }


def _role_document(role: RoleStatus) -> dict[str, Any]:
    return {
        "role": role.role,
        "files": role.count,
        "version": role.version,
        "expires": role.expires.strftime("%Y-%m-%dT%H:%M:%SZ") if role.expires else None,
        "due": role.due,
        "expired": role.expired,
        "threshold": role.threshold,
        "can_sign_here": role.can_sign,
        "keys": [{"name": k.name, "keyid": k.keyid, "here": k.here, "reason": k.reason} for k in role.keys],
    }


__all__ = ["status"]
