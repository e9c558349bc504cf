"""The content-addressed cache: files under the name of their SHA-256, and what is still on its way there.

    <store>/cache/
        sha256/
            ab/
                ab12...            a whole file, mode 0644; it got this name only after its digest matched
                ab12....part       the bytes so far of one on its way
                ab12....part.json  where they come from: {"url", "etag", "contiguous"}, see PartState
                ab12....uses       when it was put there (seconds since the epoch), and a dot for each time it was used
                ab12....lock       held by the process that fetches it; empty, and goes when the file does

``sha256/ab`` is the first byte of the digest, so that no folder gets too long. A file's modification time is when it
was last used: that is what a least-recently-used clean-up goes by (`sealdex.store.cache_upkeep`).

What stands under a final name was right when it was put there, which is no promise about today: disks rot, and others
may write to a shared cache. So nothing is handed out from here unhashed: ``verified`` re-reads the file (1.8 GB/s),
and whoever unpacks it hashes once more what it reads.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import stat
import threading
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sealdex.errors import VerificationError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from io import FileIO

try:
    import fcntl
except ImportError:  # Windows, which deletes no file that is open
    fcntl = None  # type: ignore[assignment]  # the type checker looks at one platform at a time

try:
    import fcntl
except ImportError:  # Windows, which deletes no file that is open
    fcntl = None  # type: ignore[assignment]  # the type checker looks at one platform at a time

_DIGEST = re.compile(r"[0-9a-f]{64}")
_NO_FOLLOW = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0)
_BUFFER_BYTES = 256 << 10  # fits the second-level cache of most processors, where hashing is fastest
_MODE = 0o644


@dataclass(frozen=True, slots=True)
class PartState:
    """What is known about a part file.

    ``length`` bytes from its start may be used, as far as the digest bears them out. ``url`` (without query: those
    hold secrets) and ``etag`` say which file of which server they were read from.
    """

    length: int = 0
    url: str | None = None
    etag: str | None = None


class Partial:
    """The part file of one digest and its sidecar. Only for who holds the digest's lock."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._sidecar = path.with_name(path.name + ".json")

    def load(self) -> PartState:
        """Return what can be resumed; nothing if either file is missing or makes no sense."""
        try:
            found = self.path.lstat()
            facts = json.loads(self._sidecar.read_bytes())
        except (OSError, ValueError):
            return PartState()
        if not stat.S_ISREG(found.st_mode) or not isinstance(facts, dict):
            return PartState()
        url, etag, contiguous = facts.get("url"), facts.get("etag"), facts.get("contiguous")
        # Beyond the contiguous bytes of a transfer in ranges there may be holes, which read as zeros.
        length = found.st_size if contiguous is None else contiguous
        if (
            not isinstance(url, str)
            or not isinstance(etag, str | None)
            or not isinstance(length, int)
            or not 0 <= length <= found.st_size
        ):
            return PartState()
        return PartState(length, url, etag)

    def save(self, *, url: str, etag: str | None, contiguous: int | None) -> None:
        """Record the origin of the bytes, and how many of them have no hole; ``None``: all there are."""
        draft = self._sidecar.with_name(self._sidecar.name + ".new")
        draft.write_text(json.dumps({"url": url, "etag": etag, "contiguous": contiguous}))
        draft.replace(self._sidecar)

    def open(self) -> FileIO:
        """Open the part file for reading and writing, unbuffered; made if missing."""
        fd = os.open(self.path, os.O_RDWR | os.O_CREAT | _NO_FOLLOW, _MODE)
        return open(fd, "r+b", buffering=0)  # noqa: PTH123  # the caller closes it; Path.open takes no descriptor

    def discard(self) -> None:
        """Remove both files."""
        # The sidecar first: a part without one is never resumed.
        self._sidecar.unlink(missing_ok=True)
        self.path.unlink(missing_ok=True)


class ContentCache:
    """The cache below ``root`` (``<store>/cache``); making one touches nothing."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.added = 0
        """Files put there by this object."""
        self._guard = threading.Lock()
        self._holders = 0
        self._held: list[FileIO] = []

    def path(self, digest: str) -> Path:
        """Return where the file with this SHA-256 belongs, whether it is there or not.

        Raises:
            VerificationError: ``digest`` is not 64 lower-case hexadecimal digits; it never becomes a path.
        """
        if not _DIGEST.fullmatch(digest):
            raise VerificationError(f"{digest[:80]!r} is no SHA-256 digest", untouched="nothing was read or written")
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

    def verify(self, digest: str) -> bool:
        """Tell whether a file with this name is there and its bytes have this digest."""
        try:
            fd = os.open(self.path(digest), os.O_RDONLY | _NO_FOLLOW)
            with open(fd, "rb", buffering=0) as file:  # noqa: PTH123  # Path.open takes no descriptor
                return stat.S_ISREG(os.fstat(fd).st_mode) and _hash(file) == digest
        except OSError:  # a disk that can't read it back is no proof
            return False

    def verified(self, digest: str, size: int | None = None) -> Path | None:
        """Return the path of a cached file that was just re-hashed, and note its use, or ``None``."""
        path = self.find(digest, size)
        if path is None:
            return None
        try:
            file = self._open_held(path)
        except OSError:  # a disk that can't read it back is no proof
            return None
        if file is None:
            return None
        try:
            is_right = stat.S_ISREG(os.fstat(file.fileno()).st_mode) and _hash(file) == digest
        except OSError:
            is_right = False
        except BaseException:
            file.close()
            raise
        if not is_right:
            file.close()
            return None
        self._keep(file)
        with suppress(OSError):  # someone else's cache, or a read-only one
            self._note_use(path)
        return path

    def _note_use(self, path: Path) -> None:
        # appending one byte is one step for the system, so no process's use is lost and no lock is needed
        uses = _companion(path, "uses")
        fd = os.open(uses, os.O_WRONLY | os.O_APPEND | os.O_CREAT | _NO_FOLLOW, _MODE)
        try:
            os.write(fd, b"." if os.fstat(fd).st_size else f"{path.stat().st_mtime:.0f} .".encode())
        finally:
            os.close(fd)
        os.utime(path)

    @contextmanager
    def holding(self) -> Iterator[None]:
        """Keep every file that is found or put there inside the block from being evicted until the block ends.

        By any thread that uses this object; blocks may overlap.
        """
        with self._guard:
            self._holders += 1
        try:
            yield
        finally:
            with self._guard:
                self._holders -= 1
                ended = [] if self._holders else self._held
                if ended:
                    self._held = []
            for file in ended:
                file.close()

    def _open_held(self, path: Path) -> FileIO | None:
        """Open a file, held if somebody asked for that; None if it went meanwhile.

        Raises:
            OSError: it can't be opened.
        """
        fd = os.open(path, os.O_RDONLY | _NO_FOLLOW)
        file = open(fd, "rb", buffering=0)  # noqa: PTH123, SIM115  # callers close it; Path.open takes no descriptor
        try:
            if fcntl is not None and self._holders:
                fcntl.flock(fd, fcntl.LOCK_SH)  # waits for an eviction that is under way
            if os.fstat(fd).st_nlink:
                return file
        except BaseException:
            file.close()
            raise
        file.close()
        return None

    def _keep(self, file: FileIO) -> None:
        with self._guard:
            if self._holders:
                self._held.append(file)
                return
        file.close()

    def evict(self, digest: str) -> bool:
        """Remove a file and what lies beside it, unless it is on its way or held; say whether it is gone.

        Raises:
            OSError: it can't be removed.
        """
        with self.try_lock(digest) as is_ours:
            if not is_ours:
                return False
            path = self.path(digest)
            try:
                fd = os.open(path, os.O_RDWR | _NO_FOLLOW)
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
                except PermissionError:  # Windows: somebody has it open
                    return False
            self._remove_companions(path)
            return True

    def remove_companions(self, digest: str) -> bool:
        """Remove lock and note of uses of a file that isn't there, unless it is on its way; say whether they went."""
        with self.try_lock(digest) as is_ours:
            path = self.path(digest)
            if not is_ours or path.exists():
                return False
            self._remove_companions(path)
            return True

    @staticmethod
    def _remove_companions(path: Path) -> None:
        _companion(path, "uses").unlink(missing_ok=True)
        if os.name != "nt":  # which removes no file that is open, as a lock is while it is held
            _companion(path, "lock").unlink(missing_ok=True)

    def partial(self, digest: str) -> Partial:
        """Return the part file of a digest; its folder is made."""
        path = self.path(digest)
        path.parent.mkdir(parents=True, exist_ok=True)
        return Partial(_companion(path, "part"))

    def commit(self, digest: str) -> Path:
        """Give the part file its final name, durably. The caller has hashed it and holds the lock."""
        path, part = self.path(digest), self.partial(digest)
        with part.open() as file:
            if hasattr(os, "fchmod"):
                os.fchmod(file.fileno(), _MODE)
            os.fsync(file.fileno())
        part.path.replace(path)
        part.discard()
        _companion(path, "uses").write_text(f"{path.stat().st_mtime:.0f} ", encoding="ascii")
        _companion(path, "uses").write_text(f"{path.stat().st_mtime:.0f} ", encoding="ascii")
        _sync_folder(path.parent)
        self.added += 1
        if self._holders and (held := self._open_held(path)) is not None:  # under the lock, so nobody evicts it before
            self._keep(held)
        return path

    def discard(self, digest: str) -> None:
        """Remove what stands under a digest's name. The caller holds the lock."""
        self.path(digest).unlink(missing_ok=True)
        _companion(self.path(digest), "uses").unlink(missing_ok=True)

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
                found = _hash(reader, copy_to=writer)
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
        """Hold the lock of one digest, between processes and threads; freed by the system if the holder dies.

        ``on_wait`` is called once if another holds it, before waiting.
        """
        from filelock import FileLock, Timeout  # noqa: PLC0415  # 50 ms that a cached file need not pay

        path = self.path(digest)
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(_companion(path, "lock"))
        try:
            lock.acquire(timeout=0)
        except Timeout:
            if on_wait is not None:
                on_wait()
            lock.acquire()
        try:
            yield
        finally:
            lock.release()

    @contextmanager
    def try_lock(self, digest: str) -> Iterator[bool]:
        """Hold the lock of one digest if nobody else does; yields whether it is held."""
        from filelock import FileLock, Timeout  # noqa: PLC0415  # see `lock`

        lock = FileLock(_companion(self.path(digest), "lock"))
        try:
            lock.acquire(timeout=0)
        except Timeout:
            yield False
            return
        try:
            yield True
        finally:
            lock.release()


def is_digest(text: str) -> bool:
    """Say whether a text is a SHA-256 as the cache names files by: 64 lower-case hexadecimal digits."""
    return _DIGEST.fullmatch(text) is not None


def read_uses(path: Path) -> tuple[float | None, int]:
    """Return when a cached file was put there (None: nobody noted it) and how often it was used."""
    try:
        added, _, dots = _companion(path, "uses").read_text(encoding="ascii", errors="replace").partition(" ")
        return float(added), len(dots)
    except (OSError, ValueError):
        return None, 0


def _companion(path: Path, ending: str) -> Path:
    return path.with_name(f"{path.name}.{ending}")


def write_all(file: FileIO, data: bytes | memoryview) -> None:
    """Write every byte to an unbuffered file, whose ``write`` may stop early."""
    view = memoryview(data)
    while view:
        view = view[file.write(view) :]


def hash_into(hasher: hashlib._Hash, file: FileIO, count: int) -> None:
    """Feed the next ``count`` bytes of an unbuffered file to ``hasher``, in small bites.

    Raises:
        OSError: the file ends before.
    """
    buffer = memoryview(bytearray(min(_BUFFER_BYTES, max(count, 1))))
    while count:
        got = file.readinto(buffer[:count])
        if not got:
            raise OSError("the file became shorter while it was read")
        hasher.update(buffer[:got])
        count -= got


def _hash(file: FileIO, copy_to: FileIO | None = None) -> str:
    hasher = hashlib.sha256()
    buffer = memoryview(bytearray(_BUFFER_BYTES))
    while got := file.readinto(buffer):
        hasher.update(buffer[:got])
        if copy_to is not None:
            write_all(copy_to, buffer[:got])
    return hasher.hexdigest()


def _sync_folder(folder: Path) -> None:
    try:
        fd = os.open(folder, os.O_RDONLY)
    except OSError:  # Windows opens no folders; a rename is durable there by itself
        return
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
