"""Proves a mirror complete and intact, from the root alone; and removes what is not selected any more."""

from __future__ import annotations

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

from sealdex.download.mirror._forked import processes, share_out
from sealdex.download.mirror.bucket import Bucket
from sealdex.download.mirror.bucket_place import BucketPlace
from sealdex.download.mirror.contents import MirrorFile
from sealdex.download.mirror.create import Watch, held
from sealdex.download.mirror.keys import Keys
from sealdex.download.mirror.plan import Found, Target, plan_files
from sealdex.download.mirror.record import BUNDLE_KEY, REACHED_BEFORE_NAME, REACHED_NAME, MirrorRecord, read_record
from sealdex.download.mirror.selection import LockedRelease
from sealdex.download.mirror.sigstore_root import digest_of
from sealdex.download.mirror.transfer import each_of
from sealdex.errors import InstallError, UnavailableError, UsageError
from sealdex.model.ids import parse_plugin_id
from sealdex.model.index import release_folder
from sealdex.store.hashing import NO_FOLLOW
from sealdex.transport import Transport
from sealdex.trust import TrustedRegistry, TrustState

_TREES = ("metadata", "targets", "plugins")
_PREFIXES = tuple(f"{tree}/" for tree in _TREES)
_MISSING, _WRONG = -1, -2
_TOLD_FILES = 50
_CONNECTIONS = 8
_MUCH = 5
"""A prune that removes more than one file in so many asks to be confirmed."""


@dataclass
class Verified:
    """What was found.

    Attributes:
        state: what the mirror's metadata says, verified from the root.
        record: what the mirror says of itself.
        files, bytes: that are as signed.
        missing, wrong: keys of files that aren't there, or aren't what was signed.
        extra: how many files no document of this state leads to; ``mirror prune`` removes them.
    """

    state: TrustState
    record: MirrorRecord
    files: int = 0
    bytes: int = 0
    missing: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    extra: int = 0

    @property
    def is_intact(self) -> bool:
        """Whether everything of the selection is there as signed."""
        return not self.missing and not self.wrong


def verify(
    dest: Path | Bucket, root: bytes, transport: Transport, watch: Watch, max_staleness: timedelta | None = None
) -> Verified:
    """Verify the metadata of a mirror from a root, and hash every file of its selection, on all processors.

    Raises:
        NotFoundError: it isn't a mirror.
        VerificationError: its metadata, or a signed document, isn't what the root leads to.
        UnavailableError: metadata or a signed document is missing.
    """
    folder = dest if isinstance(dest, Path) else dest.folder
    if isinstance(dest, Bucket):
        BucketPlace(dest).bring()
    record = read_record(folder)
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
        found = Verified(registry.refresh(), record)
        known = _Known()
        _check_all(dest, chain(_files(registry, record, known), _carried(record)), found, watch)
        metadata = {BUNDLE_KEY, *(f"metadata/{name}" for name, _ in registry.metadata_files())}
    found.missing.sort()
    found.wrong.sort()
    gone = {
        key
        for key in found.missing
        if key.startswith(_PREFIXES) and (isinstance(dest, Bucket) or not os.path.lexists(folder / key))
    }
    keys = _keys(folder) if isinstance(dest, Path) else (key for key, _ in _listed_trees(dest))
    # all that is there, less what has to be: a set of hundreds of thousands of keys isn't needed to count them
    found.extra = sum(1 for key in keys if key not in metadata and not _is_root(key)) - (known.keys - len(gone))
    return found


class _Known:
    """How many keys beside metadata a state leads to."""

    def __init__(self) -> None:
        self.keys = 0


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
            (found.missing if state == _MISSING else found.wrong).append(key)

    def work(lines: Iterator[bytes], answer: Callable[[bytes], None]) -> None:
        good = size = 0
        for line in lines:
            key, digest, length = json.loads(line)
            if (state := check(key, digest, length)) < 0:
                answer(json.dumps([state, key]).encode())
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
        lines = (json.dumps([file.key, file.sha256, file.size]).encode() for file in files)
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


@dataclass
class Pruned:
    """What a prune removed, or would remove.

    Attributes:
        files, bytes: of it.
        kept: files that stay.
        removed: whether they were removed.
    """

    files: int
    bytes: int
    kept: int
    removed: bool


def prune(
    dest: Path | Bucket, keep: Iterable[LockedRelease], watch: Watch, *, dry_run: bool, confirmed: bool
) -> Pruned:
    """Remove files that neither the present nor the previous state of a mirror leads to, nor a lock.

    Args:
        dest: the mirror.
        keep: releases that stay in any case.
        watch: told of waits.
        dry_run: remove nothing.
        confirmed: remove more than a fifth of all files as well.

    Raises:
        NotFoundError: the folder isn't a mirror that was completed once.
        UsageError: more than a fifth would go, and it isn't confirmed.
        InstallError: a file can't be removed, or a tree of the mirror is a link.
    """
    folder = dest if isinstance(dest, Path) else dest.folder
    if isinstance(dest, Path):
        read_record(folder)
    with held(folder, watch) as own:
        if isinstance(dest, Bucket):
            place = BucketPlace(dest)
            place.bring(takes_over=True)
            read_record(folder)
        kept = Keys()
        for name in (REACHED_NAME, REACHED_BEFORE_NAME):
            kept.add_lines(own / name)
        folders = tuple(f"{release_folder(parse_plugin_id(each.plugin), each.version)}/" for each in keep)
        linked = [] if isinstance(dest, Bucket) else [tree for tree in _TREES if (folder / tree).is_symlink()]
        if linked:
            raise InstallError(
                f"{', '.join(linked)} of {folder} is a link: nothing is removed from where it leads",
                subject=str(folder),
                untouched="nothing was removed",
                hint="remove what isn't needed there yourself, or make the mirror in a folder without links",
            )
        there = _listed_trees(dest) if isinstance(dest, Bucket) else ((key, None) for key in _keys(folder))
        going, total, size = list[str](), 0, 0
        for key, length in there:
            total += 1
            if key not in kept and not (folders and key.startswith(folders)):
                going.append(key)
                size += (folder / key).lstat().st_size if length is None else length
        if going and len(going) * _MUCH > total and not (dry_run or confirmed):
            raise UsageError(
                f"{len(going)} of {total} files would be removed, which is more than a fifth",
                subject=str(dest),
                untouched="nothing was removed",
                hint="look at: sealdex mirror prune DEST --dry-run; then, if that is meant: --yes",
            )
        if not dry_run and isinstance(dest, Bucket):
            place.prune(going)
        elif not dry_run:
            for key in going:
                _remove(folder, key)
        return Pruned(len(going), size, total - len(going), removed=not dry_run)


class _Check:
    """Compares one file with its pin."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._buffer = threading.local()

    def __call__(self, key: str, sha256: str, length: int | None) -> int:
        """Return the size of a file that is as signed; else `_MISSING` or `_WRONG`."""
        try:
            fd = os.open(f"{self._folder}/{key}", os.O_RDONLY | NO_FOLLOW)
        except OSError:
            return _MISSING  # or a link, or not to be read
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


def _listed_trees(bucket: Bucket) -> Iterator[tuple[str, int]]:
    for tree in _TREES:
        yield from bucket.listed(f"{tree}/")


def _files(registry: TrustedRegistry, record: MirrorRecord, known: _Known) -> Iterator[MirrorFile]:
    for each in plan_files(registry, record.selection, Found()):
        known.keys += 1
        if not isinstance(each, Target):
            yield each


def _carried(record: MirrorRecord) -> Iterator[MirrorFile]:
    """Yield what isn't signed and comes along under its digest."""
    if (digest := digest_of(record.sigstore_root)) is not None:
        yield MirrorFile(record.sigstore_root, digest, None, None, "Sigstore's trust root")


def _keys(folder: Path) -> Iterator[str]:
    """Yield the key of every file of the published tree; what a link leads to is somebody else's."""
    for tree in _TREES:
        if (folder / tree).is_symlink():
            continue
        waiting = [tree] if (folder / tree).is_dir() else []
        while waiting:
            at = waiting.pop()
            with os.scandir(f"{folder}/{at}") as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(f"{at}/{entry.name}")
                    else:
                        yield f"{at}/{entry.name}"


def _remove(folder: Path, key: str) -> None:
    path = folder / key
    try:
        path.unlink()
        for parent in path.parents:
            if parent == folder or any(parent.iterdir()):
                break
            parent.rmdir()
    except OSError as error:
        raise InstallError(
            f"{path} can't be removed: {error.strerror}", subject=str(path), untouched="some files were removed already"
        ) from error


__all__ = ["Pruned", "Verified", "prune", "verify"]
