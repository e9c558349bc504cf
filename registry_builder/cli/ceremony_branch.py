"""``ceremony take``: imports a ceremony's files from the branch that signers push to; and refusals as Markdown."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from registry_builder import ceremony
from registry_builder.cli.markdown import refusal_markdown
from registry_builder.cli.options import SUMMARY, append, example, shown, tree_of
from sealdex.cli.group import output_of, output_options
from sealdex.errors import SealdexError


@click.command(
    epilog=example(
        "git fetch origin",
        "sealdex-builder ceremony take new-root-key origin/sign/new-root-key",
        "sealdex-builder ceremony finish new-root-key",
    )
)
@click.argument("name")
@click.argument("ref")
@SUMMARY
@output_options
@click.pass_context
def take(ctx: click.Context, name: str, ref: str, summary: Path | None) -> None:
    """Import what signers pushed to a branch, for a ceremony that is finished here.

    REF is the branch or commit, such as origin/sign/NAME. It may only add files to ceremonies/NAME/: a
    branch that changes anything else is refused. Nothing in it is run or trusted: `show` and
    `finish` verify the signatures.
    """
    out, tree = output_of(ctx), tree_of(ctx)
    with refusals_in(summary, name):
        written = ceremony.take_ceremony(tree, name, ref)
    for path in written:
        out.line(f"took {shown(path)}")
    if not written:
        out.line(f"all files of ceremony {name} in {ref} are here already")
    out.note(f"next: sealdex-builder ceremony show {name}")
    out.result({"name": name, "ref": ref, "written": written})


@contextmanager
def refusals_in(summary: Path | None, name: str) -> Iterator[None]:
    """Append the reason of a refusal to the file of ``--summary``, and re-raise the error."""
    try:
        yield
    except SealdexError as error:
        append(summary, refusal_markdown(name, error.message, error.hint or ""))
        raise


__all__ = ["refusals_in", "take"]
