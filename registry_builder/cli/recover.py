"""The ``recover`` command: republish after an online key was stolen."""

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
@click.option("--realm", metavar="NAME", help="Only this realm; by default all of registry.toml.")
@click.option("--apply", is_flag=True, help="Publish; without it, only show the differences.")
@click.option(
    "--not-stolen",
    multiple=True,
    type=click.Choice(["timestamp", "snapshot", "packages", "catalog"]),
    help="This role's keys were not stolen although they signed published metadata; may be repeated.",
)
@output_options
@click.pass_context
def recover(ctx: click.Context, realm: str | None, apply: bool, not_stolen: tuple[str, ...]) -> None:
    """Republish everything from the source tree, trusting nothing in the store.

    For use after an online key was stolen: first replace the keys with a ceremony. Then this lists what the thief
    changed, and with --apply signs all online metadata with versions above the published ones. Clients recover
    automatically, even if they got the thief's versions. Releases that aren't in the source tree are unpublished.
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
        out.note("nothing was written: --apply publishes the source tree")
    out.result({"applied": apply, "realms": documents})


def _show(out: Output, realm: str, storage: str, result: RecoveryResult) -> None:
    out.line(f"realm {realm}: {storage}", style="bold")
    _lines(out, "differs from the source tree", result.differences)
    _lines(out, "missing or damaged in the store", result.unreadable)
    moved = [f"{role}: {seen} when last seen from here, {there} there" for role, (seen, there) in result.moved.items()]
    _lines(out, "version changes since this machine last saw it", moved)
    _lines(out, "releases that were changed or removed in git after they were committed", result.edited)
    _lines(out, "keys that signed published metadata and are still trusted", result.still_counts)
    _lines(
        out,
        "not checked, because the file is not in the source tree: use verify-published --artifacts",
        result.unchecked,
    )
    _lines(out, "replaced in the store", result.replaced)
    for warning in result.warnings:
        out.warn(warning)
    if result.committed:
        versions = ", ".join(f"{role} {version}" for role, version in result.versions.items())
        out.line(f"republished realm {realm}: {versions}", style="green")


def _lines(out: Output, title: str, lines: Sequence[str]) -> None:
    if not lines:
        return
    out.line(f"  {title} ({counted(len(lines), 'line')}):")
    for line in lines[:_SHOWN]:
        out.line(f"    {line}")
    if len(lines) > _SHOWN:
        out.line(f"    ... and {len(lines) - _SHOWN} more: --json lists all")


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
