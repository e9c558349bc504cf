"""Reads the published state of a realm and verifies it as a client would, before anything is signed on top of it.

All of TUF's rules are applied by an unmodified `tuf.ngclient`: this module feeds it from a storage and reads what it
accepted. The anchor is the source tree: the newest root of ``trust/<realm>/`` that the storage holds. (A root that
the tree has and the storage hasn't is about to be published; until then, older keys sign what is there.)
The last state seen on this machine is ngclient's local copy, so a storage that was rolled back is refused.

"Not published yet" is said in one case only: there is no ``timestamp.json``, and this machine never saw one.
Everything else that doesn't verify stops the publish with nothing written.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path

from tuf.api.exceptions import DownloadError, DownloadHTTPError, ExpiredMetadataError, RepositoryError
from tuf.api.metadata import Metadata, Signed, Snapshot, T, Targets, Timestamp
from tuf.ngclient import Updater

from registry_builder.baseline.documents import NOTHING_WRITTEN, DocumentReader, tampered
from registry_builder.baseline.fetcher import MAX_METADATA_BYTES, StorageFetcher
from registry_builder.baseline.last_seen import Memory, Seen
from registry_builder.signing.metadata import TargetPin, bin_of, claims_of
from registry_builder.signing.offline_metadata import Trust
from registry_builder.storage import ObjectMissingError, Storage
from registry_builder.storage.headers import TIMESTAMP_KEY
from sealdex.errors import SealdexError, VerificationError
from sealdex.model.catalog import shard_target

EXPIRED_HINT = (
    "sealdex-builder refresh --recover-expired signs it again if the source tree and this machine's memory "
    "show that it is the newest; else make sure that nobody restored an old state, then run "
    "sealdex-builder refresh --allow-expired"
)
_NO_EXPIRY = datetime(1970, 1, 1, tzinfo=timezone.utc)


class ExpiredStateError(VerificationError):
    """The published metadata has expired: nobody refreshed it, or somebody restored an old state."""

    code = "expired"


class RolledBackError(VerificationError):
    """What is published is older than what this machine has seen."""

    code = "rolled-back"

    def again(self, advice: str) -> RolledBackError:
        """Return this error with advice that comes before the usual."""
        hint = f"{advice}; {self.hint}"
        return RolledBackError(self.message, subject=self.subject, untouched=self.untouched, hint=hint)


@dataclass(frozen=True)
class RoleFile:
    """One verified metadata file."""

    version: int
    expires: datetime
    data: bytes


@dataclass(frozen=True)
class TargetRole:
    """A verified role that holds targets: a bin, or ``catalog``."""

    version: int
    expires: datetime
    pins: Mapping[str, TargetPin]


@dataclass
class PublishedState:
    """What was read and verified so far; `PublishedReader` adds bins on demand.

    Attributes:
        etag: of timestamp.json, at the time of reading, for the commit's compare-and-swap. None if there is none.
        root_version: the newest published root.
        versions: role to version, as the snapshot states.
        targets_role, packages_role: the delegations in force.
        bits: bit length of the succinct delegation.
        bins: bin to its targets, for loaded bins.
        claims: claimed namespace to its role's targets; a claim whose role was never published is not among them.
    """

    etag: str | None
    root_version: int
    timestamp: RoleFile
    snapshot: RoleFile
    versions: dict[str, int]
    targets: RoleFile
    targets_role: Targets
    packages: RoleFile
    packages_role: Targets
    bits: int
    catalog: TargetRole
    bins: dict[str, TargetRole] = field(default_factory=dict)
    claims: dict[str, TargetRole] = field(default_factory=dict)

    def pin(self, target: str) -> TargetPin | None:
        """Return the pin of an index document whose bin is loaded; None if it isn't published."""
        claim = self.claims.get(target.split("/")[1])
        return claim.pins.get(target) if claim is not None else self.bins[bin_of(target, self.bits)].pins.get(target)

    def pins(self) -> Iterator[tuple[str, TargetPin]]:
        """Yield every published index document of bins that are loaded and of claimed namespaces, with its pin."""
        for role in self.bins.values():
            yield from ((t, pin) for t, pin in role.pins.items() if t.split("/")[1] not in self.claims)
        for role in self.claims.values():
            yield from role.pins.items()


class PublishedReader:
    """Reads one realm's published state; a context manager that owns a temporary folder for ngclient.

    Args:
        storage: where the realm is published.
        trust: its verified trust material.
        marker: what its metadata says about where it belongs, see `realm_marker`.
        now: the time against which expiry is checked.
        memory: what was seen before; None to read the storage as if for the first time.
        workers: the number of parallel reads.
        allow_expired: accept expired metadata, in order to refresh it.
    """

    def __init__(
        self,
        storage: Storage,
        trust: Trust,
        marker: str,
        *,
        now: datetime,
        memory: Memory | None = None,
        workers: int = 1,
        allow_expired: bool = False,
    ) -> None:
        self._storage = storage
        self._trust = trust
        self._time = _NO_EXPIRY if allow_expired else now
        self._memory = memory
        self._fetcher = StorageFetcher(storage, workers, marker)
        self.documents = DocumentReader(storage, workers)
        self._anchor_is_published = False
        self._anchor_version = 0
        self._temporary = tempfile.TemporaryDirectory(prefix="sealdex-state-")
        self._folder = Path(self._temporary.name)
        self._updater: Updater | None = None
        self._state: PublishedState | None = None

    def __enter__(self) -> PublishedReader:  # noqa: PYI034  # typing.Self came with Python 3.11
        return self

    def __exit__(self, *_: object) -> None:
        self._temporary.cleanup()

    # --- metadata -------------------------------------------------------------------------------------------------

    def open(self, probe: str = "index/-/0") -> PublishedState | None:
        """Read and verify root, timestamp, snapshot, targets, packages and catalog.

        Args:
            probe: a target path whose bin will be needed; ngclient reads one bin on its way to ``packages``.

        Returns:
            The state, or None if the realm isn't published yet.

        Raises:
            VerificationError: what was read isn't what the trust root vouches for, or older than what was seen.
            ExpiredStateError: it has expired.
            UnavailableError: the storage doesn't answer.
        """
        seen = self._memory.load() if self._memory else None
        anchor = self._anchor(seen)
        try:
            return self._open(probe, anchor, seen)
        except VerificationError as error:
            # after a publish that died between its timestamp and its root, the metadata needs the root that comes next
            if not self._anchor_is_published or self._anchor_version == max(self._trust.roots):
                raise
            self._fetcher.restart({f"metadata/{n}.root.json": data for n, data in self._trust.roots.items()})
            for path in self._folder.iterdir():
                shutil.rmtree(path) if path.is_dir() else path.unlink()
            try:
                return self._open(probe, anchor, seen)
            except VerificationError:
                raise error from None

    def _open(self, probe: str, anchor: bytes, seen: Seen | None) -> PublishedState | None:
        if seen is not None:
            (self._folder / "timestamp.json").write_text(seen.timestamp, encoding="utf-8")
            (self._folder / "snapshot.json").write_text(seen.snapshot, encoding="utf-8")
        with self._verifying():
            updater = Updater(str(self._folder), "metadata", fetcher=self._fetcher, bootstrap=anchor)
        # One clock for the whole run, which tests set and `allow_expired` stops. ngclient has no public way to say
        # so; test_refresh_status.py fails if this one stops working.
        updater._trusted_set.reference_time = self._time  # noqa: SLF001  # see above
        self._updater = updater
        try:
            with self._verifying():
                updater.refresh()
        except _NoTimestampError:
            if seen is None:
                return None
            raise self._rolled_back(
                f"{TIMESTAMP_KEY} is gone, but this machine saw version {seen.timestamp_version} of it"
            ) from None
        if not self._anchor_is_published:
            raise tampered(self._storage, f"metadata/{max(self._trust.roots)}.root.json", "all root metadata is gone")
        self._check_tree_is_newest()
        if seen is not None:
            self._check_same_timestamp(seen)
            self._check_same_snapshot(seen)
        self._state = self._read_state(probe)
        return self._state

    def adopt(self, state: PublishedState) -> None:
        """Use a state that was built without `open`, with all its bins: see `maintenance.recovery`."""
        self._state = state

    def load_bins(self, names: Iterable[str]) -> None:
        """Read and verify bins into `PublishedState.bins`.

        Raises:
            VerificationError: one of them isn't what ``packages`` vouches for.
        """
        state = self._opened()
        missing = [name for name in names if name not in state.bins]
        self._fetcher.prefetch(f"metadata/{state.versions[n]}.{n}.json" for n in missing if n in state.versions)
        for name, probe in _probes(missing, state.bits):
            self._verify_target(probe)
            signed = self._signed(name, Targets)
            state.bins[name] = TargetRole(signed.version, signed.expires, _pins(signed))

    def _anchor(self, seen: Seen | None) -> bytes:
        """Return the newest of the tree's roots that is published, or the newest of all if none is."""
        for version in sorted(self._trust.roots, reverse=True):
            key = f"metadata/{version}.root.json"
            try:
                stored = self._storage.get(key, max_bytes=MAX_METADATA_BYTES).data
            except ObjectMissingError:
                continue
            if stored != self._trust.roots[version]:
                raise tampered(self._storage, key, f"it differs from {version}.root.json in trust/ of the source tree")
            self._anchor_is_published, self._anchor_version = True, version
            if seen is not None and seen.root_version > version:
                raise self._rolled_back(f"root {seen.root_version} was seen here, but now {version} is the newest")
            return stored
        return self._trust.roots[max(self._trust.roots)]

    def _check_tree_is_newest(self) -> None:
        """Refuse to publish from a tree that lacks offline metadata which is already published."""
        published = self._newest_root()
        if published > max(self._trust.roots):
            raise SealdexError(
                f"root {published} is published in {self._storage.description}, but the source tree has only "
                f"{max(self._trust.roots)}",
                subject="trust/",
                untouched=NOTHING_WRITTEN,
                hint="update the source tree: git pull",
            )

    def _check_same_timestamp(self, seen: Seen) -> None:
        # if the version is the same, ngclient keeps its own copy and doesn't check whether the content is
        stored = self._fetcher.timestamp
        same_version = Metadata[Timestamp].from_bytes(stored.data).signed.version == seen.timestamp_version
        if same_version and stored.data != seen.timestamp.encode():
            raise self._rolled_back(
                f"version {seen.timestamp_version} of timestamp.json was a different file when last seen"
            )

    def _check_same_snapshot(self, seen: Seen) -> None:
        # ngclient needn't request the snapshot that it was given; clients do, so it must exist and be intact
        version = Metadata[Timestamp].from_bytes(self._fetcher.timestamp.data).signed.snapshot_meta.version
        key = f"metadata/{version}.snapshot.json"
        if self._fetcher.was_asked(key):
            return
        try:
            stored = self._storage.get(key, max_bytes=MAX_METADATA_BYTES).data
        except ObjectMissingError:
            raise tampered(self._storage, key, "it is missing, but signed metadata names it") from None
        if stored != seen.snapshot.encode():
            raise tampered(self._storage, key, "it was a different file when last seen by this machine")

    def _read_state(self, probe: str) -> PublishedState:
        snapshot = self._signed("snapshot", Snapshot)
        targets = self._signed("targets", Targets)
        versions = {name.removesuffix(".json"): meta.version for name, meta in snapshot.meta.items()}
        claimed = {namespace: role for namespace, role in claims_of(targets).items() if role in versions}
        # a path in a claimed namespace never leads to packages
        probe = "index/-/0" if probe.split("/")[1] in claimed else probe
        wanted = [role for role in ("packages", "catalog", *claimed.values()) if role in versions]
        self._fetcher.prefetch(f"metadata/{versions[role]}.{role}.json" for role in wanted)
        for target in (shard_target(0), probe, *(f"index/{namespace}/-" for namespace in claimed)):
            self._verify_target(target)
        claims = {namespace: self._signed(role, Targets) for namespace, role in claimed.items()}
        catalog, packages = self._signed("catalog", Targets), self._signed("packages", Targets)
        if packages.delegations is None or packages.delegations.succinct_roles is None:
            raise tampered(self._storage, "metadata/packages", "it has no succinct delegation")
        return PublishedState(
            etag=self._fetcher.timestamp.etag,
            root_version=self._anchor_version,
            timestamp=self._role_file("timestamp", self._signed("timestamp", Timestamp)),
            snapshot=self._role_file("snapshot", snapshot),
            versions=versions,
            targets=self._role_file("targets", targets),
            targets_role=targets,
            packages=self._role_file("packages", packages),
            packages_role=packages,
            bits=packages.delegations.succinct_roles.bit_length,
            catalog=TargetRole(catalog.version, catalog.expires, _pins(catalog)),
            claims={ns: TargetRole(claim.version, claim.expires, _pins(claim)) for ns, claim in claims.items()},
        )

    def _newest_root(self) -> int:
        return max(int(path.name.split(".")[0]) for path in (self._folder / "root_history").iterdir())

    def _verify_target(self, target: str) -> None:
        """Load and verify every delegated role for a target path (the target need not exist)."""
        with self._verifying():
            if self._updater is not None:
                self._updater.get_targetinfo(target)

    def _signed(self, role: str, kind: type[T]) -> T:
        """Return what ngclient accepted for a role, from its local copy."""
        signed = Metadata[T].from_bytes((self._folder / f"{role}.json").read_bytes()).signed
        if not isinstance(signed, kind):
            raise tampered(self._storage, f"metadata/{role}", f"it is {signed.type} metadata")
        return signed

    def _role_file(self, role: str, signed: Signed) -> RoleFile:
        return RoleFile(signed.version, signed.expires, (self._folder / f"{role}.json").read_bytes())

    def _opened(self) -> PublishedState:
        if self._state is None:
            raise RuntimeError("open() comes first, and must have found a published state")
        return self._state

    # --- errors ---------------------------------------------------------------------------------------------------

    @contextmanager
    def _verifying(self) -> Iterator[None]:
        """Convert ngclient's errors to ours, with the file that it read last."""
        try:
            yield
        except ExpiredMetadataError as error:
            raise ExpiredStateError(
                f"the published metadata in {self._storage.description} has expired: {error}",
                subject=self._fetcher.last_key,
                untouched=NOTHING_WRITTEN,
                hint=EXPIRED_HINT,
            ) from error
        except DownloadHTTPError as error:
            if self._fetcher.last_key == TIMESTAMP_KEY:
                raise _NoTimestampError from error
            raise tampered(
                self._storage, self._fetcher.last_key, "it is missing, but signed metadata names it"
            ) from error
        except (RepositoryError, DownloadError) as error:
            raise tampered(self._storage, self._fetcher.last_key, str(error)) from error

    def _rolled_back(self, reason: str) -> VerificationError:
        path = self._memory.path if self._memory else ""
        return RolledBackError(
            f"{self._storage.description} was rolled back: {reason}",
            subject=self._storage.description,
            untouched=NOTHING_WRITTEN,
            hint=f"if you emptied or restored the storage yourself, remove {path} and publish again",
        )


def _pins(signed: Targets) -> dict[str, TargetPin]:
    return {path: TargetPin(file.length, file.hashes["sha256"]) for path, file in signed.targets.items()}


def _probes(names: Iterable[str], bits: int) -> Iterator[tuple[str, str]]:
    """Yield, for each bin, a target path that falls into it and that no plugin has: ``-`` is not a valid namespace."""
    wanted = set(names)
    number = 0
    while wanted:
        probe = f"index/-/{number}"
        name = bin_of(probe, bits)
        if name in wanted:
            wanted.discard(name)
            yield name, probe
        number += 1


class _NoTimestampError(Exception):
    """The storage has no timestamp.json."""
