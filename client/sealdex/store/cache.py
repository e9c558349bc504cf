"""The content-addressed cache: files named by their SHA-256, and partial downloads.

    <store>/cache/
        sha256/
            ab/
                ab12...            a whole file, mode 0644; it got this name only after its digest matched
                ab12....part       the bytes so far of a partial download
                ab12....part.json  where they come from: {"url", "etag", "contiguous"}, see `sealdex.store.cache_entry`
                ab12....uses       when it was added (seconds since the epoch), and a dot for each use
                ab12....lock       held by the process that fetches it; empty, and removed with the file

``sha256/ab`` is the first byte of the digest, so that no folder gets too large. A file's modification time is the time
of its last use, for least-recently-used eviction (`sealdex.store.cache_gc`).

A file under a final name was correct when it was added, but disks fail, power does, and others may write to a shared
cache. So every file is hashed before it is used: ``verified`` re-reads the file (1.8 GB/s), and unpacking hashes again
what it reads. That is why adding a file flushes nothing.
"""

from __future__ import annotations

import os
import stat
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from sealdex import disk
from sealdex.errors import VerificationError
from sealdex.store.cache_entry import FILE_MODE, Partial, companion, note_added, note_use
from sealdex.store.file_lock import FileLock, LockTimeoutError
from sealdex.store.hashing import NO_FOLLOW, hash_of, is_digest, is_regular, open_to_read

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from io import FileIO
    from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows can't delete open files
    fcntl = None  # type: ignore[assignment]  # the type checker looks at one platform at a time


_MOST_HELD = 200
"""Up to this number files are locked one by one, each by a descriptor (of which a process may have 1024)."""


class ContentCache:
    """The cache below ``root`` (``<store>/cache``); creating the object does no I/O.

    Args:
        root: its folder.
        check: called while another process is waited for; what it raises ends the wait.
    """

    def __init__(self, root: Path, check: Callable[[], object] | None = None) -> None:
        self.root = root
        self._check = check
        self.added = 0
        """Number of files added by this object."""
        self.recent: set[str] = set()
        """Digests of files that this object added or returned."""
        self.spared: set[str] = set()
        """Digests of files whose paths were given to the user, as by ``fetch --cache-only``."""
        self._guard = threading.Lock()
        self._holders = 0
        self._held: list[FileIO] = []
        self._hold_on_all: int | None = None
        """Descriptor of the folder, locked."""

    def path(self, digest: str) -> Path:
        """Return the path of the file with this SHA-256, whether it exists or not.

        Raises:
            VerificationError: ``digest`` is not 64 lower-case hexadecimal digits; it never becomes a path.
        """
        if not is_digest(digest):
            raise VerificationError(
                f"{digest[:80]!r} is not a valid SHA-256 digest", untouched="nothing was read or written"
            )
        return self.root / "sha256" / digest[:2] / digest

    def find(self, digest: str, size: int | None = None) -> Path | None:
        """Return the path of a cached file of that size, unhashed, or ``None``; use ``verified`` before using it."""
        path = self.path(digest)
        try:
            found = path.lstat()
        except OSError:
            return None
        if not stat.S_ISREG(found.st_mode) or (size is not None and found.st_size != size):
            return None
        return path

    def verify(self, digest: str) -> bool | None:
        """Return whether the file with this name has this digest; None if there is none."""
        try:
            file = open_to_read(self.path(digest))
        except FileNotFoundError:  # missing, or evicted meanwhile: not damaged
            return None
        except OSError:
            return False
        with file:
            try:
                return is_regular(file) and hash_of(file) == digest
            except OSError:  # a read error doesn't prove that it is correct
                return False

    def verified(self, digest: str, size: int | None = None) -> Path | None:
        """Return the path of a cached file after hashing it, and record its use; None if there is none."""
        path = self.find(digest, size)
        if path is None:
            return None
        try:
            file = self._open_held(path)
        except OSError:  # a read error doesn't prove that it is correct
            return None
        if file is None:
            return None
        try:
            is_right = is_regular(file) and hash_of(file) == digest
        except OSError:
            is_right = False
        except BaseException:
            file.close()
            raise
        if not is_right:
            file.close()
            return None
        self._keep(file)
        note_use(path)
        self.recent.add(digest)
        return path

    @contextmanager
    def holding(self) -> Iterator[None]:
        """Protect every file that is found or added during the block from eviction until the block ends.

        Holds for all threads that use this object; blocks may overlap.
        """
        with self._guard:
            self._holders += 1
        try:
            yield
        finally:
            with self._guard:
                self._holders -= 1
                ended, on_all = ([], None) if self._holders else (self._held, self._hold_on_all)
                if not self._holders:
                    self._held, self._hold_on_all = [], None
            for file in ended:
                file.close()
            if on_all is not None:
                os.close(on_all)

    def _open_held(self, path: Path) -> FileIO | None:
        """Open a file, locked if a block of `holding` is active; None if it was removed meanwhile.

        Raises:
            OSError: it can't be opened.
        """
        if fcntl is not None and self._holders and len(self._held) >= _MOST_HELD:
            self._hold_all()
        file = open_to_read(path)
        try:
            if fcntl is not None and self._holders:
                fcntl.flock(file.fileno(), fcntl.LOCK_SH)  # waits for an eviction in progress
            if os.fstat(file.fileno()).st_nlink:
                return file
        except BaseException:
            file.close()
            raise
        file.close()
        return None

    def _hold_all(self) -> None:
        with self._guard:
            if self._holders and self._hold_on_all is None:
                folder = os.open(self.root / "sha256", os.O_RDONLY)
                fcntl.flock(folder, fcntl.LOCK_SH)  # waits for an eviction in progress
                self._hold_on_all = folder

    def _keep(self, file: FileIO) -> None:
        with self._guard:
            if self._holders and self._hold_on_all is None:
                self._held.append(file)
                return
        file.close()

    def evict(self, digest: str) -> bool:
        """Remove a file and its side files, unless it is being downloaded or held; return whether it was removed.

        Raises:
            OSError: it can't be removed.
        """
        with self.try_lock(digest) as is_ours, self._while_nobody_holds_all() as is_free:
            if not is_ours or not is_free:
                return False
            path = self.path(digest)
            try:
                fd = os.open(path, os.O_RDWR | NO_FOLLOW)
            except FileNotFoundError:
                self._remove_companions(path)
                return True
            try:
                if fcntl is not None:
                    fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    path.unlink()
            except BlockingIOError:
                return False
            finally:
                os.close(fd)
            if fcntl is None:
                try:
                    path.unlink()
                except PermissionError:  # Windows: another process has it open
                    return False
            self._remove_companions(path)
            return True

    @contextmanager
    def _while_nobody_holds_all(self) -> Iterator[bool]:
        if fcntl is None:
            yield True
            return
        turn, folder = os.open(self.root, os.O_RDONLY), os.open(self.root / "sha256", os.O_RDONLY)
        try:
            try:
                fcntl.flock(turn, fcntl.LOCK_EX)  # otherwise two evicting processes would take each other for holders
                fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
                is_free = True
            except BlockingIOError:
                is_free = False
            except OSError:  # network file systems can't lock folders: only single files are protected there
                is_free = True
            yield is_free
        finally:
            os.close(folder)
            os.close(turn)

    def remove_companions(self, digest: str) -> bool:
        """Remove the side files of a missing file unless it is being downloaded; return whether they were removed."""
        with self.try_lock(digest) as is_ours:
            path = self.path(digest)
            if not is_ours or path.exists():
                return False
            self._remove_companions(path)
            return True

    @staticmethod
    def _remove_companions(path: Path) -> None:
        companion(path, "uses").unlink(missing_ok=True)
        if not disk.ON_WINDOWS:  # which can't remove open files, such as a held lock
            companion(path, "lock").unlink(missing_ok=True)

    def partial(self, digest: str) -> Partial:
        """Return the part file of a digest; its folder is created."""
        path = self.path(digest)
        path.parent.mkdir(parents=True, exist_ok=True)
        return Partial(companion(path, "part"))

    def size_so_far(self, digest: str) -> int:
        """Return how many bytes of a file an earlier run has downloaded."""
        return Partial(companion(self.path(digest), "part")).load().length

    def commit(self, digest: str) -> Path:
        """Give the part file its final name. The caller has hashed it and holds the lock.

        Nothing is flushed (`keep` does): what a power cut empties has another digest, and is fetched again.
        """
        path, part = self.path(digest), self.partial(digest)
        if hasattr(os, "fchmod"):
            with part.open() as file:
                os.fchmod(file.fileno(), FILE_MODE)
        disk.replace(part.path, path)
        part.discard()
        note_added(path)
        self.added += 1
        self.recent.add(digest)
        if self._holders and (held := self._open_held(path)) is not None:  # under the lock, before any eviction
            self._keep(held)
        return path

    def keep(self, digest: str) -> None:
        """Flush a cached file to the disk, with its name; its path is about to be given to the user.

        Raises:
            OSError: it can't be written.
        """
        path = self.path(digest)
        self.spared.add(digest)
        with suppress(PermissionError):  # somebody else's cache, which it was added to by them
            disk.sync_path(path)
            disk.sync_path(path.parent)

    def discard(self, digest: str) -> None:
        """Remove the file of a digest. The caller holds the lock."""
        self.path(digest).unlink(missing_ok=True)
        companion(self.path(digest), "uses").unlink(missing_ok=True)

    def add_file(self, source: Path, digest: str) -> Path:
        """Copy a local file into the cache, hashing what is written.

        Raises:
            VerificationError: its bytes have another digest; nothing is kept.
        """
        with self.lock(digest):
            if (path := self.verified(digest)) is not None:
                return path
            part = self.partial(digest)
            part.discard()
            with source.open("rb", buffering=0) as reader, part.open() as writer:
                found = hash_of(reader, copy_to=writer)
            if found != digest:
                part.discard()
                raise VerificationError(
                    f"{source} has the SHA-256 {found}, not {digest}",
                    subject=str(source),
                    untouched="nothing was added to the cache",
                )
            return self.commit(digest)

    @contextmanager
    def lock(self, digest: str, on_wait: Callable[[], None] | None = None) -> Iterator[None]:
        """Hold the lock of one digest, across processes and threads; the system releases it if the holder dies.

        ``on_wait`` is called once before waiting, if the lock is held by another.
        """
        path = self.path(digest)
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(companion(path, "lock"))
        try:
            lock.acquire(timeout=0)
        except LockTimeoutError:
            if on_wait is not None:
                on_wait()
            lock.acquire(check=self._check)
        try:
            yield
        finally:
            lock.release()

    @contextmanager
    def try_lock(self, digest: str) -> Iterator[bool]:
        """Hold the lock of one digest if it is free; yields whether it is held."""
        lock = FileLock(companion(self.path(digest), "lock"))
        try:
            lock.acquire(timeout=0)
        except LockTimeoutError:
            yield False
            return
        try:
            yield True
        finally:
            lock.release()
