"""``namespace sign|list``: claimed namespaces, for which only a team's own keys may sign."""

from __future__ import annotations

import click

from registry_builder import publication, signing, source
from registry_builder.cli.accept_removed import ACCEPT_REMOVED
from registry_builder.cli.options import example, prompt_for_passphrase, shown, tree_of
from sealdex.cli.group import LazyGroup, output_of, output_options
from sealdex.model.ids import PluginId


@click.group(cls=LazyGroup, epilog=example("sealdex-builder namespace list", "sealdex-builder namespace sign acme"))
@output_options
def namespace() -> None:
    """Sign for a claimed namespace, or list the claimed namespaces.

    A namespace is claimed by a ceremony: sealdex-builder ceremony start NAME --claim acme=team-1. From then on its
    releases wait in the source tree until its own key has signed.
    """


@namespace.command(epilog=example("sealdex-builder namespace sign acme"))
@click.argument("name", metavar="NAMESPACE")
@ACCEPT_REMOVED
@output_options
@click.pass_context
def sign(ctx: click.Context, name: str, accept_removed: tuple[PluginId, ...]) -> None:
    """Sign the source tree's state of a claimed NAMESPACE, for the next publish.

    Reads and verifies what is published, and writes trust/REALM/N.ns-NAMESPACE.json: commit it. With a threshold above
    one, each member of the team runs this and commits.
    """
    out, tree = output_of(ctx), source.load_tree(tree_of(ctx))
    section = tree.config.namespaces.get(name)
    keyring = signing.Keyring(tree.config, tree.root, prompt=prompt_for_passphrase())
    realm = section.realm if section is not None else next(iter(tree.config.realms))
    done = publication.sign_claim(
        publication.open_publisher(tree, realm, keyring=keyring), name, accept_removed=accept_removed
    )
    if done.path is None:
        out.line(f"namespace {name} is published as it is in the source tree: nothing to sign")
    else:
        out.line(f"wrote {shown(done.path)}: {done.signed} of {done.threshold} required signatures")
        for plugin in done.plugins:
            out.line(f"  {plugin}")
        out.note("next: commit it; then publish where the online keys are")
    out.result(
        {
            "namespace": name,
            "path": done.path,
            "version": done.version,
            "plugins": [str(plugin) for plugin in done.plugins],
            "signed": done.signed,
            "threshold": done.threshold,
        }
    )


@namespace.command(name="list", epilog=example("sealdex-builder namespace list"))
@output_options
@click.pass_context
def list_(ctx: click.Context) -> None:
    """List the claimed namespaces with their keys."""
    out = output_of(ctx)
    claims = source.read_config(tree_of(ctx)).namespaces
    out.table(
        ("namespace", "realm", "signed by", "keys"),
        [(n, s.realm, f"{s.threshold} of {len(s.keys)} keys", ", ".join(s.keys)) for n, s in claims.items()],
        worded=("signed by",),
    )
    out.result(
        {
            "namespaces": [
                {"name": n, "realm": s.realm, "threshold": s.threshold, "keys": list(s.keys)} for n, s in claims.items()
            ]
        }
    )


__all__ = ["namespace"]
