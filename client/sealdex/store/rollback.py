"""Taking changes back: what they brought into the store goes, what they took out is put back, as one change more."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from msgspec.structs import replace

from sealdex.errors import UsageError
from sealdex.model.ids import PluginId
from sealdex.store.change import Change, Facts, Member
from sealdex.store.database import State
from sealdex.store.dependants import OnBroken
from sealdex.store.installations import find_installation
from sealdex.store.layout import Store
from sealdex.store.leases import holders, unheld
from sealdex.store.transaction import SetChange, changing, not_installed


@dataclass(frozen=True, slots=True)
class RolledBack:
    """The result of a rollback.

    Attributes:
        changes: the changes that were undone, newest first.
        members: the effect on each plugin.
        kept: versions that should have been removed but are used by a service or another process.
        lost: versions that were installed but not in use, and couldn't be restored.
    """

    changes: tuple[Change, ...]
    members: tuple[Member, ...]
    kept: tuple[tuple[PluginId, str], ...] = ()
    lost: tuple[tuple[PluginId, str], ...] = ()


Restore = Callable[[PluginId, str], Callable[[], object] | None]
"""Returns a function that restores a version; None if that isn't possible."""


def roll_back(
    store: Store,
    to: int | None = None,
    *,
    restore: Restore = lambda _plugin, _version: None,
    on_broken: OnBroken | None = None,
) -> RolledBack:
    """Undo the last change that isn't undone yet, or all changes after change ``to``.

    A change that only added versions that are not in use is skipped: a job has installed them and may need them again.

    Versions that these changes added are removed unless something uses them; versions that they removed are restored.
    If one can't be restored, this is an error if it was in use; otherwise it is reported.

    Args:
        store: the store.
        to: the last change that stays in effect; 0: none.
        restore: see `Restore`.
        on_broken: as `SetChange.prepare`.

    Raises:
        BreaksDependantsError: as `SetChange.prepare`.
        UsageError: there is no such change, or it is already undone.
        NotFoundError: a version that was in use can't be restored; nothing was changed.
        VerificationError, InstallError: as `changing`, or restoring a version failed; nothing was changed.
    """
    with changing(store, "rollback" if to is None else f"rollback --to {to}") as change:
        standing = [each for each in not_taken_back(State(store).history()) if not each.is_aside or each.id == to]
        taken = standing[:1] if to is None else _after(standing, to)
        if not taken:
            raise UsageError(
                "there is no change to undo",
                untouched="nothing was changed",
                hint="to see the changes: sealdex history",
            )
        inverse, kept = _inverse(store, change, taken)
        members, ways, lost = _with_ways_back(store, inverse, restore)
        with unheld(store, [(member.plugin, version) for member in members for version in member.removes]):
            change.prepare(members, undoes=taken[-1].id, on_broken=on_broken)
            for put_back in ways:
                put_back()
            change.commit()
        return RolledBack(tuple(taken), tuple(members), tuple(kept), tuple(lost))


def _with_ways_back(
    store: Store, members: Sequence[Member], restore: Restore
) -> tuple[list[Member], list[Callable[[], object]], list[tuple[PluginId, str]]]:
    """Return the members with what can be restored, the functions that do that, and what can't be restored.

    Raises:
        NotFoundError: a version that is to be in use can't be restored.
    """
    able: list[Member] = []
    ways: list[Callable[[], object]] = []
    lost: list[tuple[PluginId, str]] = []
    for member in members:
        found = {version: restore(member.plugin, version) for version in member.restores}
        gone = [version for version, way in found.items() if way is None]
        if member.after.version in gone:
            raise not_installed(store, member.plugin, member.after.version)
        able.append(replace(member, restores=tuple(version for version in found if version not in gone)))
        ways += [way for way in found.values() if way is not None]
        lost += [(member.plugin, version) for version in gone]
    return able, ways, lost


def not_taken_back(history: Sequence[Change]) -> list[Change]:
    """Return the changes that are still in effect, newest first; pure.

    A rollback undoes everything from the change it names up to itself, including rollbacks in between; but not changes
    that only added versions that are not in use.
    """
    standing: list[Change] = []
    below: int | None = None
    for change in history:
        if below is not None and change.id >= below and not change.is_aside:
            continue
        if change.undoes is not None:
            below = change.undoes
        else:
            standing.append(change)
    return standing


def _after(standing: Sequence[Change], to: int) -> list[Change]:
    if to != 0 and to not in {change.id for change in standing}:
        known = ", ".join(str(change.id) for change in standing[:10])
        raise UsageError(
            f"there is no change {to}, or it was undone" + (f"; there are {known}" if known else ""),
            untouched="nothing was changed",
            hint="to see the changes: sealdex history; 0 is the state before the first change",
        )
    return [change for change in standing if change.id > to]


def _inverse(
    store: Store, change: SetChange, taken: Sequence[Change]
) -> tuple[list[Member], list[tuple[PluginId, str]]]:
    """Return the members that undo changes (only what they changed), and the versions kept because they are in use."""
    after: dict[PluginId, Facts] = {}
    was_there: dict[PluginId, dict[str, bool]] = {}
    for old in taken:  # newest first, so that the oldest wins
        for member in old.members:
            now = after.get(member.plugin) or change.facts(member.plugin)
            was, became = member.before, member.after
            after[member.plugin] = Facts(
                was.version if was.version != became.version else now.version,
                was.pin if was.pin != became.pin else now.pin,
                was.enabled if was.enabled != became.enabled else now.enabled,
            )
            presence = was_there.setdefault(member.plugin, {})
            presence.update(dict.fromkeys(member.removes, True) | dict.fromkeys(member.adds, False))
    members, kept = [], []
    for plugin, facts in after.items():
        wanted = was_there[plugin] | ({} if facts.version is None else {facts.version: True})
        there = [version for version in wanted if os.path.lexists(store.version_folder(plugin, version))]
        gone = [version for version in there if not wanted[version]]
        back = tuple(v for v, was in wanted.items() if was and find_installation(store, plugin, v) is None)
        used = [version for version in gone if holders(store, plugin, version)]
        kept += [(plugin, version) for version in used]
        removes = tuple(version for version in gone if version not in used)
        members.append(Member(plugin, change.facts(plugin), facts, removes=removes, restores=back))
    return members, kept
