"""A lock for stores without conditional writes: an object that says who publishes, since when, and for how long.

    {"id": "5f0c2a9e", "holder": "process 311", "since": "2026-11-29T08:00:00Z", "seconds": 900}

It is weaker than conditions, which the store itself holds: nothing keeps two publishers from writing the lock at the
same moment. Who wrote it waits, and goes on if it still is the lock's holder then. It is looked at again before each
swap, and written again while a long publish goes on. A lock that nobody wrote for ``seconds`` is free; how long ago
that is, the store's clock says. It is given back by writing it without a holder, since publishers may not delete.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Protocol

import msgspec

from registry_builder.storage.headers import LOCK_KEY
from sealdex.errors import SealdexError, UnavailableError
from sealdex.log import Log
from sealdex.model.decode import decode_as

_log = Log("registry_builder.storage")

LEASE_S = 900
_MAX_LEASE_S = 24 * 3600  # whatever a lock says that somebody wrote
_SETTLE_S = 2.0  # longer than a small write takes to arrive
_RENEWED_AFTER = 1 / 3  # of the lease
_TIME = "%Y-%m-%dT%H:%M:%SZ"


class LockDocument(msgspec.Struct, frozen=True, kw_only=True):
    """What the lock object holds; without an id nobody holds it."""

    id: str = ""
    holder: str = ""
    since: str = ""
    seconds: int = LEASE_S


@dataclass(frozen=True)
class FoundLock:
    """The lock as it is stored, and for how long it hasn't been written."""

    document: LockDocument
    age: timedelta

    @property
    def left(self) -> timedelta:
        """For how much longer it is held, unless it is renewed; nothing or less if its time is over."""
        return timedelta(seconds=min(max(self.document.seconds, 0), _MAX_LEASE_S)) - self.age

    @property
    def is_held(self) -> bool:
        """Whether somebody holds it, and its time isn't over."""
        return bool(self.document.id) and self.left > timedelta()


class LockPlace(Protocol):
    """Where the lock is stored."""

    @property
    def description(self) -> str:
        """The name of the storage in messages."""

    def read_lock(self) -> tuple[bytes, timedelta] | None:
        """Return the stored bytes and their age; None if there are none."""

    def write_lock(self, data: bytes) -> None:
        """Replace them."""


class LockedError(SealdexError):
    """Another publisher holds the lock, or one that was killed left it behind."""

    code = "locked"

    def __init__(self, storage: str, found: FoundLock, *, untouched: str = "nothing was written") -> None:
        held = found.document
        if not held.id:
            super().__init__(
                f"the lock of {storage} was freed, or written over, while this publisher held it",
                untouched=untouched,
                hint="run it again; whoever runs `sealdex-builder unlock` has to make sure that the publisher is gone",
            )
            return
        left = max(0, round(found.left.total_seconds()))
        super().__init__(
            f"{storage} is locked by {held.holder or 'somebody unnamed'} since {held.since or 'an unknown time'}: it "
            "is publishing now, or was killed",
            subject=held.id,
            untouched=untouched,
            hint=f"wait until it is done; unless it is renewed, it is free in {left} s. Once you are certain "
            f"that this publisher is gone: sealdex-builder unlock {held.id}",
        )


class LockObject:
    """The lock of one storage.

    Args:
        place: where it is stored.
        holder: who this is, in words; by default this process, or the run of a workflow.
        sleep: waits.
    """

    def __init__(
        self, place: LockPlace, *, holder: str | None = None, sleep: Callable[[float], None] | None = None
    ) -> None:
        self._place = place
        self._holder = holder or _this_process()
        self._sleep = sleep or time.sleep
        self._guard = threading.Lock()
        self._mine: LockDocument | None = None
        self._written = 0.0

    def acquire(self) -> None:
        """Take the lock.

        Raises:
            LockedError: another publisher holds it, or was faster.
        """
        found = self.found()
        if found is not None and found.is_held:
            raise LockedError(self._place.description, found)
        now = datetime.now(timezone.utc).strftime(_TIME)
        mine = LockDocument(id=secrets.token_hex(4), holder=self._holder, since=now, seconds=LEASE_S)
        self._write(mine)
        self._sleep(_SETTLE_S)
        found = self.found()
        if found is None or found.document.id != mine.id:
            raise LockedError(self._place.description, found or FoundLock(LockDocument(), timedelta()))
        self._mine = mine
        _log.info(
            "storage.locked", "{storage} is locked by this publisher", storage=self._place.description, id=mine.id
        )

    def check(self, *, now: bool) -> None:
        """Make sure that this publisher still holds it, and renew it in time.

        Args:
            now: ask the store; otherwise that is done only when it is time to renew it.

        Raises:
            LockedError: another took it.
            AssertionError: it was never taken.
        """
        with self._guard:
            if self._mine is None:
                raise AssertionError  # whoever writes takes it first
            is_due = time.monotonic() - self._written > LEASE_S * _RENEWED_AFTER
            if not now and not is_due:
                return
            found = self.found()
            if found is None or found.document.id != self._mine.id:
                lost = found or FoundLock(LockDocument(), timedelta())
                raise LockedError(self._place.description, lost, untouched="what is published was not changed")
            if is_due:
                self._write(self._mine)

    def release(self) -> None:
        """Give it back, unless another took it; without an effect if it isn't held."""
        with self._guard:
            mine, self._mine = self._mine, None
            if mine is None:
                return
            found = self.found()
            if found is not None and found.document.id == mine.id:
                self._write(LockDocument())

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Hold it for a while.

        Raises:
            LockedError: as `acquire`.
        """
        self.acquire()
        try:
            yield
        finally:
            with contextlib.suppress(UnavailableError):  # then it is free when its time is over
                self.release()

    def break_(self, lock_id: str) -> LockDocument:
        """Free the lock that another holds, and return what it said.

        Raises:
            SealdexError: it isn't that one any more; it was left alone.
        """
        found = self.found()
        if found is None or not found.document.id or found.document.id != lock_id:
            held = found.document if found is not None and found.document.id else None
            raise SealdexError(
                f"{self._place.description} is "
                + (f"locked by {held.holder} since {held.since}, with the id {held.id}" if held else "not locked"),
                subject=lock_id,
                untouched="nothing was changed",
                hint=f"sealdex-builder unlock {held.id}" if held else "publish again",
            )
        self._write(LockDocument())
        return found.document

    def found(self) -> FoundLock | None:
        """Return the lock as it is stored; None if there never was one. One that can't be read counts as free."""
        stored = self._place.read_lock()
        if stored is None:
            return None
        data, age = stored
        try:
            return FoundLock(decode_as(data, LockDocument), age)
        except msgspec.DecodeError:
            return FoundLock(LockDocument(), age)

    def _write(self, document: LockDocument) -> None:
        self._place.write_lock(msgspec.json.encode(document))
        self._written = time.monotonic()


def _this_process() -> str:
    """Return who publishes, as others may read it: the lock is stored where what is published is."""
    run = [os.environ.get(name, "") for name in ("GITHUB_REPOSITORY", "GITHUB_RUN_ID")]
    if all(run):
        return f"{run[0]}, run {run[1]}"
    return f"process {os.getpid()}"  # not the host's name: everybody can read the lock


__all__ = ["LEASE_S", "LOCK_KEY", "FoundLock", "LockDocument", "LockObject", "LockPlace", "LockedError"]
