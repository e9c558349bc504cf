"""Carries out a publish plan: immutable files first, the one swap of timestamp.json last.

    proof that the store looks at conditions
      -> artifacts, manifests, READMEs, attachments -> index documents -> catalog shards -> bins
      -> packages, catalog, claimed namespaces -> targets -> snapshot -> flush
      -> timestamp.json (swapped on the ETag read at the start) -> new roots

Each file is created, never overwritten; whatever dies before the swap leaves files that nothing refers to. A metadata
version that such a run left behind is skipped: the next number is taken and signed.

Clients follow a new root the moment it is there, and what they find must verify with it. So timestamp and snapshot are
signed by the keys of both roots, and new roots come after the swap: docs/decisions/0011-new-roots-come-last.md. A first
publish has no readers yet and puts its roots before.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar

from tuf.api.metadata import Metadata, Root

from registry_builder.baseline.fetcher import MAX_METADATA_BYTES
from registry_builder.baseline.state import PublishedState
from registry_builder.publication._progress import ByteCount
from registry_builder.publication._signing_time import signing_time
from registry_builder.publication._upload_bodies import body_of
from registry_builder.publication.context import Publisher
from registry_builder.publication.plan import PublishPlan
from registry_builder.publication.store_proof import StoreProof
from registry_builder.publication.uploads import Upload, UploadKind
from registry_builder.signing.metadata import (
    build_packages,
    build_snapshot,
    build_target_role,
    build_timestamp,
)
from registry_builder.signing.role_signing import Authority, Delegator, authority_of, sign_role, with_older_keys
from registry_builder.storage import (
    Body,
    LostRaceError,
    ObjectConflictError,
    ObjectMissingError,
    headers_for,
)
from registry_builder.storage.headers import TIMESTAMP_KEY
from sealdex.errors import SealdexError
from sealdex.log import Log

_log = Log("registry_builder.publication")

_T = TypeVar("_T")
_U = TypeVar("_U")
_VERSION_ATTEMPTS = 100


@dataclass
class Committed:
    """What was committed.

    Attributes:
        versions: role to version, of the whole snapshot, and of ``snapshot`` and ``timestamp`` themselves.
        files: metadata file name to bytes, of what the bundle repeats.
        timestamp, snapshot: their bytes.
        skipped: keys of metadata versions that another run had taken, and that were skipped.
        warnings: what the user should know although it is committed.
    """

    versions: dict[str, int]
    files: dict[str, bytes] = field(default_factory=dict)
    timestamp: bytes = b""
    snapshot: bytes = b""
    skipped: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


@dataclass
class RetryState:
    """What the attempts of one publish put into the storage or found there: the next one doesn't ask for it again.

    Attributes:
        files: key and SHA-256 of files that were put.
        numbers: role to the highest version number that is known to be taken.
        proof: that the storage looks at conditions.
    """

    files: set[tuple[str, str]] = field(default_factory=set)
    numbers: dict[str, int] = field(default_factory=dict)
    proof: StoreProof = field(default_factory=StoreProof)


def commit(
    publisher: Publisher,
    plan: PublishPlan,
    state: PublishedState | None,
    now: datetime,
    retry: RetryState | None = None,
) -> Committed:
    """Write what the plan says, commit it, and remember the new state.

    Args:
        publisher: with the offline metadata that the plan was made with.
        plan: what to write.
        state: what it was planned on.
        now: the time that what is signed is dated from.
        retry: what earlier attempts put; what this one puts is added to it.

    Raises:
        SealdexError: this machine's clock is behind what is published; nothing was written.
        ConfigError: a key that is needed can't sign here; nothing was written.
        ObjectConflictError: another file is published under a name that is needed; nothing was committed.
        FileChangedError: an artifact isn't what its manifest says; nothing was committed.
        LostRaceError: another publisher committed first; nothing was committed.
        ConditionsIgnoredError: of two publishers at once the storage would lose one; nothing was written.
    """
    committed = _Commit(publisher, plan, state, now, retry or RetryState()).run()
    committed.warnings += publisher.remember(committed.versions["timestamp"], committed.timestamp, committed.snapshot)
    return committed


class _Commit:
    def __init__(
        self, publisher: Publisher, plan: PublishPlan, state: PublishedState | None, now: datetime, retry: RetryState
    ) -> None:
        self._publisher = publisher
        self._plan = plan
        self._state = state
        self._storage = publisher.storage
        self._config = publisher.tree.config
        self._trust = publisher.trust
        self._keyring = publisher.keyring
        self._now = now
        self._signed_at = signing_time(state, publisher.trust.root, now)
        self._workers = publisher.workers
        self._notice = publisher.notice or (lambda _what, _done, _total: None)
        self._retry = retry
        self._done = Committed(versions=dict(state.versions) if state else {})

    def run(self) -> Committed:
        # every key first: who can't sign in the end should find out before anything is written
        authorities = self._authorities()
        self._retry.proof.give(self._publisher, self._state)
        self._upload_files()
        self._sign_bins(authorities)
        for role in ("packages", "catalog", *self._plan.claims):
            if role in self._plan.reasons:
                self._sign_delegated(role, authorities[role])
        for role, (version, data) in self._plan.signed_claims.items():
            self._put(f"metadata/{version}.{role}.json", data)
            self._done.versions[role] = version
        self._put_offline()
        self._sign_snapshot(authorities)
        if self._state is None:
            self._put_roots()
        self._storage.flush()
        self._swap_timestamp(authorities["timestamp"])
        if self._state is not None and self._plan.roots:
            self._put_roots()
            self._storage.flush()
        return self._done

    def _put_roots(self) -> None:
        for version, data in sorted(self._plan.roots.items()):
            self._put(f"metadata/{version}.root.json", data)

    def _authorities(self) -> dict[str, Authority]:
        plan, config = self._plan, self._config
        delegators: dict[str, Delegator] = {
            "packages": self._trust.targets_role,
            "catalog": self._trust.targets_role,
            "snapshot": self._trust.root,
            "timestamp": self._trust.root,
        }
        found = {
            role: authority_of(delegator, role, self._keyring)
            for role, delegator in delegators.items()
            if role in plan.reasons
        }
        for role in ("snapshot", "timestamp"):
            if role in found:
                found[role] = with_older_keys(found[role], self._older_roots(), role, self._keyring)
        found |= {role: authority_of(self._trust.targets_role, role, self._keyring) for role in plan.claims}
        if plan.bins:
            packages = self._state.packages_role if self._state else None
            if packages is None or "packages" in plan.reasons:
                packages = build_packages(config, plan.realm, bits=plan.bits, version=1, now=self._now)
            found["bins"] = authority_of(packages, next(iter(plan.bins)), self._keyring)
        return found

    def _older_roots(self) -> list[Root]:
        """Return the roots that readers may have until the newest has reached them: from the published one on."""
        if self._state is None or not self._plan.roots:
            return []
        newest = max(self._plan.roots)
        versions = [n for n in self._trust.roots if self._state.root_version <= n < newest]
        return [Metadata[Root].from_bytes(self._trust.roots[n]).signed for n in versions]

    # --- files ----------------------------------------------------------------------------------------------------

    def _upload_files(self) -> None:
        total = sum(upload.size for _, uploads in self._plan.uploads for upload in uploads)
        count = ByteCount(self._notice, total)
        for kind, uploads in self._plan.uploads:
            for upload in self._upload_each(kind, uploads, count):
                count.whole(kind, upload.key, upload.size)

    def _upload_each(self, kind: UploadKind, uploads: Sequence[Upload], count: ByteCount) -> Iterator[Upload]:
        files = self._retry.files
        missing = [upload for upload in uploads if (upload.key, upload.sha256) not in files]
        each = self._storage.do_each or self._each

        def put(upload: Upload) -> None:
            body = body_of(upload, on_bytes=count.part(kind, upload.key, upload.size))
            self._storage.put_new(upload.key, body)

        for upload, _ in zip(missing, each(put, missing), strict=True):
            files.add((upload.key, upload.sha256))
            yield upload

    # --- metadata -------------------------------------------------------------------------------------------------

    def _sign_bins(self, authorities: dict[str, Authority]) -> None:
        plan = self._plan

        def sign(name: str) -> tuple[str, int]:
            pins = plan.bins[name]
            return name, self._put_role(
                name,
                lambda version: sign_role(
                    build_target_role(self._config, plan.realm, name, pins, version=version, now=self._now),
                    name,
                    authorities["bins"],
                ),
            )

        for signed, (name, version) in enumerate(self._each(sign, list(plan.bins)), 1):
            self._done.versions[name] = version
            self._notice("bins", signed, len(plan.bins))

    def _sign_delegated(self, role: str, authority: Authority) -> None:
        plan = self._plan

        def make(version: int) -> bytes:
            if role == "packages":
                signed = build_packages(self._config, plan.realm, bits=plan.bits, version=version, now=self._now)
            else:
                pins = plan.claims.get(role, plan.catalog or {})
                signed = build_target_role(self._config, plan.realm, role, pins, version=version, now=self._now)
            return sign_role(signed, role, authority)

        self._done.versions[role] = self._put_role(role, make)

    def _put_offline(self) -> None:
        if self._plan.targets is not None:
            version, data = self._plan.targets
            self._put(f"metadata/{version}.targets.json", data)
            self._done.versions["targets"] = version

    def _sign_snapshot(self, authorities: dict[str, Authority]) -> None:
        if "snapshot" not in self._plan.reasons:
            if self._state is None:
                raise AssertionError  # a first publish signs every role
            self._done.versions["snapshot"] = self._state.snapshot.version
            self._done.snapshot = self._state.snapshot.data
            return
        roles = dict(self._done.versions)  # of the old bins too: a snapshot may never drop a name

        def make(version: int) -> bytes:
            snapshot = build_snapshot(
                self._config, self._plan.realm, roles, version=version, now=self._now, signed_at=self._signed_at
            )
            self._done.snapshot = sign_role(snapshot, "snapshot", authorities["snapshot"])
            return self._done.snapshot

        before = self._state.snapshot.version if self._state else 0
        self._done.versions["snapshot"] = self._put_role("snapshot", make, before=before)

    def _swap_timestamp(self, authority: Authority) -> None:
        version = self._state.timestamp.version + 1 if self._state else 1
        timestamp = build_timestamp(
            self._config,
            self._plan.realm,
            self._done.versions["snapshot"],
            version=version,
            now=self._now,
            signed_at=self._signed_at,
        )
        data = sign_role(timestamp, "timestamp", authority)
        body = Body.of_bytes(data, headers_for(TIMESTAMP_KEY))
        self._storage.put_if_match(TIMESTAMP_KEY, body, self._state.etag if self._state else None)
        self._done.versions["timestamp"] = version
        self._done.timestamp = data
        _log.info(
            "publication.committed",
            "timestamp {version} is swapped in: that commits snapshot {snapshot}",
            version=version,
            snapshot=self._done.versions["snapshot"],
            storage=self._storage.description,
        )

    def _put_role(self, role: str, make: Callable[[int], bytes], *, before: int | None = None) -> int:
        """Sign a role under the next number that is free, and return it."""
        before = self._done.versions.get(role, 0) if before is None else before
        version = max(before, self._retry.numbers.get(role, 0)) + 1
        for attempt in range(_VERSION_ATTEMPTS):
            key = f"metadata/{version}.{role}.json"
            data = make(version)
            self._retry.numbers[role] = version  # taken from now on, by this or by somebody else
            try:
                self._put(key, data)
            except ObjectConflictError:
                self._check_not_beaten()
                self._done.skipped.append(key)
                _log.info("publication.taken", "{key} is taken by another run: the next number is tried", key=key)
                # one by one past what a crash left; in growing steps where others are publishing as well, so that
                # twenty publishers don't try the same twenty numbers
                version += 1 if attempt < 2 else random.randint(1, 1 << min(attempt, 6))  # noqa: S311  # no secret
            else:
                (_log.debug if role in self._plan.bins else _log.info)(
                    "publication.signed", "{role} version {version} is signed and stored", role=role, version=version
                )
                if role in {"packages", "snapshot"}:
                    self._done.files[f"{version}.{role}.json"] = data
                return version
        raise SealdexError(
            f"no free version number for {role} was found: {version} and {_VERSION_ATTEMPTS} before it are taken",
            subject=role,
            untouched="the published registry was not changed",
            hint="find out who else writes to this storage",
        )

    def _check_not_beaten(self) -> None:
        """Give up at once when another publisher has committed since: a number that is taken may be its work.

        To go on would cost the rest of an attempt that can't win, and numbers that others then have to skip.
        """
        try:
            etag = self._storage.get(TIMESTAMP_KEY, max_bytes=MAX_METADATA_BYTES).etag
        except ObjectMissingError:
            etag = None
        if etag != (self._state.etag if self._state else None):
            raise LostRaceError(TIMESTAMP_KEY, self._storage.description)

    def _put(self, key: str, data: bytes) -> None:
        self._storage.put_new(key, Body.of_bytes(data, headers_for(key)))

    def _each(self, do: Callable[[_U], _T], items: Sequence[_U]) -> Iterator[_T]:
        if self._workers == 1 or len(items) < 2:
            yield from map(do, items)
            return
        with ThreadPoolExecutor(min(self._workers, len(items))) as pool:
            yield from pool.map(do, items)
