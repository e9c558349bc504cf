"""The ``diff`` command: what publishing would change, realm by realm, without changing anything."""

from __future__ import annotations

from collections import Counter
from typing import Any

import click

from registry_builder.cli.examples import example
from registry_builder.cli.tree import tree_of
from sealdex.cli.group import output_of, output_options
from sealdex.cli.output import Output

BIN_PREFIX = "bin"
_SHOWN_VERSIONS = 5


@click.command(epilog=example("sealdex-builder diff", "sealdex-builder diff --realm public --json"))
@click.option("--realm", help="Only this realm; all when left out.")
@output_options
@click.pass_context
def diff(ctx: click.Context, realm: str | None) -> None:
    """Show what publishing would change: plugins, releases, and which roles would be signed anew and why.

    Nothing is written. The published state is read and verified as publish would.
    """
    from registry_builder.publish import open_publisher, publish  # noqa: PLC0415  # brings boto3
    from registry_builder.source.load import load_tree  # noqa: PLC0415  # as needed

    out = output_of(ctx)
    tree = load_tree(tree_of(ctx))
    documents = []
    for name in [realm] if realm else list(tree.config.realms):
        plan = publish(open_publisher(tree, name), dry_run=True).plan
        documents.append(_document(name, plan))
        _show(out, documents[-1])
    out.result({"realms": documents})


def _document(realm: str, plan: Any) -> dict[str, Any]:
    return {
        "realm": realm,
        "storage": plan.storage,
        "new_plugins": [str(plugin) for plugin in plan.new_plugins],
        "changed_plugins": [str(plugin) for plugin in plan.changed_plugins],
        "new_releases": [f"{plugin} {version}" for plugin, version in plan.new_releases],
        "only_published": [
            *(str(plugin) for plugin in plan.carried),
            *(f"{plugin} {version}" for plugin, version in plan.kept),
        ],
        "uploads": {kind: len(files) for kind, files in plan.uploads},
        "signed": dict(plan.reasons),
    }


def _show(out: Output, realm: dict[str, Any]) -> None:
    out.line(f"realm {realm['realm']}, published to {realm['storage']}", style="bold")
    releases: dict[str, list[str]] = {}
    for release in realm["new_releases"]:
        plugin, _, version = release.partition(" ")
        releases.setdefault(plugin, []).append(version)
    for sign, plugins in (("+", realm["new_plugins"]), ("~", realm["changed_plugins"])):
        for plugin in plugins:
            out.answer(f"  {sign} {plugin}: {_few(releases.get(plugin, []))}")
    for name in realm["only_published"]:
        out.answer(f"  = {name} stays published; the source tree doesn't have it")
    bins = {role: reason for role, reason in realm["signed"].items() if role.startswith(f"{BIN_PREFIX}-")}
    for reason, count in Counter(bins.values()).items():
        out.line(f"  sign {count} bins: {reason}")
    for role, reason in realm["signed"].items():
        if role not in bins:
            out.line(f"  sign {role}: {reason}")
    if not realm["signed"]:
        out.line("  nothing to publish")


def _few(versions: list[str]) -> str:
    if not versions:
        return "no new release; what holds for all of them, or their status, changed"
    shown = ", ".join(versions[:_SHOWN_VERSIONS])
    more = len(versions) - _SHOWN_VERSIONS
    return f"new {shown}" + (f" and {more} more" if more > 0 else "")


__all__ = ["diff"]
