"""The commands for a deployment to GitHub Pages: pages check before it, and pages deployed after it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from registry_builder import publication, source
from registry_builder.cli.options import example, tree_of
from sealdex.cli.group import LazyGroup, output_of, output_options
from sealdex.cli.progress import in_bytes
from sealdex.errors import UsageError

if TYPE_CHECKING:
    from registry_builder.publication.context import Publisher

_REALM = click.option("--realm", metavar="NAME", help="The realm; by default the one on GitHub Pages.")


@click.group(cls=LazyGroup, epilog=example("sealdex-builder pages check", "sealdex-builder pages deployed"))
def pages() -> None:
    """Check a folder before it is deployed to GitHub Pages, and record it afterwards."""


@pages.command(epilog=example("sealdex-builder pages check", "sealdex-builder pages check --json"))
@_REALM
@click.option("--first-publish", is_flag=True, help="Once, by hand: nothing was ever deployed at the url.")
@output_options
@click.pass_context
def check(ctx: click.Context, realm: str | None, first_publish: bool) -> None:
    """Compare the folder with what is live, and refuse a deployment that clients would refuse.

    Version numbers must rise and not be taken by another deployment, nothing may be missing or expired, and the
    size must be within GitHub's limit. Run it right before the deployment.
    """
    out = output_of(ctx)
    publisher = _publisher(tree_of(ctx), realm)
    with out.progress("comparing with what is live"):
        found = publication.check_deployment(publisher, first_publish=first_publish)
    live = "nothing is live" if found.live is None else f"version {found.live} is live"
    state = f"version {found.timestamp} may be deployed" if found.changed else "nothing was signed since"
    out.line(f"realm {publisher.realm}: {live}, {state}: {found.files} files, {in_bytes(found.size)}")
    out.result(
        {
            "realm": publisher.realm,
            "timestamp": found.timestamp,
            "live": found.live,
            "changed": found.changed,
            "files": found.files,
            "bytes": found.size,
        }
    )


@pages.command(epilog=example("sealdex-builder pages deployed"))
@_REALM
@output_options
@click.pass_context
def deployed(ctx: click.Context, realm: str | None) -> None:
    """Record that the folder is live now, so that later publishes don't build on anything older."""
    out = output_of(ctx)
    publisher = _publisher(tree_of(ctx), realm)
    version = publication.remember_deployment(publisher)
    out.line(f"realm {publisher.realm}: version {version} is recorded as live")
    out.result({"realm": publisher.realm, "timestamp": version})


def _publisher(root: Path, realm: str | None) -> Publisher:
    config = source.read_config(root)
    named = [realm] if realm is not None else [name for name, section in config.realms.items() if section.is_pages]
    if len(named) != 1:
        raise UsageError(
            f"{len(named)} realms of registry.toml are on GitHub Pages",
            untouched="nothing was deployed",
            hint='choose one with --realm, or write storage = "pages:published" and its url into registry.toml',
        )
    return publication.open_publisher(source.SourceTree(root, config, {}, problems=(), complete=False), named[0])


__all__ = ["pages"]
