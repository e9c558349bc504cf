"""Locks between processes: the operating system's own where the case is plain, `filelock` in all others.

filelock knows Windows, file systems without locks, and folders in which others can put a file in the place of ours.
Importing it takes longer than all that is done under the locks of an installation, so it is asked where one of these
is met. Both lock the same file in the same way (``flock``), so that either excludes the other, whichever version of
sealdex uses it. The system releases the lock of a process that ends.
"""

from __future__ import annotations

import os
import time
import weakref
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from sealdex import disk

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from typing_extensions import Self

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]  # and so is every use of it

_POLL_S = 0.05
_MODE = 0o644


class LockTimeoutError(TimeoutError):
    """Somebody else has held the lock for so long.

    Attributes:
        lock_file: its path.
    """

    def __init__(self, lock_file: str) -> None:
        super().__init__(f"the lock {lock_file} is held by another process")
        self.lock_file = lock_file


class FileLock:
    """A lock that one process and one user of this object holds at a time; who has it may take it again.

    Args:
        path: the lock file; made if it isn't there, and left there.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.lock_file = os.fspath(path)
        self._held = 0
        self._descriptor: int | None = None
        self._other: Any = None

    def acquire(self, timeout: float = -1, *, check: Callable[[], object] | None = None) -> Self:
        """Take the lock.

        Args:
            timeout: in seconds; 0 to try once, less to wait for ever.
            check: called before each pause; what it raises ends the wait.

        Raises:
            LockTimeoutError: somebody else held it for so long.
            OSError: the file can't be made or locked.
        """
        if self._held == 0:
            end = time.monotonic() + timeout if timeout >= 0 else None
            while not self._is_taken():
                left = _POLL_S if end is None else min(_POLL_S, end - time.monotonic())
                if left <= 0:
                    raise LockTimeoutError(self.lock_file)
                if check is not None:
                    check()
                time.sleep(left)
            _locks.add(self)
        self._held += 1
        return self

    def release(self) -> None:
        """Give the lock back, once for each time that it was taken; nothing happens where it isn't held."""
        if self._held == 0:
            return
        self._held -= 1
        if self._held:
            return
        _locks.discard(self)
        if self._other is not None:
            self._other.release()
            return
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_UN)  # a child that was forked meanwhile has the descriptor too
            finally:
                os.close(descriptor)

    def _is_taken(self) -> bool:
        if self._other is None and fcntl is not None and not disk.ON_WINDOWS:
            taken = self._is_plainly_taken()
            if taken is not None:
                return taken
        from filelock import FileLock as AnyLock  # noqa: PLC0415  # what this module saves, mostly
        from filelock import Timeout  # noqa: PLC0415  # so too

        self._other = self._other or AnyLock(self.lock_file, thread_local=False)
        try:
            self._other.acquire(timeout=0)
        except Timeout:
            return False
        return True

    def _is_plainly_taken(self) -> bool | None:
        """Try to lock a file of our own under no other name; None where it isn't that, for filelock to look at."""
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        try:
            descriptor = os.open(self.lock_file, flags, _MODE)
        except OSError:
            return None
        keep = False
        try:
            state = os.fstat(descriptor)
            if state.st_uid != os.geteuid() or state.st_nlink > 1:
                return None
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            keep = os.fstat(descriptor).st_nlink == 1  # else its holder has removed it, and a later one is another file
        except BlockingIOError:
            return False
        except OSError:
            return None
        finally:
            if keep:
                self._descriptor = descriptor
            else:
                os.close(descriptor)
        return keep

    def _forget(self) -> None:
        """Close what a forked child has of its parent's lock, so that it doesn't outlive the parent in it."""
        descriptor, self._descriptor, self._held = self._descriptor, None, 0
        if descriptor is not None:
            with suppress(OSError):
                os.close(descriptor)

    def __enter__(self) -> Self:
        return self.acquire()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.release()

    def __del__(self) -> None:
        self._held = min(self._held, 1)
        self.release()


_locks: weakref.WeakSet[FileLock] = weakref.WeakSet()


def _forget_all() -> None:
    for lock in list(_locks):
        lock._forget()  # noqa: SLF001  # this module's own
    _locks.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_all)
