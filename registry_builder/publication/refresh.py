"""Re-signs metadata that expires soon, so that a registry without changes doesn't expire.

Online roles are refreshed in the storage, in the same transaction as a publish. Root and targets are refreshed in
``trust/<realm>/`` of the source tree, if enough of their keys are available, and then published; if they aren't,
that is reported and the rest continues.
"""

from __future__ import annotations

import copy
from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

from tuf.api.metadata import T

from registry_builder import source
from registry_builder.baseline.diff import Sources, Survey
from registry_builder.baseline.last_seen import Seen
from registry_builder.baseline.state import ExpiredStateError, PublishedState
from registry_builder.compile.index import Ingestion
from registry_builder.publication._cdn import invalidate
from registry_builder.publication._expiry import expired_roles, reasons_against_recovery
from registry_builder.publication._plan_log import log_plan, log_state
from registry_builder.publication.bundle_update import put_bundle
from registry_builder.publication.commit import Committed, RetryState, commit
from registry_builder.publication.context import Publisher
from registry_builder.publication.github_pages import is_pages, on_live_state, put_all_pages
from registry_builder.publication.plan import PublishPlan
from registry_builder.publication.publish import retry_races, spent, versions_after
from registry_builder.publication.store_proof import StoreProof
from registry_builder.signing.metadata import bin_names, expiry, is_due, realm_marker
from registry_builder.signing.offline_metadata import load_trust, trust_folder
from registry_builder.signing.role_signing import authority_of, sign_role
from registry_builder.source.atomic_write import replace_file
from registry_builder.source.own_folders import require_own_folders
from registry_builder.source.realms import plugins_of
from registry_builder.storage.headers import BUNDLE_KEY, TIMESTAMP_KEY
from sealdex.errors import NotFoundError, SealdexError
from sealdex.model.index import index_target


@dataclass(frozen=True)
class OfflineRefresh:
    """What happened to an offline role that expires soon.

    Attributes:
        role: ``root`` or ``targets``.
        expires: when the present version expires.
        written: the new file in the source tree, to be committed there; None if it couldn't be signed.
        reason: why not, if so.
    """

    role: str
    expires: datetime
    written: Path | None
    reason: str = ""


@dataclass
class RefreshResult:
    """What a refresh did; see `PublishResult` for the fields that both have."""

    plan: PublishPlan
    committed: bool = False
    versions: dict[str, int] = field(default_factory=dict)
    offline: list[OfflineRefresh] = field(default_factory=list)
    attempts: int = 1
    requests: Counter[str] = field(default_factory=Counter)
    bytes_put: int = 0
    warnings: list[str] = field(default_factory=list)

    @property
    def is_complete(self) -> bool:
        """Whether everything that expires soon was re-signed."""
        return all(each.written is not None for each in self.offline)


def refresh_realm(
    publisher: Publisher, *, dry_run: bool = False, online_only: bool = False, recover_expired: bool = False
) -> RefreshResult:
    """Re-sign what expires soon in a realm, and publish it.

    Args:
        publisher: see `open_publisher`; ``allow_expired`` re-signs a registry that has expired.
        dry_run: report what expires soon, and write nothing.
        online_only: skip root and targets, which are signed offline.
        recover_expired: re-sign a registry that has expired if it can be shown, without a person, that
            the published state is the newest (`registry_builder.publication._expiry`); for a scheduled job.

    Raises:
        ExpiredStateError: the published state has expired; nothing was written.
        NotFoundError: nothing is published yet.
        VerificationError: the published state isn't what the trust root vouches for; nothing was written.
        ConfigError: an online role expires soon and can't be signed here.
    """
    publisher = on_live_state(publisher, dry_run=dry_run)
    before = Counter(publisher.storage.requests), publisher.storage.bytes_put
    offline = [] if dry_run or online_only else _refresh_offline(publisher)
    if any(each.written for each in offline):
        config, root = publisher.tree.config, publisher.tree.root
        trust = load_trust(root, publisher.realm, realm_marker(config, publisher.realm))
        publisher = replace(publisher, trust=trust)
    recover_expired &= not publisher.allow_expired
    with StoreProof() as proof:
        retry = RetryState(proof=proof)
        result, attempts = retry_races(
            lambda: _attempt(publisher, retry, dry_run=dry_run, recover_expired=recover_expired)
        )
    if is_pages(publisher) and not dry_run:
        put_all_pages(publisher)
    result.offline = offline
    result.attempts = attempts
    result.requests, result.bytes_put = spent(publisher.storage, before)
    return result


def _attempt(publisher: Publisher, retry: RetryState, *, dry_run: bool, recover_expired: bool) -> RefreshResult:
    now = publisher.clock()
    seen = publisher.memory.load() if publisher.memory is not None else None
    # with recover_expired everything that is read is checked below, by the same clock
    with (replace(publisher, allow_expired=True) if recover_expired else publisher).reader(now) as reader:
        state = reader.open()
        if state is None:
            raise NotFoundError(
                f"nothing is published in {publisher.storage.description} yet",
                subject=publisher.realm,
                untouched="nothing was written",
                hint="sealdex-builder publish",
            )
        reader.load_bins(bin_names(state.bits))
    if recover_expired:
        _check_recovery(publisher, state, seen, now)
    log_state(publisher.realm, publisher.storage.description, state)
    decision = publisher.decide(state, Survey(), Ingestion(), now)
    publisher, plan = decision.publisher, decision.plan
    log_plan(plan, decision.found)
    result = RefreshResult(plan, warnings=[str(each) for each in plan.waiting])
    committed: Committed | None = None
    if not plan.is_empty and not dry_run:
        committed = commit(publisher, plan, state, now, retry)
        result.committed = True
        result.warnings += committed.warnings
        try:
            put_bundle(publisher, state, committed)
        except SealdexError as error:
            result.warnings.append(f"refreshed, but the bundle could not be written: {error.message}")
    result.versions = versions_after(state, committed)
    if committed is not None:
        version = str(result.versions["timestamp"])
        _, problem = invalidate(publisher, {TIMESTAMP_KEY: version, BUNDLE_KEY: version})
        result.warnings += [problem] if problem else []
    return result


def _check_recovery(publisher: Publisher, state: PublishedState, seen: Seen | None, now: datetime) -> None:
    """Refuse to re-sign an expired state unless it can be shown to be the newest."""
    if not (expired := expired_roles(state, publisher.trust, now)):
        return
    tree = publisher.tree if publisher.tree.complete else source.load_tree(publisher.tree.root)
    ingestion = Ingestion(enabled=tree.config.registry.ingest)
    sources = Sources(plugins_of(tree, publisher.realm, None), is_complete=True, ingestion=ingestion)
    compiled = {index_target(plugin): sources.own(plugin)[0] for plugin in sources.plugins}
    if reasons := reasons_against_recovery(state, publisher.trust, seen, compiled, now):
        role, since = min(expired.items(), key=lambda each: each[1])
        raise ExpiredStateError(
            f"the published metadata in {publisher.storage.description} has expired ({role} on {since:%Y-%m-%d}), and "
            f"it can't be shown to be the newest: {'; '.join(reasons)}",
            subject=publisher.realm,
            untouched="nothing was written",
            hint="make sure that nobody restored an old state (git log, sealdex-builder diff, the versions that the "
            "bucket keeps), then: sealdex-builder refresh --allow-expired",
        )


def _refresh_offline(publisher: Publisher) -> list[OfflineRefresh]:
    trust, config, now = publisher.trust, publisher.tree.config, publisher.clock()
    folder = trust_folder(publisher.tree.root, publisher.realm)
    done: list[OfflineRefresh] = []
    if is_due(trust.root.expires, config.roles["root"], now):
        done.append(_renew(publisher, folder, "root", trust.root, now))
    if is_due(trust.targets_role.expires, config.roles["targets"], now):
        done.append(_renew(publisher, folder, "targets", trust.targets_role, now))
    return done


def _renew(publisher: Publisher, folder: Path, role: str, signed: T, now: datetime) -> OfflineRefresh:
    """Sign the next version of an offline role: the same keys, the same content, a later expiry."""
    renewed = copy.deepcopy(signed)
    renewed.version += 1
    renewed.expires = expiry(publisher.tree.config.roles[role], now)
    try:
        data = sign_role(renewed, role, authority_of(publisher.trust.root, role, publisher.keyring))
    except SealdexError as error:
        return OfflineRefresh(role, signed.expires, None, error.message)
    path = folder / f"{renewed.version}.{role}.json"
    require_own_folders(publisher.tree.root, [path], untouched="nothing was written")
    replace_file(path, data)
    return OfflineRefresh(role, signed.expires, path)
