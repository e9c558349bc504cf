"""The commands that look a published tree through: verify-published and gc."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import click

from registry_builder.cli.examples import example
from registry_builder.cli.tree import tree_of
from sealdex.cli.group import output_of, output_options
from sealdex.cli.progress import in_bytes
from sealdex.text import counted

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from registry_builder.publication.context import Publisher
    from registry_builder.storage.listing import Listed

_REALM = click.option("--realm", metavar="NAME", help="Only this realm; all of registry.toml when left out.")
_SHOWN = 20


def publishers_of(root: Path, realm: str | None) -> Iterator[Publisher]:
    """Open the realms that a command is about, without reading any plugin."""
    from registry_builder.publication.context import open_publisher  # noqa: PLC0415  # brings boto3
    from registry_builder.source.config import read_config  # noqa: PLC0415  # as above
    from registry_builder.source.tree import SourceTree  # noqa: PLC0415  # as above

    # plugins are no part of this
    tree = SourceTree(root, read_config(root), {}, problems=(), complete=False)
    for name in [realm] if realm else list(tree.config.realms):
        yield open_publisher(tree, name)


@click.command(
    name="verify-published",
    epilog=example("sealdex-builder verify-published", "sealdex-builder verify-published --artifacts --json"),
)
@_REALM
@click.option("--artifacts", is_flag=True, help="Read and hash every artifact as well.")
@output_options
@click.pass_context
def verify_published(ctx: click.Context, realm: str | None, artifacts: bool) -> int:
    """Walk what is published from the trust root, verify every document, and account for every file.

    Exits 4 when anything isn't what was signed, after naming all of it. Files that nothing reaches (superseded, or left
    behind by a publish that was interrupted) are counted and do no harm; `gc` removes them.
    """
    from registry_builder.maintenance.audit import audit  # noqa: PLC0415  # brings boto3

    out, documents = output_of(ctx), []
    wrong = 0
    for publisher in publishers_of(tree_of(ctx), realm):
        with out.progress(f"verifying {publisher.realm}"):
            found = audit(publisher, artifacts=artifacts)
        wrong += len(found.problems)
        out.line(
            f"realm {found.realm}: {found.storage}, {counted(found.files, 'file')}, {in_bytes(found.size)}",
            style="bold",
        )
        checked = (
            f"{counted(found.hashed, 'file')} of plugins read and hashed" if artifacts else "artifacts by size only"
        )
        out.line(f"  {found.reached} reached and verified ({checked}), {counted(found.pages, 'page')}")
        for kind, count in sorted(Counter(each.kind for each in found.unreached).items()):
            out.line(f"  {count} not reached: {kind}")
        for key, reason in found.problems:
            out.fail([f"{key}: {reason}"], title="SECURITY")
        documents.append(
            {
                "realm": found.realm,
                "storage": found.storage,
                "timestamp": found.timestamp,
                "files": found.files,
                "bytes": found.size,
                "reached": found.reached,
                "hashed": found.hashed,
                "pages": found.pages,
                "problems": [{"key": key, "reason": reason} for key, reason in found.problems],
                "unreached": [{**_document(each.file), "kind": each.kind} for each in found.unreached],
            }
        )
    out.result({"verified": not wrong, "realms": documents})
    return 4 if wrong else 0


@click.command(epilog=example("sealdex-builder gc", "sealdex-builder gc --apply --days 90"))
@_REALM
@click.option(
    "--days", default=30, show_default=True, type=click.IntRange(0), help="Keep what snapshots of these reach."
)
@click.option("--grace", default=7, show_default=True, type=click.IntRange(0), help="Days from marking to removal.")
@click.option("--apply", is_flag=True, help="Mark, and remove what was marked long enough ago.")
@output_options
@click.pass_context
def gc(ctx: click.Context, realm: str | None, days: int, grace: int, apply: bool) -> None:
    """List what no metadata of the last days reaches; with --apply, mark it and remove what was marked before.

    A file is removed by the second of two runs that are --grace days apart, on the same machine (or with the same
    $XDG_STATE_HOME/sealdex-builder). Releases, pages and roots are never removed.
    """
    from registry_builder.maintenance.gc import carry_out, plan_gc  # noqa: PLC0415  # brings boto3

    out, documents = output_of(ctx), []
    for publisher in publishers_of(tree_of(ctx), realm):
        with out.progress(f"reading {publisher.realm}"):
            plan = plan_gc(publisher, days=days, grace=grace)
            if apply:
                carry_out(publisher, plan)
        out.line(f"realm {plan.realm}: {plan.storage}, in use: {counted(plan.kept, 'file')}", style="bold")
        for verb, files in (
            ("removed" if apply else "would remove", plan.removable),
            ("marked" if apply else "would mark", plan.marked),
        ):
            for listed in files[:_SHOWN]:
                out.line(f"  {verb} {listed.key}")
            if len(files) > _SHOWN:
                out.line(f"  ... and {len(files) - _SHOWN} more")
            out.line(f"  {verb} {counted(len(files), 'file')}, {in_bytes(sum(listed.size for listed in files))}")
        documents.append(
            {
                "realm": plan.realm,
                "storage": plan.storage,
                "kept": plan.kept,
                "removable": [_document(listed) for listed in plan.removable],
                "marked": [_document(listed) for listed in plan.marked],
            }
        )
    if not apply:
        out.note("nothing was changed: --apply marks, and removes what was marked --grace days ago")
    out.result({"applied": apply, "realms": documents})


def _document(listed: Listed) -> dict[str, Any]:
    return {"key": listed.key, "size": listed.size, "modified": listed.modified.strftime("%Y-%m-%dT%H:%M:%SZ")}


__all__ = ["gc", "publishers_of", "verify_published"]
