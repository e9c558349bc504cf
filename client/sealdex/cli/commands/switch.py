"""Commands that change which versions are in use: use, enable, disable, rollback, history."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import click

from sealdex.cli.completion import installed_plugin
from sealdex.cli.context import Context, client_command
from sealdex.cli.group import examples
from sealdex.cli.refused_config import warn_of_refused
from sealdex.errors import UsageError
from sealdex.model.ids import parse_plugin_id
from sealdex.paths import store_folder
from sealdex.store.database import State
from sealdex.store.layout import Store
from sealdex.store.rollback import not_taken_back
from sealdex.store.switch import Switched, set_enabled, use_version

if TYPE_CHECKING:
    from sealdex.model.ids import PluginId
    from sealdex.store.change import Change, Facts, Member
    from sealdex.store.dependants import Broken
    from sealdex.store.layout import Store


@click.command(
    epilog=examples(
        "sealdex use acme/slack 1.1.0", "sealdex use acme/slack 1.1.0 --pin", "sealdex use acme/slack --unpin"
    )
)
@installed_plugin("plugin", metavar="NS/NAME")
@click.argument("version", required=False)
@click.option("--pin/--unpin", "pin", default=None, help="Pin the plugin to this version, or unpin it.")
@click.option("--force", is_flag=True, help="Switch even if that breaks other installed plugins.")
@client_command
def use(context: Context, plugin: str, version: str | None, pin: bool | None, force: bool) -> None:
    """Switch to an installed version. A pinned plugin stays at its version when others are installed or updated.

    A version is refused if another installed plugin can't work with it, or if something it needs is not in use.
    """
    warn = _warning(context) if force else None
    _show(context, use_version(_store(context), _id(plugin), version, pin, warn))
    warn_of_refused(context.out, _store(context))


def _warning(context: Context) -> Callable[[Sequence[Broken]], None]:
    def warn(broken: Sequence[Broken]) -> None:
        for each in broken:
            context.out.warn(f"{each}: {each.fix}")

    return warn


@click.command(epilog=examples("sealdex enable acme/slack"))
@installed_plugin("plugins", nargs=-1, required=True, metavar="NS/NAME...")
@click.option("--force", is_flag=True, help="Enable them even if something they need is missing.")
@client_command
def enable(context: Context, plugins: tuple[str, ...], force: bool) -> None:
    """Allow hosts to load plugins again; a status of error is cleared too.

    While a plugin is disabled, its dependencies may be removed or changed. It can't be enabled until they are in place.
    """
    _set_enabled(context, plugins, enabled=True, force=force)


@click.command(epilog=examples("sealdex disable acme/slack", "sealdex disable acme/slack acme/mail --json"))
@installed_plugin("plugins", nargs=-1, required=True, metavar="NS/NAME...")
@client_command
def disable(context: Context, plugins: tuple[str, ...]) -> None:
    """Stop hosts from loading plugins. They stay installed and are still updated."""
    _set_enabled(context, plugins, enabled=False)


def _set_enabled(context: Context, plugins: tuple[str, ...], *, enabled: bool, force: bool = False) -> None:
    asked = [_id(plugin) for plugin in plugins]
    warn = _warning(context) if force else None
    _show(context, set_enabled(_store(context), asked, enabled=enabled, on_broken=warn), say=False)
    for plugin in asked:
        context.out.line(f"{plugin} is {'enabled' if enabled else 'disabled'}")


def _show(context: Context, done: Switched, *, say: bool = True) -> None:
    context.out.result({
        "change": done.change,
        "plugins": [
            {"plugin": str(plugin), **_facts_plain(after), "previous": before.version}
            for plugin, (before, after) in done.plugins.items()
        ],
    })  # fmt: skip
    if say:
        for plugin, (before, after) in done.plugins.items():
            was = f" (was {before.version})" if before.version != after.version else ""
            pinned = ", pinned" if after.pin is not None else ", no longer pinned" if before.pin is not None else ""
            context.out.line(f"{plugin} {after.version} is in use{was}{pinned}")


@click.command(epilog=examples("sealdex rollback", "sealdex rollback --to 12", "sealdex rollback --json"))
@click.option(
    "--to",
    type=click.IntRange(min=0),
    metavar="CHANGE",
    help="Restore the state right after CHANGE; 0 restores the state before the first change.",
)
@click.option("--force", is_flag=True, help="Roll back even if that breaks other installed plugins.")
@client_command
def rollback(context: Context, to: int | None, force: bool) -> None:
    """Undo the last change that is still in effect; run again to undo the one before it.

    Versions that the change installed are removed, and versions that it removed are restored from the cache. Pins and
    the enabled or disabled state are restored too. If a version that was in use is no longer in the cache, or a plugin
    would be left without something it needs, nothing is changed.
    """
    from sealdex.install.rollback import roll_back_with_cache  # noqa: PLC0415  # only this command reads archives

    done = roll_back_with_cache(_store(context), to, on_broken=_warning(context) if force else None)
    out = context.out
    out.result({
        "taken_back": [_change_plain(change) for change in done.changes],
        "plugins": [
            {
                "plugin": str(m.plugin),
                **_facts_plain(m.after),
                "previous": m.before.version,
                "removed": list(m.removes),
                "restored": list(m.restores),
            }
            for m in done.members
        ],
        "lost": [{"plugin": str(plugin), "version": version} for plugin, version in done.lost],
        "kept": [{"plugin": str(plugin), "version": version} for plugin, version in done.kept],
    })  # fmt: skip
    for change in done.changes:
        out.line(f"undone: {change.command} ({change.at}, change {change.id})")
    for member in done.members:
        if (words := _format_member(member)) is not None:
            out.line(f"  {words}")
    for plugin, version in done.kept:
        out.note(
            f"{plugin} {version} is used by a process and was kept; to remove it: sealdex uninstall {plugin}@{version}"
        )
    for plugin, version in done.lost:
        out.warn(
            f"{plugin} {version} was not restored: its archive is not in the cache; sealdex install {plugin}@{version}"
        )
    warn_of_refused(out, _store(context))


@click.command(epilog=examples("sealdex history", "sealdex history --limit 5 --json"))
@click.option(
    "--limit", type=click.IntRange(min=0), default=20, show_default=True, help="Maximum number of changes; 0 shows all."
)
@client_command
def history(context: Context, limit: int) -> None:
    """Show the changes made on this host, newest first, and which of them were undone."""
    found = State(_store(context)).history()
    standing = {change.id for change in not_taken_back(found)}
    shown = found[:limit] if limit else found
    out = context.out
    out.result({"changes": [{**_change_plain(c), "holds": c.id in standing} for c in shown], "total": len(found)})
    out.table(
        ["CHANGE", "WHEN", "BY", "WHAT", "PLUGINS"],
        [
            [
                str(change.id),
                change.at,
                change.by or "-",
                change.command + ("" if change.id in standing or change.undoes is not None else " (undone)"),
                "; ".join(words for member in change.members if (words := _format_member(member))),
            ]
            for change in shown
        ],
        worded=("WHAT", "PLUGINS"),
    )
    if not found:
        out.note("no changes yet")


def _format_member(member: Member) -> str | None:
    """Describe what a change did to a plugin; None if nothing visible."""
    before, after = member.before, member.after
    words = []
    if before.version != after.version:
        words.append(f"{before.version or 'nothing'} -> {after.version or 'nothing'}")
    if before.pin != after.pin:
        words.append(f"pinned to {after.pin}" if after.pin else "unpinned")
    if before.enabled != after.enabled:
        words.append("enabled" if after.enabled else "disabled")
    if member.removes:
        words.append(f"removed {', '.join(member.removes)}")
    if member.restores:
        words.append(f"restored {', '.join(member.restores)}")
    if not words and member.unpacks:
        words.append(f"added {member.unpacks}")
    return f"{member.plugin} {', '.join(words)}" if words else None


def _change_plain(change: Change) -> dict[str, Any]:
    return {
        "change": change.id,
        "at": change.at,
        "by": change.by,
        "command": change.command,
        "undoes": change.undoes,
        "plugins": [
            {
                "plugin": str(m.plugin),
                "before": _facts_plain(m.before),
                "after": _facts_plain(m.after),
                "unpacked": m.unpacks,
                "removed": list(m.removes),
                "restored": list(m.restores),
            }
            for m in change.members
        ],
    }


def _facts_plain(facts: Facts) -> dict[str, Any]:
    return {"version": facts.version, "pin": facts.pin, "enabled": facts.enabled}


def _store(context: Context) -> Store:
    return Store(context.store or store_folder())


def _id(plugin: str) -> PluginId:
    try:
        return parse_plugin_id(plugin)
    except ValueError as error:
        raise UsageError(str(error), subject=plugin, hint="write NAMESPACE/NAME, such as acme/slack") from error
