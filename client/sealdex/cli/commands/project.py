"""Commands about a project's ``sealdex.toml`` and ``sealdex.lock``: lock, ensure, update."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
import msgspec

from sealdex import lockfile
from sealdex.cli.context import Context, client_command, download_options
from sealdex.cli.fast_ensure import row, show_ensured
from sealdex.cli.group import examples
from sealdex.cli.output import Output
from sealdex.cli.update_check import say_what_is_outdated
from sealdex.errors import ConfigError, UsageError
from sealdex.model.ids import parse_plugin_id
from sealdex.text import counted

if TYPE_CHECKING:
    from sealdex.lockfile.lock_file import LockDocument
    from sealdex.lockfile.staleness import Difference
    from sealdex.model.ids import PluginId
    from sealdex.model.plugin import Mark, MovedTo
    from sealdex.project import Locked, Project
    from sealdex.results import Installed

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
    _say_differences(out, made.differences)
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
    out = context.out
    if locked and frozen:
        raise UsageError(
            "--locked and --frozen exclude each other: --locked checks whether the lock is up to date, --frozen doesn't"
        )
    with context.client("resolving", offline=offline) as client:
        project = _project(folder, client)
        if dry_run:
            _show_plan(out, project, project.up_to_date(locked=locked, frozen=frozen, dry_run=True), not no_fallback)
            return
        document = project.up_to_date(locked=locked, frozen=frozen)
        done = project.ensure(
            document,
            fallback=not no_fallback,
            is_current=not (frozen or context.config_path or context.settings),
            on_yanked=lambda plugin, version, mark: _warn_yanked(out, plugin, version, mark),
        )
        if not done.unasked and any(each.action != "keep" for each in done.installed):
            say_what_is_outdated(client, out)
    if done.unasked:
        from sealdex.lockfile.voucher import format_unasked  # noqa: PLC0415  # tuf; here it is imported already

        out.warn(format_unasked(done.unasked, [each for each in done.installed if each.action != "keep"]))
    rows = [_ensured_row(each) for each in done.installed]
    for each in done.installed:
        if each.action not in {"keep", "nothing"}:
            was = f" (was {each.previous})" if each.previous else ""
            out.line(f"{_VERBS.get(each.action, each.action)} {each.choice}{was} · {each.trust}", style="green")
        elif each.previous:
            out.line(f"switched to {each.choice} (was {each.previous})", style="green")
    unasked = {str(plugin): error.message for plugin, error in done.unasked.items()}
    show_ensured(out, str(folder), rows, unasked, context.summary())
    context.log_summary()


def _show_plan(out: Output, project: Project, document: LockDocument, fallback: bool) -> None:
    from sealdex.cli.dry_run import show_planned  # noqa: PLC0415  # few ask for it

    try:
        before = project.locked()
    except ConfigError:  # it would be made again
        before = None
    planned, unasked = project.preview(
        document, fallback=fallback, on_yanked=lambda p, version, mark: _warn_yanked(out, p, version, mark)
    )
    changed = lockfile.differences(before or lockfile.LockDocument(), document)
    for plugin, error in unasked.items():
        out.warn(f"{plugin} would be verified by the lock alone: {error.message}")
    if changed:
        out.note(f"{project.lock_path.name} would be brought up to date first:")
        _say_differences(out, changed)
    show_planned(out, planned, lock=project.lock_path, lock_changes=_differences_plain(changed))


_VERBS = {"unpack": "installed", "repair": "repaired", "image": "pull"}


def _ensured_row(each: Installed) -> dict[str, Any]:
    path = each.installation.path if each.installation is not None else None
    more: dict[str, Any] = {"image": each.image} if each.image is not None else {}
    if each.action in {"unpack", "repair"} or each.previous:
        more["previous"] = each.previous
    if each.action in {"unpack", "repair"}:
        more |= {"bytes_fetched": each.bytes_fetched, "bytes_reused": each.bytes_reused}
    return row(str(each.choice.plugin), each.choice.release.version, each.action, path, **more)


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
                project.ensure(made.document, on_yanked=lambda p, v, mark: _warn_yanked(out, p, v, mark))
            _say_made_again(out, made)
            changed, kept = made.differences, nothing_kept
            moved = moved_plugins(client, [each.id for each in made.document.plugin])
            out.result({**_locked_plain(made), "dry_run": dry_run, **_moved_plain(moved)})
        else:
            done = update_installed(client, named, dry_run=dry_run, cascade=cascade, force=force)
            changed, kept, moved = done.differences, done.kept, dict(done.moved)
            out.result({
                "changed": _differences_plain(changed),
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
    _say_differences(out, changed)
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
    try:
        return [parse_plugin_id(name) for name in names]
    except ValueError as error:
        raise UsageError(str(error), hint="write NAMESPACE/NAME, such as acme/slack") from error


def _warn_yanked(out: Output, plugin: PluginId, version: str, mark: Mark) -> None:
    why = f": {mark.why}" if mark.why else ""
    out.warn(
        f"{plugin} {version}, which is locked, was yanked by {mark.by}{why}; sealdex lock --upgrade-package {plugin}"
    )


def _say_made_again(out: Output, made: Locked) -> None:
    if made.unreadable is not None:
        out.warn(f"{made.path.name} could not be read and was re-created: {made.unreadable}")


def _locked_plain(made: Locked) -> dict[str, Any]:
    return {
        "lock": made.path,
        "written": made.is_written,
        "plugins": len(made.document.plugin),
        "changed": _differences_plain(made.differences),
    }


def _moved_plain(moved: Mapping[PluginId, MovedTo]) -> dict[str, Any]:
    return {"moved_to": {str(plugin): msgspec.to_builtins(each) for plugin, each in moved.items()}} if moved else {}


def _differences_plain(found: Sequence[Difference]) -> list[dict[str, Any]]:
    return [{"plugin": str(each.plugin), "before": each.before, "after": each.after} for each in found]


def _say_differences(out: Output, found: Sequence[Difference]) -> None:
    for each in found:
        out.line(str(each))
