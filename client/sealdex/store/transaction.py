"""Changes several plugins atomically: either everything is changed or nothing.

The steps, and what a kill (or a power cut) during each one leaves behind:

1. The store's lock is taken; what a killed run left unfinished is finished or undone first.
2. The change is written to ``state.db`` as ``preparing``: versions in use before and after, and which are new.
   *Killed from here: the next change removes the new versions. The versions in use were not touched.*
3. The caller unpacks the new versions beside the old ones (`sealdex.install.install`, ``make_current=False``).
   *Fails: undone at once, in the same way.*
4. The change is ``committed``: one transaction of the database, which also sets pins and states.
   *Killed from here: the next change finishes it.*
5. The versions in use are switched, plugin by plugin; then versions to be removed are removed. Both are idempotent.
6. The change is ``done``.

Readers take no lock. Between 4 and 6, for a few renames, they may see some plugins switched and others not yet.
Downloads happen before all this, so the lock is held for unpacking only, and two changes never undo each other's work.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from filelock import FileLock, Timeout

from sealdex.errors import InstallError, NotFoundError, SealdexError, UsageError
from sealdex.log import Log
from sealdex.model.ids import PluginId
from sealdex.store.activation import LOCK_TIMEOUT_S, acquire, clear_current, remove, switch
from sealdex.store.database import DISABLED, Change, Facts, Member, State
from sealdex.store.dependants import OnBroken, newly_broken, refuse
from sealdex.store.installations import current, current_version_named, find_installation, installed_versions
from sealdex.store.layout import Store
from sealdex.store.leases import holders, unheld
from sealdex.store.staging import remove_stale
from sealdex.store.tombstones import keep_record

_log = Log("sealdex.store")

INSIST = "to do it anyway: --force"


class SetChange:
    """A change in progress; see `changing`."""

    def __init__(self, store: Store, command: str) -> None:
        self._store = store
        self._command = command
        self._state = State(store)
        self._id: int | None = None
        self._members: tuple[Member, ...] = ()

    def facts(self, plugin: PluginId) -> Facts:
        """Return the current facts of a plugin."""
        return facts_of(self._store, plugin)

    def prepare(
        self,
        members: Sequence[Member],
        *,
        undoes: int | None = None,
        consistent: Collection[PluginId] = (),
        on_broken: OnBroken | None = None,
        hint: str = INSIST,
    ) -> None:
        """Record what is going to change before any of it is done; call it once.

        Args:
            members: the effect on each plugin.
            undoes: the change that this one undoes, with all after it.
            consistent: plugins whose own needs were already taken into account.
            on_broken: told which installed plugins lose something they need; without it, such a change is refused.
            hint: the hint of that error.

        Raises:
            BreaksDependantsError: it would break something; nothing was changed.
        """
        broken = newly_broken(self._store, members, consistent)
        if on_broken is None:
            refuse(self._store, broken, hint)
        elif broken:
            on_broken(broken)
        self._members = tuple(member for member in members if member.changes_something)
        if self._members or undoes is not None:
            self._id = self._state.begin(self._command, self._members, undoes)

    def commit(self) -> int | None:
        """Commit and carry out the change; return its id, None if there was nothing to change."""
        change, self._id = self._id, None  # from here on the change is finished, never undone
        if change is None:
            return None
        self._state.commit(change, self._members)
        _log.info(
            "store.change",
            "change {change} ({command}) is decided: {plugins}",
            change=change,
            command=self._command,
            plugins=[f"{m.plugin} {m.before.version or 'none'} -> {m.after.version or 'none'}" for m in self._members],
        )
        _apply(self._store, self._members)
        self._state.close(change, "done")
        return change

    def undo(self) -> None:
        """Remove what was unpacked for an uncommitted change."""
        if self._id is not None:
            _undo(self._store, self._members)
            self._state.close(self._id, "undone")
            self._id = None


@contextmanager
def changing(store: Store, command: str, *, timeout_s: float = LOCK_TIMEOUT_S) -> Iterator[SetChange]:
    """Lock the store for one change; if it isn't committed at the end of the block, it is undone.

    Args:
        store: the store.
        command: the request as text, for the history.
        timeout_s: how long to wait for another process.

    Raises:
        InstallError: another process held the lock for that long, or the store can't be written.
    """
    with _store_lock(store, timeout_s):
        settle(store)
        remove_stale(store)
        change = SetChange(store, command)
        try:
            yield change
        finally:
            with suppress(SealdexError):  # the original error says more; the next change will undo this one
                change.undo()


def settle(store: Store) -> None:
    """Finish or undo what killed runs left behind. The caller holds the store's lock."""
    state = State(store)
    for change in state.unfinished():
        way = "finished" if change.phase == "committed" else "undone"
        _log.info("store.settled", "change {change}, which a killed run left, is {way}", change=change.id, way=way)
        if change.phase == "committed":
            _apply(store, change.members)
            state.close(change.id, "done")
        else:
            _undo(store, change.members)
            state.close(change.id, "undone")


def facts_of(store: Store, plugin: PluginId) -> Facts:
    """Return the current facts of a plugin."""
    row = State(store).plugin(plugin)
    in_use = current(store, plugin)
    return Facts(in_use.version if in_use is not None else None, row.pin, row.status != DISABLED)


def change_facts(
    store: Store,
    command: str,
    wishes: dict[PluginId, Callable[[Facts], Facts]],
    *,
    on_broken: OnBroken | None = None,
    hint: str = INSIST,
) -> tuple[int | None, dict[PluginId, tuple[Facts, Facts]]]:
    """Change versions in use, pins or states of installed plugins; return the facts before and after for each.

    Raises:
        NotFoundError: a version that is to be used isn't installed.
        BreaksDependantsError: as `SetChange.prepare`.
        InstallError: as `changing`.
    """
    with changing(store, command) as change:
        members = []
        for plugin, wish in wishes.items():
            before = change.facts(plugin)
            after = wish(before)
            if after.version is not None and find_installation(store, plugin, after.version) is None:
                raise _not_there(store, plugin, after.version)
            members.append(Member(plugin, before, after))
        change.prepare(members, on_broken=on_broken, hint=hint)
        done = change.commit()
    return done, {member.plugin: (member.before, member.after) for member in members}


def remove_versions(
    store: Store,
    command: str,
    versions: dict[PluginId, tuple[str, ...]],
    *,
    on_broken: OnBroken | None = None,
    hint: str = INSIST,
) -> int | None:
    """Remove versions from the store; if the one in use is removed, the newest remaining one becomes current.

    Raises:
        BreaksDependantsError: as `SetChange.prepare`.
        InstallError: one of them is used by a service or another process; else as `changing`.
    """
    going = [(plugin, version) for plugin, gone in versions.items() for version in gone]
    with changing(store, command) as change, unheld(store, going):
        members = []
        for plugin, gone in versions.items():
            before = change.facts(plugin)
            left = [i.version for i in installed_versions(store, plugin) if i.version not in gone]
            in_use = before.version if before.version not in gone else (left[-1] if left else None)
            after = replace(before, version=in_use) if left else Facts()
            if after.pin in gone:
                after = replace(after, pin=None)
            members.append(Member(plugin, before, after, removes=gone))
        change.prepare(members, on_broken=on_broken, hint=hint)
        return change.commit()


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
            raise _not_there(store, member.plugin, member.after.version)
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


def _apply(store: Store, members: Sequence[Member]) -> None:
    """Carry out a committed change; idempotent."""
    for member in members:
        named = current_version_named(store, member.plugin)
        if member.after.version is None:
            if named is not None:
                clear_current(store, member.plugin)
        elif named != member.after.version:
            with suppress(NotFoundError):  # removed by hand since: that must not block all later changes
                switch(store, member.plugin, member.after.version)
    for member in members:
        for version in member.removes:
            if os.path.lexists(store.version_folder(member.plugin, version)):
                keep_record(store, member.plugin, version)
                remove(store, member.plugin, version)


def _undo(store: Store, members: Sequence[Member]) -> None:
    for member in members:
        for version in member.adds:
            is_there = os.path.lexists(store.version_folder(member.plugin, version))
            if is_there and current_version_named(store, member.plugin) != version:
                remove(store, member.plugin, version)


@contextmanager
def _store_lock(store: Store, timeout_s: float) -> Iterator[None]:
    path = Path(store.change_lock)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(path)
        acquire(lock, timeout_s)
    except Timeout as error:
        raise InstallError(
            f"another sealdex has been changing what is installed for {timeout_s:.0f} s",
            subject=store.root,
            untouched="nothing was changed",
            hint="wait for that process to end, then run the command again",
        ) from error
    except OSError as error:
        raise InstallError(
            f"the store can't be written: {error.strerror or error}",
            subject=store.root,
            untouched="nothing was changed",
            hint="check its permissions, or use another store: --store DIR",
        ) from error
    try:
        yield
    finally:
        lock.release()


def _not_there(store: Store, plugin: PluginId, version: str) -> NotFoundError:
    others = ", ".join(i.version for i in installed_versions(store, plugin))
    return NotFoundError(
        f"{plugin} {version} is not installed" + (f"; installed: {others}" if others else ""),
        subject=f"{plugin} {version}",
        untouched="nothing was changed",
        hint=f"sealdex install {plugin}@{version}",
    )
