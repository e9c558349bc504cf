"""The ``site`` command: writes all pages of the browse site, from the source tree alone."""

from __future__ import annotations

from pathlib import Path

import click

from registry_builder import site, source
from registry_builder.cli.options import example, shown, tree_of
from registry_builder.cli.realms import open_realm
from sealdex.cli.group import output_of, output_options
from sealdex.text import counted


@click.command(name="site", epilog=example("sealdex-builder site --output site"))
@click.option("--output", required=True, type=click.Path(file_okay=False, path_type=Path), help="The folder to write.")
@click.option("--realm", default="public", show_default=True, help="The realm whose plugins it shows.")
@output_options
@click.pass_context
def site_command(ctx: click.Context, output: Path, realm: str) -> None:
    """Write all pages of the browse site to a folder, from the source tree alone; publishing isn't needed first.

    Unchanged files are left alone. Links to signed documents and artifacts are broken
    until the registry is published into the same folder.
    """
    out = output_of(ctx)
    with out.progress("reading the source tree") as progress:
        tree = source.load_tree(tree_of(ctx))
        trust = open_realm(tree, realm, None).trust
        result = site.write_pages(site.site_from_tree(tree, realm, trust), output, progress.step)
    out.line(f"{shown(output)}: {counted(result.pages, 'file')}, {len(result.written)} written")
    out.result({"folder": output, "files": result.pages, "written": result.written})


__all__ = ["site_command"]
