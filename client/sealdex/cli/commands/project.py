"""Commands about a project's ``sealdex.toml`` and ``sealdex.lock``: lock, ensure, update."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from sealdex import lockfile
from sealdex.cli.context import Context, client_command, download_options
from sealdex.cli.group import examples
from sealdex.cli.run_ensure import differences_plain, say_differences, warn_yanked
from sealdex.errors import UsageError
from sealdex.text import counted

if TYPE_CHECKING:
    from sealdex.cli.output import Output
    from sealdex.model.ids import PluginId
    from sealdex.model.plugin import MovedTo
    from sealdex.project import Locked, Project

F = TypeVar("F", bound=Callable[..., Any])


def _project_option(command: F) -> F:
    return click.option(
        "--project",
        "folder",
        type=click.Path(file_okay=False, path_type=Path),
        default=Path(),
        metavar="DIR",
        help="The folder of sealdex.toml and sealdex.lock; default: the current folder.",
    )(command)


@click.command(
    epilog=examples(
        "sealdex lock",
        "sealdex lock --upgrade",
        "sealdex lock --upgrade-package acme/slack --dry-run",
        "sealdex lock --export image/builtin",
    )
)
@click.option("--upgrade", is_flag=True, help="Upgrade every plugin to its newest fitting release.")
@click.option(
    "--upgrade-package", "packages", multiple=True, metavar="NS/NAME", help="Upgrade only this plugin; may be repeated."
)
@click.option("--dry-run", is_flag=True, help="Show what would change; write nothing.")
@click.option(
    "--export",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Also copy the lock and this host's archives there, as a folder of preinstalled plugins.",
)
@_project_option
@client_command
def lock(
    context: Context, upgrade: bool, packages: tuple[str, ...], dry_run: bool, export: Path | None, folder: Path
) -> None:
    """Resolve sealdex.toml into sealdex.lock: exact releases and, for every platform, sizes and digests.

    Locked releases are kept as long as they fit, even if they were yanked since.
    """
    out = context.out
    with context.client("resolving") as client:
        project = _project(folder, client)
        made = project.lock(upgrade=upgrade, upgrade_plugins=_ids(packages), dry_run=dry_run)
        exported = project.export(made.document, export) if export is not None and not dry_run else []
    out.result({**_locked_plain(made), "exported": exported})
    _say_made_again(out, made)
    say_differences(out, made.differences)
    count = counted(len(made.document.plugin), "plugin")
    if made.is_written:
        out.line(f"locked {count} in {made.path}", style="green")
        out.note("commit it so that everyone installs the same releases with: sealdex ensure")
    else:
        out.line(f"{made.path} is unchanged: {count}" if not made.differences else f"not written: {made.path}")
    if exported:
        out.line(f"{counted(len(exported), 'file')} in {export}")


@click.command(
    epilog=examples(
        "sealdex ensure",
        "sealdex ensure --locked --json",
        "sealdex ensure --dry-run",
        "sealdex ensure --frozen --project /srv/robot",
        "sealdex ensure --limit-rate 500k --retry 3 --timeout 30",
    )
)
@click.option(
    "--locked", is_flag=True, help="Fail if sealdex.lock is out of date with sealdex.toml, instead of updating it."
)
@click.option("--frozen", is_flag=True, help="Don't check whether sealdex.lock is up to date.")
@click.option("--offline", is_flag=True, help="Make no requests; use only what is cached or preinstalled.")
@click.option("--no-fallback", is_flag=True, help="Fail if no registry can be reached, even if everything is cached.")
@click.option("--dry-run", is_flag=True, help="Show what would be installed and downloaded; change nothing.")
@_project_option
@download_options
@client_command
def ensure(
    context: Context, locked: bool, frozen: bool, offline: bool, no_fallback: bool, dry_run: bool, folder: Path
) -> None:
    """Install exactly what sealdex.lock says and switch to it: either all of it or nothing.

    If everything is in place, no request is made. Whatever has to be installed is compared with the registry's signed
    metadata. If the registry is unreachable, cached and preinstalled archives are checked against the digests in the
    lock, and a note says so.
    """
    from sealdex.cli.run_ensure import run_ensure  # noqa: PLC0415  # `--help` needn't wait for all that installs

    run_ensure(
        context,
        locked=locked,
        frozen=frozen,
        offline=offline,
        no_fallback=no_fallback,
        dry_run=dry_run,
        folder=folder,
    )


@click.command(
    epilog=examples(
        "sealdex update --dry-run",
        "sealdex update",
        "sealdex update acme/slack --json",
        "sealdex update --installed",
        "sealdex update --concurrent 1 --limit-rate 2M",
    )
)
@click.argument("plugins", nargs=-1, metavar="[NS/NAME]...")
@click.option("--dry-run", is_flag=True, help="Show what would change; change nothing.")
@click.option("--installed", is_flag=True, help="Update what is installed, even if there is a sealdex.toml here.")
@_project_option
@download_options
@click.option("--cascade", is_flag=True, help="Also update installed plugins that need another version of it.")
@click.option("--force", is_flag=True, help="Update even if that breaks other installed plugins.")
@client_command
def update(
    context: Context, plugins: tuple[str, ...], dry_run: bool, installed: bool, cascade: bool, force: bool, folder: Path
) -> None:
    """Update everything, or the plugins named.

    With a sealdex.toml here, its lock and the store are updated within its ranges. Without one, the plugins in use are
    updated to the newest releases that fit this host and each other. Pinned plugins are not changed.
    """
    from sealdex.update import moved_plugins, update_installed  # noqa: PLC0415  # `--help` needn't wait for all that installs

    out, named = context.out, _ids(plugins)
    nothing_kept: Mapping[PluginId, str] = {}
    with context.client("resolving") as client:
        if (folder / lockfile.WANTED_NAME).exists() and not installed:
            project = _project(folder, client)
            made = project.lock(upgrade=not named, upgrade_plugins=named, dry_run=dry_run)
            if not dry_run:
                project.ensure(made.document, on_yanked=lambda p, v, mark: warn_yanked(out, p, v, mark))
            _say_made_again(out, made)
            changed, kept = made.differences, nothing_kept
            moved = moved_plugins(client, [each.id for each in made.document.plugin])
            out.result({**_locked_plain(made), "dry_run": dry_run, **_moved_plain(moved)})
        else:
            done = update_installed(client, named, dry_run=dry_run, cascade=cascade, force=force)
            changed, kept, moved = done.differences, done.kept, dict(done.moved)
            out.result({
                "changed": differences_plain(changed),
                "kept": {str(plugin): why for plugin, why in kept.items()},
                "dry_run": dry_run,
                "yanked": [
                    {"plugin": str(plugin), "version": version, "why": why} for plugin, version, why in done.yanked
                ],
                **_moved_plain(moved),
            })  # fmt: skip
            for plugin, version, why in done.yanked:
                replaced = any(each.plugin == plugin for each in changed)
                out.warn(f"{plugin} {version}, which {'was' if replaced and not dry_run else 'is'} in use, was {why}")
    for plugin, where in moved.items():
        out.warn(f"{plugin} moved to {where}; later releases are only there")
    say_differences(out, changed)
    for plugin, why in kept.items():
        out.note(f"{plugin} is not updated: {why}")
    if not changed:
        out.line("everything is up to date")
    elif dry_run:
        out.line("dry run: nothing was changed")
    else:
        context.say_summary()
        out.note("to undo it: sealdex rollback")


def _project(folder: Path, client: Any) -> Project:
    from sealdex.project import Project  # noqa: PLC0415  # `--help` needn't wait for all that installs

    return Project(folder.absolute(), client)


def _ids(names: tuple[str, ...]) -> list[PluginId]:
    from sealdex.model.ids import parse_plugin_id  # noqa: PLC0415  # `--help` needn't wait for it

    try:
        return [parse_plugin_id(name) for name in names]
    except ValueError as error:
        raise UsageError(str(error), hint="write NAMESPACE/NAME, such as acme/slack") from error


def _say_made_again(out: Output, made: Locked) -> None:
    if made.unreadable is not None:
        out.warn(f"{made.path.name} could not be read and was re-created: {made.unreadable}")


def _locked_plain(made: Locked) -> dict[str, Any]:
    return {
        "lock": made.path,
        "written": made.is_written,
        "plugins": len(made.document.plugin),
        "changed": differences_plain(made.differences),
    }


def _moved_plain(moved: Mapping[PluginId, MovedTo]) -> dict[str, Any]:
    import msgspec  # noqa: PLC0415  # `--help` needn't wait for it

    return {"moved_to": {str(plugin): msgspec.to_builtins(each) for plugin, each in moved.items()}} if moved else {}
