"""Changing several plugins as one: everything of it, or nothing.

What happens, and what a kill (or a power cut) at that moment leaves:

1. The store's lock is taken; what a killed run left unfinished is finished or undone first.
2. The change is written into ``state.db`` as ``preparing``: what is in use and what is to be, which versions are new.
   *Killed from here: the next change removes the new versions. What is in use was never touched.*
3. The caller unpacks the new versions beside the old ones (`sealdex.install.install`, ``make_current=False``).
   *Fails: undone at once, in the same way.*
4. The change is ``committed``: one transaction of the database, which sets pins and states as well.
   *Killed from here: the next change finishes it.*
5. What is in use is switched, plugin by plugin; then versions that are to go are removed. Both can be done again.
6. The change is ``done``.

Readers take no lock. Between 4 and 6, a few renames long, they may see some plugins switched and others not yet.
Downloads happen before all this, so the lock is held for unpacking only, and two sets never undo each other's work.
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
from sealdex.store.database import COMMITTED, DISABLED, DONE, UNDONE, Change, Facts, Member, State
from sealdex.store.dependants import OnBroken, newly_broken, refuse
from sealdex.store.installations import current, current_version_named, find_installation, installed_versions
from sealdex.store.layout import Store
from sealdex.store.leases import holders, unheld
from sealdex.store.staging import remove_stale
from sealdex.store.tombstones import keep_record

_log = Log("sealdex.store")

INSIST = "--force does it all the same"


class SetChange:
    """A change that is being made; see `changing`."""

    def __init__(self, store: Store, command: str) -> None:
        self._store = store
        self._command = command
        self._state = State(store)
        self._id: int | None = None
        self._members: tuple[Member, ...] = ()

    def facts(self, plugin: PluginId) -> Facts:
        """Return what holds for a plugin now."""
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
        """Write down what is going to change, before any of it is done; call it once.

        Args:
            members: what.
            undoes: the change that this one takes back, with all after it.
            consistent: plugins whose own needs were seen to already.
            on_broken: told which installed plugins it leaves without what they need; left out: that is refused.
            hint: what helps then.

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
        """Decide and carry out; return the change's id, None when there was nothing to change."""
        change, self._id = self._id, None  # from here on nothing is undone
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
        self._state.close(change, DONE)
        return change

    def undo(self) -> None:
        """Remove what was unpacked for a change that was not committed."""
        if self._id is not None:
            _undo(self._store, self._members)
            self._state.close(self._id, UNDONE)
            self._id = None


@contextmanager
def changing(store: Store, command: str, *, timeout_s: float = LOCK_TIMEOUT_S) -> Iterator[SetChange]:
    """Hold the store for one change; what isn't committed at the end of the block is undone.

    Args:
        store: which.
        command: what is done, in words, for the history.
        timeout_s: how long to wait for another process.

    Raises:
        InstallError: somebody else held the store for that long, or it can't be written.
    """
    with _store_lock(store, timeout_s):
        settle(store)
        remove_stale(store)
        change = SetChange(store, command)
        try:
            yield change
        finally:
            with suppress(SealdexError):  # the error that led here says more; the next change undoes it then
                change.undo()


def settle(store: Store) -> None:
    """Finish or undo what killed runs left. The caller holds the store's lock."""
    state = State(store)
    for change in state.unfinished():
        way = "finished" if change.phase == COMMITTED else "undone"
        _log.info("store.settled", "change {change}, which a killed run left, is {way}", change=change.id, way=way)
        if change.phase == COMMITTED:
            _apply(store, change.members)
            state.close(change.id, DONE)
        else:
            _undo(store, change.members)
            state.close(change.id, UNDONE)


def facts_of(store: Store, plugin: PluginId) -> Facts:
    """Return what holds for a plugin now."""
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
    """Change versions in use, pins or states of plugins that are installed; return before and after of each.

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
    """Take versions out of the store; where the one in use goes, the newest that is left takes over.

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
    """What a rollback did.

    Attributes:
        changes: what it took back, newest first.
        members: what holds for each plugin since.
        kept: versions that would have gone and stay, since a service or another process uses them.
        lost: versions that were there, not in use, and couldn't be put back.
    """

    changes: tuple[Change, ...]
    members: tuple[Member, ...]
    kept: tuple[tuple[PluginId, str], ...] = ()
    lost: tuple[tuple[PluginId, str], ...] = ()


Restore = Callable[[PluginId, str], Callable[[], object] | None]
"""Gives what puts a version back into the store; None where that can't be done."""


def roll_back(
    store: Store,
    to: int | None = None,
    *,
    restore: Restore = lambda _plugin, _version: None,
    on_broken: OnBroken | None = None,
) -> RolledBack:
    """Return to the state before the last change that isn't taken back yet, or to the state after change ``to``.

    A change that only put versions beside those in use is passed over: a job has brought them, and may need them again.

    What these changes brought into the store goes, but for what is being used; what they took out is put back. What
    can't be put back and was in use is an error; what only lay there is told.

    Args:
        store: which.
        to: the last change that is to hold; 0: none.
        restore: see `Restore`.
        on_broken: as `SetChange.prepare`.

    Raises:
        BreaksDependantsError: as `SetChange.prepare`.
        UsageError: there is no such change, or it is taken back already.
        NotFoundError: a version that was in use can't be put back; nothing was changed.
        VerificationError, InstallError: as `changing`, or putting a version back failed; nothing was changed.
    """
    with changing(store, "rollback" if to is None else f"rollback --to {to}") as change:
        standing = [each for each in not_taken_back(State(store).history()) if not each.is_aside or each.id == to]
        taken = standing[:1] if to is None else _after(standing, to)
        if not taken:
            raise UsageError(
                "there is no change to take back",
                untouched="nothing was changed",
                hint="sealdex history shows what was changed",
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
    """Return the members with what can be put back, what does that, and what can't be.

    Raises:
        NotFoundError: one that can't be is to be in use.
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
    """Return the changes that still hold, newest first; pure.

    A rollback takes back everything from the change it names up to itself, rollbacks in between included; but not what
    only lay beside.
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
            f"there is no change {to}, or it was taken back" + (f"; there are {known}" if known else ""),
            untouched="nothing was changed",
            hint="sealdex history shows what was changed; 0 is the state before the first change",
        )
    return [change for change in standing if change.id > to]


def _inverse(
    store: Store, change: SetChange, taken: Sequence[Change]
) -> tuple[list[Member], list[tuple[PluginId, str]]]:
    """Return what takes changes back: of each plugin, only what they changed about it; and what stays, being used."""
    after: dict[PluginId, Facts] = {}
    was_there: dict[PluginId, dict[str, bool]] = {}
    for old in taken:  # newest first, so the oldest has the last word
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
    """Make so what was decided; doing it again changes nothing."""
    for member in members:
        named = current_version_named(store, member.plugin)
        if member.after.version is None:
            if named is not None:
                clear_current(store, member.plugin)
        elif named != member.after.version:
            with suppress(NotFoundError):  # taken away by hand since: that must not stand in everybody's way for ever
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
            hint="wait for it to end and run the command again",
        ) from error
    except OSError as error:
        raise InstallError(
            f"the store can't be written: {error.strerror or error}",
            subject=store.root,
            untouched="nothing was changed",
            hint="check its permissions, or name another store with --store DIR",
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
