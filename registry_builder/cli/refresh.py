"""The ``refresh`` command: what was re-signed, what others must sign, and the exit code."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from registry_builder import publication
from registry_builder.cli.markdown import error_markdown
from registry_builder.cli.options import REALMS, SUMMARY, append, example, shown, tree_of
from registry_builder.cli.plan_output import plan_document, show_plan
from registry_builder.cli.realms import open_realm, realms_named, tree_without_plugins
from sealdex.cli.group import output_of, output_options
from sealdex.errors import SealdexError, UsageError


@click.command(epilog=example("sealdex-builder refresh", "sealdex-builder refresh --dry-run"))
@REALMS
@click.option("--dry-run", is_flag=True, help="Show what expires soon; sign nothing.")
@click.option("--online", is_flag=True, help="Skip root and targets, which are signed offline.")
@click.option(
    "--allow-expired",
    is_flag=True,
    help="Re-sign expired metadata, after you checked that nobody restored an old state.",
)
@click.option(
    "--recover-expired", is_flag=True, help="The same, but only if it is provably the newest state: for scheduled runs."
)
@SUMMARY
@output_options
@click.pass_context
def refresh(
    ctx: click.Context,
    realms: tuple[str, ...],
    dry_run: bool,
    online: bool,
    allow_expired: bool,
    recover_expired: bool,
    summary: Path | None,
) -> int:
    """Re-sign metadata that expires soon. Run it every day, on a schedule.

    Root and targets are signed too if enough of their keys are available, and written to trust/: commit them. If
    they aren't, a warning says so, the rest is refreshed, and the exit code is 1. With --online they are skipped, as
    in a workflow that never has their keys; `status` shows when they expire.

    Expired metadata is not re-signed by default: it could be an old state that somebody restored.
    --recover-expired does it if only online roles expired, this machine remembers what it last saw published, and
    the source tree compiles to exactly the published state. Otherwise check it yourself and use --allow-expired.
    """
    if allow_expired and recover_expired:
        raise UsageError("--allow-expired and --recover-expired exclude each other: give one of them")
    out, root = output_of(ctx), tree_of(ctx)
    tree = tree_without_plugins(root)
    documents: list[dict[str, Any]] = []
    complete = True
    for name in realms_named(tree, realms):
        with out.progress(f"refreshing {name}") as progress:
            publisher = open_realm(tree, name, progress, allow_expired=allow_expired)
            with _told_in(summary, name):
                result = publication.refresh_realm(
                    publisher, dry_run=dry_run, online_only=online, recover_expired=recover_expired
                )
        show_plan(out, result.plan)
        for warning in result.warnings:
            out.warn(warning)
        for each in result.offline:
            if each.written is not None:
                out.line(f"  wrote {shown(each.written)}: commit it")
            else:
                out.warn(f"{each.role} of realm {name} expires on {each.expires:%Y-%m-%d}: {each.reason}")
        complete &= result.is_complete
        offline = [
            {"role": each.role, "expires": each.expires.isoformat(), "written": each.written, "reason": each.reason}
            for each in result.offline
        ]
        documents.append(
            {
                **plan_document(result.plan),
                "committed": result.committed,
                "versions": result.versions,
                "offline_roles": offline,
            }
        )
    out.result({"dry_run": dry_run, "realms": documents})
    return 0 if complete else 1


@contextmanager
def _told_in(summary: Path | None, realm: str) -> Iterator[None]:
    """Append a raised error to the file of ``--summary``."""
    try:
        yield
    except SealdexError as error:
        if summary is not None:
            append(summary, error_markdown(error, realm))
        raise


__all__ = ["refresh"]
