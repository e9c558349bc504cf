"""Claimed namespaces in a publish: what their own keys must sign, whether they can or did, and what waits for them.

The role of a claimed namespace, ``ns-<namespace>``, signs the index documents of that namespace, and no other role can.
So a publish signs it where its keys are at hand, or takes the newest file that its team signed elsewhere and put into
the source tree (`registry_builder.publication.claim_files`) as far as that file says what the tree says; everything
else of the namespace waits, and everything outside it goes on. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import Metadata, Targets

from registry_builder.baseline.diff import PluginChange, Survey
from registry_builder.baseline.state import PublishedState
from registry_builder.publication.claim_files import SignedClaim
from registry_builder.signing.metadata import (
    SigningReason,
    TargetPin,
    claim_role,
    claims_of,
    due_reason,
    role_section,
    same_delegation,
)
from registry_builder.signing.offline_metadata import Trust
from registry_builder.source.config import RegistryConfig
from sealdex.errors import SealdexError
from sealdex.model.ids import PluginId
from sealdex.model.index import index_target


@dataclass(frozen=True)
class Waiting:
    """What isn't published because the namespace's own keys haven't signed it.

    Attributes:
        namespace: the namespace.
        plugins: whose documents wait; none when only the signature itself is due.
        missing: names of the keys, of which enough must sign.
        threshold: how many must.
        reason: why it has to be signed.
    """

    namespace: str
    plugins: tuple[PluginId, ...]
    missing: tuple[str, ...]
    threshold: int
    reason: SigningReason

    @property
    def is_unpublished(self) -> bool:
        """Whether something of the source tree isn't published because of it, and not only a new signature due."""
        return self.reason not in {"within its signing window", "expired"}

    def __str__(self) -> str:
        what = ", ".join(map(str, self.plugins)) or f"namespace {self.namespace}"
        return f"{what} waits for {self.said}"

    def document(self) -> dict[str, object]:
        """Return it as plain values, for ``--json``."""
        return {
            "namespace": self.namespace,
            "plugins": [str(plugin) for plugin in self.plugins],
            "missing": list(self.missing),
            "threshold": self.threshold,
            "reason": self.reason,
        }

    @property
    def said(self) -> str:
        """Whose signatures it waits for, why, and the command that makes them."""
        return (
            f"{self.threshold} signature(s) of {', '.join(self.missing)} ({self.reason}): "
            f"sealdex-builder namespace sign {self.namespace}"
        )


@dataclass(frozen=True)
class ClaimWork:
    """What there is to sign for one claimed namespace.

    Attributes:
        before: what is published of it, wherever it was pinned so far.
        after: what it has to pin.
        reason: why it is signed; None when nothing is to be done.
        must_begin: whether clients couldn't read the namespace under the new targets metadata without this signature.
    """

    namespace: str
    before: Mapping[str, TargetPin]
    after: Mapping[str, TargetPin]
    changes: tuple[PluginChange, ...]
    reason: SigningReason | None
    must_begin: bool

    @property
    def role(self) -> str:
        """The role's name."""
        return claim_role(self.namespace)


@dataclass(frozen=True)
class ClaimDecision:
    """How the claimed namespaces take part in a publish.

    Attributes:
        found: the survey without what waits.
        sign: role to all targets that it is to sign here.
        reasons: role to why.
        signed: role to the file that its team signed.
        waiting: what waits.
        blocked: whether some claim can't begin yet, so that the targets metadata that makes it has to wait too.
    """

    found: Survey
    sign: Mapping[str, Mapping[str, TargetPin]]
    reasons: Mapping[str, SigningReason]
    signed: Mapping[str, SignedClaim]
    waiting: tuple[Waiting, ...]
    blocked: bool


def claim_work(
    config: RegistryConfig, trust: Trust, state: PublishedState | None, found: Survey, now: datetime
) -> list[ClaimWork]:
    """Return what each namespace that ``trust`` says is claimed has to sign. Pure.

    Raises:
        SealdexError: a namespace was claimed just now, and only some plugins are to be published.
    """
    work = []
    for namespace, role in claims_of(trust.targets_role).items():
        prefix = f"index/{namespace}/"
        published = state.claims.get(namespace) if state is not None else None
        if state is not None and published is None and len(state.bins) < 1 << state.bits:
            raise SealdexError(
                f"namespace {namespace} was claimed, so every bin has to be read",
                untouched="nothing was written",
                hint="publish everything once, without --only",
            )
        before = {t: pin for t, pin in state.pins() if t.startswith(prefix)} if state is not None else {}
        changes = tuple(change for change in found.changes if change.source.id.namespace == namespace)
        after = {**before, **{index_target(change.source.id): change.pin for change in changes}}
        reason: SigningReason | None = None
        other_keys = state is not None and not same_delegation(state.targets_role, trust.targets_role, role)
        if published is None:
            reason = "it was claimed"
        elif other_keys:
            reason = "its keys changed"
        elif changes:
            reason = "changed"
        else:
            reason = due_reason(published.expires, role_section(config, role), now)
        work.append(ClaimWork(namespace, before, after, changes, reason, published is None or other_keys))
    return work


@dataclass(frozen=True)
class Signatures:
    """What can be signed here, or was signed elsewhere.

    Attributes:
        files: namespace to the newest file that its team signed.
        can_sign: tells whether enough keys of a role are here; asked only of roles that have to be signed.
        name_of: gives a key's name for its id.
    """

    files: Mapping[str, SignedClaim]
    can_sign: Callable[[str], bool]
    name_of: Callable[[str], str]


def decide_claims(
    work: Iterable[ClaimWork], found: Survey, trust: Trust, state: PublishedState | None, signatures: Signatures
) -> ClaimDecision:
    """Decide what of the claimed namespaces is published; see `claim_work`."""
    sign: dict[str, Mapping[str, TargetPin]] = {}
    reasons: dict[str, SigningReason] = {}
    taken: dict[str, SignedClaim] = {}
    waiting: list[Waiting] = []
    held: set[PluginId] = set()
    blocked = False
    for each in work:
        if each.reason is None:
            continue
        file = signatures.files.get(each.namespace)
        usable = file if file is not None and _fits(file, each, state) else None
        if usable is None and signatures.can_sign(each.role):
            sign[each.role], reasons[each.role] = each.after, each.reason
            continue
        late = each.changes
        if usable is not None:
            taken[each.role], reasons[each.role] = usable, "claimed by its team"
            late = tuple(c for c in each.changes if usable.pins.get(index_target(c.source.id)) != c.pin)
        else:
            blocked |= each.must_begin
        if late or usable is None:
            held |= {change.source.id for change in late}
            role = trust.targets_role.get_delegated_role(each.role)
            plugins = tuple(change.source.id for change in late)
            missing = tuple(map(signatures.name_of, role.keyids))
            waiting.append(Waiting(each.namespace, plugins, missing, role.threshold, each.reason))
    return ClaimDecision(found.without(held), sign, reasons, taken, tuple(waiting), blocked)


def _fits(file: SignedClaim, work: ClaimWork, state: PublishedState | None) -> bool:
    """Return whether a signed file is newer than the published one, and pins only what is published or about to be."""
    published = state.claims.get(work.namespace) if state is not None else None
    if published is not None and file.version <= published.version:
        return False
    known = all(pin in (work.before.get(target), work.after.get(target)) for target, pin in file.pins.items())
    return known and set(work.before) <= set(file.pins)


def hold_back_targets(trust: Trust, state: PublishedState | None, waiting: Iterable[Waiting]) -> Trust:
    """Return the trust material with the targets metadata that is published, since the newer one can't be used yet.

    Raises:
        SealdexError: nothing is published, or the newest root doesn't go with it; whose signature is missing is said.
    """
    if state is None or state.targets.version not in trust.targets:
        raise unsigned_claims(waiting)
    metadata = Metadata[Targets].from_bytes(state.targets.data)
    try:
        trust.root.verify_delegate("targets", metadata.signed_bytes, metadata.signatures)
    except RepositoryError as error:
        raise SealdexError(
            f"{_said(waiting)}; the published targets metadata can't be used until then: {error}",
            untouched="nothing was written",
        ) from error
    older = {version: data for version, data in trust.targets.items() if version <= state.targets.version}
    return replace(trust, targets=older, targets_role=metadata.signed)


def unsigned_claims(waiting: Iterable[Waiting]) -> SealdexError:
    """Return the error for a publish that can't do without the signatures that these wait for."""
    return SealdexError(_said(waiting), untouched="nothing was written", hint="publish again once it is signed")


def _said(waiting: Iterable[Waiting]) -> str:
    return "; ".join(map(str, waiting))


__all__ = [
    "ClaimDecision",
    "ClaimWork",
    "Signatures",
    "Waiting",
    "claim_work",
    "decide_claims",
    "hold_back_targets",
    "unsigned_claims",
]
