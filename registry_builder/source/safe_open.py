"""The gate: the only way in which the builder opens files of a folder that somebody else may have filled.

The author of a pull request chooses every name and every link in the tree, and a runner builds it with keys in its
environment. So each part of a path is opened separately, relative to the folder before it, without following links; a
link is read, and its target is opened in the same way. So what was checked is what is open, whatever writes to the tree
meanwhile. docs/decisions/0025-one-gate-for-the-source-tree.md has the reasons.
"""

from __future__ import annotations

import errno
import os
import stat
from collections import deque
from collections.abc import Callable
from typing import BinaryIO, NamedTuple

from registry_builder.source.secrets._file_names import secret_name
from registry_builder.source.version_control import is_version_control

MAX_LINKS = 40  # on the way to one file, as in Linux

# Top folder of the tree -> how many parts of a path form a folder that links may not leave.
_HOMES = {"plugins": 3, "site": 1, "trust": 1, "ceremonies": 1}
_FOLDER = getattr(os, "O_PATH", os.O_RDONLY) | getattr(os, "O_DIRECTORY", 0)
# O_NONBLOCK: a pipe must not block
_FILE = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0) | getattr(os, "O_BINARY", 0)
_NO_FOLLOW = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
_BY_DESCRIPTOR = {os.open, os.readlink} <= os.supports_dir_fd and os.scandir in os.supports_fd
_LINK_ERRORS = frozenset({errno.ELOOP, errno.EMLINK, errno.ENOTDIR})  # how systems report that a link was not followed

_LEAVES = "is a link that leaves the source tree: put the file itself there"

_NOTHING = "is a link to nothing: put the file itself there, or remove the link"


class UnreadableError(Exception):
    """A file can't be used as it is.

    Attributes:
        reason: why, and what to do.
        path: which file, where whoever catches this can't know it.
    """

    def __init__(self, reason: str, path: str | None = None) -> None:
        super().__init__(reason if path is None else f"{path} {reason}")
        self.reason = reason
        self.path = path


class StrayError(UnreadableError):
    """A link leads out of its own plugin's or the site's folder, but stays inside the tree."""


class Found(NamedTuple):
    """One entry of a folder of the tree, after links were resolved."""

    name: str
    path: str
    is_folder: bool


class Gate:
    """Opens files below one folder, and nothing else. All paths must begin with that folder.

    Refused are links that leave the folder, or the plugin's or the site's own folder in it; files of version
    control, in every spelling that some file system accepts for them; files that are named like keys; and
    everything but regular files.

    Args:
        root: the source tree, or any other folder.
        on_stray: called with path and reason of links that stay in the tree but leave their plugin's or site's folder.
            Such files are then read: earlier versions accepted them, and they may be published. Otherwise `StrayError`.
        allow_names: paths of files that are allowed although they are named like keys.
        keep: whether the folder of the last file stays open, for reading many files of one folder; call `close` then.
    """

    def __init__(
        self,
        root: str | os.PathLike[str],
        *,
        on_stray: Callable[[str, str], None] | None = None,
        allow_names: Callable[[str], bool] | None = None,
        keep: bool = False,
    ) -> None:
        self.root = os.fspath(root)
        self._prefix = os.path.join(self.root, "")  # noqa: PTH118  # with the separator at its end
        self._real = os.path.realpath(self.root)
        self._on_stray = on_stray
        self._allow_names = allow_names
        self._keep = keep
        self._kept: tuple[str, int] | None = None

    def close(self) -> None:
        """Close the folder that was kept open."""
        if self._kept is not None:
            os.close(self._kept[1])
            self._kept = None

    def relative(self, path: str | os.PathLike[str]) -> str:
        """Return a path below the root for display: relative to the root, with forward slashes.

        Raises:
            ValueError: it doesn't begin with the root.
        """
        text = os.fspath(path)
        if text == self.root:
            return ""
        if text.startswith(self._prefix):
            text = text[len(self._prefix) :]
        elif self.root not in {"", "."} or os.path.isabs(text):  # noqa: PTH117  # text throughout
            raise ValueError(f"{text} is not below {self.root}")
        return text.replace(os.sep, "/")

    # --- files ----------------------------------------------------------------------------------------------------

    def open(self, path: str | os.PathLike[str]) -> BinaryIO:
        """Open a regular file for reading.

        Raises:
            UnreadableError: it is refused, doesn't exist, or the system doesn't allow reading it.
        """
        return os.fdopen(self._file(path), "rb")

    def read(self, path: str | os.PathLike[str], max_bytes: int) -> bytes:
        """Read a regular file of at most ``max_bytes``.

        Raises:
            UnreadableError: it is refused, too large, doesn't exist, or the system doesn't allow reading it.
        """
        descriptor = self._file(path)
        try:
            return read_descriptor(descriptor, max_bytes)
        finally:
            os.close(descriptor)

    def problem(self, path: str | os.PathLike[str]) -> str | None:
        """Return why a file can't be read, or None if it can."""
        try:
            os.close(self._file(path))
        except UnreadableError as error:
            return str(error)
        return None

    def size(self, path: str | os.PathLike[str]) -> int:
        """Return the size of a regular file in bytes.

        Raises:
            UnreadableError: as `open`.
        """
        descriptor = self._file(path)
        try:
            return os.fstat(descriptor).st_size
        finally:
            os.close(descriptor)

    def is_there(self, path: str | os.PathLike[str]) -> bool:
        """Return whether anything has this name, even a dangling link."""
        return os.path.lexists(os.path.join(self.root, self.relative(path)))  # noqa: PTH118  # text, see `entries`

    # --- folders --------------------------------------------------------------------------------------------------

    def entries(self, folder: str | os.PathLike[str], refused: Callable[[str, str], None] | None = None) -> list[Found]:
        """Return the entries of a folder, sorted, as strings: a tree may contain 100,000 releases.

        Args:
            folder: the folder; it is an error if it doesn't exist.
            refused: called with path and reason of entries that are left out: devices, links that are refused.

        Raises:
            UnreadableError: the folder is refused, or the system doesn't allow listing it; or an entry is refused and
                ``refused`` isn't given.
        """
        shown = os.fspath(folder)
        found: list[Found] = []
        for name, kind in self._listed(self.relative(folder)):
            path = os.path.join(shown, name)  # noqa: PTH118  # text, see above
            try:
                is_folder = self._is_folder(path, kind)
            except UnreadableError as error:
                if refused is None:
                    raise
                refused(path, str(error))
            else:
                found.append(Found(name, path, is_folder))
        found.sort()
        return found

    def folder_problem(self, folder: str | os.PathLike[str]) -> str | None:
        """Return why a folder can't be listed, or None if it can."""
        try:
            self._listed(self.relative(folder))
        except UnreadableError as error:
            return str(error)
        return None

    def _is_folder(self, path: str, kind: int) -> bool:
        """Distinguish folders and files, links resolved; refuse everything else."""
        if kind == stat.S_IFLNK:
            descriptor = self._opened(self.relative(path), _FILE)
            try:
                kind = stat.S_IFMT(os.fstat(descriptor).st_mode)
            finally:
                os.close(descriptor)
        if kind not in {stat.S_IFDIR, stat.S_IFREG}:
            raise UnreadableError("is not a regular file: remove it")
        return kind == stat.S_IFDIR

    def _listed(self, relative: str) -> list[tuple[str, int]]:
        """Return name and kind of each entry of a folder."""
        descriptor = self._opened(relative, os.O_RDONLY | getattr(os, "O_DIRECTORY", 0))
        try:
            with os.scandir(descriptor if _BY_DESCRIPTOR else self._path_of(relative)) as entries:
                return [(entry.name, _kind_of(entry)) for entry in entries]
        except OSError as error:
            raise UnreadableError(f"can't be listed: {error.strerror or error}") from error
        finally:
            os.close(descriptor)

    # --- opening --------------------------------------------------------------------------------------------------

    def _file(self, path: str | os.PathLike[str]) -> int:
        descriptor = self._opened(self.relative(path), _FILE)
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise UnreadableError("is not a regular file: remove it")
        return descriptor

    def _opened(self, relative: str, flags: int) -> int:
        try:
            if self._keep and (descriptor := self._in_kept(relative, flags)) is not None:
                return descriptor
            descriptor, parts = self._walk(relative, flags)
        except OSError as error:
            raise UnreadableError(f"can't be read: {error.strerror or error}") from error
        try:
            self._judge(relative, parts)
        except UnreadableError:
            os.close(descriptor)
            raise
        return descriptor

    def _in_kept(self, relative: str, flags: int) -> int | None:
        """Open a file of the folder that is already open; None if the whole path must be opened."""
        folder, _, name = relative.rpartition("/")
        if not _BY_DESCRIPTOR or name in {"", ".", ".."}:
            return None
        if self._kept is None or self._kept[0] != folder:
            self.close()
            descriptor, parts = self._walk(folder, _FOLDER)
            if parts != [part for part in folder.split("/") if part]:
                os.close(descriptor)  # reached through a link, whose target is checked for each file
                return None
            self._kept = folder, descriptor
        if is_version_control(name) or secret_name(name):
            return None
        try:
            return os.open(name, flags | _NO_FOLLOW, dir_fd=self._kept[1])
        except OSError as error:
            if error.errno in _LINK_ERRORS:
                return None
            raise

    def _walk(self, relative: str, flags: int) -> tuple[int, list[str]]:
        """Open a path, links resolved; return a descriptor and the parts of its real path below the root.

        Raises:
            UnreadableError: it leads out of the root or into files of version control, or the links form a circle.
            OSError: it doesn't exist, or the system refuses.
        """
        pending = deque(relative.split("/"))
        if not _BY_DESCRIPTOR:
            return self._by_path(relative, flags)
        opened = [os.open(self.root, _FOLDER)]
        is_wanted = False  # whether the last one was opened in the wanted way
        parts: list[str] = []
        links = 0
        try:
            while pending:
                part = pending.popleft()
                if part in {"", "."}:
                    continue
                if part == "..":
                    if not parts:
                        raise UnreadableError(_LEAVES)
                    parts.pop()
                    os.close(opened.pop())
                    is_wanted = False
                    continue
                if is_version_control(part):
                    raise UnreadableError(f"leads into {part}, which is never read: put the file itself there")
                is_last = not any(pending)
                try:
                    opened.append(os.open(part, (flags if is_last else _FOLDER) | _NO_FOLLOW, dir_fd=opened[-1]))
                except OSError as error:
                    if error.errno == errno.ENOENT and links:
                        raise UnreadableError(_NOTHING) from error
                    target = _target(part, opened[-1], error)
                    links += 1
                    if links > MAX_LINKS:
                        raise UnreadableError("is a circular link: put the file itself there") from error
                    if target.startswith("/"):
                        target = self._below_root(target)
                        parts.clear()
                        while len(opened) > 1:
                            os.close(opened.pop())
                    pending.extendleft(reversed(target.split("/")))
                    is_wanted = False
                else:
                    parts.append(part)
                    is_wanted = is_last
            return (opened.pop() if is_wanted else os.open(".", flags, dir_fd=opened[-1])), parts
        finally:
            for descriptor in opened:
                os.close(descriptor)

    def _by_path(self, relative: str, flags: int) -> tuple[int, list[str]]:
        """Do the same on systems without ``openat``: what was opened must be what the path led to before."""
        real = self._path_of(relative)
        if real != self._real and not real.startswith(self._real + os.sep):
            raise UnreadableError(_LEAVES)
        parts = [part for part in real[len(self._real) :].replace(os.sep, "/").split("/") if part]
        if hidden := next(filter(is_version_control, parts), None):
            raise UnreadableError(f"leads into {hidden}, which is never read: put the file itself there")
        before = os.lstat(real)  # text throughout
        descriptor = os.open(real, flags)
        after = os.fstat(descriptor)
        if (before.st_dev, before.st_ino) != (after.st_dev, after.st_ino):
            os.close(descriptor)
            raise UnreadableError("changed while it was opened: run the command again")
        return descriptor, parts

    def _path_of(self, relative: str) -> str:
        return os.path.realpath(os.path.join(self.root, relative))  # noqa: PTH118  # text throughout

    def _below_root(self, target: str) -> str:
        for root in (self._real, os.path.abspath(self.root)):  # noqa: PTH100  # text throughout
            if target == root or target.startswith(root.rstrip("/") + "/"):
                return target[len(root) :]
        raise UnreadableError(_LEAVES)

    def _judge(self, relative: str, parts: list[str]) -> None:
        """Refuse what is outside its home, or is named like a key."""
        asked = [part for part in relative.split("/") if part not in {"", "."}]
        home = asked[: _HOMES.get(asked[0], 0)] if asked else []
        if parts != asked and home and len(asked) > len(home) and not self._is_at(home, parts):
            self._stray(relative, "/".join(home), "/".join(parts))
        if parts and (kind := secret_name(parts[-1])) is not None:
            place = "/".join(parts)
            if self._allow_names is None or not self._allow_names(place):
                raise UnreadableError(
                    f"is {kind} by its name ('{place}'), which is not published: remove it. If it is meant to be "
                    f"public: --allow-file '{place}', or permanently allow_files in [policy] of registry.toml"
                )

    def _is_at(self, home: list[str], parts: list[str]) -> bool:
        if parts[: len(home)] == home:
            return True
        try:  # the home itself may be a link, as in a repository that keeps its plugins elsewhere
            descriptor, real = self._walk("/".join(home), _FOLDER)
        except OSError:
            return False
        os.close(descriptor)
        # the whole tree or a folder above it doesn't count as a home
        return bool(real) and home[: len(real)] != real and parts[: len(real)] == real

    def _stray(self, relative: str, home: str, end: str) -> None:
        message = f"is a link that leaves {home}/ and leads to {end}: put the file itself there"
        if self._on_stray is None:
            raise StrayError(message)
        self._on_stray(relative, message)


def read_descriptor(descriptor: int, max_bytes: int) -> bytes:
    """Read a whole regular file that is open.

    Raises:
        UnreadableError: it is too large, changed meanwhile, or the system refuses.
    """
    try:
        size = os.fstat(descriptor).st_size
        if size > max_bytes:
            raise UnreadableError(f"has {size} bytes, but at most {max_bytes} are read: shorten it")
        data = os.read(descriptor, size + 1)
        while len(data) < size and (more := os.read(descriptor, size - len(data))):
            data += more
    except OSError as error:
        raise UnreadableError(f"can't be read: {error.strerror or error}") from error
    if len(data) != size:
        raise UnreadableError("changed while it was read: run the command again")
    return data


def _target(name: str, folder: int, error: OSError) -> str:
    """Return the target of a link that wasn't followed; raise ``error`` for what isn't a link."""
    if error.errno not in _LINK_ERRORS:
        raise error
    try:
        return os.readlink(name, dir_fd=folder)
    except OSError:
        raise error from None


def _kind_of(entry: os.DirEntry[str]) -> int:
    if entry.is_symlink():
        return stat.S_IFLNK
    if entry.is_dir(follow_symlinks=False):
        return stat.S_IFDIR
    return stat.S_IFREG if entry.is_file(follow_symlinks=False) else 0


__all__ = ["MAX_LINKS", "Found", "Gate", "StrayError", "UnreadableError", "read_descriptor"]
