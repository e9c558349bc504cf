"""What one publish or refresh of a realm works with: storage, trust, keys, memory, clock; and what it decides.

`Publisher` is what all attempts share. `Publisher.decide` makes the decisions of one attempt, each of them once, and
returns them as a `Decision`; `Attempt` is that together with what it was decided from. Nothing here writes to the
storage.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from registry_builder.baseline.diff import Sources, Survey
from registry_builder.baseline.last_seen import Memory, Seen, memory_of
from registry_builder.baseline.state import PublishedReader, PublishedState
from registry_builder.compile.index import Ingestion
from registry_builder.publication._progress import Notice
from registry_builder.publication.claim_files import signed_claims
from registry_builder.publication.claims import (
    ClaimDecision,
    Signatures,
    claim_work,
    decide_claims,
    hold_back_targets,
)
from registry_builder.publication.plan import PlanInput, PublishPlan, plan_publish
from registry_builder.signing.metadata import realm_marker, utc_now
from registry_builder.signing.offline_metadata import Trust, load_trust
from registry_builder.signing.role_signing import authority_of
from registry_builder.signing.signers import Keyring
from registry_builder.source.realms import check_realm
from registry_builder.source.tree import SourceTree
from registry_builder.storage import Storage, open_storage
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

    @property
    def marker(self) -> str:
        """What the realm's metadata says of where it belongs."""
        return realm_marker(self.tree.config, self.realm)

    def decide(self, state: PublishedState | None, found: Survey, ingestion: Ingestion, now: datetime) -> Decision:
        """Decide what is published on top of ``state``, given what was found to differ.

        Where targets metadata makes a claim that can't begin before its team has signed, the published targets
        metadata stays in force, and claimed namespaces are decided once more by that.

        Raises:
            SealdexError: the source tree's offline metadata is older than what is published; keys changed and only
                some plugins are to be published; or a signature is missing without which nothing can be published.
        """
        claims = self.decide_claims(state, found, now)
        if not claims.blocked:
            return Decision(self, claims.found, self.plan(state, claims, ingestion, now))
        # until the claim takes effect, packages signs for the namespace as before: no plugin waits, only the claim
        blocked_by = tuple(replace(each, plugins=()) for each in claims.waiting)
        held_back = replace(self, trust=hold_back_targets(self.trust, state, blocked_by))
        claims = held_back.decide_claims(state, found, now)
        plan = held_back.plan(state, claims, ingestion, now)
        return Decision(held_back, claims.found, replace(plan, waiting=(*plan.waiting, *blocked_by)))

    def decide_claims(self, state: PublishedState | None, found: Survey, now: datetime) -> ClaimDecision:
        """Decide how claimed namespaces take part; asks for their keys only where they have to sign something."""
        work = claim_work(self.tree.config, self.trust, state, found, now)
        signatures = Signatures(
            files=signed_claims(self.tree.root, self.realm, self.trust, self.marker) if work else {},
            can_sign=self._can_sign,
            name_of=lambda keyid: self.keyring.name_of(keyid) or keyid[:12],
        )
        return decide_claims(work, found, self.trust, state, signatures)

    def _can_sign(self, role: str) -> bool:
        try:
            authority_of(self.trust.targets_role, role, self.keyring)
        except ConfigError:
            return False
        return True

    def plan(
        self, state: PublishedState | None, claims: ClaimDecision, ingestion: Ingestion, now: datetime
    ) -> PublishPlan:
        """Plan what `decide_claims` leaves to be published on top of ``state``."""
        given = PlanInput(
            config=self.tree.config,
            realm=self.realm,
            storage=self.storage.description,
            root=self.tree.root,
            trust=self.trust,
            state=state,
            claims=claims,
            ingestion=ingestion,
            now=now,
            min_bits=self.min_bits,
        )
        return plan_publish(given)

    def remember(self, timestamp_version: int, timestamp: bytes, snapshot: bytes) -> list[str]:
        """Remember a verified state for the next publish from this machine; return warnings of what failed in that.

        It is past the commit point, so a full disk or a home that can't be written to must not end the publish.
        """
        if self.memory is None:
            return []
        warnings = []
        if self.memory.damage is not None:
            warning = (
                f"what this machine saw published last, {self.memory.path}, couldn't be read ({self.memory.damage}), "
                "so it wasn't noticed if somebody had restored an older state before; from now on it would be"
            )
            warnings.append(warning)
        try:
            self.memory.save(Seen(max(self.trust.roots), timestamp_version, timestamp.decode(), snapshot.decode()))
        except OSError as error:
            why = error.strerror or error
            warning = (
                f"what is published by now can't be remembered in {self.memory.path} ({why}), so the next publish from "
                "here wouldn't notice if somebody restored an older state: set XDG_STATE_HOME to a folder that can be "
                "written to"
            )
            warnings.append(warning)
        return warnings


@dataclass(frozen=True)
class Decision:
    """What a publish does, decided once.

    Attributes:
        publisher: the publisher, with the offline metadata that can be used by now.
        found: what differs and is published; without plugins that wait for their namespace's own keys.
        plan: what is to be written.
    """

    publisher: Publisher
    found: Survey
    plan: PublishPlan


@dataclass(frozen=True)
class Attempt:
    """One attempt of a publish: what is published, how the source tree differs, what was decided of that.

    Attributes:
        publisher: see `Decision`.
        sources: the source tree's plugins.
        reader: reads what is published; still open.
        state: what was published when it began; None when nothing was.
        now: its time.
        found: see `Decision`.
        plan: see `Decision`.
    """

    publisher: Publisher
    sources: Sources
    reader: PublishedReader
    state: PublishedState | None
    now: datetime
    found: Survey
    plan: PublishPlan

    def through(self, storage: Storage) -> Attempt:
        """Return this attempt with another storage to write to."""
        return replace(self, publisher=replace(self.publisher, storage=storage))


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
        workers: how many requests go on at once; the default depends on the storage.
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
    place = storage or _open_storage(tree, realm)
    return Publisher(
        tree=tree,
        realm=realm,
        storage=place,
        trust=load_trust(tree.root, realm, realm_marker(tree.config, realm)),
        keyring=keyring or Keyring(tree.config, tree.root),
        memory=_memory(tree, realm, place) if use_memory else None,
        clock=clock,
        # where answers come at once, what remains is computing, which threads only make slower
        workers=workers or (1 if place.answers_at_once else _REMOTE_WORKERS),
        allow_expired=allow_expired,
        min_bits=min_bits,
        validate=validate,
        site=site,
        notice=notice,
    )


def _open_storage(tree: SourceTree, realm: str) -> Storage:
    section = tree.config.realms[realm]
    return open_storage(section.storage, base=tree.root, exclusive=section.exclusive)


def _memory(tree: SourceTree, realm: str, place: Storage) -> Memory:
    section = tree.config.realms[realm]
    if section.is_pages and section.url is not None:
        # the folder's contents are published once they are deployed, and
        # `registry_builder.publication.pages_deployment` remembers that
        return memory_of(tree.config, realm, section.url.rstrip("/"), read_only=True)
    return memory_of(tree.config, realm, place.description)
