"""Publishing as a whole, from reading what is published to telling the CDN; tried again when another was faster.

One attempt goes through these steps:

1. **Read and verify** what is published, as a client would (`registry_builder.baseline.state`).
2. **Compare** the source tree with it (`registry_builder.baseline.diff`). Plugins that the tree seems to have as they
   were earlier are held back.
3. **Plan** (`Publisher.decide`): what claimed namespaces do, then every file and signature. Pure, and done once; only
   copying artifacts into the store, after which their sizes are known, makes a second plan.
4. **Check** what is new (`registry_builder.publication.checks`): it is published for ever.
5. **Write and commit** (`registry_builder.publication.commit`): first the proof that the store refuses what it must
   (`registry_builder.publication.store_proof`), then immutable files, then the one swap of ``timestamp.json``.
   Whatever stops before the swap has published nothing.
6. **Bundle and pages** (`registry_builder.publication.site_update`): nothing trusts them. What fails is a warning, and
   the next publish catches up.
7. **Invalidate** what the CDN has cached of files that were replaced (`registry_builder.publication._cdn`).

A dry run stops before 5 and predicts the rest. `publish_realm` is what programs call; the command line is a thin layer
over it. It asks nobody anything unless given a prompt, and the same call again is a success that writes nothing.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TypeVar

from registry_builder.baseline.diff import Sources, Survey, survey
from registry_builder.baseline.documents import TamperedError
from registry_builder.baseline.state import PublishedReader, PublishedState
from registry_builder.compile.index import Ingestion
from registry_builder.compile.removed_events import EventsRemovedError
from registry_builder.publication._cdn import invalidate
from registry_builder.publication._hub_store import bring_up_to_date, table_of
from registry_builder.publication._plan_log import log_plan, log_state
from registry_builder.publication.bundle_update import put_bundle
from registry_builder.publication.checks import (
    check_attachments,
    check_documents,
    check_names,
    check_new_releases,
    check_readmes,
)
from registry_builder.publication.commit import Committed, RetryState, commit
from registry_builder.publication.context import Attempt, Publisher, open_publisher
from registry_builder.publication.github_pages import on_live_state
from registry_builder.publication.ingest import ingest
from registry_builder.publication.plan import IngestedArtifact, PublishPlan
from registry_builder.publication.planned_files import PlannedFile, planned_files
from registry_builder.publication.site_update import put_site
from registry_builder.publication.store_proof import StoreProof
from registry_builder.source.realms import check_leaks, plugins_of
from registry_builder.storage import LostRaceError, Storage
from registry_builder.storage.headers import TIMESTAMP_KEY
from registry_builder.storage.recorder import Recorder
from sealdex.errors import NotFoundError, SealdexError, UsageError
from sealdex.log import Log, stopwatch
from sealdex.model.ids import PluginId
from sealdex.model.index import index_target

_log = Log("registry_builder.publication")

_R = TypeVar("_R")

_RACES = 60  # of twenty publishers that start at once the last has lost nineteen times, if all goes as badly as it can


class ReleaseChangedError(SealdexError):
    """A release that is published was changed in the source tree."""

    code = "release-changed"


class NotAllPublishedError(EventsRemovedError):
    """Plugins lack events that are published already; they stay as they are published.

    Args:
        results: what was done, a realm each: everything else was published.
        dry_run: whether nothing was to be written.

    Attributes:
        results: the same.
    """

    def __init__(self, results: Sequence[PublishResult], *, dry_run: bool = False) -> None:
        held = [each for result in results for each in result.plan.older if each.plugin in result.plan.held]
        names = ", ".join(str(each.plugin) for each in held)
        stays = f"{names} {'is' if len(held) == 1 else 'are'} published as before; the rest of the tree is published"
        super().__init__(held, untouched="nothing was written" if dry_run else stays, command="sealdex-builder publish")
        self.results = list(results)


@dataclass
class PublishResult:
    """What a publish did.

    Attributes:
        plan: what it wrote, or would write.
        committed: whether anything was written.
        versions: of ``timestamp``, ``snapshot`` and ``targets`` after it.
        attempts: 1, and one more for each race that was lost.
        requests: requests to the storage by verb; with a dry run reads only.
        bytes_put: bytes of bodies that were stored.
        pages: keys of the site's pages that were written, or would be.
        files: every file that was written, or would be, in that order, pages and their assets too.
        invalidated: paths that CloudFront was told to forget.
        warnings: what the user should know although it is done.
    """

    plan: PublishPlan
    committed: bool = False
    versions: dict[str, int] = field(default_factory=dict)
    attempts: int = 1
    requests: Counter[str] = field(default_factory=Counter)
    bytes_put: int = 0
    pages: list[str] = field(default_factory=list)
    files: list[PlannedFile] = field(default_factory=list)
    invalidated: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def publish_realm(
    publisher: Publisher,
    *,
    only: Collection[PluginId] | None = None,
    dry_run: bool = False,
    accept_removed: Collection[PluginId] = (),
    first_publish: bool = False,
) -> PublishResult:
    """Publish a realm of a source tree.

    Args:
        publisher: see `open_publisher`.
        only: publish just these plugins; what it costs then doesn't depend on how many others there are.
        dry_run: plan, and write nothing.
        accept_removed: plugins that are published although they lack events that are published already.
        first_publish: for a realm on GitHub Pages: a person says that nothing was ever deployed.

    Raises:
        NotFoundError: one of ``only`` or ``accept_removed`` isn't in the tree; nothing was written.
        NotAllPublishedError: plugins lack events that are published already. They stay as they are published, and all
            others were published; its ``results`` say what was done. A dry run says it in the plan instead.
        ReleaseChangedError: a published release was changed; nothing was written.
        InvalidReleasesError: a new release has errors; nothing was written.
        VerificationError: the published state isn't what the trust root vouches for; nothing was written.
        ObjectConflictError, FileChangedError: a file to be published isn't what it must be; nothing was committed.
        LockedError: another publisher holds the lock of an exclusive realm; nothing was written.
        ConditionsIgnoredError: the storage ignores the conditions of a write; nothing was published.
        LostRaceError: others were faster so many times that it was given up; nothing was committed.
        UnavailableError: the storage doesn't answer.
    """
    tree, config = publisher.tree, publisher.tree.config
    if only is not None and config.realms[publisher.realm].is_pages:
        raise UsageError(
            "a deployment to GitHub Pages replaces everything, so everything is published at once",
            untouched="nothing was written",
            hint="leave --only out",
        )
    plugins = plugins_of(tree, publisher.realm, only)
    check_leaks(tree, publisher.realm, list(plugins.values()))
    sources = Sources(
        plugins,
        is_complete=tree.complete and only is None,
        ingestion=Ingestion(enabled=config.registry.ingest),
    )
    unknown = [str(plugin) for plugin in accept_removed if plugin not in tree.plugins]
    if unknown:
        raise NotFoundError(
            f"{', '.join(unknown)} is not among the plugins to publish",
            subject=unknown[0],
            untouched="nothing was published",
            hint="name plugins of the source tree with --accept-removed, and those of --only where that is given",
        )
    publisher = on_live_state(publisher, first_publish=first_publish, dry_run=dry_run)
    before = Counter(publisher.storage.requests), publisher.storage.bytes_put
    with StoreProof() as proof:
        job = _Job(publisher, sources, proof, dry_run=dry_run, accept_removed=accept_removed)
        try:
            result, attempts = retry_races(job.attempt)
        except TamperedError as error:
            from registry_builder.publication._tamper_report import explained  # noqa: PLC0415  # rarely needed

            raise explained(error, publisher, sources) from error
    result.attempts = attempts
    result.requests, result.bytes_put = spent(publisher.storage, before)
    lacking = {each.plugin for each in result.plan.older if each.events}
    result.warnings += [
        f"--accept-removed {plugin} was not needed: leave it out, or an older checkout could remove later events"
        for plugin in sorted({*accept_removed} & {*plugins} - lacking)
    ]
    if result.plan.held and not dry_run:
        raise NotAllPublishedError([result])
    return result


def retry_races(attempt: Callable[[], _R]) -> tuple[_R, int]:
    """Call ``attempt`` until it isn't beaten by another publisher; return what it returns and how often it ran.

    Raises:
        LostRaceError: the last of `_RACES` attempts was beaten too.
    """
    number = 1
    while True:
        try:
            return attempt(), number
        except LostRaceError:
            if number == _RACES:
                raise
        delay = random.uniform(0, min(2.0, 0.02 * 1.5**number))  # noqa: S311  # jitter, no secret
        number += 1
        _log.info(
            "publication.lost_race",
            "another publisher committed first; attempt {attempt} follows after {delay} s",
            attempt=number,
            delay=round(delay, 3),
        )
        time.sleep(delay)


def spent(storage: Storage, before: tuple[Counter[str], int]) -> tuple[Counter[str], int]:
    """Return requests and bytes that a storage counted since ``before``, its two counts at that time."""
    return Counter(storage.requests) - before[0], storage.bytes_put - before[1]


class _Job:
    """One publish over all its attempts, and what needn't be done again in the next one."""

    def __init__(
        self,
        publisher: Publisher,
        sources: Sources,
        proof: StoreProof,
        *,
        dry_run: bool,
        accept_removed: Collection[PluginId],
    ) -> None:
        self._publisher = publisher
        self._sources = sources
        self._dry_run = dry_run
        self._accept_removed = accept_removed
        self._copied: set[str] = set()  # keys of artifacts that are in the store by now
        self._checked: set[tuple[PluginId, str]] = set()
        self._retry = RetryState(proof=proof)

    def attempt(self) -> PublishResult:
        """Publish on top of the state as it is now."""
        now = self._publisher.clock()
        with self._publisher.reader(now) as reader:
            state = reader.open(next((index_target(plugin) for plugin in self._sources.plugins), "index/-/0"))
            log_state(self._publisher.realm, self._publisher.storage.description, state)
            attempt = self._plan(state, reader, now)
            log_plan(attempt.plan, attempt.found)
            if to_copy := [a for a in attempt.plan.ingest if a.key not in self._copied and not self._dry_run]:
                self._retry.proof.give(attempt.publisher, state)
                self._ingest(to_copy)
                attempt = self._plan(state, reader, now)
            return _predict(attempt) if self._dry_run else _carry_out(attempt, self._retry)

    def _plan(self, state: PublishedState | None, reader: PublishedReader, now: datetime) -> Attempt:
        """Compare the source tree with ``state``, decide what is published, and check it."""
        found = survey(self._sources, state, reader)
        # on every state that is published onto: another publisher may have published an event meanwhile
        held = tuple(each.plugin for each in found.older if each.events and each.plugin not in self._accept_removed)
        decision = self._publisher.decide(state, found.without(held), self._sources.ingestion, now)
        plan = replace(decision.plan, held=held)
        if plan.violations:
            raise changed_release(plan)
        if self._publisher.validate:
            self._check(plan, found.without(held))
        return Attempt(decision.publisher, self._sources, reader, state, now, decision.found, plan)

    def _check(self, plan: PublishPlan, found: Survey) -> None:
        tree = self._publisher.tree
        if not self._checked.issuperset(plan.new_releases):
            check_new_releases(tree, plan)
            self._checked.update(plan.new_releases)
        check_attachments(tree, plan)
        check_readmes(tree, plan)
        check_documents(tree, found.changes)
        check_names(tree, found.changes)

    def _ingest(self, artifacts: list[IngestedArtifact]) -> None:
        """Copy artifacts into the store, after which their sizes are known."""
        publisher = self._publisher
        max_bytes = publisher.tree.config.registry.max_artifact_size
        _log.info("publication.ingest", "{count} artifacts are copied into the store", count=len(artifacts))
        sizes = ingest(
            artifacts, publisher.storage, max_bytes=max_bytes, workers=publisher.workers, notice=publisher.notice
        )
        self._copied |= {artifact.key for artifact in artifacts}
        self._sources = self._sources.with_sizes({**self._sources.ingestion.sizes, **sizes})


def _carry_out(attempt: Attempt, retry: RetryState) -> PublishResult:
    """Write and commit what was planned, then bundle and pages, and tell the CDN."""
    publisher, plan, state = attempt.publisher, attempt.plan, attempt.state
    result = PublishResult(plan)
    committed: Committed | None = None
    if not plan.is_empty:
        committed = commit(publisher, plan, state, attempt.now, retry)
        result.committed = True
        result.warnings += committed.warnings
        result.warnings += [
            f"{key} was left behind by a publish that didn't finish, or belongs to one that is still running; it was "
            "skipped"
            for key in committed.skipped
        ]
    elif state is not None:
        result.warnings += publisher.remember(state.timestamp.version, state.timestamp.data, state.snapshot.data)
    result.versions = versions_after(state, committed)
    result.warnings += _plan_warnings(plan)
    mutable = Recorder(publisher.storage, write=True)
    attempt = attempt.through(mutable)
    keeps_store = publisher.tree.config.realms[publisher.realm].key_value_store is not None
    keeps_store = keeps_store and publisher.site and attempt.found.is_complete  # --only leaves api/ as it is
    addresses = table_of(publisher.storage) if keeps_store else {}
    # Past the commit point. What fails here is repaired by the next publish, and nothing trusts it.
    try:
        put_bundle(attempt.publisher, state, committed)
        if publisher.site:
            took = stopwatch()
            result.pages = put_site(attempt, snapshot=result.versions.get("snapshot", 0)).written
            _log.info(
                "publication.pages", "{count} pages are written in {seconds} s", count=len(result.pages), seconds=took()
            )
    except SealdexError as error:
        result.warnings.append(f"published, but bundle or pages could not be written: {error.message}")
    result.files = planned_files(plan, committed.versions if committed else {}, mutable.files)
    replaced = {key: sha256 for key, (_, sha256) in mutable.files.items()}
    if committed is not None:
        replaced[TIMESTAMP_KEY] = str(committed.versions["timestamp"])
    result.invalidated, problem = invalidate(publisher, replaced)
    result.warnings += [problem] if problem else []
    if keeps_store and (problem := bring_up_to_date(publisher, addresses)) is not None:
        result.warnings.append(problem)
    return result


def _predict(attempt: Attempt) -> PublishResult:
    """Return what a publish would do; nothing is written."""
    plan, state = attempt.plan, attempt.state
    result = PublishResult(plan, warnings=_plan_warnings(plan))
    mutable = Recorder(attempt.publisher.storage, write=False)
    before = {} if state is None else {**state.versions, **versions_after(state, None)}
    try:
        snapshot = before.get("snapshot", 0) + ("snapshot" in plan.reasons)
        result.pages = _predict_pages(attempt.through(mutable), snapshot)
    except SealdexError as error:
        result.warnings.append(f"the pages that would be written can't be determined: {error.message}")
    result.files = planned_files(plan, {role: version + 1 for role, version in before.items()}, mutable.files)
    return result


def _predict_pages(attempt: Attempt, snapshot: int) -> list[str]:
    """Find out which pages a publish would write; what is there is read and compared."""
    if attempt.plan.is_empty:
        put_bundle(attempt.publisher, attempt.state, None)
    return put_site(attempt, snapshot=snapshot).written if attempt.publisher.site else []


def _plan_warnings(plan: PublishPlan) -> list[str]:
    """Return what the user should know of a plan although nothing is wrong with it."""
    going_back = (each.warning for each in plan.older if each.plugin not in plan.held)
    return [*map(str, plan.waiting), *(warning for warning in going_back if warning is not None)]


def changed_release(plan: PublishPlan) -> ReleaseChangedError:
    """Return the error for a plan with violations; it names every release, with both digests."""
    each = "; ".join(
        f"{change.plugin} {change.version} is published with manifest {change.published.sha256}, "
        f"the source tree has {change.source.sha256}"
        for change in plan.violations
    )
    first = plan.violations[0]
    return ReleaseChangedError(
        f"published releases never change: {each}",
        subject=f"{first.plugin} {first.version}",
        untouched="nothing was written",
        hint=f"restore the release file (git log -- plugins/{first.plugin}/releases/) and make a new version",
    )


def versions_after(state: PublishedState | None, committed: Committed | None) -> dict[str, int]:
    """Return the versions of timestamp, snapshot and targets that are published now."""
    if committed is not None:
        return {role: committed.versions[role] for role in ("timestamp", "snapshot", "targets")}
    if state is None:
        return {}
    return {
        "timestamp": state.timestamp.version,
        "snapshot": state.snapshot.version,
        "targets": state.targets.version,
    }


__all__ = [
    "NotAllPublishedError",
    "PublishResult",
    "Publisher",
    "ReleaseChangedError",
    "open_publisher",
    "publish_realm",
]
