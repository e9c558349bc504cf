"""The ``gc`` command: lists published files that are no longer referenced, and removes them in two runs."""

from __future__ import annotations

import click

from registry_builder import maintenance
from registry_builder.cli._listed import listed_document
from registry_builder.cli.options import REALM, example, tree_of
from registry_builder.cli.realms import publishers_of
from sealdex.cli.group import output_of, output_options
from sealdex.cli.progress import in_bytes
from sealdex.text import counted

_SHOWN = 20


@click.command(epilog=example("sealdex-builder gc", "sealdex-builder gc --apply --days 90"))
@REALM
@click.option(
    "--days",
    default=30,
    show_default=True,
    type=click.IntRange(0),
    help="Keep what snapshots of the last DAYS reference.",
)
@click.option("--grace", default=7, show_default=True, type=click.IntRange(0), help="Days from marking to removal.")
@click.option("--apply", is_flag=True, help="Mark, and remove what was marked before the grace period.")
@output_options
@click.pass_context
def gc(ctx: click.Context, realm: str | None, days: int, grace: int, apply: bool) -> None:
    """List files that metadata of the last days doesn't reference; with --apply, mark and remove them.

    A file is marked by one run and removed by another, at least --grace days later, on the same machine (or with the
    same $XDG_STATE_HOME/sealdex-builder). Releases, pages and roots are never removed.
    """
    out, documents = output_of(ctx), []
    for publisher in publishers_of(tree_of(ctx), realm):
        with out.progress(f"reading {publisher.realm}"):
            plan = maintenance.plan_gc(publisher, days=days, grace=grace)
            if apply:
                maintenance.apply_gc(publisher, plan)
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
                "removable": [listed_document(listed) for listed in plan.removable],
                "marked": [listed_document(listed) for listed in plan.marked],
            }
        )
    if not apply:
        out.note("nothing was changed: --apply marks files, and removes those marked --grace days ago")
    out.result({"applied": apply, "realms": documents})


__all__ = ["gc"]
