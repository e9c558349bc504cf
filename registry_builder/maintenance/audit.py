"""Accounts for every file of a published tree: verified, referenced, superseded, left behind, or an unsigned page.

metadata/ targets/ plugins/     what signatures cover, and what they covered earlier
api/v1/, api/services/, ...     plain JSON for programs, by `site.static_api`; not signed
api/stats.json                  download numbers, by `maintenance.downloads`; not signed
everything else                 pages: rewritten by each publish, not signed
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal

from registry_builder.baseline.state import PublishedState
from registry_builder.maintenance._answers import other_answers
from registry_builder.publication.context import Publisher
from registry_builder.publication.reachability import Reached, artifact_problem, walk
from registry_builder.signing.metadata import TargetPin
from registry_builder.site.static_api.keys import (
    CHANGES,
    LIST,
    MAX_SHARDS,
    OPENAPI,
    expected,
    expected_of_hub,
    shard_key,
)
from registry_builder.site.urls import is_answer
from registry_builder.storage import Storage
from registry_builder.storage.headers import BUNDLE_KEY, LOCK_KEY
from registry_builder.storage.listing import Listed, inventory_of
from sealdex.model.downloads import STATS_KEY

SIGNED_FOLDERS = ("metadata/", "targets/", "plugins/")
_VERSIONED = re.compile(r"metadata/(?P<version>[0-9]+)\.(?P<role>.+)\.json")


UnreachedKind = Literal[
    "superseded metadata",
    "metadata that a publish left behind",
    "superseded document, or one that a publish left behind",
    "file that a publish left behind",
    "no metadata",
]


@dataclass(frozen=True)
class Unreached:
    """A file that is no longer referenced, and what it is."""

    file: Listed
    kind: UnreachedKind


@dataclass(frozen=True)
class Audit:
    """All published files of a realm.

    Attributes:
        timestamp: version of the timestamp from which it was read.
        files, size: how many files there are, and their bytes.
        reached: how many of them are referenced; all of these were compared with what was signed.
        hashed: how many artifacts were read and hashed; of the others only existence and size are known.
        pages: how many belong to the site or are otherwise unsigned.
        answers: how many of these are documents of ``api/v1/``.
        left_answers: keys of such documents that belong to nothing that is signed now; `gc` removes them.
        other_answers: keys of such documents that aren't what is made of the signed ones: published by name and not
            caught up with, of another version of this program, or changed by somebody. Missing ones too.
        has_stats: whether download numbers are among these.
        problems: key and what is wrong; if there are any, the tree isn't what was signed.
        unreached: files that are no longer referenced, which is harmless.
    """

    realm: str
    storage: str
    timestamp: int
    files: int
    size: int
    reached: int
    hashed: int
    pages: int
    answers: int
    left_answers: tuple[str, ...]
    other_answers: tuple[str, ...]
    has_stats: bool
    problems: tuple[tuple[str, str], ...]
    unreached: tuple[Unreached, ...]


def audit_realm(publisher: Publisher, *, artifacts: bool = False) -> Audit:
    """Verify every document of a published tree, starting from the root, and account for every other file.

    Args:
        publisher: see `open_publisher`; nothing is signed or written.
        artifacts: read and hash every artifact too.

    Raises:
        NotFoundError: nothing is published.
        VerificationError: the top-level metadata isn't what the trust root vouches for.
        UnavailableError: the storage doesn't answer.
    """
    inventory = inventory_of(publisher.storage)
    with publisher.reader(publisher.clock()) as reader:
        state, reached = walk(publisher, reader)
        others = () if reached.problems else tuple(other_answers(publisher, reader, state))
    there = {listed.key: listed for listed in inventory.listed()}
    problems = {**dict(_by_size(reached, there)), **dict(reached.problems)}
    large = {k: p for k, p in reached.pins.items() if artifacts and k.startswith("plugins/") and k not in problems}
    if large:
        problems |= _by_digest(publisher.storage, large, publisher.workers)
    answers = {key for key in there if is_answer(key)}
    unreached = [Unreached(f, kind_of(f.key, state)) for k, f in sorted(there.items()) if _is_unreached(k, reached)]
    return Audit(
        realm=publisher.realm,
        storage=publisher.storage.description,
        timestamp=state.timestamp.version,
        files=len(there),
        size=sum(listed.size for listed in there.values()),
        reached=sum(key in reached for key in there),
        hashed=len(large),
        pages=sum(not key.startswith(SIGNED_FOLDERS) for key in there),
        answers=len(answers),
        left_answers=tuple(sorted(answers - wanted_answers(publisher, reached.pins))),
        other_answers=others,
        has_stats=STATS_KEY in there,
        problems=tuple(sorted(problems.items())),
        unreached=tuple(unreached),
    )


def wanted_answers(publisher: Publisher, pins: Iterable[str]) -> set[str]:
    """Return the keys that documents of ``api/`` may have, of what is signed and switched on; ``pins`` as walked."""
    api = publisher.tree.config.api
    wanted: set[str] = set()
    if api.enabled:
        wanted |= {LIST, CHANGES, OPENAPI, *map(shard_key, range(MAX_SHARDS)), *expected(pins)}
    if api.model_hub:
        wanted.update(expected_of_hub(pins, {**api.services, **api.models}))
    return wanted


def _is_unreached(key: str, reached: Reached) -> bool:
    return key.startswith(SIGNED_FOLDERS) and key not in reached and key not in {BUNDLE_KEY, LOCK_KEY}


def _by_size(reached: Reached, there: Mapping[str, Listed]) -> Iterable[tuple[str, str]]:
    for key, pin in reached.pins.items():
        listed = there.get(key)
        if listed is None:
            yield key, "it is missing, but signed metadata names it"
        elif listed.size != pin.size and not key.startswith("targets/"):  # may be stored gzipped; has been read by now
            yield key, f"{pin.size} bytes were signed, and {listed.size} were found"


def _by_digest(storage: Storage, pins: Mapping[str, TargetPin], workers: int) -> dict[str, str]:
    with ThreadPoolExecutor(workers) as pool:
        found = pool.map(lambda key: (key, artifact_problem(storage, key, pins[key])), pins)
        return {key: problem for key, problem in found if problem is not None}


def kind_of(key: str, state: PublishedState) -> UnreachedKind:
    """Return what kind of file an unreferenced one is."""
    named = _VERSIONED.fullmatch(key)
    if named is not None:
        current = {**state.versions, "snapshot": state.snapshot.version, "root": state.root_version}.get(named["role"])
        if current is not None and int(named["version"]) < current:
            return "superseded metadata"
        return "metadata that a publish left behind"
    if key.startswith("targets/"):
        return "superseded document, or one that a publish left behind"
    return "no metadata" if key.startswith("metadata/") else "file that a publish left behind"


__all__ = ["SIGNED_FOLDERS", "Audit", "Unreached", "audit_realm", "kind_of", "wanted_answers"]
