"""``realm add|list|show|remove``: registries with readers of their own, in one source tree."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click
import msgspec

from registry_builder import authoring, ceremony, signing, source
from registry_builder.cli.options import example, prompt_for_passphrase, shown, tree_of
from registry_builder.cli.role_options import named_keys, named_number
from sealdex.cli.group import LazyGroup, output_of, output_options
from sealdex.errors import NotFoundError, UsageError

if TYPE_CHECKING:
    from registry_builder.ceremony.realm_setup import RealmState
    from sealdex.cli.output import Output

_DRY_RUN = click.option("--dry-run", is_flag=True, help="Check everything; write nothing.")


@click.group(
    cls=LazyGroup,
    epilog=example(
        "sealdex-builder realm add team --storage s3://acme-team/registry --ceremony",
        "sealdex-builder realm list",
    ),
)
@output_options
def realm() -> None:
    """Add, list, show and remove realms.

    A realm is a complete registry with a storage, a trust root and readers of its own. A plugin is in the realm that
    its plugin.yaml names, by default "public"; nothing of other realms is published there, not even names.
    """


@realm.command(
    epilog=example(
        "sealdex-builder realm add team --storage s3://acme-team/registry --ceremony",
        "sealdex-builder realm add team --storage folder:../team --dev-keys",
        "sealdex-builder realm add public --ceremony --keys root=ann,ben --keys targets=ann,ben \\",
        "  --keys packages=online --keys catalog=online --keys snapshot=online --keys timestamp=online",
    )
)
@click.argument("name")
@click.option(
    "--storage", metavar="PLACE", help="Where it is published: s3://BUCKET/PREFIX, folder:PATH or pages (GitHub Pages)."
)
@click.option("--url", help="The address that clients read from.")
@click.option(
    "--dev-keys",
    is_flag=True,
    help="In a registry without keys, create unencrypted ones; then sign with the keys of this machine.",
)
@click.option("--ceremony", "by_ceremony", is_flag=True, help="Start a ceremony, in which several people sign.")
@click.option("--name", "ceremony_name", help="The ceremony's name; by default first-NAME.")
@click.option("--keys", multiple=True, metavar="ROLE=KEY,...", help="Before any root is signed: all keys of a role.")
@click.option("--threshold", multiple=True, metavar="ROLE=N", help="The same: how many of them must sign.")
@click.option("--why", default="", metavar="TEXT", help="The reason, shown to every signer.")
@click.option("--by", metavar="WHO", help="Who does it; by default git's user.name and user.email.")
@_DRY_RUN
@output_options
@click.pass_context
def add(
    ctx: click.Context,
    name: str,
    storage: str | None,
    url: str | None,
    dev_keys: bool,
    by_ceremony: bool,
    ceremony_name: str | None,
    keys: tuple[str, ...],
    threshold: tuple[str, ...],
    why: str,
    by: str | None,
    dry_run: bool,
) -> None:
    """Add realm NAME, or what it lacks: its table in registry.toml, and version 1 of its root and targets.

    All realms of a registry share their keys. Without --ceremony, root and targets are signed at once with the keys
    of this machine. With --ceremony they wait in ceremonies/ for several people's signatures; for a registry that has
    no root yet, --keys says whose. Repeated after an interruption, it does what is missing.
    """
    out, tree = output_of(ctx), tree_of(ctx)
    if dev_keys and by_ceremony:
        raise UsageError(
            "--dev-keys signs at once, and --ceremony doesn't: give one of them", untouched="nothing was written"
        )
    if not by_ceremony and (keys or threshold or ceremony_name):
        raise UsageError(
            "--keys, --threshold and --name are for a ceremony", untouched="nothing was written", hint="add --ceremony"
        )
    wish = ceremony.RealmWish(
        name=name,
        storage=storage,
        url=url,
        dev_keys=dev_keys,
        ceremony=(ceremony_name or f"first-{name}") if by_ceremony else None,
        roles=ceremony.RoleChoice(dict(map(named_keys, keys)), dict(map(named_number, threshold))),
        by=(by or authoring.committer(tree)) if by_ceremony else "",
        why=why,
    )
    added = ceremony.add_realm(tree, wish, prompt=prompt_for_passphrase(), dry_run=dry_run)
    for path in added.written:
        out.line(f"{'would write' if dry_run else 'wrote'} {shown(path)}")
    if added.keys is not None:
        out.line(f"created development keys in {added.keys}")
        out.note("development keys are unencrypted: for a registry that others rely on, sign by --ceremony")
    if added.ceremony is not None:
        out.note(f"next: commit it; then each signer: sealdex-builder ceremony sign {added.ceremony}")
    elif not dry_run:
        out.note(f"next: commit it; then: sealdex-builder publish --realm {name}")
    out.result(
        {
            "name": name,
            "dry_run": dry_run,
            "written": added.written,
            "keys": added.keys,
            "ceremony": added.ceremony,
            "ready": not dry_run and signing.has_trust(tree, name),
        }
    )


@realm.command(name="list", epilog=example("sealdex-builder realm list", "sealdex-builder realm list --json"))
@output_options
@click.pass_context
def list_(ctx: click.Context) -> None:
    """List the realms of registry.toml: where they are published, and whether they can be.

    With --json each realm has name, storage, kind (s3, folder or pages), url, cloudfront, public, ready, root_file,
    ceremony and plugins; a workflow makes a job of each that is ready.
    """
    out = output_of(ctx)
    states = ceremony.realm_states(tree_of(ctx))
    out.table(
        ("realm", "storage", "url", "plugins", "root"),
        [(s.name, s.storage, s.url or "-", str(s.plugins), _root_of(s)) for s in states],
        worded=("root",),
    )
    out.result({"realms": [_document(state) for state in states]})


@realm.command(epilog=example("sealdex-builder realm show team"))
@click.argument("name")
@output_options
@click.pass_context
def show(ctx: click.Context, name: str) -> None:
    """Show realm NAME: where it is published, its root, and the plugins in it."""
    out, tree = output_of(ctx), tree_of(ctx)
    states = {state.name: state for state in ceremony.realm_states(tree)}
    state = states.get(name)
    if state is None:
        raise NotFoundError(f"realm '{name}' is not in registry.toml; realms are {', '.join(states)}", subject=name)
    loaded = source.load_tree(tree)
    plugins = sorted(str(plugin) for plugin, each in loaded.plugins.items() if each.plugin.realm == name)
    out.line(f"realm {name}: {state.storage}", style="bold")
    out.line(f"  read at: {state.url or '-'}")
    out.line(f"  root: {_root_of(state)}")
    _show_plugins(out, plugins)
    if not state.ready:
        out.note(_what_helps(state))
    out.result({**_document(state), "plugin_ids": plugins})


@realm.command(epilog=example("sealdex-builder realm remove team --dry-run", "sealdex-builder realm remove team"))
@click.argument("name")
@_DRY_RUN
@output_options
@click.pass_context
def remove(ctx: click.Context, name: str, dry_run: bool) -> None:
    """Remove realm NAME from registry.toml, if nothing belongs to it.

    A realm with plugins or claimed namespaces is refused. What is published stays where it is, and so does trust/NAME:
    added again, the realm goes on with the same root.
    """
    out, tree = output_of(ctx), tree_of(ctx)
    removed = ceremony.remove_realm(tree, name, dry_run=dry_run)
    out.line(f"{'would remove' if dry_run else 'removed'} realm {name} from registry.toml")
    for path in removed.kept:
        out.note(f"{shown(path)} is kept: with it, the realm can be added again")
    out.note(f"what is published in {removed.storage} stays there, and expires when nobody refreshes it")
    out.result({"name": name, "dry_run": dry_run, "storage": removed.storage, "kept": removed.kept})


def _root_of(state: RealmState) -> str:
    if state.ready:
        return state.root_file or "yes"
    return f"waits in ceremony {state.ceremony}" if state.ceremony is not None else "none"


def _what_helps(state: RealmState) -> str:
    if state.ceremony is not None:
        return f"sealdex-builder ceremony show {state.ceremony}"
    return signing.without_trust_hint(state.name)


def _show_plugins(out: Output, plugins: list[str]) -> None:
    out.line(f"  plugins: {len(plugins)}")
    for plugin in plugins:
        out.line(f"    {plugin}")


def _document(state: RealmState) -> dict[str, Any]:
    document: dict[str, Any] = msgspec.to_builtins(state)
    return document


__all__ = ["realm"]
