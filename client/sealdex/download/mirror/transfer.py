"""Brings the files of a mirror into its folder: several at once, resumed, verified before a name outside appears."""

from __future__ import annotations

import hashlib
import itertools
import os
import shutil
import stat
import threading
from collections import deque
from collections.abc import Callable, Container, Iterator
from pathlib import Path
from urllib.parse import quote

from sealdex.config.edit import replace_file
from sealdex.disk import replace, sync_filesystem
from sealdex.download.download import Pin, download
from sealdex.download.mirror.contents import MirrorFile
from sealdex.download.mirror.record import (
    BUNDLE_KEY,
    NUMBER_NAME,
    OWN_FOLDER,
    REACHED_BEFORE_NAME,
    REACHED_NAME,
    RECORD_BEFORE_NAME,
    RECORD_NAME,
    TIMESTAMP_KEY,
    UNFLUSHED_NAME,
    MirrorRecord,
    record_bytes,
    same_content,
)
from sealdex.errors import InstallError, SealdexError, VerificationError, is_disk_full
from sealdex.store.cache import ContentCache
from sealdex.store.hashing import hash_of_regular, open_to_read
from sealdex.transport import (
    Addresses,
    HttpStatusError,
    MissingEverywhereError,
    TooLargeError,
    Transport,
    public_url,
)

_SMALL_BYTES = 256 * 1024
"""Files of at most this size are read whole; larger ones can be resumed."""

_PIPED_BYTES = 1 << 20
"""Files of at most this size are asked for many at a time; larger ones take long enough for a request of their own."""

_TO_WRITE = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_BINARY", 0)
_MODE = 0o644

_TOLD_CALLS, _TOLD_BYTES = 64, 4 << 20


class Place:
    """The folder of a mirror, as far as files are put into it.

    Args:
        folder: the mirror.
        staging: a folder on the same file system, for what is on its way.
    """

    is_remote = False

    def __init__(self, folder: Path, staging: Path) -> None:
        self.folder = folder
        self._staging = staging
        self._numbers = itertools.count()
        self._latest_parent = ""
        self._needs_mode = True

    def path(self, key: str) -> Path:
        """Return where a key of the published tree is."""
        return self.folder / key

    def has(self, file: MirrorFile, *, hashed: bool) -> bool:
        """Say whether a file is there: by its size, or by its digest where it is to be hashed or no size is signed."""
        try:
            there = os.lstat(f"{self.folder}/{file.key}")
        except OSError:
            return False
        if not stat.S_ISREG(there.st_mode) or (file.size is not None and there.st_size != file.size):
            return False
        return not hashed or hash_of_regular(self.path(file.key)) == file.sha256

    def put(self, key: str, data: bytes) -> None:
        """Write a file whole under its name, in place of another."""
        draft = f"{self._staging}/{os.getpid()}-{next(self._numbers)}"  # the folder's lock is ours alone
        fd = os.open(draft, _TO_WRITE, _MODE)
        try:
            if self._needs_mode and hasattr(os, "fchmod"):
                self._needs_mode = stat.S_IMODE(os.fstat(fd).st_mode) != _MODE  # the same for all: it is the umask
                os.fchmod(fd, _MODE)  # a web server may be another user
            view = memoryview(data)
            while view:
                view = view[os.write(fd, view) :]
        finally:
            os.close(fd)
        self._rename(draft, key)

    def put_same(self, key: str, data: bytes) -> bool:
        """Write a file unless these bytes are there; return whether it was written."""
        try:
            with open_to_read(self.path(key)) as file:
                if file.read() == data:
                    return False
        except OSError:
            pass  # it isn't there, or isn't a file: what a link leads to may be another's, who changes it later
        self.put(key, data)
        return True

    def adopt(self, draft: Path, key: str, sha256: str) -> None:  # noqa: ARG002  # where it is carried it is named
        """Move a file that is whole to its name."""
        try:
            draft.chmod(0o644)
        except OSError as error:
            raise _local(error, self.path(key)) from error
        self._rename(str(draft), key)

    def _rename(self, draft: str, key: str) -> None:
        path = f"{self.folder}/{key}"
        parent = path[: path.rindex("/")]
        try:
            if parent != self._latest_parent:  # files of one folder come one after the other
                _make_folder(parent)
                self._latest_parent = parent
            try:
                replace(draft, path)
            except FileNotFoundError:
                _make_folder(parent)  # somebody tidies up
                replace(draft, path)
        except OSError as error:
            self._latest_parent = ""
            raise _local(error, Path(path)) from error

    def bring(self, *, takes_over: bool = False) -> None:
        """Nothing to do: what a mirror says of itself is here."""

    def require_conditions(self) -> None:
        """Nothing to do: its lock is held."""

    def room(self) -> int | None:
        """Return how many bytes are free; None where there is no end."""
        return shutil.disk_usage(self.folder).free

    def folds_case(self) -> bool:
        """Say whether names that differ in case alone are one there."""
        mark = self._staging / "Case"
        mark.touch()
        return self._staging.joinpath("cASE").exists()

    def note_number(self, number: int) -> None:
        """Note the number of the archive that was imported."""
        replace_file(self.folder / OWN_FOLDER / NUMBER_NAME, f"{number}\n".encode())

    def commit(
        self, reached: Path, record: MirrorRecord, before: MirrorRecord | None, bundle: bytes, timestamp: bytes
    ) -> None:
        """Write what the mirror says of itself, and last the timestamp, which readers start from.

        Args:
            reached: keys of all that the state leads to.
            record: of this state.
            before: of the previous one.
            bundle: ``metadata/recent.bundle``, which saves requests and isn't trusted.
            timestamp: leads readers to the state.
        """
        kept = self.folder / OWN_FOLDER / REACHED_NAME
        if kept.exists() and (before is None or not same_content(before, record)):
            kept.replace(kept.with_name(REACHED_BEFORE_NAME))
        reached.replace(kept)
        self.sync()
        if before is not None:
            self.put_same(f"{OWN_FOLDER}/{RECORD_BEFORE_NAME}", record_bytes(before))
        self.put_same(RECORD_NAME, record_bytes(record))
        self.put_same(BUNDLE_KEY, bundle)
        self.put_same(TIMESTAMP_KEY, timestamp)
        self.sync()
        (self.folder / OWN_FOLDER / UNFLUSHED_NAME).unlink(missing_ok=True)

    def begin(self) -> None:
        """Note that files get their names from now on which a power failure may still empty."""
        (self.folder / OWN_FOLDER / UNFLUSHED_NAME).touch()

    def flushed(self) -> Container[str] | None:
        """Return the keys that a finished run left on the disk; None for all: no other run came after it."""
        own = self.folder / OWN_FOLDER
        if not (own / UNFLUSHED_NAME).exists():
            return None
        from sealdex.download.mirror.keys import Keys  # noqa: PLC0415  # sqlite3, for after a run that didn't end

        keys = Keys()
        for name in (REACHED_NAME, REACHED_BEFORE_NAME):
            keys.add_lines(own / name)
        return keys

    def sync(self) -> None:
        """Make what was written outlast a power failure.

        Raises:
            InstallError: some of it couldn't be written to the disk.
        """
        try:
            sync_filesystem(self.folder)
        except OSError as error:
            raise _local(error, self.folder) from error


class Fetcher:
    """Fetches files into a place; safe for threads.

    Args:
        transport: makes the requests.
        addresses: of the source.
        place: where the files go.
        cache: for what is on its way; on the same file system.
        max_bytes: of a file whose size isn't signed.
        taken_from: a folder that files are moved from where they are there.
        has_copies: whether the source may have what is elsewhere in its own tree, as mirrors do.
        on_bytes: told of bytes that came.
    """

    def __init__(
        self,
        transport: Transport,
        addresses: Addresses,
        place: Place,
        cache: ContentCache,
        *,
        max_bytes: int,
        has_copies: bool,
        taken_from: Path | None = None,
        on_bytes: Callable[[int], None],
    ) -> None:
        self._transport = transport
        self._addresses = addresses
        self._place = place
        self._cache = cache
        self._max_bytes = max_bytes
        self._has_copies = has_copies
        self._taken_from = taken_from
        self._on_bytes = on_bytes

    def tell(self, on_bytes: Callable[[int], None]) -> None:
        """Tell somebody else of bytes from now on."""
        self._on_bytes = on_bytes

    def small_ones(self, files: Iterator[MirrorFile]) -> Iterator[MirrorFile]:
        """Bring the small files that are in the source's tree all at once, and yield the others, and what failed."""
        base = self._addresses.chosen
        pipeline = None if self._taken_from is not None else self._transport.pipeline(base)
        if pipeline is None:
            yield from files
            return
        left: deque[MirrorFile] = deque()

        def small() -> Iterator[tuple[MirrorFile, str, int] | None]:
            for file in files:
                if file.url is None and file.size is not None and file.size <= _PIPED_BYTES:
                    yield file, base + quote(file.key, safe="/"), file.size
                else:
                    left.append(file)
                    yield None

        for file, data in pipeline.read(small()):
            if file is not None and (data is None or not self._kept(file, data)):
                left.append(file)
            while left:
                yield left.popleft()

    def _kept(self, file: MirrorFile, data: bytes) -> bool:
        """Put a file to its name if these are its bytes; else it is asked for in the usual way, which tells."""
        if hashlib.sha256(data).hexdigest() != file.sha256:
            return False
        self._put(file, data)
        return True

    def fetch(self, file: MirrorFile) -> int:
        """Bring one file to its name; return how many bytes it has.

        Raises:
            VerificationError: other bytes than the signed ones.
            UnavailableError: it can't be had.
            InstallError: it can't be written.
        """
        if self._taken_from is not None and (size := self._take(self._taken_from / file.key, file)) is not None:
            return size
        in_tree = quote(file.key, safe="/")
        if file.url is None:
            return self._addresses.fetch(lambda base: self._from(base + in_tree, file))
        if self._has_copies:
            try:
                return self._addresses.fetch(lambda base: self._from(base + in_tree, file))
            except (HttpStatusError, MissingEverywhereError):
                pass  # it isn't among the source's copies
        return self._from(file.url, file)

    def _take(self, path: Path, file: MirrorFile) -> int | None:
        if not path.is_file() or path.is_symlink():
            return None
        if hash_of_regular(path) != file.sha256:
            raise _wrong(path.as_uri(), file)
        size = path.stat().st_size
        self._place.adopt(path, file.key, file.sha256)
        self._on_bytes(size)
        return size

    def _from(self, url: str, file: MirrorFile) -> int:
        if file.size is not None and file.size <= _SMALL_BYTES:
            return self._small(url, file, file.size)
        meter = _Meter(self._on_bytes)
        path = download(self._transport, url, Pin(file.sha256, file.size, self._max_bytes), self._cache, progress=meter)
        size = path.stat().st_size
        self._place.adopt(path, file.key, file.sha256)
        self._cache.remove_companions(file.sha256)
        return size

    def _small(self, url: str, file: MirrorFile, size: int) -> int:
        try:
            data = self._transport.read(url, max_bytes=size).data
        except TooLargeError as error:
            raise _wrong(url, file) from error
        if hashlib.sha256(data).hexdigest() != file.sha256:
            raise _wrong(url, file)
        self._put(file, data)
        return len(data)

    def _put(self, file: MirrorFile, data: bytes) -> None:
        try:
            self._place.put(file.key, data)
        except OSError as error:
            raise _local(error, self._place.path(file.key)) from error
        self._on_bytes(len(data))


def _make_folder(path: str) -> None:
    """Make a folder, with those above it; most of them are there, so that this is one call."""
    try:
        os.mkdir(path)  # noqa: PTH102  # text, for thousands of files
    except FileExistsError:
        pass  # if it is something else, the file can't be put into it, which tells
    except FileNotFoundError:
        os.makedirs(path, exist_ok=True)  # noqa: PTH103  # the same


class Tally:
    """Adds up bytes that files had, and tells of them now and then; safe for threads.

    Args:
        tell: told how many bytes.
    """

    def __init__(self, tell: Callable[[int], None]) -> None:
        self._tell = tell
        self._bytes = self._calls = 0
        self._lock = threading.Lock()

    def add(self, size: int) -> None:
        """Add bytes; negative when a transfer starts over."""
        with self._lock:
            self._bytes += size
            self._calls += 1
            is_much = self._calls >= _TOLD_CALLS or self._bytes >= _TOLD_BYTES
        if is_much:
            self.send()

    def send(self) -> None:
        """Tell of what wasn't told yet."""
        with self._lock:
            size, self._bytes, self._calls = self._bytes, 0, 0
        self._tell(size)


class _Meter:
    """Passes on the bytes of one download."""

    def __init__(self, on_bytes: Callable[[int], None]) -> None:
        self._on_bytes = on_bytes

    def start(self, total: int | None) -> None:
        """Nothing to do: the total of all files is known already."""

    def advance(self, n: int) -> None:
        """Count bytes; negative when a transfer starts over."""
        self._on_bytes(n)

    def finish(self) -> None:
        """Others go on."""


def _wrong(url: str, file: MirrorFile) -> VerificationError:
    return VerificationError(
        f"{file.key} is not the file that was signed",
        subject=public_url(url),
        untouched="nothing of it was kept, and the mirror stays as it was",
        hint="report this to the registry's operator; another mirror may have the right file",
    )


def _local(error: OSError, path: Path) -> SealdexError:
    return InstallError(
        f"{path} can't be written: {error.strerror}",
        subject=str(path),
        untouched="the mirror stays as it was; what was copied is kept for the next run",
        hint="make room" if is_disk_full(error) else "check the permissions of the folder",
    )


__all__ = ["Fetcher", "Place", "Tally"]
