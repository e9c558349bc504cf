"""The publish plan: everything that a publish would write, as data. Pure.

Made from the verified published state and a survey of the source tree; carried out by
`registry_builder.publication.commit`. What isn't in the plan isn't touched, so its size is that of the change and not
that of the registry.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from tuf.api.metadata import Metadata, Role, Root

from registry_builder.baseline.diff import PluginChange, Survey, target_pin
from registry_builder.baseline.documents import target_key
from registry_builder.baseline.state import PublishedState
from registry_builder.compile.catalog import shard_bytes, shard_rows
from registry_builder.compile.index import Ingestion, ReleaseChange
from registry_builder.compile.removed_events import Older
from registry_builder.parallel import collector_paused
from registry_builder.publication.claims import ClaimDecision, Waiting
from registry_builder.publication.uploads import (
    FileListSource,
    IngestedArtifact,
    ManifestSource,
    Upload,
    attachment_files,
    index_files,
    readme_files,
    release_files,
)
from registry_builder.signing.metadata import (
    TargetPin,
    bin_bits,
    bin_names,
    bin_of,
    claims_of,
    due_reason,
    role_keys,
    same_authority,
    shard_count,
)
from registry_builder.signing.offline_metadata import Trust
from registry_builder.source.config import RegistryConfig
from sealdex.errors import SealdexError
from sealdex.model.catalogue import shard_of, shard_target
from sealdex.model.ids import PluginId
from sealdex.model.index import index_target

FIRST = "first publish"
CHANGED = "changed"
NEW_KEYS = "its keys changed"


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
    reasons: Mapping[str, str] = field(default_factory=dict)
    roots: Mapping[int, bytes] = field(default_factory=dict)
    targets: tuple[int, bytes] | None = None
    claims: Mapping[str, Mapping[str, TargetPin]] = field(default_factory=dict)
    signed_claims: Mapping[str, tuple[int, bytes]] = field(default_factory=dict)
    waiting: tuple[Waiting, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether everything is published already and nothing is due to be signed anew."""
        return not self.reasons

    @property
    def uploads(self) -> Iterable[tuple[str, tuple[Upload, ...]]]:
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
def plan_publish(
    config: RegistryConfig,
    realm: str,
    storage: str,
    *,
    trust: Trust,
    state: PublishedState | None,
    found: Survey,
    root: Path,
    ingestion: Ingestion,
    now: datetime,
    min_bits: int = 0,
    claims: ClaimDecision | None = None,
) -> PublishPlan:
    """Plan the publish of a realm.

    Args:
        config: the registry's configuration.
        realm: the realm.
        storage: its storage's description, for people.
        trust: its offline metadata.
        state: the verified published state; None when nothing is published.
        found: how the source tree differs from it.
        root: the source tree's folder, which artifact paths are relative to.
        ingestion: whether URL artifacts are copied into the store.
        now: the time that signing windows are judged by.
        min_bits: bit length of the succinct delegation at least, for registries that are known to grow.
        claims: what was decided of claimed namespaces; ``found`` is without what waits.

    Raises:
        SealdexError: the offline metadata of the source tree is older than what is published, or keys changed and
            only some plugins are to be published.
    """
    bits = _bits(state, found, min_bits)
    reasons: dict[str, str] = {}
    bins = _bins(config, state, found.changes, bits, now, reasons, {*claims_of(trust.targets_role)})
    reasons |= claims.reasons if claims is not None else {}
    catalog, shards = _catalog(config, trust, state, found, bits, now, reasons)
    if (reason := _packages_reason(config, trust, state, bits, now)) is not None:
        reasons["packages"] = reason
    targets = _newer_targets(trust, state)
    roots = {n: data for n, data in trust.roots.items() if state is None or n > state.root_version}
    _top_reasons(config, trust, state, now, reasons, offline_changed=bool(roots) or targets is not None)
    manifests, artifacts, ingest = release_files(found.changes, root, ingestion)
    return PublishPlan(
        realm=realm,
        storage=storage,
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
        claims=claims.sign if claims is not None else {},
        signed_claims={role: (c.version, c.data) for role, c in claims.signed.items()} if claims is not None else {},
        waiting=claims.waiting if claims is not None else (),
    )


def _bits(state: PublishedState | None, found: Survey, min_bits: int) -> int:
    """Follow the number of plugins up, never down, and only when all of them are looked at."""
    if state is not None and not found.is_complete:
        return state.bits
    return max(state.bits if state else 0, bin_bits(len(found.rows) + len(found.carried)), min_bits)


# --- roles --------------------------------------------------------------------------------------------------------


def _bins(
    config: RegistryConfig,
    state: PublishedState | None,
    changes: Iterable[PluginChange],
    bits: int,
    now: datetime,
    reasons: dict[str, str],
    claimed: Collection[str],
) -> dict[str, dict[str, TargetPin]]:
    new = {index_target(c.source.id): c.pin for c in changes if c.source.id.namespace not in claimed}
    if state is not None:
        # a claim that ended: packages speaks for the namespace again
        ended = [role for namespace, role in state.claims.items() if namespace not in claimed]
        new = {**{target: pin for role in ended for target, pin in role.pins.items()}, **new}
    if state is None or state.bits != bits:
        before = {t: pin for t, pin in state.pins() if t.split("/")[1] not in claimed} if state else {}
        sorted_in: dict[str, dict[str, TargetPin]] = {name: {} for name in bin_names(bits)}
        for target, target_pin_ in {**before, **new}.items():
            sorted_in[bin_of(target, bits)][target] = target_pin_
        reasons |= dict.fromkeys(sorted_in, FIRST if state is None else CHANGED)
        return sorted_in
    everywhere = None if _same_bin_keys(config, state) else NEW_KEYS
    if everywhere and len(state.bins) < 1 << bits:
        raise _needs_all("the keys of packages changed")
    to_sign: dict[str, dict[str, TargetPin]] = {}
    for target, target_pin_ in new.items():
        name = bin_of(target, bits)
        to_sign.setdefault(name, dict(state.bins[name].pins))[target] = target_pin_
        reasons[name] = CHANGED
    for name, role in state.bins.items():
        # a namespace that was claimed: nobody asks packages for it any more
        if gone := [target for target in role.pins if target.split("/")[1] in claimed]:
            kept = to_sign.setdefault(name, dict(role.pins))
            for target in gone:
                del kept[target]
            reasons[name] = CHANGED
    for name, role in state.bins.items():
        reason = everywhere or due_reason(role.expires, config.roles["packages"], now)
        if name not in to_sign and reason is not None:
            to_sign[name] = dict(role.pins)
            reasons[name] = reason
    return to_sign


def _same_bin_keys(config: RegistryConfig, state: PublishedState) -> bool:
    delegations = state.packages_role.delegations
    keys = role_keys(config, "packages")
    wanted = Role(list(keys), config.roles["packages"].threshold)
    return delegations is not None and same_authority(delegations.succinct_roles, wanted)


def _catalog(
    config: RegistryConfig,
    trust: Trust,
    state: PublishedState | None,
    found: Survey,
    bits: int,
    now: datetime,
    reasons: dict[str, str],
) -> tuple[dict[str, TargetPin] | None, tuple[Upload, ...]]:
    shards = shard_count(bits)
    rows = {row.id: row for shard in found.shards.values() for row in shard}
    if found.is_complete:
        carried = {plugin: rows[plugin] for plugin in found.carried if plugin in rows}
        written = shard_rows([*found.rows.values(), *carried.values()], shards)
    else:
        rows |= {change.source.id: found.rows[change.source.id] for change in found.changes}
        numbers = {shard_of(change.source.id, shards) for change in found.changes}
        sorted_in = shard_rows(rows.values(), shards)
        written = {number: sorted_in[number] for number in numbers}
    before = dict(state.catalog.pins) if state is not None and state.bits == bits else {}
    pins, uploads = dict(before), []
    for number, shard in sorted(written.items()):
        data = shard_bytes(number, shards, shard)
        target, own = shard_target(number), target_pin(data)
        if before.get(target) != own:
            pins[target] = own
            uploads.append(Upload(target_key(target, own.sha256), own.size, own.sha256, data))
    if state is None:
        reasons["catalog"] = FIRST
    elif uploads or pins != dict(state.catalog.pins):
        reasons["catalog"] = CHANGED
    elif not same_authority(_delegated(state.targets_role, "catalog"), _delegated(trust.targets_role, "catalog")):
        reasons["catalog"] = NEW_KEYS
    elif (due := due_reason(state.catalog.expires, config.roles["catalog"], now)) is not None:
        reasons["catalog"] = due
    return (pins if "catalog" in reasons else None), tuple(uploads)


def _packages_reason(
    config: RegistryConfig, trust: Trust, state: PublishedState | None, bits: int, now: datetime
) -> str | None:
    if state is None:
        return FIRST
    if state.bits != bits:
        return CHANGED
    same = same_authority(_delegated(state.targets_role, "packages"), _delegated(trust.targets_role, "packages"))
    if not same or not _same_bin_keys(config, state):
        return NEW_KEYS
    return due_reason(state.packages.expires, config.roles["packages"], now)


def _newer_targets(trust: Trust, state: PublishedState | None) -> tuple[int, bytes] | None:
    newest = max(trust.targets)
    published = state.targets.version if state else 0
    if newest < published or (
        state is not None and newest == published and trust.targets[newest] != state.targets.data
    ):
        raise SealdexError(
            f"version {published} of targets.json is published, and trust/ of the source tree has "
            + (f"only {newest}" if newest < published else "another file of that version"),
            subject=f"{newest}.targets.json",
            untouched="nothing was written",
            hint="bring the source tree up to date: git pull",
        )
    return (newest, trust.targets[newest]) if newest > published else None


def _top_reasons(
    config: RegistryConfig,
    trust: Trust,
    state: PublishedState | None,
    now: datetime,
    reasons: dict[str, str],
    *,
    offline_changed: bool,
) -> None:
    """Add why snapshot and timestamp are signed, if they are: the snapshot for any role, the timestamp for that."""
    if state is None:
        reasons |= {"snapshot": FIRST, "timestamp": FIRST}
        return
    before = Metadata[Root].from_bytes(trust.roots[state.root_version]).signed
    for role, file in (("snapshot", state.snapshot), ("timestamp", state.timestamp)):
        if reasons or offline_changed:
            reasons[role] = CHANGED
        elif not same_authority(before.roles[role], trust.root.roles[role]):
            reasons[role] = NEW_KEYS
        elif (due := due_reason(file.expires, config.roles[role], now)) is not None:
            reasons[role] = due


def _delegated(delegator: object, role: str) -> Role | None:
    delegations = getattr(delegator, "delegations", None)
    return delegations.roles.get(role) if delegations is not None and delegations.roles is not None else None


def _needs_all(why: str) -> SealdexError:
    return SealdexError(
        f"{why}, so every bin has to be signed anew",
        untouched="nothing was written",
        hint="publish everything once, without --only",
    )


__all__ = ["FileListSource", "IngestedArtifact", "ManifestSource", "PublishPlan", "Upload", "plan_publish"]
