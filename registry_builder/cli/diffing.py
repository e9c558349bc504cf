"""The ``diff`` command: what publishing would change, realm by realm, without changing anything."""

from __future__ import annotations

from pathlib import Path

import click

from registry_builder.cli.examples import example
from registry_builder.cli.reading import BY_URL, SUMMARY, append, reader_storage
from registry_builder.cli.tree import tree_of
from sealdex.cli.group import output_of, output_options


@click.command(
    epilog=example(
        "sealdex-builder diff", "sealdex-builder diff --realm public --json", "sealdex-builder diff --by-url"
    )
)
@click.option("--realm", help="Only this realm; all when left out.")
@BY_URL
@SUMMARY
@output_options
@click.pass_context
def diff(ctx: click.Context, realm: str | None, by_url: bool, summary: Path | None) -> None:
    """Show what publishing would change: plugins, releases, files, and which roles would be signed anew.

    Nothing is written. The published state is read and verified as publish would. What is published and no longer in
    the source tree stays published, and is named. With --by-url, realms without a url are left out, with a warning.
    """
    from registry_builder.cli.plan_output import plan_document, show_plan  # noqa: PLC0415  # brings boto3
    from registry_builder.markdown_summary import plan_markdown  # noqa: PLC0415  # as above
    from registry_builder.publish import publish  # noqa: PLC0415  # as above
    from registry_builder.publisher import open_publisher  # noqa: PLC0415  # as above
    from registry_builder.source.load import load_tree  # noqa: PLC0415  # as above

    out = output_of(ctx)
    tree = load_tree(tree_of(ctx))
    documents = []
    for name in [realm] if realm else list(tree.config.realms):
        if by_url and realm is None and tree.config.realms[name].url is None:
            out.warn(f"realm {name} is left out: it has no url that readers read it by")
            continue
        place = reader_storage(tree.config, name, by_url=by_url)
        plan = publish(open_publisher(tree, name, storage=place), dry_run=True).plan
        documents.append(plan_document(plan))
        show_plan(out, plan)
        append(summary, plan_markdown(plan, "Publishing would change"))
    out.result({"realms": documents})


__all__ = ["diff"]
