"""The ``diff`` command: what publishing would change, realm by realm."""

from __future__ import annotations

from pathlib import Path

import click

from registry_builder import publication, source
from registry_builder.cli.accept_removed import ACCEPT_REMOVED, refuse_held
from registry_builder.cli.markdown import plan_markdown
from registry_builder.cli.options import BY_URL, FILES, SUMMARY, append, example, reader_storage, tree_of
from registry_builder.cli.plan_output import file_documents, plan_document, show_files, show_plan
from sealdex.cli.group import output_of, output_options
from sealdex.model.ids import PluginId


@click.command(
    epilog=example("sealdex-builder diff", "sealdex-builder diff --files", "sealdex-builder diff --by-url --json")
)
@click.option("--realm", help="Only this realm; by default all.")
@ACCEPT_REMOVED
@FILES
@click.option("--no-site", is_flag=True, help="Leave out the pages of the browse site, which take time to read.")
@BY_URL
@SUMMARY
@output_options
@click.pass_context
def diff(
    ctx: click.Context,
    realm: str | None,
    accept_removed: tuple[PluginId, ...],
    files: bool,
    no_site: bool,
    by_url: bool,
    summary: Path | None,
) -> None:
    """Show what publishing would change: plugins, releases, files, and roles that would be signed.

    Nothing is written. The published state is read and verified as publish would. What is published but no longer in
    the source tree stays published, and is listed. With --by-url, realms without a url are skipped, with a warning.
    Exits 1 when `publish` would leave a plugin out because the source tree lacks events of it that are published.
    """
    out = output_of(ctx)
    tree = source.load_tree(tree_of(ctx))
    documents, results = [], []
    for name in [realm] if realm else list(tree.config.realms):
        if by_url and realm is None and tree.config.realms[name].url is None:
            out.warn(f"realm {name} is skipped: it has no url in registry.toml")
            continue
        place = reader_storage(tree.config, name, by_url=by_url)
        with out.progress(f"comparing {name}"):
            publisher = publication.open_publisher(tree, name, storage=place, site=not no_site)
            result = publication.publish_realm(publisher, dry_run=True, accept_removed=accept_removed)
        results.append(result)
        documents.append({**plan_document(result.plan), "writes": file_documents(result.files)})
        show_plan(out, result.plan)
        if files:
            show_files(out, result.files)
        for warning in result.warnings:
            out.warn(warning)
        append(summary, plan_markdown(result.plan, "Publishing would change"))
    out.result({"realms": documents})
    refuse_held(results, dry_run=True)


__all__ = ["diff"]
