"""What one publish or refresh of a realm works with: storage, trust, keys, memory, clock."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from registry_builder.baseline.diff import Survey
from registry_builder.baseline.last_seen import Memory, Seen, memory_of
from registry_builder.baseline.state import PublishedReader, PublishedState
from registry_builder.compile.bundle import bundle_bytes
from registry_builder.compile.index import Ingestion
from registry_builder.publication._progress import Notice
from registry_builder.publication.claims import (
    ClaimDecision,
    Waiting,
    claim_work,
    decide_claims,
    hold_back_targets,
    signed_claims,
)
from registry_builder.publication.commit import Committed, Earlier, commit
from registry_builder.publication.plan import PublishPlan, plan_publish
from registry_builder.signing.metadata import realm_marker, utc_now
from registry_builder.signing.offline_metadata import Trust, load_trust
from registry_builder.signing.role_signing import authority_of
from registry_builder.signing.signers import Keyring
from registry_builder.source.realms import check_realm
from registry_builder.source.tree import SourceTree
from registry_builder.storage import Body, Storage, headers_for, open_storage
from registry_builder.storage.folder import FolderStorage
from registry_builder.storage.headers import BUNDLE_KEY
from sealdex.errors import ConfigError

_REMOTE_WORKERS = 16


@dataclass
class Publisher:
    """Everything that the attempts of one publish or refresh share.

    Attributes:
        tree: the source tree, or a part of it.
        realm: the realm that is published.
        storage: where it is published.
        trust: its verified offline metadata.
        keyring: the keys that can sign here.
        memory: what was last seen of it on this machine; None to do without.
        clock: gives the time, in UTC.
        workers: how many requests to the storage go on at once.
        allow_expired: whether published metadata may have expired.
        min_bits: bit length of the succinct delegation at least.
        validate: whether new releases are linted before they are published.
        site: whether the pages that a publish changes are written; the next publish that writes them catches up.
        notice: told of progress.
    """

    tree: SourceTree
    realm: str
    storage: Storage
    trust: Trust
    keyring: Keyring
    memory: Memory | None
    clock: Callable[[], datetime] = utc_now
    workers: int = 1
    allow_expired: bool = False
    min_bits: int = 0
    validate: bool = True
    site: bool = True
    notice: Notice | None = None

    def reader(self, now: datetime) -> PublishedReader:
        """Return a reader of the published state as of ``now``."""
        return PublishedReader(
            self.storage,
            self.trust,
            realm_marker(self.tree.config, self.realm),
            now=now,
            memory=self.memory,
            workers=self.workers,
            allow_expired=self.allow_expired,
        )

    def decide_claims(self, state: PublishedState | None, found: Survey, now: datetime) -> ClaimDecision:
        """Decide how claimed namespaces take part; asks for their keys only where they have to sign something."""
        work = claim_work(self.tree.config, self.trust, state, found, now)
        return decide_claims(
            work,
            found,
            self.trust,
            state,
            signed=signed_claims(self.tree.root, self.realm, self.trust, self.marker) if work else {},
            can_sign=self._can_sign,
            name_of=lambda keyid: self.keyring.name_of(keyid) or keyid[:12],
        )

    def _can_sign(self, role: str) -> bool:
        try:
            authority_of(self.trust.targets_role, role, self.keyring)
        except ConfigError:
            return False
        return True

    @property
    def marker(self) -> str:
        """What the realm's metadata says of where it belongs."""
        return realm_marker(self.tree.config, self.realm)

    def plan(self, state: PublishedState | None, found: Survey, ingestion: Ingestion, now: datetime) -> PublishPlan:
        """Plan what ``found`` asks for on top of ``state``.

        Targets metadata whose claims nobody has signed for yet is left where it is: call `with_usable_trust` before.
        """
        claims = self.decide_claims(state, found, now)
        return plan_publish(
            self.tree.config,
            self.realm,
            self.storage.description,
            trust=self.trust,
            state=state,
            found=claims.found,
            claims=claims,
            root=self.tree.root,
            ingestion=ingestion,
            now=now,
            min_bits=self.min_bits,
        )

    def with_usable_trust(
        self, state: PublishedState | None, found: Survey, now: datetime
    ) -> tuple[Publisher, tuple[Waiting, ...]]:
        """Return this publisher, or one that keeps to the published targets metadata because the newer can't be used.

        Returns:
            The publisher, and what the newer metadata waits for.
        """
        claims = self.decide_claims(state, found, now)
        if not claims.blocked:
            return self, ()
        # until the claim begins, packages speaks for the namespace as before: no plugin waits, only the claim
        waiting = tuple(replace(each, plugins=()) for each in claims.waiting)
        return replace(self, trust=hold_back_targets(self.trust, state, waiting)), waiting

    def commit(
        self, plan: PublishPlan, state: PublishedState | None, now: datetime, earlier: Earlier | None = None
    ) -> Committed:
        """Write and commit ``plan``, and remember the new state; ``earlier`` as in `commit`."""
        committed = commit(
            plan,
            state,
            storage=self.storage,
            config=self.tree.config,
            trust=self.trust,
            keyring=self.keyring,
            now=now,
            workers=self.workers,
            notice=self.notice,
            earlier=earlier,
        )
        self.remember(committed.versions["timestamp"], committed.timestamp, committed.snapshot)
        return committed

    def remember(self, timestamp_version: int, timestamp: bytes, snapshot: bytes) -> None:
        """Remember a verified state for the next publish from this machine."""
        if self.memory is not None:
            self.memory.save(Seen(max(self.trust.roots), timestamp_version, timestamp.decode(), snapshot.decode()))

    def put_bundle(self, state: PublishedState | None, committed: Committed | None) -> bool:
        """Write the bundle of the newest state if it isn't there already; say whether it was written."""
        files = dict(committed.files) if committed else {}
        versions = committed.versions if committed else {}
        if state is not None:
            kept = {"packages": state.packages, "snapshot": state.snapshot}
            for role, file in kept.items():
                if versions.get(role, file.version) == file.version:
                    files[f"{file.version}.{role}.json"] = file.data
        newest = max(self.trust.targets)
        files[f"{newest}.targets.json"] = self.trust.targets[newest]
        data = bundle_bytes(dict(sorted(files.items())), self.trust.roots)
        body = Body.of_bytes(data, headers_for(BUNDLE_KEY))
        return self.storage.put_mutable(BUNDLE_KEY, body, only_if_changed=committed is None)


def open_publisher(
    tree: SourceTree,
    realm: str,
    *,
    storage: Storage | None = None,
    keyring: Keyring | None = None,
    use_memory: bool = True,
    clock: Callable[[], datetime] = utc_now,
    workers: int | None = None,
    allow_expired: bool = False,
    min_bits: int = 0,
    validate: bool = True,
    site: bool = True,
    notice: Notice | None = None,
) -> Publisher:
    """Open a realm for publishing: its storage, its verified trust material, its keys.

    Args:
        tree: the source tree, or a part of it.
        realm: a realm of registry.toml.
        storage: in place of the one that registry.toml names.
        keyring: in place of the keys in this machine's key folder, asking nobody for passphrases.
        use_memory: whether to hold the storage to what was last seen from this machine.
        clock: gives the time, in UTC and whole seconds.
        workers: how many requests go on at once; by the kind of storage when left out.
        allow_expired: accept published metadata that has expired.
        min_bits: bit length of the succinct delegation at least.
        validate: lint new releases before they are published; False where that was just done.
        site: write the pages that a publish changes.
        notice: told of progress.

    Raises:
        ConfigError: registry.toml or the trust material is wrong.
        VerificationError: the trust material of the source tree isn't signed as it must be.
    """
    check_realm(tree.config, realm)
    place = storage or open_storage(tree.config.realms[realm].storage, base=tree.root)
    return Publisher(
        tree=tree,
        realm=realm,
        storage=place,
        trust=load_trust(tree.root, realm, realm_marker(tree.config, realm)),
        keyring=keyring or Keyring(tree.config, tree.root),
        memory=_memory(tree, realm, place) if use_memory else None,
        clock=clock,
        # a local disk answers at once, and what remains is computing, which threads only make slower
        workers=workers or (1 if isinstance(place, FolderStorage) else _REMOTE_WORKERS),
        allow_expired=allow_expired,
        min_bits=min_bits,
        validate=validate,
        site=site,
        notice=notice,
    )


def _memory(tree: SourceTree, realm: str, place: Storage) -> Memory:
    section = tree.config.realms[realm]
    if section.is_pages and section.url is not None:
        # what lies in the folder is published once it is deployed, and `registry_builder.publication.github_pages`
        # remembers that
        return memory_of(tree.config, realm, section.url.rstrip("/"), read_only=True)
    return memory_of(tree.config, realm, place.description)
