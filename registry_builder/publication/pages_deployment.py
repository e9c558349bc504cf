"""Before and after a deployment to GitHub Pages: what clients would refuse isn't deployed, what was is remembered."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from registry_builder.baseline.fetcher import MAX_METADATA_BYTES
from registry_builder.baseline.last_seen import Seen, memory_of
from registry_builder.baseline.state import PublishedState
from registry_builder.publication._pages_live import (
    NOT_DEPLOYED,
    STALE,
    WORKERS,
    NotDeployableError,
    by_url,
    check_first,
    is_pages,
    reader_of,
    stale_answers,
)
from registry_builder.publication.context import Publisher
from registry_builder.publication.reachability import Reached, artifact_problem, walk_state
from registry_builder.site.search_catalog import MAX_BYTES as MAX_CATALOGUE_BYTES
from registry_builder.site.search_catalog import read_shown
from registry_builder.site.urls import CATALOGUE
from registry_builder.storage import ObjectMissingError
from registry_builder.storage.http import UrlStorage
from registry_builder.storage.listing import inventory_of
from sealdex.errors import SealdexError, UsageError

MAX_BYTES = 1_000_000_000
"""What a site on GitHub Pages may have."""


@dataclass(frozen=True)
class Deployable:
    """A tree that may be deployed.

    Attributes:
        timestamp: its version.
        live: the version that is live; None if nothing is.
        changed: whether anything was signed since; pages may differ in any case.
        files, size: how many files it has, and their bytes.
    """

    timestamp: int
    live: int | None
    changed: bool
    files: int
    size: int


def check_deployment(publisher: Publisher, *, first_publish: bool = False) -> Deployable:
    """Compare the folder of a realm with what is live, and refuse to deploy what clients would refuse.

    Raises:
        NotDeployableError: version numbers would not rise, another deployment took them, the tree is incomplete or too
            large, or nothing is live.
        VerificationError: the folder's tree or what is live isn't what the trust root vouches for, or has expired.
        UsageError: the realm isn't published on GitHub Pages, or its folder is empty.
    """
    ours, reached = _ours(publisher)
    live = by_url(publisher)
    with stale_answers(), reader_of(publisher, live) as reader:
        theirs = reader.open()
    changed = theirs is None or ours.timestamp.data != theirs.timestamp.data
    if theirs is None:
        check_first(None, live, first_publish=first_publish)
    elif changed:
        _check_versions(ours, theirs, live.description)
    _check_names(publisher, ours, live)
    _check_pages(publisher, ours, live.description)
    files = list(inventory_of(publisher.storage).listed())
    size = sum(each.size for each in files)
    if size > MAX_BYTES:
        raise _refused(
            f"the tree has {size} bytes, but GitHub Pages allows at most {MAX_BYTES}",
            live.description,
            "move artifacts elsewhere and give their URL as source, or publish to S3: docs/publishing.md",
        )
    for key, pin in reached.pins.items():
        if problem := artifact_problem(publisher.storage, key, pin):
            raise _refused(f"{key}: {problem}", live.description, "remove the folder and publish again")
    return Deployable(
        ours.timestamp.version,
        theirs.timestamp.version if theirs is not None else None,
        changed,
        len(files),
        size,
    )


def remember_deployment(publisher: Publisher) -> int:
    """Record that the folder's tree is live now, so that nothing older is built upon; return its version."""
    ours, _ = _ours(publisher)
    seen = Seen(
        max(publisher.trust.roots), ours.timestamp.version, ours.timestamp.data.decode(), ours.snapshot.data.decode()
    )
    memory_of(publisher.tree.config, publisher.realm, by_url(publisher).description).save(seen)
    return ours.timestamp.version


def _ours(publisher: Publisher) -> tuple[PublishedState, Reached]:
    if not is_pages(publisher):
        raise UsageError(
            f"realm {publisher.realm} is not published on GitHub Pages: its storage is {publisher.storage.description}",
            subject=publisher.realm,
            untouched=NOT_DEPLOYED,
            hint='write storage = "pages:published" and its url into registry.toml',
        )
    with replace(publisher, memory=None).reader(publisher.clock()) as reader:
        state = reader.open()
        if state is None:
            raise UsageError(
                f"there is no published tree in {publisher.storage.description}",
                subject=publisher.realm,
                untouched=NOT_DEPLOYED,
                hint="sealdex-builder publish",
            )
        reached = walk_state(publisher, state, reader)
    if reached.problems:
        key, reason = reached.problems[0]
        raise _refused(f"{key}: {reason}", publisher.storage.description, "remove the folder and publish again")
    return state, reached


def _check_versions(ours: PublishedState, theirs: PublishedState, address: str) -> None:
    sinking = [
        f"{role} from {there} to {here}"
        for role, there, here in (
            ("root", theirs.root_version, ours.root_version),
            ("snapshot", theirs.snapshot.version, ours.snapshot.version),
            *((role, version, ours.versions.get(role, 0)) for role, version in sorted(theirs.versions.items())),
        )
        if here < there
    ]
    if ours.timestamp.version <= theirs.timestamp.version:
        sinking.insert(0, f"timestamp from {theirs.timestamp.version} to {ours.timestamp.version}")
    if sinking:
        raise _refused(
            f"version numbers would not rise: {', '.join(sinking)}; clients would refuse it, or never see it",
            address,
            "another deployment was faster: run it again, starting from what is live by then",
        )


def _check_names(publisher: Publisher, ours: PublishedState, live: UrlStorage) -> None:
    """Refuse a numbered file that is live with other bytes: another deployment used its name, whatever caches say.

    Timestamp and snapshot state versions alone, so they may be equal in two different publishes.
    """
    keys = [f"metadata/{version}.{role}.json" for role, version in sorted(ours.versions.items())]
    keys.append(f"metadata/{ours.snapshot.version}.snapshot.json")

    def differs(key: str) -> bool:
        try:
            there = live.get(key, max_bytes=MAX_METADATA_BYTES).data
        except ObjectMissingError:
            return False
        return there != publisher.storage.get(key, max_bytes=MAX_METADATA_BYTES).data

    with ThreadPoolExecutor(WORKERS) as pool:
        taken = [key for key, differing in zip(keys, pool.map(differs, keys), strict=True) if differing]
    if taken:
        raise _refused(f"another deployment has already published {taken[0]}", live.description, STALE)


def _check_pages(publisher: Publisher, ours: PublishedState, address: str) -> None:
    """Refuse a tree without its pages: a deployment would remove the live ones."""
    try:
        shown = read_shown(publisher.storage.get(CATALOGUE, max_bytes=MAX_CATALOGUE_BYTES).data)
    except ObjectMissingError:
        shown = None
    if shown is None or shown.snapshot != ours.snapshot.version:
        raise _refused(
            "the pages of the browse site are missing: the previous publish failed before it wrote them",
            address,
            "check its output, fix the problem, and publish again, without --no-site",
        )


def _refused(reason: str, address: str, hint: str) -> SealdexError:
    return NotDeployableError(
        f"this can't be deployed to {address}: {reason}", subject=address, untouched=NOT_DEPLOYED, hint=hint
    )


__all__ = ["Deployable", "check_deployment", "remember_deployment"]
