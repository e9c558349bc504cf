"""A mirror in a bucket: what is known of it is kept in a folder of this host, and each file is put on a condition.

In the bucket, beside the published tree:

    mirror.json                              as in a folder; swapped first (If-Match), so that of two runs one wins
    .sealdex-mirror/reached/<sha256>.txt     keys of all files that a state leads to; mirror.json names two of them
    .sealdex-mirror/mirror-before.json       the record of the previous state
    metadata/recent.bundle                   written before it; a stale one costs requests and nothing else
    metadata/timestamp.json                  swapped last (If-Match)

A file that a list names is there: nothing is listed, and nothing is asked for but `mirror.json` and the timestamp. On
this host, below `Bucket.folder`, the same names as in a mirror's folder, and `uploaded.txt`: what a run that died has
put there.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterable
from pathlib import Path

import msgspec

from sealdex.download.mirror.bucket import Bucket, Held
from sealdex.download.mirror.contents import MirrorFile
from sealdex.download.mirror.keys import Keys
from sealdex.download.mirror.options import OvertakenError
from sealdex.download.mirror.record import (
    BUNDLE_KEY,
    MAX_RECORD_BYTES,
    NUMBER_NAME,
    OWN_FOLDER,
    REACHED_BEFORE_NAME,
    REACHED_NAME,
    RECORD_BEFORE_NAME,
    RECORD_NAME,
    TIMESTAMP_KEY,
    MirrorRecord,
    parse_record,
    record_bytes,
)
from sealdex.download.mirror.transfer import Place
from sealdex.errors import InstallError, UsageError
from sealdex.store.hashing import hash_of_regular
from sealdex.trust import stated_version

MAX_TIMESTAMP_BYTES = 1 << 20
_MAX_LIST_BYTES = 1 << 30
_UPLOADED_NAME = "uploaded.txt"
_PROBE = b"Shows that this store keeps If-None-Match.\n"


class BucketPlace(Place):
    """The place of a mirror in a bucket.

    Args:
        bucket: where it is.
        verify: read and hash what is there, in place of believing the lists.
    """

    is_remote = True

    def __init__(self, bucket: Bucket, *, verify: bool = False) -> None:
        self._bucket = bucket
        self._own = bucket.folder / OWN_FOLDER
        super().__init__(bucket.folder, self._own / "staging")
        self._verify = verify
        self._known = Keys()
        self._guard = threading.Lock()
        self._record: Held | None = None
        self._timestamp: Held | None = None

    def bring(self, *, takes_over: bool = False) -> None:
        """Bring what the bucket says of itself into this host's folder.

        Args:
            takes_over: go on although a prune began there and didn't end.

        Raises:
            UsageError: a prune is at work there, or died.
            UnavailableError: the bucket doesn't answer.
        """
        self._record = self._bucket.get(RECORD_NAME, MAX_RECORD_BYTES)
        self._timestamp = self._bucket.get(TIMESTAMP_KEY, MAX_TIMESTAMP_BYTES)
        (self.folder / "metadata").mkdir(parents=True, exist_ok=True)
        self._own.mkdir(parents=True, exist_ok=True)
        for key, held in ((RECORD_NAME, self._record), (TIMESTAMP_KEY, self._timestamp)):
            if held is None:
                (self.folder / key).unlink(missing_ok=True)
            else:
                (self.folder / key).write_bytes(held.data)
        self._known, number = Keys(), 0
        for name in (REACHED_NAME, REACHED_BEFORE_NAME):
            (self._own / name).unlink(missing_ok=True)
        if self._record is not None:
            record = parse_record(self._record.data, f"{self._bucket}/{RECORD_NAME}")
            if record.pruning and not takes_over:
                raise UsageError(
                    f"a prune of {self._bucket} is at work, or died",
                    subject=str(self._bucket),
                    untouched="nothing was changed",
                    hint="if none is at work, end it first: sealdex mirror prune DEST",
                )
            self._bring_lists(record)
            self._bring_own(RECORD_BEFORE_NAME, self._is_ahead(record))
            number = record.number
        (self._own / NUMBER_NAME).write_text(f"{number}\n")
        self._seed_trust()
        self._known.add_lines(self._own / _UPLOADED_NAME)

    def _is_ahead(self, record: MirrorRecord) -> bool:
        return self._timestamp is None or stated_version(self._timestamp.data) != record.timestamp_version

    def _bring_own(self, name: str, wanted: bool) -> None:
        path = self._own / name
        path.unlink(missing_ok=True)
        if wanted and (held := self._bucket.get(f"{OWN_FOLDER}/{name}", MAX_RECORD_BYTES)) is not None:
            path.write_bytes(held.data)

    def _bring_lists(self, record: MirrorRecord) -> None:
        kept = self._own / "lists"
        kept.mkdir(exist_ok=True)
        for digest, name in ((record.reached, REACHED_NAME), (record.reached_before, REACHED_BEFORE_NAME)):
            if not digest:
                continue
            path = kept / digest
            if hash_of_regular(path) != digest:
                held = self._bucket.get(_list_key(digest), _MAX_LIST_BYTES)
                if held is None or hashlib.sha256(held.data).hexdigest() != digest:
                    continue  # nothing is known then, and each file is looked at
                path.write_bytes(held.data)
            (self._own / name).write_bytes(path.read_bytes())
            self._known.add_lines(path)
        for path in kept.iterdir():
            if path.name not in {record.reached, record.reached_before}:
                path.unlink()

    def _seed_trust(self) -> None:
        """Let trust begin from the timestamp that the bucket has, as far as the root vouches for it: never go back."""
        cached = self._own / "trust" / "metadata" / "timestamp.json"
        if self._timestamp is None:
            return
        there = stated_version(self._timestamp.data) or 0
        here = (stated_version(cached.read_bytes()) or 0) if cached.is_file() else 0
        if there > here:
            cached.parent.mkdir(parents=True, exist_ok=True)
            cached.write_bytes(self._timestamp.data)

    # --- files -------------------------------------------------------------------------------------------------------

    def has(self, file: MirrorFile, *, hashed: bool) -> bool:
        """Say whether a file is there: by the lists, or with ``verify`` by its bytes."""
        if not self._verify:
            return file.key in self._known
        found = self._bucket.digest(file.key) if hashed else None
        return found is not None and found.sha256 == file.sha256

    def put(self, key: str, data: bytes) -> None:
        """Write an immutable file."""
        self._create(key, data, hashlib.sha256(data).hexdigest())

    def put_same(self, key: str, data: bytes) -> bool:
        """Write an immutable file unless it is known to be there."""
        if key in self._known and not self._verify:
            return False
        self.put(key, data)
        return True

    def adopt(self, draft: Path, key: str, sha256: str) -> None:
        """Bring a file of this host, which is whole, to its name, and remove it here."""
        self._create(key, draft, sha256)
        draft.unlink()

    def sync(self) -> None:
        """Nothing to do: S3 answers a PUT once it is durable."""

    def folds_case(self) -> bool:
        """Return False: keys are bytes."""
        return False

    def room(self) -> int | None:
        """Return None: a bucket has no end."""
        return None

    def _create(self, key: str, body: bytes | Path, sha256: str) -> None:
        while self._bucket.put(key, body, sha256, new=True) is None:
            # an earlier run put it there, an attempt whose answer was lost, or somebody other bytes
            found = self._bucket.digest(key)
            if found is not None and (
                found.sha256 == sha256 or self._bucket.put(key, body, sha256, etag=found.etag) is not None
            ):
                break
        with self._guard, (self._own / _UPLOADED_NAME).open("a", encoding="utf-8") as file:
            file.write(f"{key}\n")
            self._known.add(key)

    # --- commit ------------------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Nothing to note: what a server took is stored."""

    def flushed(self) -> None:
        """Return that all that is known to be there is."""

    def require_conditions(self) -> None:
        """Refuse a store that ignores conditions: two runs at once would lose each other's state.

        Raises:
            InstallError: it does.
        """
        known = self._own / "conditions"
        if known.exists():
            return
        key, digest = f"{OWN_FOLDER}/probe", hashlib.sha256(_PROBE).hexdigest()
        if (
            self._bucket.put(key, _PROBE, digest, new=True) is not None
            and self._bucket.put(key, _PROBE, digest, new=True) is not None
        ):
            raise InstallError(
                f"the store of {self._bucket} ignores conditions: it wrote a file that was to be written only if it "
                "isn't there",
                subject=str(self._bucket),
                untouched="nothing of the mirror was written",
                hint="use a store with conditional writes (AWS, Ceph, MinIO, SeaweedFS, R2), or mirror into a folder",
            )
        known.touch()

    def commit(
        self, reached: Path, record: MirrorRecord, before: MirrorRecord | None, bundle: bytes, timestamp: bytes
    ) -> None:
        """Write the list of keys, then swap the record, and last the timestamp, which readers start from.

        Raises:
            OvertakenError: another run was faster; readers see its state.
        """
        digest = hash_of_regular(reached) or ""
        if self._bucket.get(_list_key(digest), _MAX_LIST_BYTES) is None:
            self._bucket.put(_list_key(digest), reached, digest)
        was = parse_record(self._record.data, RECORD_NAME) if self._record is not None else None
        previous = "" if was is None else was.reached if was.reached != digest else was.reached_before
        if before is not None:
            self._write(f"{OWN_FOLDER}/{RECORD_BEFORE_NAME}", record_bytes(before))
        number = 0 if was is None else was.number
        self._swap_record(msgspec.structs.replace(record, reached=digest, reached_before=previous, number=number))
        self._write(BUNDLE_KEY, bundle)
        self._swap_timestamp(timestamp)
        (self._own / _UPLOADED_NAME).unlink(missing_ok=True)
        (self._own / "lists").mkdir(exist_ok=True)
        reached.replace(self._own / "lists" / digest)

    def note_number(self, number: int) -> None:
        """Note the number of the archive that was imported."""
        assert self._record is not None  # noqa: S101  # an import has just made or found one
        self._swap_record(msgspec.structs.replace(parse_record(self._record.data, RECORD_NAME), number=number))

    def prune(self, going: Iterable[str]) -> None:
        """Remove files; other runs are kept off meanwhile.

        Raises:
            OvertakenError: another run changed the mirror; nothing was removed.
        """
        assert self._record is not None  # noqa: S101  # a mirror that was completed has one
        record = parse_record(self._record.data, RECORD_NAME)
        self._swap_record(msgspec.structs.replace(record, pruning=True))
        for key in going:
            self._bucket.delete(key)
        for key, _ in list(self._bucket.listed(f"{OWN_FOLDER}/reached/")):
            if key not in {_list_key(record.reached), _list_key(record.reached_before)}:
                self._bucket.delete(key)
        self._swap_record(msgspec.structs.replace(record, pruning=False))

    def _write(self, key: str, data: bytes) -> None:
        self._bucket.put(key, data, hashlib.sha256(data).hexdigest())

    def _swap_record(self, record: MirrorRecord) -> None:
        data = record_bytes(record)
        self._record = self._swapped(RECORD_NAME, data, self._record)

    def _swap_timestamp(self, timestamp: bytes) -> None:
        while True:
            try:
                self._timestamp = self._swapped(TIMESTAMP_KEY, timestamp, self._timestamp)
            except OvertakenError:  # noqa: PERF203  # the loop is the retry
                # whoever has the record may go on from an older timestamp; never from a newer one
                self._timestamp = self._bucket.get(TIMESTAMP_KEY, MAX_TIMESTAMP_BYTES)
                there = (stated_version(self._timestamp.data) or 0) if self._timestamp is not None else 0
                if there >= (stated_version(timestamp) or 0):
                    raise
            else:
                return

    def _swapped(self, key: str, data: bytes, held: Held | None) -> Held:
        digest = hashlib.sha256(data).hexdigest()
        etag = self._bucket.put(key, data, digest, new=held is None, etag=held.etag if held is not None else None)
        if etag is None:
            now = self._bucket.get(key, MAX_RECORD_BYTES)
            if now is None or now.data != data:
                raise OvertakenError(str(self._bucket))
            return now  # a first attempt won, and its answer was lost; or another run wrote the same
        return Held(data, etag)


def _list_key(digest: str) -> str:
    return f"{OWN_FOLDER}/reached/{digest}.txt"


__all__ = ["BucketPlace"]
