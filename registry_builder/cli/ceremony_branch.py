"""``ceremony take``: a ceremony's files from the branch that its signers push to; and refusals as Markdown."""

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
    """Take what signers pushed to a branch, for a ceremony that is finished here.

    REF is the branch or commit, such as origin/sign/NAME. It may add files to ceremonies/NAME/ and nothing else: a
    branch that changes anything besides is refused. Nothing of it is run, and no signature is believed: `show` and
    `finish` verify them.
    """
    out, tree = output_of(ctx), tree_of(ctx)
    with refusals_in(summary, name):
        written = ceremony.take_ceremony(tree, name, ref)
    for path in written:
        out.line(f"took {shown(path)}")
    if not written:
        out.line(f"everything that {ref} has of ceremony {name} is here already")
    out.note(f"next: sealdex-builder ceremony show {name}")
    out.result({"name": name, "ref": ref, "written": written})


@contextmanager
def refusals_in(summary: Path | None, name: str) -> Iterator[None]:
    """Append why something was refused to the file of ``--summary``, and let the error go on."""
    try:
        yield
    except SealdexError as error:
        append(summary, refusal_markdown(name, error.message, error.hint or ""))
        raise


__all__ = ["refusals_in", "take"]
