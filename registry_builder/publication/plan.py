"""The publish plan: everything that a publish would write, as data. Pure.

Made from the verified published state and a survey of the source tree; carried out by
`registry_builder.publication.commit`. What isn't in the plan isn't touched, so its size is that of the change and not
that of the registry.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from tuf.api.metadata import Metadata, Role, Root

from registry_builder.baseline.diff import Survey, target_pin
from registry_builder.baseline.documents import target_key
from registry_builder.baseline.state import PublishedState
from registry_builder.compile.catalog import shard_bytes, shard_rows
from registry_builder.compile.catalog_names import name_shards
from registry_builder.compile.index import Ingestion, ReleaseChange
from registry_builder.compile.removed_events import Older
from registry_builder.parallel import collector_paused
from registry_builder.publication.claims import ClaimDecision, Waiting
from registry_builder.publication.uploads import (
    FileListSource,
    IngestedArtifact,
    ManifestSource,
    Upload,
    UploadKind,
    attachment_files,
    index_files,
    readme_files,
    release_files,
)
from registry_builder.signing.metadata import (
    SigningReason,
    TargetPin,
    bin_bits,
    bin_names,
    bin_of,
    claims_of,
    due_reason,
    role_keys,
    same_authority,
    same_delegation,
    shard_count,
)
from registry_builder.signing.offline_metadata import Trust
from registry_builder.source.config import RegistryConfig
from sealdex.errors import SealdexError
from sealdex.model.catalog import CatalogRow, names_first, names_target, shard_of, shard_target
from sealdex.model.ids import PluginId
from sealdex.model.index import index_target


@dataclass(frozen=True)
class PlanInput:
    """What a publish is planned from.

    Attributes:
        config: the registry's configuration.
        realm: the realm.
        storage: its storage's description, for people.
        root: the source tree's folder, which artifact paths are relative to.
        trust: the realm's offline metadata.
        state: the verified published state; None when nothing is published.
        claims: how the source tree differs from it, and what was decided of claimed namespaces.
        ingestion: whether URL artifacts are copied into the store.
        now: the time that signing windows are judged by.
        min_bits: bit length of the succinct delegation at least, for registries that are known to grow.
    """

    config: RegistryConfig
    realm: str
    storage: str
    root: Path
    trust: Trust
    state: PublishedState | None
    claims: ClaimDecision
    ingestion: Ingestion
    now: datetime
    min_bits: int = 0

    @property
    def found(self) -> Survey:
        """How the source tree differs from what is published, without what waits."""
        return self.claims.found

    def due(self, role: str, expires: datetime) -> SigningReason | None:
        """Say why a role is to be signed again because of its age; None while it isn't."""
        return due_reason(expires, self.config.roles[role], self.now)


@dataclass(frozen=True)
class PublishPlan:
    """What a publish of one realm would write, in the order in which it is written.

    Attributes:
        new_plugins, changed_plugins: whose index documents are written.
        new_releases: plugin and version.
        carried: plugins that stay published although the source tree doesn't have them.
        kept: plugin and version of releases that stay published although the source tree doesn't have them.
        violations: published releases that were changed; with any, nothing is published.
        older: plugins that the source tree seems to have as they were earlier.
        held: those of them that aren't published because of that.
        ingest: artifacts to copy into the store.
        artifacts, manifests, readmes, attachments, indexes, shards: files to create.
        bits: bit length of the succinct delegation.
        bins: bins to sign, each with all of its targets.
        catalog: all targets of ``catalog`` if that is to be signed.
        reasons: role to why it is signed; ``packages``, ``catalog``, ``snapshot``, ``timestamp`` and bins.
        roots, targets: offline metadata that the source tree has and the storage hasn't.
        claims: roles of claimed namespaces to sign here, each with all of its targets.
        signed_claims: role to version and bytes of what its team signed elsewhere.
        waiting: what waits for the signature of a claimed namespace's own keys.
        is_complete: whether all plugins of the realm were looked at.
    """

    realm: str
    storage: str
    is_complete: bool
    bits: int
    new_plugins: tuple[PluginId, ...] = ()
    changed_plugins: tuple[PluginId, ...] = ()
    new_releases: tuple[tuple[PluginId, str], ...] = ()
    carried: tuple[PluginId, ...] = ()
    kept: tuple[tuple[PluginId, str], ...] = ()
    violations: tuple[ReleaseChange, ...] = ()
    older: tuple[Older, ...] = ()
    held: tuple[PluginId, ...] = ()
    ingest: tuple[IngestedArtifact, ...] = ()
    artifacts: tuple[Upload, ...] = ()
    manifests: tuple[Upload, ...] = ()
    readmes: tuple[Upload, ...] = ()
    attachments: tuple[Upload, ...] = ()
    indexes: tuple[Upload, ...] = ()
    shards: tuple[Upload, ...] = ()
    bins: Mapping[str, Mapping[str, TargetPin]] = field(default_factory=dict)
    catalog: Mapping[str, TargetPin] | None = None
    reasons: Mapping[str, SigningReason] = field(default_factory=dict)
    roots: Mapping[int, bytes] = field(default_factory=dict)
    targets: tuple[int, bytes] | None = None
    claims: Mapping[str, Mapping[str, TargetPin]] = field(default_factory=dict)
    signed_claims: Mapping[str, tuple[int, bytes]] = field(default_factory=dict)
    waiting: tuple[Waiting, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether everything is published already and nothing has to be re-signed."""
        return not self.reasons

    @property
    def uploads(self) -> Iterable[tuple[UploadKind, tuple[Upload, ...]]]:
        """Kinds of files to create, in the order in which they are created."""
        return (
            ("artifacts", self.artifacts),
            ("manifests", self.manifests),
            ("readmes", self.readmes),
            ("attachments", self.attachments),
            ("index documents", self.indexes),
            ("catalogue shards", self.shards),
        )


@collector_paused()
def plan_publish(given: PlanInput) -> PublishPlan:
    """Plan the publish of a realm.

    Raises:
        SealdexError: the offline metadata of the source tree is older than what is published, or keys changed and
            only some plugins are to be published.
    """
    trust, state, found, claims = given.trust, given.state, given.found, given.claims
    bits = _bits(given)
    bins, reasons = _bins(given, bits)
    reasons |= claims.reasons
    catalog, shards, why = _catalog(given, bits)
    reasons |= {"catalog": why} if why is not None else {}
    if (why := _packages_reason(given, bits)) is not None:
        reasons["packages"] = why
    targets = _newer_targets(trust, state)
    roots = {n: data for n, data in trust.roots.items() if state is None or n > state.root_version}
    reasons |= _top_reasons(given, is_changed=bool(reasons or roots) or targets is not None)
    manifests, artifacts, ingest = release_files(found.changes, given.root, given.ingestion)
    return PublishPlan(
        realm=given.realm,
        storage=given.storage,
        is_complete=found.is_complete,
        bits=bits,
        new_plugins=tuple(change.source.id for change in found.changes if change.is_new),
        changed_plugins=tuple(change.source.id for change in found.changes if not change.is_new),
        new_releases=tuple((change.source.id, version) for change in found.changes for version in change.new),
        carried=found.carried,
        kept=found.kept,
        violations=found.violations,
        older=found.older,
        ingest=ingest,
        artifacts=artifacts,
        manifests=manifests,
        readmes=tuple(readme_files(found.changes)),
        attachments=tuple(attachment_files(found.changes)),
        indexes=tuple(index_files(found.changes)),
        shards=shards,
        bins=bins,
        catalog=catalog,
        reasons=reasons,
        roots=roots,
        targets=targets,
        claims=claims.sign,
        signed_claims={role: (claim.version, claim.data) for role, claim in claims.signed.items()},
        waiting=claims.waiting,
    )


def _bits(given: PlanInput) -> int:
    """Follow the number of plugins up, never down, and only when all of them are looked at."""
    state, found = given.state, given.found
    if state is not None and not found.is_complete:
        return state.bits
    return max(state.bits if state else 0, bin_bits(len(found.rows) + len(found.carried)), given.min_bits)


# --- roles --------------------------------------------------------------------------------------------------------

_Bins = dict[str, dict[str, TargetPin]]
_Reasons = dict[str, SigningReason]


def _bins(given: PlanInput, bits: int) -> tuple[_Bins, _Reasons]:
    """Return the bins to sign, each with all of its targets, and why."""
    state, claimed = given.state, {*claims_of(given.trust.targets_role)}
    new = {index_target(c.source.id): c.pin for c in given.found.changes if c.source.id.namespace not in claimed}
    if state is not None:
        # a claim that ended: packages signs for the namespace again
        ended = [role for namespace, role in state.claims.items() if namespace not in claimed]
        new = {**{target: pin for role in ended for target, pin in role.pins.items()}, **new}
    if state is not None and state.bits == bits:
        return _changed_bins(given, state, new, claimed)
    before = {t: pin for t, pin in state.pins() if _namespace(t) not in claimed} if state else {}
    bins: _Bins = {name: {} for name in bin_names(bits)}
    for target, pin in {**before, **new}.items():
        bins[bin_of(target, bits)][target] = pin
    return bins, dict.fromkeys(bins, "first publish" if state is None else "changed")


def _changed_bins(
    given: PlanInput, state: PublishedState, new: Mapping[str, TargetPin], claimed: set[str]
) -> tuple[_Bins, _Reasons]:
    has_new_keys = not _same_bin_keys(given.config, state)
    if has_new_keys and len(state.bins) < 1 << state.bits:
        raise _needs_all("the keys of packages changed")
    bins: _Bins = {}
    for target, pin in new.items():
        name = bin_of(target, state.bits)
        bins.setdefault(name, dict(state.bins[name].pins))[target] = pin
    for name, role in state.bins.items():
        # a namespace that was claimed: packages no longer signs for it
        if gone := [target for target in role.pins if _namespace(target) in claimed]:
            kept = bins.setdefault(name, dict(role.pins))
            for target in gone:
                del kept[target]
    reasons: _Reasons = dict.fromkeys(bins, "changed")
    for name, role in state.bins.items():
        reason = "its keys changed" if has_new_keys else given.due("packages", role.expires)
        if name not in bins and reason is not None:
            bins[name] = dict(role.pins)
            reasons[name] = reason
    return bins, reasons


def _namespace(target: str) -> str:
    return target.split("/")[1]


def _same_bin_keys(config: RegistryConfig, state: PublishedState) -> bool:
    delegations = state.packages_role.delegations
    keys = role_keys(config, "packages")
    wanted = Role(list(keys), config.roles["packages"].threshold)
    return delegations is not None and same_authority(delegations.succinct_roles, wanted)


def _catalog(
    given: PlanInput, bits: int
) -> tuple[dict[str, TargetPin] | None, tuple[Upload, ...], SigningReason | None]:
    """Return the targets of ``catalog`` if it is to be signed, the shards to write, and why."""
    state = given.state
    before = dict(state.catalog.pins) if state is not None and state.bits == bits else {}
    pins, uploads = dict(before), []
    written = dict(_shards(given.found, shard_count(bits)))
    if given.found.is_complete:
        names = _names(given.found, before)
        written |= names
        pins = {target: pin for target, pin in pins.items() if names_first(target) is None or target in names}
    for target, data in written.items():
        own = target_pin(data)
        if before.get(target) != own:
            pins[target] = own
            uploads.append(Upload(target_key(target, own.sha256), own.size, own.sha256, data))
    reason = _catalog_reason(given, pins, has_uploads=bool(uploads))
    return (pins if reason is not None else None), tuple(uploads), reason


def _shards(found: Survey, count: int) -> Iterator[tuple[str, bytes]]:
    """Yield target and bytes of the shards that may have changed: all, where all plugins were looked at."""
    if found.is_complete:
        written = shard_rows(_all_rows(found), count)
    else:
        rows = {row.id: row for shard in found.shards.values() for row in shard}
        rows |= {change.source.id: found.rows[change.source.id] for change in found.changes}
        numbers = {shard_of(change.source.id, count) for change in found.changes}
        sorted_in = shard_rows(rows.values(), count)
        written = {number: sorted_in[number] for number in numbers}
    for number, shard in sorted(written.items()):
        yield shard_target(number), shard_bytes(number, count, shard)


def _all_rows(found: Survey) -> list[CatalogRow]:
    rows = {row.id: row for shard in found.shards.values() for row in shard}
    return [*found.rows.values(), *(rows[plugin] for plugin in found.carried if plugin in rows)]


def _names(found: Survey, before: Iterable[str]) -> dict[str, bytes]:
    """Return the shards by name; a publish of some plugins leaves them to the next of all, as it does the pages."""
    firsts = [first for target in before if (first := names_first(target)) is not None]
    return {names_target(first): data for first, data in name_shards(_all_rows(found), firsts).items()}


def _catalog_reason(given: PlanInput, pins: Mapping[str, TargetPin], *, has_uploads: bool) -> SigningReason | None:
    state = given.state
    if state is None:
        return "first publish"
    if has_uploads or pins != dict(state.catalog.pins):
        return "changed"
    if not same_delegation(state.targets_role, given.trust.targets_role, "catalog"):
        return "its keys changed"
    return given.due("catalog", state.catalog.expires)


def _packages_reason(given: PlanInput, bits: int) -> SigningReason | None:
    state = given.state
    if state is None:
        return "first publish"
    if state.bits != bits:
        return "changed"
    if not (
        same_delegation(state.targets_role, given.trust.targets_role, "packages")
        and _same_bin_keys(given.config, state)
    ):
        return "its keys changed"
    return given.due("packages", state.packages.expires)


def _newer_targets(trust: Trust, state: PublishedState | None) -> tuple[int, bytes] | None:
    newest = max(trust.targets)
    published = state.targets.version if state else 0
    if newest < published or (
        state is not None and newest == published and trust.targets[newest] != state.targets.data
    ):
        raise SealdexError(
            f"version {published} of targets.json is published, but trust/ of the source tree has "
            + (f"only {newest}" if newest < published else "another file of that version"),
            subject=f"{newest}.targets.json",
            untouched="nothing was written",
            hint="update the source tree: git pull",
        )
    return (newest, trust.targets[newest]) if newest > published else None


def _top_reasons(given: PlanInput, *, is_changed: bool) -> _Reasons:
    """Return why snapshot and timestamp are signed, if they are: the snapshot for any role, the timestamp for that."""
    state, trust = given.state, given.trust
    if state is None:
        return {"snapshot": "first publish", "timestamp": "first publish"}
    before = Metadata[Root].from_bytes(trust.roots[state.root_version]).signed
    reasons: _Reasons = {}
    for role, file in (("snapshot", state.snapshot), ("timestamp", state.timestamp)):
        if is_changed or reasons:
            reasons[role] = "changed"
        elif not same_authority(before.roles[role], trust.root.roles[role]):
            reasons[role] = "its keys changed"
        elif (due := given.due(role, file.expires)) is not None:
            reasons[role] = due
    return reasons


def _needs_all(why: str) -> SealdexError:
    return SealdexError(
        f"{why}, so every bin has to be re-signed",
        untouched="nothing was written",
        hint="publish everything once, without --only",
    )


__all__ = ["FileListSource", "IngestedArtifact", "ManifestSource", "PlanInput", "PublishPlan", "Upload", "plan_publish"]
