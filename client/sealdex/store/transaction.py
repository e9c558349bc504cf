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
from pathlib import Path

from msgspec.structs import replace

from sealdex.errors import InstallError, NotFoundError, SealdexError
from sealdex.log import Log
from sealdex.model.ids import PluginId
from sealdex.store.activation import LOCK_TIMEOUT_S, acquire, clear_current, instead_of, remove, switch
from sealdex.store.change import Facts, Member
from sealdex.store.database import DISABLED, State
from sealdex.store.dependants import OnBroken, newly_broken, refuse
from sealdex.store.file_lock import FileLock, LockTimeoutError
from sealdex.store.installations import current, current_version_named, find_installation, installed_versions
from sealdex.store.layout import Store
from sealdex.store.leases import unheld
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
                raise not_installed(store, plugin, after.version)
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
    except LockTimeoutError as error:
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


def not_installed(store: Store, plugin: PluginId, version: str) -> NotFoundError:
    """Return the error that a version isn't installed, with those that are."""
    return NotFoundError(
        f"{plugin} {version} is not installed{instead_of(store, plugin)}",
        subject=f"{plugin} {version}",
        untouched="nothing was changed",
        hint=f"sealdex install {plugin}@{version}",
    )
