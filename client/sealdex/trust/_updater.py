"""ngclient's updater, unforked: which role signed what, and as of when everything is judged."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import cast

from tuf.api.exceptions import ExpiredMetadataError, RepositoryError
from tuf.api.metadata import Metadata, Root, Signed, Targets, Timestamp
from tuf.api.serialization import DeserializationError
from tuf.ngclient.updater import Updater

from sealdex import disk
from sealdex.trust.signed_time import Judgement, judge, signed_at_of

_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)


class SignedTimeError(RepositoryError):
    """The time that a timestamp states can't be right."""


class SignedBeforeError(SignedTimeError):
    """A newer version says that it was signed before the one that this host has."""


class TooOldError(RepositoryError):
    """What is signed is older than ``max_staleness``."""


class DatedUpdater(Updater):
    """ngclient's updater with access to its trusted set, judged as of the time that a timestamp states.

    Attributes:
        clock: this host's time; by default when the updater was made.
        limit: ``max_staleness``; without it everything is judged as of the present.
        disbelieved: the version and the time of a timestamp whose time isn't believed (``registry reset-clock``).
        is_strict: whether an expired timestamp is refused even within ``max_staleness``.
        judgement: as of when the newest timestamp is judged; None before there is one.
    """

    limit: timedelta | None = None
    clock: datetime | None = None
    disbelieved: tuple[int, datetime] | None = None
    is_strict: bool = False
    judgement: Judgement | None = None

    @property
    def trusted(self) -> Mapping[str, Signed]:
        """What was verified so far, by role."""
        return cast("Mapping[str, Signed]", self._trusted_set)

    @property
    def loaded(self) -> Mapping[str, Targets]:
        """Targets and the delegated roles that were verified, by name: the trusted set can't be asked for its names."""
        return cast("Mapping[str, Targets]", self.__dict__.setdefault("_loaded", {}))

    def load(self, role: str, parent: str) -> None:
        """Load and verify one delegated role, from the cache or the repository."""
        self._load_targets(role, parent)

    def _load_targets(self, role: str, parent_role: str) -> Targets:
        targets = super()._load_targets(role, parent_role)
        self.__dict__.setdefault("_loaded", {})[role] = targets
        return targets

    def _update_root_symlink(self) -> None:
        """Keep ``root.json`` as a copy where the disk has no links (FAT, exFAT, SMB); ngclient would raise there."""
        try:
            super()._update_root_symlink()
        except OSError:
            version = self._trusted_set.root.version
            folder = Path(self._dir)
            shutil.copyfile(folder / "root_history" / f"{version}.root.json", folder / "root.json")

    def _persist_file(self, filename: str, data: bytes) -> None:
        """Write a file for this user alone, and rename it when it is whole; ngclient asks ``tempfile`` for its name."""
        draft = Path(self._dir, f"tmp{os.urandom(6).hex()}")
        try:
            with os.fdopen(os.open(draft, _NEW_FILE, 0o600), "wb") as file:
                file.write(data)
            disk.replace(draft, filename)
        except OSError:
            with suppress(OSError):
                draft.unlink()
            raise

    # ngclient reads the clock once, when it is made, and has no public way to set it. Both hooks below come right
    # before it verifies a timestamp; tests/attacks/test_time_attacks.py fails if they stop working.

    def _load_local_metadata(self, rolename: str) -> bytes:
        data = super()._load_local_metadata(rolename)
        if rolename == Timestamp.type and (signed := self._verified_timestamp(data)) is not None:
            # what was accepted once protects from a rollback for ever, however old everything is by now
            self._remember_clock()
            self._trusted_set.reference_time = self._stated(signed) or datetime.min.replace(tzinfo=self._now.tzinfo)
        return data

    def _download_metadata(self, rolename: str, length: int, version: int | None = None) -> bytes:
        data = super()._download_metadata(rolename, length, version)
        if rolename == Timestamp.type:
            self._remember_clock()
            self._judge(data)
        return data

    def _remember_clock(self) -> None:
        if self.clock is None:
            self.clock = self._trusted_set.reference_time

    @property
    def _now(self) -> datetime:
        return self.clock or self._trusted_set.reference_time

    def _judge(self, data: bytes) -> None:
        before = self._trusted_set.get(Timestamp.type)
        floor = self._stated(before) if isinstance(before, Timestamp) else None
        self._trusted_set.reference_time = max(self._now, floor) if floor is not None else self._now
        signed = self._verified_timestamp(data)
        if signed is None:
            return  # ngclient refuses it in its own words
        if isinstance(before, Timestamp) and signed.version <= before.version:
            signed = before  # ngclient keeps what it has
        stated = self._stated(signed)
        if stated is not None and stated >= signed.expires:
            raise SignedTimeError(f"it says that it was signed on {_day(stated)}, after it expired")
        if stated is not None and floor is not None and stated < floor:
            raise SignedBeforeError(
                f"it says that it was signed on {_day(stated)}, and its predecessor on {_day(floor)}"
            )
        limit = None if self._is_disbelieved(signed) else self.limit
        self.judgement = judge(self._now, signed_at=stated, expires=signed.expires, floor=floor, limit=limit)
        self._trusted_set.reference_time = self.judgement.as_of
        if self.is_strict and signed.expires <= self.judgement.present:
            raise ExpiredMetadataError(f"it expired on {_day(signed.expires)}")
        if self.judgement.is_over_limit:
            raise TooOldError(f"it was signed on {_day(self.judgement.signed_at)}")

    def _verified_timestamp(self, data: bytes) -> Timestamp | None:
        """Return a timestamp that the trusted root's keys signed; None for anything else."""
        try:
            metadata = Metadata[Timestamp].from_bytes(data)
            root = self._trusted_set[Root.type]
            if not isinstance(root, Root) or not isinstance(metadata.signed, Timestamp):
                return None
            root.verify_delegate(Timestamp.type, metadata.signed_bytes, metadata.signatures)
        except (DeserializationError, RepositoryError):
            return None
        return metadata.signed

    def _stated(self, signed: Timestamp) -> datetime | None:
        try:
            stated = signed_at_of(signed.unrecognized_fields)
        except ValueError as error:
            raise SignedTimeError(str(error)) from error
        return None if self._is_disbelieved(signed) else stated

    def _is_disbelieved(self, signed: Timestamp) -> bool:
        if self.disbelieved is None or signed.version != self.disbelieved[0]:
            return False
        return signed_at_of(signed.unrecognized_fields) == self.disbelieved[1]


def _day(when: datetime) -> str:
    return f"{when:%Y-%m-%d at %H:%M} UTC"


__all__ = ["DatedUpdater", "SignedBeforeError", "SignedTimeError", "TooOldError"]
