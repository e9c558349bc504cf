"""The ``move`` command: a plugin goes to another realm with all its releases."""

from __future__ import annotations

import click
import msgspec

from registry_builder import authoring
from registry_builder.cli.options import PLUGIN_ID, example, shown, tree_of
from sealdex.cli.group import output_of, output_options
from sealdex.model.ids import PluginId
from sealdex.text import counted


@click.command(
    epilog=example(
        "sealdex-builder move acme/slack --to-realm public --dry-run",
        'sealdex-builder move acme/slack --to-realm public --why "of use to everybody"',
    )
)
@click.argument("plugin", metavar="NS/NAME", type=PLUGIN_ID)
@click.option("--to-realm", required=True, metavar="NAME", help="The realm that it is in from now on.")
@click.option("--why", default="", metavar="TEXT", help="The reason, shown to readers of the realm that it leaves.")
@click.option("--by", metavar="WHO", help="Who does it; by default git's user.name and user.email.")
@click.option("--dry-run", is_flag=True, help="Check everything; write nothing.")
@output_options
@click.pass_context
def move(ctx: click.Context, plugin: PluginId, to_realm: str, why: str, by: str | None, dry_run: bool) -> None:
    """Move plugin NS/NAME with all its releases to another realm; no release changes.

    To the public realm: the realm that it leaves keeps its releases, so that locks go on working, and tells its readers
    where the plugin is now; clients report that and never follow it. Later releases are public only. A plugin whose
    texts, dependencies or files aren't for everybody is refused.

    To a private realm: what was public stays known and published; only later releases are private.
    """
    out = output_of(ctx)
    moved = authoring.move_plugin(tree_of(ctx), plugin, to_realm, why=why, by=by, dry_run=dry_run)
    if moved.event is None:
        out.line(f"{plugin} is in realm {to_realm} already")
    else:
        said = "would move" if dry_run else "moved"
        count = counted(len(moved.versions), "release")
        out.line(f"{said} {plugin} with {count} from realm {moved.from_realm} to realm {to_realm}")
    for path in moved.files:
        out.line(f"wrote {shown(path)}")
    for warning in moved.warnings:
        out.warn(warning)
    if moved.files:
        out.note("next: commit it; then publish both realms: sealdex-builder publish")
    out.result(
        {
            "plugin": str(plugin),
            "from": moved.from_realm,
            "to": to_realm,
            "dry_run": dry_run,
            "versions": list(moved.versions),
            "written": moved.files,
            "event": msgspec.to_builtins(moved.event) if moved.event is not None else None,
            "warnings": list(moved.warnings),
        }
    )


__all__ = ["move"]
