"""Leases on installed versions, so that a version in use isn't uninstalled.

    <store>/holds/<namespace>/<name>/<version>/<what>-<process id>-<number>

A hold is an empty file that its holder keeps locked: it ends with the holder, however that ends, so a reused process id
does no harm. A killed holder leaves a file without a lock, which the next check deletes.
The lock belongs to the open file, so that a service inherits it from its supervisor and holds its version even if the
supervisor is killed. That is why it isn't a `filelock.FileLock`, which doesn't expose its descriptor.

Checking a version and holding or removing it happens under one lock, so that neither can happen in between.
"""

from __future__ import annotations

import itertools
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from msgspec import Struct

from sealdex.disk import remove_lock
from sealdex.errors import InstallError
from sealdex.log import Log
from sealdex.store.file_lock import FileLock, LockTimeoutError
from sealdex.store.layout import Store

if TYPE_CHECKING:
    from sealdex.store.layout import Plugin

if sys.platform == "win32":
    import msvcrt

    def _lock(descriptor: int) -> None:
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)

    def _unlock(descriptor: int) -> None:
        os.close(descriptor)
else:
    import fcntl

    def _lock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def _unlock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_UN)  # for all processes that inherited it
        os.close(descriptor)


LeaseKind = Literal["service", "host", "job"]
_GATE_PATIENCE_S = 60.0
_numbers = itertools.count(1)
_log = Log("sealdex.store")


class Holder(Struct, frozen=True):
    """The holder of a version: a ``service``, the ``host`` process of a manager or a ``job``; with its process id."""

    what: str
    process: int


class Hold:
    """A version that is held until `release`, or until this process and those that inherited the descriptor end."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self._path = path
        self._descriptor: int | None = descriptor

    def fileno(self) -> int:
        """Return the descriptor, for a child process that also holds the version.

        Raises:
            ValueError: it was released.
        """
        if self._descriptor is None:
            raise ValueError("the hold was released")
        return self._descriptor

    def release(self) -> None:
        """Release the hold; may be called again."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            with suppress(OSError):  # the next check deletes it
                remove_lock(self._path, lambda: _unlock(descriptor))


def hold(store: Store, plugin: Plugin, version: str, what: LeaseKind) -> Hold | None:
    """Hold a version. Read its files only afterwards, since it may have been removed before.

    Returns:
        The hold; None if the store can't be written: nothing can be uninstalled there either.
    """
    folder = Path(store.holds_folder(plugin, version))
    try:
        with _gate(store):
            folder.mkdir(parents=True, exist_ok=True)
            path = folder / f"{what}-{os.getpid()}-{next(_numbers)}"
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
            try:
                _lock(descriptor)
            except OSError:
                os.close(descriptor)
                raise
            return Hold(path, descriptor)
    except (OSError, InstallError) as error:
        _log.debug(
            "store.not-held",
            "{plugin} {version} could not be held: {error}",
            plugin="/".join(plugin),
            version=version,
            error=error,
        )
        return None


def holders(store: Store, plugin: Plugin, version: str) -> list[Holder]:
    """Return the holders of a version; files of killed holders are deleted.

    Raises:
        InstallError: another process has been removing versions for a minute.
    """
    with _gate(store):
        return _holders(store, plugin, version)


@contextmanager
def unheld(store: Store, versions: Iterable[tuple[Plugin, str]]) -> Iterator[None]:
    """Prevent versions from being held during a block that removes them.

    Raises:
        InstallError: one of them is held; the message says by whom and how to end that. Or as `holders`.
    """
    with _gate(store):
        for plugin, version in versions:
            if found := _holders(store, plugin, version):
                raise _held(plugin, version, found)
        yield


def _holders(store: Store, plugin: Plugin, version: str) -> list[Holder]:
    folder = Path(store.holds_folder(plugin, version))
    found = []
    for path in sorted(folder.iterdir()) if folder.is_dir() else []:
        what, _, rest = path.name.partition("-")
        process = rest.partition("-")[0]
        try:
            descriptor = os.open(path, os.O_RDWR)
        except FileNotFoundError:
            continue
        try:
            _lock(descriptor)
        except OSError:
            os.close(descriptor)
            found.append(Holder(what, int(process) if process.isdecimal() else 0))
        else:
            with suppress(OSError):
                remove_lock(path, partial(os.close, descriptor))
    if not found:
        with suppress(OSError):  # the last version, the last plugin of a namespace
            folder.rmdir()
            folder.parent.rmdir()
            folder.parent.parent.rmdir()
    return found


@contextmanager
def _gate(store: Store) -> Iterator[None]:
    path = Path(store.holds_gate)
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path)
    try:
        lock.acquire(timeout=_GATE_PATIENCE_S)
    except LockTimeoutError as error:
        raise InstallError(
            f"another sealdex has been removing versions for {_GATE_PATIENCE_S:.0f} s",
            subject=str(path),
            untouched="nothing was changed",
            hint="wait for that process to end, then run the command again",
        ) from error
    try:
        yield
    finally:
        lock.release()


def _held(plugin: Plugin, version: str, found: Sequence[Holder]) -> InstallError:
    name = "/".join(plugin)
    said = {
        "service": f"it runs as a service, started by process {{}} (sealdex stop {name})",
        "host": "process {} has it loaded",
        "job": "the job of process {} needs it",
    }
    who = "; ".join(said.get(each.what, "process {} uses it").format(each.process) for each in found)
    if any(each.what == "service" for each in found):
        hint = f"sealdex stop {name}, then run the command again"
    else:
        hint = f"end process {found[0].process}, or let it switch to another version: sealdex use {name} VERSION"
    return InstallError(
        f"{name} {version} is in use: {who}", subject=f"{name} {version}", untouched="nothing was changed", hint=hint
    )
