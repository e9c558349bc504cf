"""Locks between processes: our plain ones and filelock's exclude each other, and the odd cases are filelock's."""

from __future__ import annotations

import errno
import fcntl
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import filelock
import pytest

from sealdex import disk
from sealdex.store.file_lock import FileLock, LockTimeoutError

if not hasattr(os, "fork"):
    pytest.skip("these are the systems with fork", allow_module_level=True)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "lock"


def is_free(path: Path) -> bool:
    """Say whether another process, with filelock, gets the lock."""
    try:
        with filelock.FileLock(path, timeout=0):
            return True
    except filelock.Timeout:
        return False


def is_plain(lock: FileLock) -> bool:
    return lock._other is None


def test_excludes_others_of_either_kind_until_it_is_released(path: Path) -> None:
    ours, another = FileLock(path), FileLock(path)
    with ours:
        assert not is_free(path)
        with pytest.raises(LockTimeoutError) as caught:
            another.acquire(timeout=0)
        assert caught.value.lock_file == str(path)
    assert is_free(path)
    with another:
        assert not is_free(path)
    assert is_plain(ours)
    assert is_plain(another)
    assert path.exists()


def test_is_excluded_by_filelock_and_waits_for_it(path: Path) -> None:
    theirs = filelock.FileLock(path)
    theirs.acquire()
    with pytest.raises(LockTimeoutError):
        FileLock(path).acquire(timeout=0.06)
    theirs.release()
    with FileLock(path) as ours:
        assert is_plain(ours)


def test_is_released_as_often_as_it_was_taken_and_then_no_more(path: Path) -> None:
    lock = FileLock(path)
    with lock, lock:
        lock.acquire(timeout=0).release()
        assert not is_free(path)
    assert is_free(path)
    lock.release()
    with filelock.FileLock(path):
        lock.release()
        assert not is_free(path)


def test_what_nobody_has_any_more_is_released(path: Path) -> None:
    FileLock(path).acquire()
    assert is_free(path)


def test_a_process_that_ends_holds_nothing(path: Path) -> None:
    program = (
        "import os, sys\nfrom sealdex.store.file_lock import FileLock\n"
        "lock = FileLock(sys.argv[1]).acquire()\nos._exit(7)"
    )
    assert subprocess.run([sys.executable, "-c", program, str(path)], check=False).returncode == 7
    with FileLock(path).acquire(timeout=0):
        pass


def test_a_forked_child_neither_holds_nor_releases_its_parent_s(path: Path) -> None:
    lock = FileLock(path).acquire()
    child = os.fork()
    if child == 0:
        lock.release()
        os._exit(0 if not is_free(path) else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert not is_free(path)
    lock.release()
    assert is_free(path)


def test_a_lock_file_that_was_removed_while_we_waited_is_none(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As `remove_lock` does: the name goes, then the lock; who had the file open gets a lock that nobody sees."""
    real: Any = fcntl.flock
    seen: list[int] = []

    def removed_first(descriptor: int, operation: int) -> None:
        if not seen:
            seen.append(descriptor)
            path.unlink()
        real(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", removed_first)
    with FileLock(path) as lock:
        assert seen
        assert is_plain(lock)
        assert path.exists()
        assert not is_free(path)


def test_a_link_in_the_place_of_the_file_is_not_followed(path: Path, tmp_path: Path) -> None:
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="symbolic link"):
        FileLock(path).acquire(timeout=0)
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize("case", ["another's file", "a second name", "no locks here", "Windows"])
def test_what_is_not_plain_is_left_to_filelock(path: Path, case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    path.touch()
    if case == "another's file":
        monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    elif case == "a second name":
        path.with_name("other").hardlink_to(path)
    elif case == "no locks here":
        real: Any = fcntl.flock

        def refused(descriptor: int, operation: int) -> None:
            if operation & fcntl.LOCK_EX and not refusals:
                refusals.append(descriptor)
                raise OSError(errno.ENOLCK, "no locks available")
            real(descriptor, operation)

        refusals: list[int] = []
        monkeypatch.setattr(fcntl, "flock", refused)
    else:
        monkeypatch.setattr(disk, "ON_WINDOWS", True)
    with FileLock(path) as lock:
        assert not is_plain(lock)
        with pytest.raises(LockTimeoutError):
            FileLock(path).acquire(timeout=0)
    with FileLock(path).acquire(timeout=0):
        pass


def test_a_folder_that_is_not_there_is_made(tmp_path: Path) -> None:
    with FileLock(tmp_path / "none" / "lock").acquire(timeout=0):
        assert (tmp_path / "none" / "lock").exists()
