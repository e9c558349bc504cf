"""The command that publishes anew after a theft: recover."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from registry_builder import maintenance, publication, signing, source
from registry_builder.cli.options import example, prompt_for_passphrase, tree_of
from sealdex.cli.group import output_of, output_options
from sealdex.errors import UsageError
from sealdex.text import counted

if TYPE_CHECKING:
    from registry_builder.maintenance.recovery import RecoveryResult
    from sealdex.cli.output import Output

_SHOWN = 20


@click.command(
    epilog=example(
        "sealdex-builder recover",
        "sealdex-builder recover --apply",
        "sealdex-builder recover --apply --not-stolen packages --not-stolen catalog",
    )
)
@click.option("--realm", metavar="NAME", help="Only this realm; all of registry.toml when left out.")
@click.option("--apply", is_flag=True, help="Publish; without, only say what differs.")
@click.option(
    "--not-stolen",
    multiple=True,
    type=click.Choice(["timestamp", "snapshot", "packages", "catalog"]),
    help="Keys of this role may go on although they signed what stands there; may be repeated.",
)
@output_options
@click.pass_context
def recover(ctx: click.Context, realm: str | None, apply: bool, not_stolen: tuple[str, ...]) -> None:
    """Publish everything anew from the source tree, believing nothing that stands in the store.

    For the day an online key was stolen: first a ceremony names other keys, then this says what the thief changed, and
    with --apply signs all online metadata anew with versions above what is there. Clients recover by themselves, those
    that took the thief's versions too. Releases that the source tree doesn't have are not published any more.
    """
    out, root = output_of(ctx), tree_of(ctx)
    tree = source.load_tree(root)
    if realm is not None and realm not in tree.config.realms:
        raise UsageError(f"there is no realm '{realm}'; realms are {', '.join(tree.config.realms)}")
    documents = []
    for name in [realm] if realm else tree.config.realms:
        with out.progress(f"reading {name}"):
            publisher = publication.open_publisher(
                tree, name, keyring=signing.Keyring(tree.config, root, prompt=prompt_for_passphrase()), validate=False
            )
            result = maintenance.recover_realm(publisher, apply=apply, not_stolen=not_stolen)
        _show(out, name, publisher.storage.description, result)
        documents.append({"realm": name, "storage": publisher.storage.description, **_document(result)})
    if not apply:
        out.note("nothing was written: --apply publishes what the source tree says")
    out.result({"applied": apply, "realms": documents})


def _show(out: Output, realm: str, storage: str, result: RecoveryResult) -> None:
    out.line(f"realm {realm}: {storage}", style="bold")
    _lines(out, "differs from the source tree", result.differences)
    _lines(out, "missing or damaged there", result.unreadable)
    moved = [f"{role}: {seen} when last seen from here, {there} there" for role, (seen, there) in result.moved.items()]
    _lines(out, "moved since this machine last saw it", moved)
    _lines(out, "changed or removed in git after it was committed, which a release never is", result.edited)
    _lines(out, "keys that signed what stands there, and still count", result.still_counts)
    _lines(out, "not looked at, since the file isn't here: verify-published --artifacts does", result.unchecked)
    _lines(out, "replaced there", result.replaced)
    for warning in result.warnings:
        out.warn(warning)
    if result.committed:
        versions = ", ".join(f"{role} {version}" for role, version in result.versions.items())
        out.line(f"published realm {realm} anew: {versions}", style="green")


def _lines(out: Output, title: str, lines: Sequence[str]) -> None:
    if not lines:
        return
    out.line(f"  {title} ({counted(len(lines), 'line')}):")
    for line in lines[:_SHOWN]:
        out.line(f"    {line}")
    if len(lines) > _SHOWN:
        out.line(f"    ... and {len(lines) - _SHOWN} more: --json has all")


def _document(result: RecoveryResult) -> dict[str, Any]:
    return {
        "committed": result.committed,
        "versions": result.versions,
        "differences": result.differences,
        "unreadable": result.unreadable,
        "moved": {role: {"seen": seen, "there": there} for role, (seen, there) in result.moved.items()},
        "edited": result.edited,
        "keys_still_count": result.still_counts,
        "unchecked": result.unchecked,
        "replaced": result.replaced,
        "sign": dict(result.plan.reasons),
        "warnings": result.warnings,
    }


__all__ = ["recover"]
