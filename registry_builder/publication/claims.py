"""Claimed namespaces in a publish: what their own keys must sign, whether they can or did, and what waits for them.

The role of a claimed namespace, ``ns-<namespace>``, signs the index documents of that namespace, and no other role can.
So a publish signs it where its keys are at hand, or takes the newest file that its team signed elsewhere and put into
the source tree,

    trust/<realm>/<N>.ns-<namespace>.json

as far as that file says what the tree says; everything else of the namespace waits, and everything outside it goes on.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import Metadata, Role, Targets
from tuf.api.serialization import DeserializationError

from registry_builder.baseline.diff import PluginChange, Survey
from registry_builder.baseline.state import PublishedState
from registry_builder.signing.metadata import (
    DUE,
    EXPIRED,
    TargetPin,
    claim_role,
    claims_of,
    due_reason,
    role_section,
    same_authority,
)
from registry_builder.signing.offline_metadata import Trust, read_metadata_file, trust_files, trust_folder
from registry_builder.source.config import RegistryConfig
from sealdex.errors import ConfigError, SealdexError
from sealdex.model.ids import PluginId
from sealdex.model.index import index_target
from sealdex.trust.role_marks import mark_problem

CLAIMED = "claimed by its team"


@dataclass(frozen=True)
class SignedClaim:
    """A file that a namespace's team signed: its version, its bytes, what it pins."""

    version: int
    data: bytes
    pins: Mapping[str, TargetPin]


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
    reason: str

    @property
    def is_unpublished(self) -> bool:
        """Whether something of the source tree isn't published because of it, and not only a new signature due."""
        return self.reason not in {DUE, EXPIRED}

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
    reason: str | None
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
    reasons: Mapping[str, str]
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
                f"namespace {namespace} was claimed, so every bin has to be looked at",
                untouched="nothing was written",
                hint="publish everything once, without --only",
            )
        before = {t: pin for t, pin in state.pins() if t.startswith(prefix)} if state is not None else {}
        changes = tuple(change for change in found.changes if change.source.id.namespace == namespace)
        after = {**before, **{index_target(change.source.id): change.pin for change in changes}}
        reason: str | None = None
        other_keys = state is not None and not same_authority(
            _role(state.targets_role, role), _role(trust.targets_role, role)
        )
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


def decide_claims(
    work: Iterable[ClaimWork],
    found: Survey,
    trust: Trust,
    state: PublishedState | None,
    *,
    signed: Mapping[str, SignedClaim],
    can_sign: Callable[[str], bool],
    name_of: Callable[[str], str],
) -> ClaimDecision:
    """Decide what of the claimed namespaces is published.

    Args:
        work: see `claim_work`.
        found: the survey.
        trust: the offline metadata.
        state: the published state.
        signed: namespace to the newest file that its team signed.
        can_sign: tells whether enough keys of a role are here; asked only of roles that have to be signed.
        name_of: gives a key's name for its id.
    """
    sign: dict[str, Mapping[str, TargetPin]] = {}
    reasons: dict[str, str] = {}
    taken: dict[str, SignedClaim] = {}
    waiting: list[Waiting] = []
    held: set[PluginId] = set()
    blocked = False
    for each in work:
        if each.reason is None:
            continue
        file = signed.get(each.namespace)
        usable = file if file is not None and _fits(file, each, state) else None
        if usable is None and can_sign(each.role):
            sign[each.role], reasons[each.role] = each.after, each.reason
            continue
        late = each.changes
        if usable is not None:
            taken[each.role], reasons[each.role] = usable, CLAIMED
            late = tuple(c for c in each.changes if usable.pins.get(index_target(c.source.id)) != c.pin)
        else:
            blocked |= each.must_begin
        if late or usable is None:
            held |= {change.source.id for change in late}
            role = trust.targets_role.get_delegated_role(each.role)
            plugins = tuple(change.source.id for change in late)
            waiting.append(
                Waiting(each.namespace, plugins, tuple(map(name_of, role.keyids)), role.threshold, each.reason)
            )
    return ClaimDecision(found.without(held), sign, reasons, taken, tuple(waiting), blocked)


def _fits(file: SignedClaim, work: ClaimWork, state: PublishedState | None) -> bool:
    """Tell whether a signed file is newer than the published one, and pins only what is published or about to be."""
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
    said = "; ".join(map(str, waiting))
    if state is None or state.targets.version not in trust.targets:
        raise SealdexError(said, untouched="nothing was written", hint="publish again once it is signed")
    metadata = Metadata[Targets].from_bytes(state.targets.data)
    try:
        trust.root.verify_delegate("targets", metadata.signed_bytes, metadata.signatures)
    except RepositoryError as error:
        raise SealdexError(
            f"{said}; the published targets metadata can't stay that long: {error}", untouched="nothing was written"
        ) from error
    older = {version: data for version, data in trust.targets.items() if version <= state.targets.version}
    return replace(trust, targets=older, targets_role=metadata.signed)


def signed_claims(tree: Path, realm: str, trust: Trust, marker: str) -> dict[str, SignedClaim]:
    """Return, for each claimed namespace, the newest file in ``trust/<realm>/`` that its team signed as it must be.

    A file with too few or wrong signatures isn't there: what it would sign waits.
    """
    found: dict[str, SignedClaim] = {}
    for namespace, role in claims_of(trust.targets_role).items():
        for _version, path in reversed(claim_files(tree, realm, namespace)):
            metadata = read_claim(tree, path)
            if metadata is None or mark_problem(metadata.signed.unrecognized_fields, role, marker):
                continue
            try:
                trust.targets_role.verify_delegate(role, metadata.signed_bytes, metadata.signatures)
            except RepositoryError:
                continue
            signed = metadata.signed
            pins = {path: TargetPin(file.length, file.hashes["sha256"]) for path, file in signed.targets.items()}
            found[namespace] = SignedClaim(signed.version, read_metadata_file(tree, path), pins)
            break
    return found


def claim_files(tree: Path, realm: str, namespace: str) -> list[tuple[int, Path]]:
    """Return version and path of every file of a claimed namespace in the source tree, oldest first."""
    pattern = re.compile(rf"([1-9][0-9]{{0,8}})\.{re.escape(claim_role(namespace))}\.json")
    folder = trust_folder(tree, realm)
    names = trust_files(tree, realm)
    return sorted((int(match[1]), folder / name) for name in names if (match := pattern.fullmatch(name)))


def read_claim(tree: Path, path: Path) -> Metadata[Targets] | None:
    """Return the metadata in a file, or None when it is none of a targets role of the version that its name says."""
    try:
        metadata = Metadata[Targets].from_bytes(read_metadata_file(tree, path))
    except (ConfigError, DeserializationError):
        return None
    named = path.name.split(".", 1)[0]
    return metadata if isinstance(metadata.signed, Targets) and str(metadata.signed.version) == named else None


def _role(targets: Targets, role: str) -> Role | None:
    return (targets.delegations.roles or {}).get(role) if targets.delegations is not None else None


__all__ = [
    "ClaimDecision",
    "ClaimWork",
    "SignedClaim",
    "Waiting",
    "claim_files",
    "claim_work",
    "decide_claims",
    "hold_back_targets",
    "read_claim",
    "signed_claims",
]
