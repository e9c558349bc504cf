"""Other systems' file systems, imitated in this process: what calls of the system refuse there, they refuse here.

An imitation: it refuses what the documentation of Win32 and of FAT says is refused, at the calls that Python makes, and
only for files that this process has open. It can't show what else differs.
"""

from __future__ import annotations

import errno
import os
import pathlib
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from sealdex import disk
from sealdex.store import cache

_FORBIDDEN = re.compile(r'[<>:"|?*]')


class WindowsDisk:
    """NTFS as Windows without privileges has it; `scanner` makes a number of renames fail first.

    Attributes:
        refused: what was refused, as ``call path``, for a test that wants to know whether the imitation met anything.
        scanner: how many more renames fail, as if a scanner held the file.
    """

    def __init__(self, root: pathlib.Path) -> None:
        self._root = f"{root}/"
        self.refused: list[str] = []
        self.scanner = 0

    def covers(self, path: object) -> bool:
        """Say whether a path is on the imitated disk."""
        return isinstance(path, str | os.PathLike) and os.path.abspath(os.fspath(path)).startswith(self._root)  # noqa: PTH100

    def open_below(self, path: str | os.PathLike[str]) -> str | None:
        """Return a file that this process has open at or below a path."""
        wanted = os.path.abspath(os.fspath(path))  # noqa: PTH100
        for descriptor in os.listdir("/proc/self/fd"):  # noqa: PTH208
            try:
                found = os.readlink(f"/proc/self/fd/{descriptor}")  # noqa: PTH115
            except OSError:
                continue
            if found == wanted or found.startswith(wanted + "/"):
                return found
        return None

    def refuse(self, call: str, path: object, number: int) -> OSError:
        """Note a refusal and return it."""
        self.refused.append(f"{call} {path}")
        return OSError(number, f"{os.strerror(number)} (as on Windows)", str(path))


@contextmanager
def windows_disk(root: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[WindowsDisk]:
    """Have files below a folder behave as on Windows, and the client take this for Windows as far as files go."""
    made = WindowsDisk(root)
    real: dict[str, Callable[..., Any]] = {
        name: getattr(os, name)
        for name in ("unlink", "remove", "rename", "replace", "open", "fsync", "symlink", "mkdir", "link")
    }

    def unlinks(name: str) -> Callable[..., Any]:
        def unlink(path: Any, **more: Any) -> None:
            if made.covers(path) and not _is_filelock() and made.open_below(path):
                raise made.refuse(name, path, errno.EACCES)
            real[name](path, **more)

        return unlink

    def renames(name: str) -> Callable[..., Any]:
        def rename(source: Any, target: Any, **more: Any) -> None:
            if made.covers(source):
                if made.scanner:
                    made.scanner -= 1
                    raise made.refuse("scanned", source, errno.EACCES)
                if made.open_below(source) or made.open_below(target):
                    raise made.refuse(name, source, errno.EACCES)
                if os.path.isdir(target) or (name == "rename" and os.path.lexists(target)):  # noqa: PTH112
                    raise made.refuse(name, target, errno.EACCES)
            real[name](source, target, **more)

        return rename

    def opens(path: Any, flags: int, *more: Any, **named: Any) -> int:
        if made.covers(path) and not _is_filelock():
            _refuse_name(made, "open", path)
            if os.path.isdir(path):  # noqa: PTH112
                raise made.refuse("open", path, errno.EACCES)
        return int(real["open"](path, flags, *more, **named))

    def makes(path: Any, *more: Any, **named: Any) -> None:
        if made.covers(path):
            _refuse_name(made, "mkdir", path)
        real["mkdir"](path, *more, **named)

    def syncs(descriptor: Any) -> None:
        number = descriptor if isinstance(descriptor, int) else descriptor.fileno()
        path = os.readlink(f"/proc/self/fd/{number}")  # noqa: PTH115
        if made.covers(path):
            flags = int(pathlib.Path(f"/proc/self/fdinfo/{number}").read_text().split("flags:")[1].split()[0], 8)
            if flags & os.O_ACCMODE == os.O_RDONLY:
                raise made.refuse("fsync", path, errno.EBADF)
        real["fsync"](descriptor)

    def links(target: Any, path: Any, *more: Any, **named: Any) -> None:
        if made.covers(path):
            refusal = made.refuse("symlink", path, errno.EPERM)
            refusal.winerror = 1314  # type: ignore[attr-defined]  # which errors have on Windows alone
            raise refusal
        real["symlink"](target, path, *more, **named)

    with monkeypatch.context() as patch:
        patch.setattr(disk, "ON_WINDOWS", True)
        patch.setattr(disk, "path_in_url", lambda path: path)  # there are no drives here
        patch.setattr(cache, "fcntl", None)
        patch.setattr(shutil, "_use_fd_functions", False)  # which open folders
        patch.setattr(disk, "_PAUSES_S", (0.0,) * len(disk._PAUSES_S))
        for name in ("unlink", "remove"):
            _patch(patch, name, unlinks(name))
        for name in ("rename", "replace"):
            _patch(patch, name, renames(name))
        _patch(patch, "open", opens)
        _patch(patch, "mkdir", makes)
        _patch(patch, "fsync", syncs)
        _patch(patch, "symlink", links)
        yield made


@contextmanager
def disk_without_links(root: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Have a folder be on FAT, exFAT or SMB: no symbolic links, no hard links."""

    def refusing(name: str) -> Callable[..., Any]:
        real = getattr(os, name)

        def link(source: Any, path: Any, *more: Any, **named: Any) -> None:
            if os.path.abspath(os.fspath(path)).startswith(f"{root}/"):  # noqa: PTH100
                raise PermissionError(errno.EPERM, "Operation not permitted (as on FAT)", str(path))
            real(source, path, *more, **named)

        return link

    with monkeypatch.context() as patch:
        for name in ("symlink", "link"):
            _patch(patch, name, refusing(name))
        yield


def _is_filelock() -> bool:
    """Say whether filelock is among the callers: it has another implementation for Windows, which isn't tried here."""
    return any("/filelock/" in sys._getframe(depth).f_code.co_filename for depth in range(2, 6))


def _refuse_name(made: WindowsDisk, call: str, path: Any) -> None:
    if _FORBIDDEN.search(os.path.basename(os.fspath(path))):  # noqa: PTH119
        raise made.refuse(call, path, errno.EINVAL)


def _patch(patch: pytest.MonkeyPatch, name: str, made: Callable[..., Any]) -> None:
    patch.setattr(os, name, made)
    accessor = getattr(pathlib, "_NormalAccessor", None)  # Python 3.10 binds the calls once
    if accessor is not None and hasattr(accessor, name):
        patch.setattr(accessor, name, staticmethod(made))
