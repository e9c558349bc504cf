"""The published state of a realm: versions, expiries, thresholds, and which keys can sign on this machine.

Read with the same verification as a publish, but expired metadata is accepted, in order to report that it has
expired.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from tuf.api.metadata import Role

from registry_builder.baseline.state import EXPIRED_HINT, PublishedState
from registry_builder.publication.context import Publisher
from registry_builder.publication.site_journal import changed_since
from registry_builder.signing.metadata import (
    CLAIM_PREFIX,
    bin_names,
    claims_of,
    is_due,
    role_section,
)
from registry_builder.signing.signers import Keyring
from registry_builder.site.search_catalog import MAX_BYTES, read_shown
from registry_builder.site.urls import CATALOGUE
from registry_builder.source.config import OFFLINE_ROLES
from registry_builder.storage import ObjectMissingError, ObjectTooLargeError


@dataclass(frozen=True)
class KeyStatus:
    """A key of a role: whether it can sign here, and if not (or not at once), why."""

    name: str
    keyid: str
    here: bool
    reason: str


@dataclass(frozen=True)
class RoleStatus:
    """A role as published, or as in trust/ if it isn't published yet.

    Attributes:
        role: its name; ``bins`` stands for all of them together.
        version: None for ``bins``, and for a role that isn't published.
        expires: for ``bins``, the earliest of them.
        due: whether it expires soon or has expired.
        threshold: how many keys must sign.
        keys: those that may sign, according to the delegating metadata.
        count: how many files: the number of bins, else 1.
        expired: whether clients refuse it.
    """

    role: str
    version: int | None
    expires: datetime | None
    due: bool
    threshold: int
    keys: tuple[KeyStatus, ...]
    count: int = 1
    expired: bool = False

    @property
    def when(self) -> str:
        """What is wrong with its expiry, for people; empty if nothing is."""
        return "expired" if self.expired else "within its signing window" if self.due else ""

    @property
    def remedy(self) -> str:
        """The command that re-signs it."""
        if self.role.startswith(CLAIM_PREFIX):
            return f"sealdex-builder namespace sign {self.role.removeprefix(CLAIM_PREFIX)}"
        if self.role in OFFLINE_ROLES:
            return "sealdex-builder ceremony start NAME --due"
        return "sealdex-builder refresh" + (" --allow-expired" if self.expired else "")

    @property
    def can_sign(self) -> bool:
        """Whether enough of its keys are available here."""
        return sum(key.here for key in self.keys) >= self.threshold


@dataclass(frozen=True)
class RealmStatus:
    """The status of one realm.

    Attributes:
        first_root, newest_root: version and SHA-256 of the oldest and newest root in the source tree.
        published_root: version of the newest root that is published; None if nothing is.
        plugins: the number of published plugins.
        answers: of ``api/``, if it is switched on: whether it says what is published; None if it is off.
        notes: hints for people.
    """

    realm: str
    storage: str
    is_published: bool
    first_root: tuple[int, str]
    newest_root: tuple[int, str]
    published_root: int | None
    plugins: int
    roles: tuple[RoleStatus, ...]
    notes: list[str] = field(default_factory=list)
    answers: bool | None = None

    @property
    def needs_signing(self) -> bool:
        """Whether some role expires soon."""
        return any(role.due for role in self.roles)

    @property
    def expired(self) -> tuple[RoleStatus, ...]:
        """The roles that have expired: until they are re-signed, clients refuse the registry."""
        return tuple(role for role in self.roles if role.expired)

    @property
    def expired_text(self) -> str:
        """What has expired and what to do, for people; empty if nothing has."""
        if not self.expired:
            return ""
        since = ", ".join(f"{role.role} on {role.expires:%Y-%m-%d}" for role in self.expired)
        names = [role.role for role in self.expired]
        helps = [
            f"sealdex-builder namespace sign {name.removeprefix(CLAIM_PREFIX)}"
            for name in names
            if name.startswith(CLAIM_PREFIX)
        ]
        if set(OFFLINE_ROLES).intersection(names):
            helps.append("sealdex-builder ceremony start NAME --due")
        # offline signatures come first: without them, re-signing the rest doesn't help
        help_text = f"the holders of their keys must first run: {', '.join(helps)}" if helps else EXPIRED_HINT
        return f"expired: {since}; clients refuse the registry until it is re-signed. {help_text}"


def realm_status(publisher: Publisher) -> RealmStatus:
    """Read and verify a realm and return its status; ``publisher`` should allow expired metadata.

    Raises:
        VerificationError: what is published isn't what the trust root vouches for.
        UnavailableError: the storage doesn't answer.
    """
    now = publisher.clock()
    with publisher.reader(now) as reader:
        state = reader.open()
        if state is not None:
            reader.load_bins(bin_names(state.bits))
        answers = _answers(publisher, state)
    trust = publisher.trust
    roles = _roles(publisher, state, now)
    notes = []
    if state is not None and state.root_version < max(trust.roots):
        notes.append(f"root {max(trust.roots)} of the source tree is not published yet: sealdex-builder publish")
    if answers is False:
        notes.append("api/ doesn't say what is published yet: a complete sealdex-builder publish brings it up to date")
    if all(role.can_sign for role in roles if role.role in OFFLINE_ROLES):
        notes.append(
            "root and targets can be signed on this machine alone: fine for development; in production their keys "
            "should belong to different people"
        )
    return RealmStatus(
        realm=publisher.realm,
        storage=publisher.storage.description,
        is_published=state is not None,
        first_root=(min(trust.roots), trust.first_fingerprint),
        newest_root=(max(trust.roots), trust.newest_fingerprint),
        published_root=state.root_version if state else None,
        plugins=sum(1 for _ in state.pins()) if state else 0,
        roles=roles,
        notes=notes,
        answers=answers,
    )


def _answers(publisher: Publisher, state: PublishedState | None) -> bool | None:
    """Return whether ``api/`` says what is published, as far as its record goes; None if it is switched off."""
    api = publisher.tree.config.api
    if not (api.enabled or api.model_hub) or state is None:
        return None
    try:
        shown = read_shown(publisher.storage.get(CATALOGUE, max_bytes=MAX_BYTES).data)
    except (ObjectMissingError, ObjectTooLargeError):
        return False
    if shown is None or not shown.api:
        return False
    changed = changed_since(publisher.storage, state, shown.snapshot)
    return changed is not None and not changed


def _roles(publisher: Publisher, state: PublishedState | None, now: datetime) -> tuple[RoleStatus, ...]:
    config, trust, keyring = publisher.tree.config, publisher.trust, publisher.keyring

    def status(name: str, role: Role, version: int | None, expires: datetime | None, count: int = 1) -> RoleStatus:
        section = role_section(config, name)
        due = expires is not None and is_due(expires, section, now)
        expired = expires is not None and expires <= now
        return RoleStatus(name, version, expires, due, role.threshold, _keys(role, keyring), count, expired)

    root, targets = trust.root, trust.targets_role
    found = [
        status("root", root.roles["root"], root.version, root.expires),
        status("targets", root.roles["targets"], targets.version, targets.expires),
    ]
    delegated = {name: targets.get_delegated_role(name) for name in ("packages", "catalog")}
    for namespace, name in claims_of(targets).items():
        claim = state.claims.get(namespace) if state is not None else None
        version, expires = (claim.version, claim.expires) if claim is not None else (None, None)
        found.append(status(name, targets.get_delegated_role(name), version, expires))
    if state is None:
        found += [status(name, role, None, None) for name, role in delegated.items()]
        found += [status(name, root.roles[name], None, None) for name in ("snapshot", "timestamp")]
        return tuple(found)
    bins = state.packages_role.get_delegated_role(next(iter(state.bins)))
    first = min(role.expires for role in state.bins.values())
    found += [
        status("packages", delegated["packages"], state.packages.version, state.packages.expires),
        status("bins", bins, None, first, len(state.bins)),
        status("catalog", delegated["catalog"], state.catalog.version, state.catalog.expires),
        status("snapshot", root.roles["snapshot"], state.snapshot.version, state.snapshot.expires),
        status("timestamp", root.roles["timestamp"], state.timestamp.version, state.timestamp.expires),
    ]
    return tuple(found)


def _keys(role: Role, keyring: Keyring) -> tuple[KeyStatus, ...]:
    found = []
    for keyid in role.keyids:
        name = keyring.name_of(keyid)
        if name is None:
            found.append(KeyStatus("?", keyid, here=False, reason="it is not in registry.toml"))
        else:
            reach = keyring.reach(name)
            found.append(KeyStatus(name, keyid, reach.here, reach.reason))
    return tuple(found)
