"""Carries out a publish plan: immutable files first, the one swap of timestamp.json last.

    artifacts, manifests, READMEs, attachments -> index documents -> catalogue shards -> bins
      -> packages, catalog, claimed namespaces -> targets -> snapshot -> flush
      -> timestamp.json (swapped on the ETag read at the start) -> new roots

Each file is created, never overwritten; whatever dies before the swap leaves files that nothing refers to. A metadata
version that such a run left behind is skipped: the next number is taken and signed.

Clients follow a new root the moment it is there, and what they find must verify with it. So timestamp and snapshot are
signed by the keys of both roots, and new roots come after the swap: docs/decisions/0011-new-roots-come-last.md. A first
publish has no readers yet and puts its roots before.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar

from tuf.api.metadata import Metadata, Root

from registry_builder.baseline.fetcher import MAX_METADATA_BYTES, TIMESTAMP_KEY
from registry_builder.baseline.state import PublishedState
from registry_builder.compile.manifest import manifest_bytes
from registry_builder.publication._progress import ByteCount, Notice
from registry_builder.publication.plan import PublishPlan
from registry_builder.publication.uploads import FileListSource, ManifestSource, ReadmeSource, TreeFile, Upload
from registry_builder.signing.metadata import (
    build_packages,
    build_snapshot,
    build_target_role,
    build_timestamp,
)
from registry_builder.signing.offline_metadata import Trust
from registry_builder.signing.role_signing import Authority, Delegator, authority_of, sign_role, with_older_keys
from registry_builder.signing.signers import Keyring
from registry_builder.source.config import RegistryConfig
from registry_builder.source.file_list import file_list_bytes
from registry_builder.source.gate import UnreadableError
from registry_builder.source.readme_file import read_readme
from registry_builder.source.tree import SourcePlugin
from registry_builder.storage import (
    Body,
    FileChangedError,
    LostRaceError,
    ObjectConflictError,
    ObjectMissingError,
    Storage,
    headers_for,
)
from sealdex.errors import SealdexError
from sealdex.log import Log

_log = Log("registry_builder.publication")

_T = TypeVar("_T")
_U = TypeVar("_U")
_VERSION_ATTEMPTS = 100


def _file_list(upload: Upload, archive: TreeFile) -> bytes:
    data = file_list_bytes(archive.path, archive.open())
    if hashlib.sha256(data).hexdigest() != upload.sha256:
        raise SealdexError(
            f"the list of files that the release states is not that of {archive.path.name}",
            subject=upload.key,
            untouched="nothing was published; the storage's state is the one before",
            hint="remove the release file and write it anew with: sealdex-builder release ARCHIVE",
        )
    return data


def _readme(upload: Upload, plugin: SourcePlugin) -> bytes:
    path = plugin.readme or plugin.folder
    try:
        readme = read_readme(plugin)
    except UnreadableError as error:
        raise FileChangedError(path, str(error)) from error
    data = readme.bytes_of(upload.sha256) if readme is not None else b""
    if hashlib.sha256(data).hexdigest() != upload.sha256:
        raise FileChangedError(path, "it has other bytes now")
    return data


@dataclass
class Committed:
    """What was committed.

    Attributes:
        versions: role to version, of the whole snapshot, and of ``snapshot`` and ``timestamp`` themselves.
        files: metadata file name to bytes, of what the bundle repeats.
        timestamp, snapshot: their bytes.
        skipped: keys of metadata versions that another run had taken, and that were skipped.
    """

    versions: dict[str, int]
    files: dict[str, bytes] = field(default_factory=dict)
    timestamp: bytes = b""
    snapshot: bytes = b""
    skipped: list[str] = field(default_factory=list)


@dataclass
class Earlier:
    """What earlier attempts of the same publish put into the storage or found there; it isn't asked for again.

    Attributes:
        files: key and SHA-256 of files that were put.
        numbers: role to the highest version number that is known to be taken.
    """

    files: set[tuple[str, str]] = field(default_factory=set)
    numbers: dict[str, int] = field(default_factory=dict)


def commit(
    plan: PublishPlan,
    state: PublishedState | None,
    *,
    storage: Storage,
    config: RegistryConfig,
    trust: Trust,
    keyring: Keyring,
    now: datetime,
    workers: int,
    notice: Notice | None = None,
    earlier: Earlier | None = None,
) -> Committed:
    """Write what the plan says and commit it; what this attempt puts is added to ``earlier``.

    Raises:
        ConfigError: a key that is needed can't sign here; nothing was written.
        ObjectConflictError: another file is published under a name that is needed; nothing was committed.
        FileChangedError: an artifact isn't what its manifest says; nothing was committed.
        LostRaceError: another publisher committed first; nothing was committed.
    """
    return _Commit(plan, state, storage, config, trust, keyring, now, workers, notice, earlier or Earlier()).run()


class _Commit:
    def __init__(
        self,
        plan: PublishPlan,
        state: PublishedState | None,
        storage: Storage,
        config: RegistryConfig,
        trust: Trust,
        keyring: Keyring,
        now: datetime,
        workers: int,
        notice: Notice | None,
        earlier: Earlier,
    ) -> None:
        self._plan = plan
        self._state = state
        self._storage = storage
        self._config = config
        self._trust = trust
        self._keyring = keyring
        self._now = now
        self._workers = workers
        self._notice = notice or (lambda _what, _done, _total: None)
        self._earlier = earlier
        self._done = Committed(versions=dict(state.versions) if state else {})

    def run(self) -> Committed:
        # every key first: who can't sign in the end should find out before anything is written
        authorities = self._authorities()
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

    def _upload_each(self, kind: str, uploads: Sequence[Upload], count: ByteCount) -> Iterator[Upload]:
        files = self._earlier.files
        missing = [upload for upload in uploads if (upload.key, upload.sha256) not in files]
        each = self._storage.do_each or self._each

        def put(upload: Upload) -> None:
            self._upload(upload, count.part(kind, upload.key, upload.size))

        for upload, _ in zip(missing, each(put, missing), strict=True):
            files.add((upload.key, upload.sha256))
            yield upload

    def _upload(self, upload: Upload, on_bytes: Callable[[int], None]) -> None:
        headers = headers_for(upload.key)
        if isinstance(upload.content, TreeFile):
            body = Body.of_file(
                upload.content.path,
                headers,
                size=upload.size,
                sha256=upload.sha256,
                on_bytes=on_bytes,
                opener=upload.content.open,
            )
        elif isinstance(upload.content, ReadmeSource):
            data = _readme(upload, upload.content.plugin)
            body = Body(data, None, upload.size, upload.sha256, headers.content_type, headers.cache_control)
        elif isinstance(upload.content, ManifestSource):
            data = manifest_bytes(upload.content.plugin, upload.content.release)
            body = Body(data, None, upload.size, upload.sha256, headers.content_type, headers.cache_control)
        elif isinstance(upload.content, FileListSource):
            data = _file_list(upload, upload.content.archive)
            body = Body(data, None, upload.size, upload.sha256, headers.content_type, headers.cache_control)
        else:
            body = Body(upload.content, None, upload.size, upload.sha256, headers.content_type, headers.cache_control)
        self._storage.put_new(upload.key, body)

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
            snapshot = build_snapshot(self._config, self._plan.realm, roles, version=version, now=self._now)
            self._done.snapshot = sign_role(snapshot, "snapshot", authorities["snapshot"])
            return self._done.snapshot

        before = self._state.snapshot.version if self._state else 0
        self._done.versions["snapshot"] = self._put_role("snapshot", make, before=before)

    def _swap_timestamp(self, authority: Authority) -> None:
        version = self._state.timestamp.version + 1 if self._state else 1
        timestamp = build_timestamp(
            self._config, self._plan.realm, self._done.versions["snapshot"], version=version, now=self._now
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
        version = max(before, self._earlier.numbers.get(role, 0)) + 1
        for attempt in range(_VERSION_ATTEMPTS):
            key = f"metadata/{version}.{role}.json"
            data = make(version)
            self._earlier.numbers[role] = version  # taken from now on, by this or by somebody else
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
            untouched="the published registry is as it was",
            hint="somebody else writes to this storage",
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
