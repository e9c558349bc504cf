"""What the log says of a publish: the state that it goes on from, each change and why, and each role to sign."""

from __future__ import annotations

from registry_builder.baseline.diff import Survey
from registry_builder.baseline.state import PublishedState
from registry_builder.publication.plan import PublishPlan
from sealdex.log import Log

_log = Log("registry_builder.publication")


def log_state(realm: str, storage: str, state: PublishedState | None) -> None:
    """Log which published state the next one is built on."""
    if state is None:
        _log.info(
            "publication.first", "realm {realm}: nothing is published in {storage} yet", realm=realm, storage=storage
        )
        return
    _log.info(
        "publication.state",
        "realm {realm}: {storage} has timestamp {timestamp}, snapshot {snapshot}, targets {targets}, root {root}",
        realm=realm,
        storage=storage,
        timestamp=state.timestamp.version,
        snapshot=state.snapshot.version,
        targets=state.targets.version,
        root=state.root_version,
    )


def log_plan(plan: PublishPlan, found: Survey) -> None:
    """Log what a publish is going to change and why; the bins one by one for ``-vv`` only."""
    if not _log.is_info:
        return
    for change in found.changes:
        _log.info(
            "publication.change",
            "{plugin}: {kind}",
            plugin=change.source.id,
            kind="new" if change.published is None else "differs from what is published",
        )
    for plugin, version in plan.new_releases:
        _log.info("publication.release", "{plugin}: release {version} is new", plugin=plugin, version=version)
    for plugin in plan.carried:
        _log.info("publication.carried", "{plugin} is not in the source tree and stays published", plugin=plugin)
    for plugin in plan.held:
        _log.info("publication.held", "{plugin} lacks events that are published: it stays as it is", plugin=plugin)
    for waiting in plan.waiting:
        _log.info(
            "publication.waiting",
            "namespace {namespace} waits for its own keys: {reason}",
            namespace=waiting.namespace,
            reason=waiting,
        )
    for role in plan.signed_claims:
        _log.info("publication.claim", "{role} is published as its team signed it", role=role)
    for kind, uploads in plan.uploads:
        if uploads:
            size = sum(upload.size for upload in uploads)
            _log.info("publication.uploads", "{count} {kind}, {bytes} bytes", kind=kind, count=len(uploads), bytes=size)
    for role, reason in plan.reasons.items():
        (_log.debug if role in plan.bins else _log.info)(
            "publication.sign", "{role} is to be signed: {reason}", role=role, reason=reason
        )
    if plan.is_empty:
        _log.info("publication.unchanged", "everything is published already, and nothing has to be signed again")
