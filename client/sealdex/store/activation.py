"""Changes what is installed: one process at a time for each plugin, and each change is atomic.

A version appears by one rename, disappears by one rename, and ``current`` changes by one rename. A process that is
killed in between leaves the state before or after one of these, and a staging folder that the next run deletes.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from sealdex import disk
from sealdex.disk import rename, replace, sync_path
from sealdex.errors import MAKE_ROOM, InstallError, NotFoundError, is_disk_full
from sealdex.log import Log, stopwatch
from sealdex.similar import most_similar
from sealdex.store.file_lock import FileLock, LockTimeoutError
from sealdex.store.installations import (
    Installation,
    current,
    current_version_named,
    find_installation,
    installations,
    installed_versions,
)
from sealdex.store.layout import Store
from sealdex.store.staging import remove_stale, staging_folder

_log = Log("sealdex.store")

LOCK_TIMEOUT_S = 600.0
_MAKE_ATTEMPTS = 20


def acquire(lock: FileLock, timeout_s: float) -> None:
    """Take a lock, and log where that has to be waited for.

    Raises:
        LockTimeoutError: somebody else held it for so long.
    """
    with suppress(LockTimeoutError):
        lock.acquire(timeout=0)
        return
    took = stopwatch()
    _log.info("store.lock", "{path} is held by another process or thread: waiting for it", path=lock.lock_file)
    lock.acquire(timeout=timeout_s)
    _log.info("store.locked", "{path} is ours after {seconds} s", path=lock.lock_file, seconds=took())


@contextmanager
def plugin_lock(store: Store, plugin: tuple[str, str], *, timeout_s: float = LOCK_TIMEOUT_S) -> Iterator[None]:
    """Lock a plugin against changes by other processes and threads. Not reentrant.

    Raises:
        InstallError: another process held the lock for ``timeout_s`` seconds; a process that died holds no lock.
    """
    path = Path(store.lock_file(plugin))
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path)
    try:
        acquire(lock, timeout_s)
    except LockTimeoutError as error:
        name = "/".join(plugin)
        raise InstallError(
            f"another sealdex has been changing {name} for {timeout_s:.0f} s",
            subject=name,
            untouched="nothing was changed",
            hint="wait for that process to end, then run the command again",
        ) from error
    try:
        yield
    finally:
        lock.release()


def switch(
    store: Store, plugin: tuple[str, str], version: str, *, timeout_s: float = LOCK_TIMEOUT_S
) -> Installation | None:
    """Make an installed version the current one, and return the previous one.

    Raises:
        NotFoundError: that version isn't installed.
        InstallError: a file system error, or another process holds the plugin's lock.
    """
    with _told_as_install_error(plugin):
        remove_stale(store)
        with plugin_lock(store, plugin, timeout_s=timeout_s):
            settle_current(store, plugin)
            require_installed(store, plugin, version)
            before = current_version_named(store, plugin)
            if before != version:
                with staging_folder(store) as staging:
                    point_current(store, plugin, version, staging)
            return None if before is None else find_installation(store, plugin, before)


def remove(
    store: Store, plugin: tuple[str, str], version: str, *, timeout_s: float = LOCK_TIMEOUT_S
) -> Installation | None:
    """Uninstall one version; return the version that is current now.

    If it was current, the newest remaining version becomes current. Its virtual environments are removed too, and with
    the last version the state and logs of its service.

    Raises:
        NotFoundError: that version isn't installed.
        InstallError: a file system error, or another process holds the plugin's lock.
    """
    with _told_as_install_error(plugin):
        remove_stale(store)
        with plugin_lock(store, plugin, timeout_s=timeout_s):
            settle_current(store, plugin)
            folder = store.version_folder(plugin, version)
            if not os.path.lexists(folder):  # a damaged one can't be read but can be removed
                require_installed(store, plugin, version)
            with staging_folder(store) as staging:
                rename(folder, staging / "removed")  # the commit point
                settle_current(store, plugin)
            _log.info(
                "store.removed",
                "{plugin} {version} is taken out, by one rename",
                plugin="/".join(plugin),
                version=version,
            )
            sync_path(Path(store.plugins_folder))
            shutil.rmtree(store.environment_folder(plugin, version), ignore_errors=True)
            left = current(store, plugin)
            if left is None and not installed_versions(store, plugin):
                shutil.rmtree(store.run_folder(plugin), ignore_errors=True)
            return left


def require_installed(store: Store, plugin: tuple[str, str], version: str) -> Installation:
    """Return the installation of a version.

    Raises:
        NotFoundError: there is none.
    """
    found = find_installation(store, plugin, version)
    if found is None:
        name = "/".join(plugin)
        raise NotFoundError(
            f"{name} {version} is not installed{instead_of(store, plugin)}",
            subject=f"{name} {version}",
            untouched="nothing was changed",
            hint=f"to see what is installed: sealdex list; to install it: sealdex install {name}@{version}",
        )
    return found


def instead_of(store: Store, plugin: tuple[str, str]) -> str:
    """Return what to add to the message that a plugin, or a version of it, isn't installed: what is, or was meant."""
    if others := [i.version for i in installed_versions(store, plugin)]:
        return f"; installed: {', '.join(others)}"
    near = most_similar("/".join(plugin), {"/".join(i.id): None for i in installations(store)}, 3)
    return f"; did you mean {' or '.join(near)}?" if near else ""


def settle_current(store: Store, plugin: tuple[str, str]) -> None:
    """Update ``current`` after a removal, or after one that was killed.

    If the version it names is gone, the newest remaining version becomes current; if none remains, the plugin's folder
    is removed. The caller holds the plugin's lock.
    """
    named = current_version_named(store, plugin)
    left = installed_versions(store, plugin)
    if named is not None and named not in {i.version for i in left}:
        with staging_folder(store) as staging:
            if left:
                point_current(store, plugin, left[-1].version, staging)
            else:
                rename(store.current_link(plugin), staging / "current-removed")
    if not left:
        folder = Path(store.plugin_folder(plugin))
        with suppress(OSError):  # it doesn't exist or isn't empty: it has other files or plugins
            folder.rmdir()
            folder.parent.rmdir()


def point_current(store: Store, plugin: tuple[str, str], version: str, staging: Path) -> None:
    """Make ``current`` name a version, by one rename. The caller holds the plugin's lock and gives its staging folder.

    It is a relative link, or a text file where links can't be made (FAT), and on Windows, which needs a privilege for
    them and can't replace a link to a folder by one rename.
    """
    made = staging / "current"
    try:
        if disk.ON_WINDOWS:
            raise NotImplementedError  # noqa: TRY301  # as systems do that have no links
        made.symlink_to(version)
    except (OSError, NotImplementedError):
        made.write_text(version + "\n", encoding="utf-8")
    link = Path(store.current_link(plugin))
    if link.is_dir() and not link.is_symlink():  # the store was copied, with links followed
        rename(link, staging / "current-copied")
    replace(made, link)
    sync_path(link.parent)
    name = "/".join(plugin)
    _log.info("store.switched", "{plugin}: {version} is in use, by one rename", plugin=name, version=version, link=link)


def clear_current(store: Store, plugin: tuple[str, str], *, timeout_s: float = LOCK_TIMEOUT_S) -> None:
    """Leave a plugin without a current version, whatever is installed of it.

    Raises:
        InstallError: a file system error, or another process holds the plugin's lock.
    """
    with _told_as_install_error(plugin):
        remove_stale(store)
        with plugin_lock(store, plugin, timeout_s=timeout_s), staging_folder(store) as staging:
            with suppress(FileNotFoundError):
                rename(store.current_link(plugin), staging / "current-removed")
            settle_current(store, plugin)


def rename_into(made: Path, final: Path) -> None:
    """Rename a folder to its final place, creating its parent folders.

    An uninstall of the namespace's last other plugin may remove an empty parent at the same moment; then it is tried
    once more.

    Raises:
        OSError: the place is taken, or a file system error.
    """
    for attempt in range(_MAKE_ATTEMPTS):
        final.parent.mkdir(parents=True, exist_ok=True)
        try:
            rename(made, final)
        except FileNotFoundError:
            if attempt == _MAKE_ATTEMPTS - 1 or not made.exists():
                raise
        else:
            return


@contextmanager
def _told_as_install_error(plugin: tuple[str, str]) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        name = "/".join(plugin)
        raise InstallError(
            f"changing {name} failed: {error.strerror or error}",
            subject=name,
            untouched="the change was made either completely or not at all; to see which: sealdex list",
            hint=MAKE_ROOM
            if is_disk_full(error)
            else "check the permissions of the store and the free space on its disk: sealdex doctor",
        ) from error


__all__ = [
    "LOCK_TIMEOUT_S",
    "acquire",
    "clear_current",
    "plugin_lock",
    "point_current",
    "remove",
    "rename_into",
    "require_installed",
    "settle_current",
    "switch",
]
