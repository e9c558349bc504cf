"""The ``upgrade`` command: updates what an earlier version of this program wrote into a source tree."""

from __future__ import annotations

from pathlib import Path

import click

from registry_builder import authoring
from registry_builder.cli.options import example, shown, tree_of
from sealdex.cli.group import output_of, output_options
from sealdex.errors import UsageError


@click.command(
    epilog=example(
        "sealdex-builder upgrade --github",
        "sealdex-builder upgrade --github --wheel sealdex-VERSION-py3-none-any.whl"
        " --wheel sealdex_builder-VERSION-py3-none-any.whl",
    )
)
@click.option("--github", is_flag=True, help="The workflows, action.yml and what they install.")
@click.option(
    "--wheel",
    "wheels",
    multiple=True,
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    help="A wheel of this version of sealdex or sealdex-builder, whose digest the workflows then require. Give both.",
)
@click.option("--drop-digests", is_flag=True, help="Remove the digests of an older version's wheels.")
@click.option("--force", is_flag=True, help="Also replace edited files; git has their contents.")
@output_options
@click.pass_context
def upgrade(ctx: click.Context, github: bool, wheels: tuple[Path, ...], drop_digests: bool, force: bool) -> int:
    """Update the files of `init --github` to this version.

    A file that was edited since it was written is left alone, listed, and makes the exit code 1.
    """
    from importlib.metadata import version  # noqa: PLC0415  # brings `email`, which --help does without

    if not github:
        raise UsageError("nothing to upgrade was given", hint="write sealdex-builder upgrade --github")
    if wheels and drop_digests:
        raise UsageError("--wheel and --drop-digests exclude each other", hint="leave one of them out")
    out = output_of(ctx)
    tree = tree_of(ctx)
    own = version("sealdex-builder")
    digests = authoring.digests_of_wheels(wheels, version=own) if wheels else None
    done = authoring.upgrade_workflows(tree, version=own, digests=digests, drop_digests=drop_digests, force=force)
    for path in done.written:
        out.line(f"wrote {shown(path)}")
    for path in done.edited:
        out.warn(f"{shown(path)} was edited, or written by a version before 0.2, and was not changed: see --force")
    if not done.written and not done.edited:
        out.line(f"everything is up to date with sealdex-builder {own}")
    for name in authoring.DISTRIBUTIONS:
        if name in done.digests:
            out.note(f"the workflows install {name} {own} with SHA-256 {done.digests[name]}")
    if not done.digests:
        out.note("the workflows install this version without a digest: give both wheels with --wheel FILE")
    out.result(
        {
            "version": own,
            "written": done.written,
            "unchanged": done.unchanged,
            "edited": done.edited,
            "digests": dict(done.digests),
        }
    )
    return 1 if done.edited else 0


__all__ = ["upgrade"]
