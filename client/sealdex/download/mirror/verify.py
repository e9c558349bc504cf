"""Proves a mirror complete and intact, from the root alone."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import stat
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from sealdex.download.mirror._forked import processes, share_out
from sealdex.download.mirror._workers import each_of
from sealdex.download.mirror.contents import MirrorFile
from sealdex.download.mirror.options import Watch
from sealdex.download.mirror.plan import Found, Target, plan_files
from sealdex.download.mirror.record import BUNDLE_KEY, RECORD_NAME, MirrorRecord, read_record
from sealdex.download.mirror.selection import Selection, normal
from sealdex.download.mirror.sigstore_root import digest_of
from sealdex.download.mirror.tree import TREES, bucket_keys, tree_keys
from sealdex.errors import InstallError, SealdexError, UnavailableError
from sealdex.model.decode import decode_as, encode_json
from sealdex.store.hashing import NO_FOLLOW
from sealdex.transport import Transport
from sealdex.trust import Published, TrustedRegistry, TrustState

if TYPE_CHECKING:
    from sealdex.download.mirror.bucket import Bucket

_PREFIXES = tuple(f"{tree}/" for tree in TREES)
_MISSING, _WRONG, _LINK = -1, -2, -3
_NO_LINK = frozenset({errno.ELOOP, getattr(errno, "EMLINK", errno.ELOOP)})  # the latter on FreeBSD
_TOLD_FILES = 50
_CONNECTIONS = 8


@dataclass
class Verified:
    """What was found.

    Attributes:
        state: what the mirror's metadata says, verified from the root.
        record: what the mirror says of itself.
        files, bytes: that are as signed.
        selection: that was looked for: the mirror's own, or what was demanded.
        missing, wrong: keys of files that aren't there, or aren't what was signed.
        links: of the missing ones, those that are links: what these lead to may be changed by others.
        extra: how many files no document of this state leads to; ``mirror prune`` removes them. None where another
            selection was demanded than the mirror's own.
    """

    state: TrustState
    record: MirrorRecord
    selection: Selection
    files: int = 0
    bytes: int = 0
    missing: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    links: list[str] = field(default_factory=list)
    extra: int | None = 0

    @property
    def is_intact(self) -> bool:
        """Whether everything of the selection is there as signed."""
        return not self.missing and not self.wrong


def verify(
    dest: Path | Bucket,
    root: bytes,
    transport: Transport,
    watch: Watch,
    max_staleness: timedelta | None = None,
    *,
    demanded: Selection | None = None,
) -> Verified:
    """Verify the metadata of a mirror from a root, and hash every file of its selection, on all processors.

    Args:
        dest: the mirror.
        root: the root metadata that the user trusts.
        transport: reads metadata and documents.
        watch: told of progress.
        max_staleness: the age up to which expired metadata counts; default: not at all.
        demanded: what the mirror has to have, whatever ``mirror.json`` says; default: that, which isn't signed.

    Raises:
        NotFoundError: it isn't a mirror, or what is demanded doesn't exist.
        VerificationError: its metadata isn't what the root leads to.
        UnavailableError: metadata is missing.
    """
    folder = dest if isinstance(dest, Path) else dest.folder
    if not isinstance(dest, Path):
        from sealdex.download.mirror.bucket_place import BucketPlace  # noqa: PLC0415  # for who has a bucket

        BucketPlace(dest).bring()
    record = read_record(folder)
    selection = record.selection if demanded is None else demanded
    with tempfile.TemporaryDirectory() as trust:
        url = folder.resolve().as_uri() if isinstance(dest, Path) else dest.url
        registry = TrustedRegistry(
            "mirror",
            url,
            root,
            Path(trust),
            transport,
            keep_documents=False,
            max_staleness=max_staleness,
            fetch_ahead=False,  # else the mirror's bundle would stand in for the files that are to be proved
        )
        found = Verified(registry.refresh(), record, selection)
        plan = _Plan(registry, selection, found, folder if isinstance(dest, Path) else None)
        _check_all(dest, chain(plan.files(), _carried(record)), found, watch)
        metadata = {BUNDLE_KEY, *(f"metadata/{name}" for name, _ in Published(registry).metadata())}
    gone = {
        key
        for key in found.missing
        if key.startswith(_PREFIXES) and not (isinstance(dest, Path) and os.path.lexists(folder / key))
    }
    others = 0
    for key, is_link in tree_keys(folder) if isinstance(dest, Path) else ((key, False) for key, _ in bucket_keys(dest)):
        if key not in metadata and not _is_root(key):
            others += 1
        elif is_link:
            found.missing.append(key)
            found.links.append(key)
    # all that is there, less what has to be: a set of hundreds of thousands of keys isn't needed to count them
    if isinstance(dest, Path) and (folder / RECORD_NAME).is_symlink():
        found.missing.append(RECORD_NAME)
        found.links.append(RECORD_NAME)
    is_own = normal(selection) == normal(record.selection)
    found.extra = max(0, others - (plan.keys - len(gone))) if is_own else None  # of a tree that is a link: none
    for keys in (found.missing, found.wrong, found.links):
        keys.sort()
    return found


class _Plan:
    """What a state leads to beside metadata."""

    def __init__(self, registry: TrustedRegistry, selection: Selection, found: Verified, folder: Path | None) -> None:
        self._registry = registry
        self._selection = selection
        self._found = found
        self._folder = folder
        self.keys = 0

    def files(self) -> Iterator[MirrorFile]:
        """Yield the files; signed documents are verified where they are read, and noted if they can't be."""
        for each in plan_files(self._registry, self._selection, Found(), self._note_bad):
            self.keys += 1
            if not isinstance(each, Target):
                yield each
            elif self._folder is not None and os.path.islink(f"{self._folder}/{each[0]}"):  # noqa: PTH114  # text
                self._found.missing.append(each[0])
                self._found.links.append(each[0])

    def _note_bad(self, key: str, error: SealdexError) -> None:
        self.keys += 1
        (self._found.missing if isinstance(error, UnavailableError) else self._found.wrong).append(key)


def _is_root(key: str) -> bool:
    """Say whether a key is of a root: earlier ones are there for hosts that pinned one of those."""
    return key.startswith("metadata/") and key.endswith(".root.json")


def _check_all(dest: Path | Bucket, files: Iterable[MirrorFile], found: Verified, watch: Watch) -> None:
    """Compare every file with its pin, with several processes where that is safe, else with threads."""
    check = _Check(str(dest)) if isinstance(dest, Path) else _BucketCheck(dest)

    def note(key: str, state: int) -> None:
        if state >= 0:
            found.files += 1
            found.bytes += state
            watch.moved(state)
        else:
            (found.wrong if state == _WRONG else found.missing).append(key)
            if state == _LINK:
                found.links.append(key)

    def work(lines: Iterator[bytes], answer: Callable[[bytes], None]) -> None:
        good = size = 0
        for line in lines:
            key, digest, length = decode_as(line, _Pin)
            if (state := check(key, digest, length)) < 0:
                answer(encode_json([state, key]))
                continue
            good, size = good + 1, size + state
            if good == _TOLD_FILES:
                answer(b"[%d,%d]" % (good, size))
                good = size = 0
        answer(b"[%d,%d]" % (good, size))

    def heard(answer: bytes) -> None:
        first, second = json.loads(answer)
        if first < 0:
            note(second, first)
        else:
            found.files += first
            found.bytes += second
            watch.moved(second)

    count = processes()
    if count > 1 and isinstance(dest, Path):
        lines = (encode_json(_Pin(file.key, file.sha256, file.size)) for file in files)
        if not share_out(lines, work, count, heard):
            raise InstallError("a process that hashed files was ended by somebody else", hint="run it again")
        return
    lock = threading.Lock()

    def one(file: MirrorFile) -> None:
        state = check(file.key, file.sha256, file.size)
        with lock:
            note(file.key, state)

    failed = each_of(files, one, (os.cpu_count() or 1) if isinstance(dest, Path) else _CONNECTIONS)
    if failed:
        raise UnavailableError("\n".join(f"{key}: {why}" for key, why in failed[:20]), subject=str(dest))


class _Pin(NamedTuple):
    key: str
    sha256: str
    size: int | None


class _Check:
    """Compares one file with its pin."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._buffer = threading.local()

    def __call__(self, key: str, sha256: str, length: int | None) -> int:
        """Return the size of a file that is as signed; else `_MISSING`, `_LINK` or `_WRONG`."""
        try:
            fd = os.open(f"{self._folder}/{key}", os.O_RDONLY | NO_FOLLOW)
        except OSError as error:
            return _LINK if error.errno in _NO_LINK else _MISSING  # or not to be read
        with open(fd, "rb", buffering=0) as file:  # noqa: PTH123  # Path.open takes no descriptor
            there = os.fstat(fd)
            if not stat.S_ISREG(there.st_mode):
                return _MISSING
            if length is not None and there.st_size != length:
                return _WRONG
            hasher, buffer = hashlib.sha256(), self._own_buffer()
            try:
                while got := file.readinto(buffer):
                    hasher.update(buffer[:got])
            except OSError:
                return _WRONG
        return there.st_size if hasher.hexdigest() == sha256 else _WRONG

    def _own_buffer(self) -> memoryview:
        found: memoryview | None = getattr(self._buffer, "view", None)
        if found is None:
            found = self._buffer.view = memoryview(bytearray(256 << 10))
        return found


class _BucketCheck:
    """Compares one object with its pin."""

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket

    def __call__(self, key: str, sha256: str, length: int | None) -> int:
        """Return the size of an object that is as signed; else `_MISSING` or `_WRONG`."""
        found = self._bucket.digest(key)
        if found is None:
            return _MISSING
        return found.size if found.sha256 == sha256 and length in {None, found.size} else _WRONG


def _carried(record: MirrorRecord) -> Iterator[MirrorFile]:
    """Yield what isn't signed and comes along under its digest."""
    if (digest := digest_of(record.sigstore_root)) is not None:
        yield MirrorFile(record.sigstore_root, digest, None, None, "Sigstore's trust root")


__all__ = ["Verified", "verify"]
