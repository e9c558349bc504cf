"""Removes files that metadata of the last days doesn't reference, in two phases with a grace period between them.

A file is removed only if all of this holds: neither the published state nor any snapshot that was current within the
last ``days`` references it; it was written more than ``grace`` days ago; an earlier run on this machine, more than
``grace`` days ago, found it unreferenced too; and the published state verifies as a whole. So a publish in progress,
whose files aren't referenced yet, loses none of them.

    $XDG_STATE_HOME/sealdex-builder/seen/<registry.name>-<registry.id>/<realm>-<storage>.json.gc    what was found when

The marks are kept on this machine, not in the storage, where anyone with write access could speed up a removal. Pages
and roots are never removed; documents of ``api/`` that belong to nothing that is signed now, or are switched off, are.
"""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import msgspec

from registry_builder.baseline.last_seen import memory_of
from registry_builder.baseline.state import PublishedState
from registry_builder.maintenance.audit import SIGNED_FOLDERS, wanted_answers
from registry_builder.publication.context import Publisher
from registry_builder.publication.reachability import PastWalk, walk
from registry_builder.site.urls import is_answer
from registry_builder.storage.headers import BUNDLE_KEY, LOCK_KEY
from registry_builder.storage.listing import Inventory, Listed, inventory_of
from sealdex.errors import SealdexError, VerificationError
from sealdex.model.decode import decode_as

_SNAPSHOT = re.compile(r"metadata/([0-9]+)\.snapshot\.json")
_ROOT = re.compile(r"metadata/[0-9]+\.root\.json")


@dataclass(frozen=True)
class GcPlan:
    """What a run would do.

    Attributes:
        timestamp: version of the timestamp on which it was planned.
        kept: how many files are referenced now, or were within the last days.
        removable: unreferenced, and already marked before the grace period.
        marked: unreferenced, for a later run.
    """

    realm: str
    storage: str
    timestamp: int
    kept: int
    removable: tuple[Listed, ...]
    marked: tuple[Listed, ...]


def plan_gc(publisher: Publisher, *, days: int, grace: int) -> GcPlan:
    """Decide what can be removed; changes nothing.

    Args:
        publisher: see `open_publisher`; it signs nothing.
        days: files that snapshots of that many last days reference are kept.
        grace: days between finding a file unreferenced and removing it.

    Raises:
        NotFoundError: nothing is published.
        VerificationError: a published file isn't what was signed; nothing may be removed then.
        UnavailableError: the storage doesn't answer.
    """
    now, inventory = publisher.clock(), inventory_of(publisher.storage)
    with publisher.reader(now) as reader:
        state, reached = walk(publisher, reader)
    if reached.problems:
        key, reason = reached.problems[0]
        raise VerificationError(
            f"{key} in {publisher.storage.description} is not what was signed: {reason}",
            subject=key,
            untouched="nothing was removed",
            hint="sealdex-builder verify-published shows every difference",
        )
    there = list(inventory.listed())
    kept = {*reached.pins, *reached.metadata, BUNDLE_KEY, LOCK_KEY}
    past = PastWalk(publisher.storage)
    for key in _snapshots_since(there, state, now - timedelta(days=days)):
        kept.update(past.keys(key))
    marks = _load(_marks(publisher))
    before = now - timedelta(days=grace)
    kept |= wanted_answers(publisher, reached.pins)
    free = [f for f in there if _is_ours(f.key) and f.key not in kept and not _ROOT.fullmatch(f.key)]
    removable = {f.key for f in free if f.modified <= before and marks.get(f.key, now) <= before}
    return GcPlan(
        realm=publisher.realm,
        storage=publisher.storage.description,
        timestamp=state.timestamp.version,
        kept=len(there) - len(free),
        removable=tuple(sorted((f for f in free if f.key in removable), key=lambda f: f.key)),
        marked=tuple(sorted((f for f in free if f.key not in removable), key=lambda f: f.key)),
    )


def _is_ours(key: str) -> bool:
    return key.startswith(SIGNED_FOLDERS) or is_answer(key)


def apply_gc(publisher: Publisher, plan: GcPlan) -> None:
    """Remove what is removable and mark the rest for a later run.

    Raises:
        SealdexError: something was published since the plan was made; nothing was removed.
        VerificationError: something was published during the removal and needs a removed file.
    """
    inventory, path = inventory_of(publisher.storage), _marks(publisher)
    if _version(publisher) != plan.timestamp:
        raise SealdexError(
            f"something was published to {plan.storage} meanwhile",
            subject=plan.realm,
            untouched="nothing was removed",
            hint="run gc again",
        )
    _remove(inventory, plan.removable)
    known, now = _load(path), publisher.clock()
    _save(path, {listed.key: known.get(listed.key, now) for listed in plan.marked})
    if plan.removable and _version(publisher) != plan.timestamp:
        with publisher.reader(now) as reader:
            _, reached = walk(publisher, reader)
        gone = sorted(listed.key for listed in plan.removable if listed.key in reached)
        if gone:
            raise VerificationError(
                f"a publish at the same time uses files that were removed: {', '.join(gone[:5])}",
                subject=gone[0],
                untouched="all other files are unchanged",
                hint="restore them from the bucket's versions; don't run gc during a publish",
            )


def _snapshots_since(there: Iterable[Listed], state: PublishedState, since: datetime) -> list[str]:
    """Return the keys of snapshots that were current since a given time; each was until the next was written."""
    versions = {int(match[1]): listed for listed in there if (match := _SNAPSHOT.fullmatch(listed.key))}
    past = sorted(version for version in versions if version <= state.snapshot.version)
    return [
        versions[version].key
        for version, following in itertools.pairwise(past)
        if versions[following].modified >= since
    ]


def _version(publisher: Publisher) -> int:
    with publisher.reader(publisher.clock()) as reader:
        state = reader.open()
    return state.timestamp.version if state is not None else 0


def _remove(inventory: Inventory, files: Iterable[Listed]) -> None:
    for listed in files:
        inventory.delete(listed.key)


def _marks(publisher: Publisher) -> Path:
    seen = memory_of(publisher.tree.config, publisher.realm, publisher.storage.description).path
    return seen.with_name(f"{seen.name}.gc")


def _load(path: Path) -> dict[str, datetime]:
    try:
        return decode_as(path.read_bytes(), dict[str, datetime])
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return {}  # then everything is marked again, and waits longer


def _save(path: Path, marks: Mapping[str, datetime]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f"{path.name}.{os.getpid()}")
    beside.write_bytes(msgspec.json.encode(marks))
    beside.replace(path)


__all__ = ["GcPlan", "apply_gc", "plan_gc"]
