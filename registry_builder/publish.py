"""Publishing as a whole: read and verify, survey, plan, write, commit; and once more when another was faster.

`publish` is what programs call; the command line is a thin layer over it. It asks nobody anything unless given a
prompt, and the same call again is a success that writes nothing.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import datetime

from registry_builder.commit import Committed, Notice, commit
from registry_builder.compile.bundle import bundle_bytes
from registry_builder.compile.index import Ingestion
from registry_builder.ingest import ingest
from registry_builder.memory import Memory, Seen, memory_of
from registry_builder.plan import PublishPlan, plan_publish
from registry_builder.realms import check_leaks, check_realm, plugins_of
from registry_builder.signing.roles import realm_marker, utc_now
from registry_builder.signing.signers import Keyring
from registry_builder.signing.trust import Trust, load_trust
from registry_builder.site import render_index
from registry_builder.source.tree import SourceTree
from registry_builder.state import PublishedReader, PublishedState
from registry_builder.storage import Body, LostRaceError, Storage, headers_for, open_storage
from registry_builder.storage.folder import FolderStorage
from registry_builder.storage.headers import BUNDLE_KEY
from registry_builder.survey import Sources, Survey, survey
from sealdex.errors import SealdexError
from sealdex.model.catalogue import CatalogueRow
from sealdex.model.ids import PluginId
from sealdex.model.index import index_target

PAGE_KEY = "index.html"

_RACES = 60  # of twenty publishers that start at once the last has lost nineteen times, if all goes as badly as it can
_REMOTE_WORKERS = 16


class ReleaseChangedError(SealdexError):
    """A release that is published was changed in the source tree."""

    code = "release-changed"


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
        warnings: what the user should know although it is done.
    """

    plan: PublishPlan
    committed: bool = False
    versions: dict[str, int] = field(default_factory=dict)
    attempts: int = 1
    requests: Counter[str] = field(default_factory=Counter)
    bytes_put: int = 0
    warnings: list[str] = field(default_factory=list)


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

    def plan(self, state: PublishedState | None, found: Survey, ingestion: Ingestion, now: datetime) -> PublishPlan:
        """Plan what ``found`` asks for on top of ``state``."""
        return plan_publish(
            self.tree.config,
            self.realm,
            self.storage.description,
            trust=self.trust,
            state=state,
            found=found,
            root=self.tree.root,
            ingestion=ingestion,
            now=now,
            min_bits=self.min_bits,
        )

    def commit(self, plan: PublishPlan, state: PublishedState | None, now: datetime) -> Committed:
        """Write and commit ``plan``, and remember the new state."""
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
        memory=memory_of(tree.config, realm, place.description) if use_memory else None,
        clock=clock,
        # a local disk answers at once, and what remains is computing, which threads only make slower
        workers=workers or (1 if isinstance(place, FolderStorage) else _REMOTE_WORKERS),
        allow_expired=allow_expired,
        min_bits=min_bits,
        notice=notice,
    )


def publish(publisher: Publisher, *, only: Collection[PluginId] | None = None, dry_run: bool = False) -> PublishResult:
    """Publish a realm of a source tree.

    Args:
        publisher: see `open_publisher`.
        only: publish just these plugins; what it costs then doesn't depend on how many others there are.
        dry_run: plan, and write nothing.

    Raises:
        ReleaseChangedError: a published release was changed; nothing was written.
        VerificationError: the published state isn't what the trust root vouches for; nothing was written.
        ObjectConflictError, FileChangedError: a file to be published isn't what it must be; nothing was committed.
        LostRaceError: others were faster so many times that it was given up; nothing was committed.
        UnavailableError: the storage doesn't answer.
    """
    tree, config = publisher.tree, publisher.tree.config
    plugins = plugins_of(tree, publisher.realm, only)
    check_leaks(tree, publisher.realm, list(plugins.values()))
    sources = Sources(
        plugins,
        is_complete=tree.complete and only is None,
        ingestion=Ingestion(enabled=config.registry.ingest),
    )
    before = _counted(publisher.storage)
    copied: set[str] = set()  # keys: what lies in the store is never fetched again, whatever race is lost later on
    attempts = 0
    while True:
        attempts += 1
        try:
            result = _attempt(publisher, sources, copied, dry_run=dry_run)
        except _CopiedError as done:
            attempts -= 1
            copied |= done.keys
            sources = sources.with_sizes({**sources.ingestion.sizes, **done.sizes})
        except LostRaceError:
            if attempts == _RACES:
                raise
            time.sleep(random.uniform(0, min(2.0, 0.02 * 1.5**attempts)))  # noqa: S311  # jitter, no secret
        else:
            result.attempts = attempts
            result.requests, result.bytes_put = _spent(publisher.storage, before)
            return result


class _CopiedError(Exception):
    """Artifacts were copied into the store, and the plan has to be made again with their sizes."""

    def __init__(self, keys: set[str], sizes: dict[str, int]) -> None:
        super().__init__()
        self.keys = keys
        self.sizes = sizes


def _attempt(publisher: Publisher, sources: Sources, copied: set[str], *, dry_run: bool) -> PublishResult:
    now = publisher.clock()
    with publisher.reader(now) as reader:
        probe = next((index_target(plugin) for plugin in sources.plugins), "index/-/0")
        state = reader.open(probe)
        found = survey(sources, state, reader)
        plan = publisher.plan(state, found, sources.ingestion, now)
    if plan.violations:
        raise changed_release(plan)
    result = PublishResult(plan)
    if dry_run:
        return result
    if to_copy := [artifact for artifact in plan.ingest if artifact.key not in copied]:
        max_bytes = publisher.tree.config.registry.max_artifact_size
        sizes = ingest(
            to_copy, publisher.storage, max_bytes=max_bytes, workers=publisher.workers, notice=publisher.notice
        )
        raise _CopiedError({artifact.key for artifact in to_copy}, sizes)
    _finish(publisher, plan, state, found, now, result)
    return result


def _finish(
    publisher: Publisher,
    plan: PublishPlan,
    state: PublishedState | None,
    found: Survey,
    now: datetime,
    result: PublishResult,
) -> None:
    committed: Committed | None = None
    if not plan.is_empty:
        committed = publisher.commit(plan, state, now)
        result.committed = True
        result.warnings += [
            f"{key} was left behind by a publish that didn't finish, or belongs to one that goes on; it was skipped"
            for key in committed.skipped
        ]
    elif state is not None:
        publisher.remember(state.timestamp.version, state.timestamp.data, state.snapshot.data)
    result.versions = _versions(state, committed)
    # Past the commit point. What fails here is repaired by the next publish, and nothing trusts it.
    try:
        publisher.put_bundle(state, committed)
        if found.is_complete:
            put_page(publisher, page_rows(found))
    except SealdexError as error:
        result.warnings.append(f"published, but bundle or page could not be written: {error.message}")


def page_rows(found: Survey) -> list[CatalogueRow]:
    """Return the rows of all plugins of a realm, from a complete survey."""
    carried = set(found.carried)
    return [
        *found.rows.values(),
        *(row for shard in found.shards.values() for row in shard if row.id in carried),
    ]


def put_page(publisher: Publisher, rows: list[CatalogueRow]) -> None:
    """Write the realm's page if it isn't there already."""
    page = render_index(publisher.tree.config, publisher.realm, rows, publisher.trust)
    publisher.storage.put_mutable(PAGE_KEY, Body.of_bytes(page, headers_for(PAGE_KEY)), only_if_changed=True)


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


def _versions(state: PublishedState | None, committed: Committed | None) -> dict[str, int]:
    if committed is not None:
        return {role: committed.versions[role] for role in ("timestamp", "snapshot", "targets")}
    if state is None:
        return {}
    return {
        "timestamp": state.timestamp.version,
        "snapshot": state.snapshot.version,
        "targets": state.targets.version,
    }


def _counted(storage: Storage) -> tuple[Counter[str], int]:
    return Counter(storage.requests), storage.bytes_put


def _spent(storage: Storage, before: tuple[Counter[str], int]) -> tuple[Counter[str], int]:
    return Counter(storage.requests) - before[0], storage.bytes_put - before[1]


__all__ = ["PublishResult", "Publisher", "ReleaseChangedError", "open_publisher", "publish"]
