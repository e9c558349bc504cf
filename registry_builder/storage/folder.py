"""A local folder as storage, with the conditional writes of an object store.

    <root>/<key>                       published files, each complete from the moment its name exists
    <root>/.sealdex-tmp/lock           locked during a compare-and-swap and for the start of a session
    <root>/.sealdex-tmp/<id>.lock      locked while the writer <id> runs
    <root>/.sealdex-tmp/<id>/<n>       what writer <id>, or a process that it forked, is writing

A new file is written without a name, in its final folder, and then *linked* to its name (which fails if
that exists, like ``If-None-Match: *``); see `registry_builder.storage._anonymous_file`. A file that replaces another,
and every file on a file system without that feature, is written under a temporary name and linked or *renamed* from
there.
So a killed writer leaves nothing under a published name; the next one finds its lock free and removes what it
left. Nothing is synced file by file, which would cost ten times the rest: `FolderStorage.flush` syncs the file system
once, before the commit point.
"""

# ruff: noqa: PTH100, PTH102, PTH103, PTH108, PTH113, PTH120, PTH122, PTH123, PTH202, PTH208
# str paths throughout: 100,000 files are written in a row, and pathlib would take as long as the kernel does

from __future__ import annotations

import contextlib
import errno
import hashlib
import itertools
import os
import secrets
import shutil
import threading
import weakref
from collections import Counter
from datetime import datetime, timezone
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from filelock import FileLock, Timeout

from registry_builder.parallel import each_of
from registry_builder.storage._anonymous_file import NamelessUnsupportedError, create_nameless
from registry_builder.storage._fsync import sync_folder
from registry_builder.storage._put_log import ALWAYS, NEW, THERE, logged_put
from registry_builder.storage.listing import Listed
from registry_builder.storage.protocol import (
    LostRaceError,
    ObjectConflictError,
    ObjectMissingError,
    ObjectTooLargeError,
    PutOutcome,
    StoredObject,
    check_key,
)
from sealdex.disk import sync_filesystem
from sealdex.errors import UnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from registry_builder.storage.protocol import Body, Condition

TEMPORARY_FOLDER = ".sealdex-tmp"

_T = TypeVar("_T")
_R = TypeVar("_R")

_SHARE = 1_000  # files per process: writing them takes 0.05 s
_COPY_CHUNK_BYTES = 1 << 20
_LOCK_TIMEOUT_S = 60.0  # a compare-and-swap takes milliseconds; a process that holds the lock this long hangs
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)


class FolderStorage:
    """`registry_builder.storage.Storage` in the folder ``root``, which is created by the first write."""

    answers_at_once = True
    is_read_only = False
    lock = None  # each swap takes one

    def __init__(self, root: Path) -> None:
        self._root = os.path.abspath(root)
        self.description = self._root
        self.requests: Counter[str] = Counter()
        self.bytes_put = 0
        self._guard = threading.Lock()  # for the counters and the start of the session
        self._session: str | None = None
        self._is_synced = True
        self._has_nameless = True  # until the file system says otherwise
        self._numbers = itertools.count()

    def get(self, key: str, *, max_bytes: int) -> StoredObject:
        """Read an object; see `Storage.get`. Its tag is the SHA-256 of its bytes."""
        path = self._path(key)
        self._count("GET")
        with _unavailable(key, self._root):
            try:
                with open(path, "rb") as file:
                    data = file.read(max_bytes + 1)
            except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:
                raise ObjectMissingError(key, self._root) from error
        if len(data) > max_bytes:
            raise ObjectTooLargeError(key, self._root, max_bytes)
        return StoredObject(data, hashlib.sha256(data).hexdigest())

    def put_new(self, key: str, body: Body) -> PutOutcome:
        """Create an immutable object; see `Storage.put_new`."""
        path = self._path(key)
        self._count("PUT")
        with logged_put(key, body, NEW) as put, _unavailable(key, self._root):
            # A large file that exists already need not be copied to find that out.
            if body.path is not None and os.path.lexists(path):
                put.result = THERE
                return self._compare(key, path, body)
            try:
                self._create(path, body)
            except FileExistsError:
                put.result = THERE
                return self._compare(key, path, body)
        self._count_bytes(body.size)
        return PutOutcome.CREATED

    def do_each(self, do: Callable[[_T], _R], items: Sequence[_T], *, share: int = _SHARE) -> Iterator[_R]:
        """Yield the results of ``do``, which writes to this storage, for each item, in order.

        Many items are distributed over processes, because creating files and folders is work for the kernel. What
        ``do`` returns must be picklable, and its other changes in memory may be lost.

        Args:
            do: is called for each item.
            items: what to write.
            share: the number of items per process.
        """
        if len(items) >= 2 * share and self._session is None:
            self._start_session()  # one for all processes
        self._is_synced = False  # other processes may write
        results: Iterator[tuple[_R, dict[str, int], int]]
        results = each_of(partial(self._counted, do, os.getpid()), items, at_least=share)
        for result, requests, size in results:
            with self._guard:
                self.requests.update(requests)
                self.bytes_put += size
            yield result

    def _counted(self, do: Callable[[_T], _R], owner: int, item: _T) -> tuple[_R, dict[str, int], int]:
        """Do one thing; return its result, and what process ``owner`` must add to its counters."""
        if os.getpid() == owner:
            return do(item), {}, 0
        self.requests.clear()  # this process has a copy
        self.bytes_put = 0
        result = do(item)
        return result, dict(self.requests), self.bytes_put

    def put_if_match(self, key: str, body: Body, etag: str | None) -> str:
        """Swap an object; see `Storage.put_if_match`."""
        path = self._path(key)
        self._count("PUT")
        condition = NEW if etag is None else f"it still is {etag}"
        with (
            logged_put(key, body, condition),
            _unavailable(key, self._root),
            self._temporary(body, durable=True) as temporary,
            self._locked(),
        ):
            stored = _digest_of(path)
            if stored == body.sha256:
                return body.sha256
            if stored != etag:
                raise LostRaceError(key, self._root)
            _into_folder(os.replace, temporary, path)
            sync_folder(os.path.dirname(path))
        self._count_bytes(body.size)
        return body.sha256

    def probe(self, key: str, body: Body, condition: Condition) -> bool:  # noqa: ARG002  # as the protocol has them
        """Return True without trying: see `Storage.probe`.

        ``link`` fails if the name exists, and a swap compares under a lock: promises of the kernel, which no
        proxy can break.
        """
        return True

    def put_mutable(self, key: str, body: Body, *, only_if_changed: bool = False) -> bool:
        """Write unconditionally; see `Storage.put_mutable`."""
        path = self._path(key)
        with logged_put(key, body, ALWAYS) as put, _unavailable(key, self._root):
            if only_if_changed:
                self._count("HEAD")
                if _holds(path, body):
                    put.result = THERE
                    return False
            self._count("PUT")
            try:
                self._create(path, body)
            except FileExistsError:
                with self._temporary(body) as temporary:
                    _into_folder(os.replace, temporary, path)
        self._count_bytes(body.size)
        return True

    def flush(self) -> None:
        """Sync the file system that the folder is on, if anything was written."""
        if self._is_synced:
            return
        with _unavailable(TEMPORARY_FOLDER, self._root):
            sync_filesystem(self._root)
        self._is_synced = True

    def listed(self) -> Iterator[Listed]:
        """List all files except hidden ones; see `Inventory.listed`."""
        for folder, folders, files in os.walk(self._root):
            folders[:] = [name for name in folders if not name.startswith(".")]
            for name in files:
                if not name.startswith("."):
                    path = os.path.join(folder, name)  # noqa: PTH118  # see the top of this file
                    with contextlib.suppress(FileNotFoundError):  # gone since its name was read
                        about = os.stat(path)  # noqa: PTH116  # as above
                        modified = datetime.fromtimestamp(about.st_mtime, timezone.utc)
                        yield Listed(os.path.relpath(path, self._root).replace(os.sep, "/"), about.st_size, modified)

    def stream(self, key: str, chunk_bytes: int) -> Iterator[bytes]:
        """Read a file in pieces; see `Inventory.stream`."""
        self._count("GET")
        with _unavailable(key, self._root):
            try:
                with open(self._path(key), "rb") as file:
                    while chunk := file.read(chunk_bytes):
                        yield chunk
            except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:
                raise ObjectMissingError(key, self._root) from error

    def delete(self, key: str) -> None:
        """Remove a file; see `Inventory.delete`."""
        self._count("DELETE")
        with _unavailable(key, self._root), contextlib.suppress(FileNotFoundError):
            os.unlink(self._path(key))

    def _path(self, key: str) -> str:
        return f"{self._root}/{check_key(key)}"

    def _count(self, verb: str) -> None:
        with self._guard:
            self.requests[verb] += 1

    def _count_bytes(self, size: int) -> None:
        with self._guard:
            self.bytes_put += size

    def _compare(self, key: str, path: str, body: Body) -> PutOutcome:
        self._count("HEAD")
        if _holds(path, body):
            return PutOutcome.ALREADY_THERE
        hint = None
        if os.path.isfile(path) and not os.path.getsize(path):
            # Names may reach the disk before contents if the power fails before a flush.
            hint = f"the stored file is empty, as a power failure may leave it: delete {path} and publish again"
        raise ObjectConflictError(key, self._root, hint=hint)

    def _create(self, path: str, body: Body) -> None:
        """Create the file ``path``, complete from the moment it has its name; FileExistsError if it exists."""
        self._is_synced = False
        if self._has_nameless:
            try:
                create_nameless(path, partial(_fill, body=body))
            except NamelessUnsupportedError:
                self._has_nameless = False
            else:
                return
        with self._temporary(body) as temporary:
            _into_folder(os.link, temporary, path)

    @contextlib.contextmanager
    def _temporary(self, body: Body, *, durable: bool = False) -> Iterator[str]:
        """Write ``body`` under a temporary name that is removed afterwards in any case."""
        self._is_synced = False
        session = self._session or self._start_session()
        path = f"{session}/{os.getpid()}.{next(self._numbers)}"
        try:
            _write(path, body, durable=durable)
            yield path
        finally:
            with contextlib.suppress(FileNotFoundError):  # a rename took it
                os.unlink(path)

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        lock = FileLock(f"{self._root}/{TEMPORARY_FOLDER}/lock", timeout=_LOCK_TIMEOUT_S)
        try:
            with lock:
                yield
        except Timeout as error:
            raise UnavailableError(
                f"another publisher has held {lock.lock_file} for more than {_LOCK_TIMEOUT_S:.0f} s",
                subject=self._root,
                untouched="nothing was written",
                hint="look for a hanging sealdex-builder and end it",
            ) from error

    def _start_session(self) -> str:
        """Create this writer's folder for temporary files and remove those of writers that died."""
        folder = f"{self._root}/{TEMPORARY_FOLDER}"
        with self._guard:
            if self._session is None:
                os.makedirs(folder, exist_ok=True)
                with self._locked():
                    _remove_stale_sessions(folder)
                    name = secrets.token_hex(4)
                    lock = FileLock(f"{folder}/{name}.lock")
                    lock.acquire(blocking=False)
                    os.mkdir(f"{folder}/{name}")
                self._session = f"{folder}/{name}"
                weakref.finalize(self, _end_session, self._session, lock, os.getpid())
            return self._session


def _remove_stale_sessions(folder: str) -> None:
    for entry in os.listdir(folder):
        name, extension = os.path.splitext(entry)
        if extension != ".lock":
            continue
        lock = FileLock(f"{folder}/{entry}")
        try:
            lock.acquire(blocking=False)
        except Timeout:
            continue  # its writer lives
        _end_session(f"{folder}/{name}", lock, os.getpid())


def _end_session(session: str, lock: FileLock, pid: int) -> None:
    if pid != os.getpid():
        return  # a forked child that exits must not remove the folder that its parent still uses
    shutil.rmtree(session, ignore_errors=True)
    with contextlib.suppress(OSError):
        os.unlink(f"{session}.lock")
    lock.release()


def _write(path: str, body: Body, *, durable: bool) -> None:
    """Write ``body`` to the new file ``path``; plain system calls, because a buffer would only cost time."""
    descriptor = os.open(path, _NEW_FILE, 0o666)  # the umask decides
    try:
        _fill(descriptor, body)
        if durable:
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _fill(descriptor: int, body: Body) -> None:
    for chunk in body.chunks(_COPY_CHUNK_BYTES):
        _write_all(descriptor, chunk)


def _write_all(descriptor: int, data: bytes) -> None:
    written = os.write(descriptor, data)
    while written < len(data):  # a disk that fills up writes less before it fails
        written += os.write(descriptor, memoryview(data)[written:])


def _into_folder(move: Callable[[str, str], None], source: str, target: str) -> None:
    """Link or rename, and create the folder only if it turns out to be missing."""
    try:
        move(source, target)
    except FileNotFoundError:
        os.makedirs(os.path.dirname(target), exist_ok=True)
        move(source, target)


def _holds(path: str, body: Body) -> bool:
    try:
        return os.path.getsize(path) == body.size and _digest_of(path) == body.sha256
    except FileNotFoundError:
        return False


def _digest_of(path: str) -> str | None:
    """SHA-256 of a file; None if there is none."""
    digest = hashlib.sha256()
    try:
        with open(path, "rb") as file:
            while chunk := file.read(_COPY_CHUNK_BYTES):
                digest.update(chunk)
    except FileNotFoundError:
        return None
    return digest.hexdigest()


_HINTS = {
    errno.ENOSPC: "free some space and publish again; files already written are kept",
    errno.EDQUOT: "free some space and publish again; files already written are kept",
    errno.EACCES: "give the publishing user permission to write there",
    errno.EPERM: "give the publishing user permission to write there, on a file system with hard links",
    errno.EROFS: "mount it read-write",
    errno.ENOTDIR: "a file is in the place of a folder: remove it or publish to another folder",
    errno.EXDEV: "the whole published folder has to be on one file system",
}


@contextlib.contextmanager
def _unavailable(key: str, root: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise UnavailableError(
            f"the folder {root} refused {key}: {reason}",
            subject=key,
            untouched="no published file was changed",
            hint=_HINTS.get(error.errno or 0),
        ) from error
