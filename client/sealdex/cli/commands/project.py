"""Commands about a project's ``sealdex.toml`` and ``sealdex.lock``: lock, ensure, update."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from sealdex.cli.context import Context, client_command, download_options
from sealdex.cli.fast_ensure import row, show_ensured
from sealdex.cli.group import examples
from sealdex.cli.output import Output
from sealdex.cli.update_check import say_what_is_outdated
from sealdex.errors import UsageError
from sealdex.text import counted

if TYPE_CHECKING:
    from sealdex.lockfile.staleness import Difference
    from sealdex.model.ids import PluginId
    from sealdex.model.plugin import Mark
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
        help="The folder of sealdex.toml and sealdex.lock; the current one when left out.",
    )(command)


@click.command(
    epilog=examples(
        "sealdex lock",
        "sealdex lock --upgrade",
        "sealdex lock --upgrade-package acme/slack --dry-run",
        "sealdex lock --export image/builtin",
    )
)
@click.option("--upgrade", is_flag=True, help="Take the newest of everything that fits.")
@click.option("--upgrade-package", "packages", multiple=True, metavar="NS/NAME", help="Of this one; may be repeated.")
@click.option("--dry-run", is_flag=True, help="Show what would change and write nothing.")
@click.option(
    "--export",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Also put the lock and this host's archives there, as a folder of preinstalled plugins.",
)
@_project_option
@client_command
def lock(
    context: Context, upgrade: bool, packages: tuple[str, ...], dry_run: bool, export: Path | None, folder: Path
) -> None:
    """Resolve sealdex.toml into sealdex.lock: exact releases and, for every platform, sizes and digests.

    What is locked already stays as it is as long as it fits, even if it was yanked since.
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
        out.note("commit it, so that everybody installs the same: sealdex ensure")
    else:
        out.line(f"{made.path} is as it was: {count}" if not made.differences else f"not written: {made.path}")
    if exported:
        out.line(f"{counted(len(exported), 'file')} in {export}")


@click.command(
    epilog=examples(
        "sealdex ensure",
        "sealdex ensure --locked --json",
        "sealdex ensure --frozen --project /srv/robot",
        "sealdex ensure --limit-rate 500k --retry 3 --timeout 30",
    )
)
@click.option("--locked", is_flag=True, help="Fail if the lock isn't what sealdex.toml asks for, instead of locking.")
@click.option("--frozen", is_flag=True, help="Don't look whether it is.")
@click.option("--offline", is_flag=True, help="Make no request: what is cached or preinstalled must do.")
@click.option("--no-fallback", is_flag=True, help="Fail if no registry can be asked, whatever is cached.")
@_project_option
@download_options
@client_command
def ensure(context: Context, locked: bool, frozen: bool, offline: bool, no_fallback: bool, folder: Path) -> None:
    """Install just what sealdex.lock says and switch to it: all of it, or nothing.

    Where everything is in place, no request is made. What has to be installed is compared with what the registry signs;
    where that can't be reached, the digests of the lock vouch for what is cached or preinstalled, and it is said so.
    """
    out = context.out
    if locked and frozen:
        raise UsageError("--locked looks whether the lock is stale and --frozen doesn't: give one of them")
    with context.client("resolving", offline=offline) as client:
        project = _project(folder, client)
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
        from sealdex.lockfile.voucher import in_words  # noqa: PLC0415  # tuf; here it is imported already

        out.warn(in_words(done.unasked, [each for each in done.installed if each.action != "keep"]))
    rows = [_ensured_row(each) for each in done.installed if each.action != "image"]
    rows += [_ensured_row(each) for each in done.installed if each.action == "image"]
    for each in done.installed:
        if each.action not in {"keep", "nothing"}:
            was = f" (was {each.previous})" if each.previous else ""
            out.line(f"{_VERBS.get(each.action, each.action)} {each.choice}{was} · {each.trust}", style="green")
        elif each.previous:
            out.line(f"switched to {each.choice} (was {each.previous})", style="green")
    show_ensured(out, str(folder), rows, {str(plugin): error.message for plugin, error in done.unasked.items()})


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
@click.option("--dry-run", is_flag=True, help="Show what would change and change nothing.")
@click.option("--installed", is_flag=True, help="What is installed, though there is a sealdex.toml here.")
@_project_option
@download_options
@click.option("--cascade", is_flag=True, help="Bring installed plugins along that need another version of it.")
@click.option("--force", is_flag=True, help="Whatever other installed plugins need.")
@client_command
def update(
    context: Context, plugins: tuple[str, ...], dry_run: bool, installed: bool, cascade: bool, force: bool, folder: Path
) -> None:
    """Bring everything, or what is named, up to date.

    With a sealdex.toml here: within its ranges, in its lock and in the store. Without: what is installed and in use, to
    the newest releases that fit this host and each other. Pinned plugins stay where they are.
    """
    from sealdex.lockfile.project_file import WANTED_NAME  # noqa: PLC0415  # a command imports when it runs
    from sealdex.update import update_installed  # noqa: PLC0415  # the same

    out, named = context.out, _ids(plugins)
    nothing_kept: Mapping[PluginId, str] = {}
    with context.client("resolving") as client:
        if (folder / WANTED_NAME).exists() and not installed:
            project = _project(folder, client)
            made = project.lock(upgrade=not named, upgrade_plugins=named, dry_run=dry_run)
            if not dry_run:
                project.ensure(made.document, on_yanked=lambda p, v, mark: _warn_yanked(out, p, v, mark))
            _say_made_again(out, made)
            changed, kept = made.differences, nothing_kept
            out.result({**_locked_plain(made), "dry_run": dry_run})
        else:
            done = update_installed(client, named, dry_run=dry_run, cascade=cascade, force=force)
            changed, kept = done.differences, done.kept
            out.result({
                "changed": _differences_plain(changed),
                "kept": {str(plugin): why for plugin, why in kept.items()},
                "dry_run": dry_run,
                "yanked": [
                    {"plugin": str(plugin), "version": version, "why": why} for plugin, version, why in done.yanked
                ],
            })  # fmt: skip
            for plugin, version, why in done.yanked:
                replaced = any(each.plugin == plugin for each in changed)
                out.warn(f"{plugin} {version}, which {'was' if replaced and not dry_run else 'is'} in use, was {why}")
    _say_differences(out, changed)
    for plugin, why in kept.items():
        out.note(f"{plugin} stays: {why}")
    if not changed:
        out.line("everything is up to date")
    elif dry_run:
        out.line("nothing was changed: --dry-run")
    else:
        out.note("sealdex rollback takes it back")


def _project(folder: Path, client: Any) -> Project:
    from sealdex.project import Project  # noqa: PLC0415  # a command imports when it runs

    return Project(folder.absolute(), client)


def _ids(names: tuple[str, ...]) -> list[PluginId]:
    from sealdex.model.ids import parse_plugin_id  # noqa: PLC0415  # a command imports when it runs

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
        out.warn(f"{made.path.name} could not be read, so it was made again: {made.unreadable}")


def _locked_plain(made: Locked) -> dict[str, Any]:
    return {
        "lock": made.path,
        "written": made.is_written,
        "plugins": len(made.document.plugin),
        "changed": _differences_plain(made.differences),
    }


def _differences_plain(found: Sequence[Difference]) -> list[dict[str, Any]]:
    return [{"plugin": str(each.plugin), "before": each.before, "after": each.after} for each in found]


def _say_differences(out: Output, found: Sequence[Difference]) -> None:
    for each in found:
        out.line(str(each))
