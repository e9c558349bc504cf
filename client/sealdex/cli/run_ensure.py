"""What ``ensure`` does and shows when something may have to be done; without click, see `sealdex.cli.plain_calls`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sealdex import lockfile
from sealdex.cli.fast_ensure import row, show_ensured
from sealdex.cli.update_check import say_what_is_outdated
from sealdex.errors import ConfigError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sealdex.cli.output import Output
    from sealdex.cli.session import Context
    from sealdex.lockfile.lock_file import LockDocument
    from sealdex.lockfile.staleness import Difference
    from sealdex.model.ids import PluginId
    from sealdex.model.plugin import Mark
    from sealdex.project import Project
    from sealdex.results import Installed


def run_ensure(
    context: Context,
    *,
    locked: bool = False,
    frozen: bool = False,
    offline: bool = False,
    no_fallback: bool = False,
    dry_run: bool = False,
    folder: Path = Path(),
) -> None:
    """Install what a lock says; the arguments are those of the command."""
    out = context.out
    if locked and frozen:
        raise UsageError(
            "--locked and --frozen exclude each other: --locked checks whether the lock is up to date, --frozen doesn't"
        )
    from sealdex.project import Project  # noqa: PLC0415  # a wrong call needn't wait for all that installs

    with context.client("resolving", offline=offline) as client:
        project = Project(folder.absolute(), client)
        if dry_run:
            _show_plan(out, project, project.up_to_date(locked=locked, frozen=frozen, dry_run=True), not no_fallback)
            return
        document = project.up_to_date(locked=locked, frozen=frozen)
        done = project.ensure(
            document,
            fallback=not no_fallback,
            is_current=not (frozen or context.config_path or context.settings),
            on_yanked=lambda plugin, version, mark: warn_yanked(out, plugin, version, mark),
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
        document, fallback=fallback, on_yanked=lambda p, version, mark: warn_yanked(out, p, version, mark)
    )
    changed = lockfile.differences(before or lockfile.LockDocument(), document)
    for plugin, error in unasked.items():
        out.warn(f"{plugin} would be verified by the lock alone: {error.message}")
    if changed:
        out.note(f"{project.lock_path.name} would be brought up to date first:")
        say_differences(out, changed)
    show_planned(out, planned, lock=project.lock_path, lock_changes=differences_plain(changed))


_VERBS = {"unpack": "installed", "repair": "repaired", "image": "pull"}


def _ensured_row(each: Installed) -> dict[str, Any]:
    path = os.fspath(each.installation) if each.installation is not None else None
    more: dict[str, Any] = {"image": each.image} if each.image is not None else {}
    if each.action in {"unpack", "repair"} or each.previous:
        more["previous"] = each.previous
    if each.action in {"unpack", "repair"}:
        more |= {"bytes_fetched": each.bytes_fetched, "bytes_reused": each.bytes_reused}
    return row(str(each.choice.plugin), each.choice.release.version, each.action, path, **more)


def warn_yanked(out: Output, plugin: PluginId, version: str, mark: Mark) -> None:
    """Warn that what is locked was yanked."""
    why = f": {mark.why}" if mark.why else ""
    out.warn(
        f"{plugin} {version}, which is locked, was yanked by {mark.by}{why}; sealdex lock --upgrade-package {plugin}"
    )


def differences_plain(found: Sequence[Difference]) -> list[dict[str, Any]]:
    """Return how a lock changes, as shown in json mode."""
    return [{"plugin": str(each.plugin), "before": each.before, "after": each.after} for each in found]


def say_differences(out: Output, found: Sequence[Difference]) -> None:
    """Show how a lock changes."""
    for each in found:
        out.line(str(each))
