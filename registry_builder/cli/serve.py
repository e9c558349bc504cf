"""The ``serve`` command: serves a published folder, or the pages of a source tree, locally."""

from __future__ import annotations

import tempfile
from pathlib import Path

import click

from registry_builder import source, storage
from registry_builder.cli.options import REALM, example, tree_of
from registry_builder.site import preview
from sealdex.cli.group import output_of, output_options
from sealdex.errors import UsageError


@click.command(
    epilog=example(
        "sealdex-builder serve", "sealdex-builder serve published --port 8080", "sealdex-builder serve --site"
    )
)
@click.argument("folder", required=False, type=click.Path(exists=True, file_okay=False, path_type=Path))
@REALM
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--port", default=8080, show_default=True, type=click.IntRange(0, 65535), help="0 takes a free one.")
@click.option("--site", is_flag=True, help="Serve the source tree's pages instead, rebuilt when a file changes.")
@output_options
@click.pass_context
def serve(ctx: click.Context, folder: Path | None, realm: str | None, host: str, port: int, site: bool) -> None:
    """Serve a published FOLDER locally, with the headers that a store and its CDN would send.

    By default the folder that registry.toml has as the storage of the realm (default: public). Stop it with
    Ctrl-C. With --site, a preview for authors of templates, READMEs and manifests: open pages reload when
    files change, and nothing is published.
    """
    out = output_of(ctx)
    if site and folder is not None:
        raise UsageError("--site shows the source tree's pages, so it takes no FOLDER")

    def served(place: Path) -> None:
        def on_ready(url: str) -> None:
            out.answer(url)
            out.note("Ctrl-C stops it")
            out.result({"url": url, "folder": place})
            out.flush()

        preview.serve(place, host=host, port=port, on_ready=on_ready)

    if not site:
        served(folder or _storage_folder(tree_of(ctx), realm or "public"))
        return
    with (
        tempfile.TemporaryDirectory(prefix="sealdex-site-") as made,
        preview.LiveSite(tree_of(ctx), realm or "public", Path(made), out.note),
    ):
        served(Path(made))


def _storage_folder(root: Path, realm: str) -> Path:
    config = source.read_config(root)
    source.check_realm(config, realm)
    place = config.realms[realm].storage
    folder = storage.folder_of(place)
    if folder is None:
        raise UsageError(
            f"realm {realm} is published to {place}, which is not a folder",
            hint="give a folder: sealdex-builder serve FOLDER",
        )
    return root / folder


__all__ = ["serve"]
