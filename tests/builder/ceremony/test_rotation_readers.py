"""A new root, watched: readers look before every request of the publish that brings it, and none is ever refused.

Among them one whose CDN goes on saying "not found" for the new root, as CDNs do for seconds.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from support.drill import Drill
from support.source_trees import Tree
from support.stock_client import StockClient
from support.watched_storage import WatchedStorage
from tuf.api.metadata import Metadata, Root

from registry_builder.ceremony.steps import Wanted
from registry_builder.publication.publish import open_publisher, publish_realm
from registry_builder.storage import ObjectMissingError, Storage, StoredObject

ONLINE = {"snapshot": ("new",), "timestamp": ("new",)}
TARGETS = {"targets": ("targets-1", "new")}
DELEGATED = {"packages": ("new",), "catalog": ("new",)}
ROOT = {"root": ("root-1", "new")}


@pytest.fixture
def drill(tree: Tree) -> Drill:
    made = Drill(tree)
    made.new_key("new")
    return made


class _Killed(BaseException):
    """Ends a publish where it stands, as SIGKILL would: no handler for errors sees it."""


class _SlowCdn:
    """What a CDN shows that still says that the newest root isn't there."""

    def __init__(self, storage: Storage, root: int) -> None:
        self._storage = storage
        self._hidden = f"metadata/{root}.root.json"

    def get(self, key: str, *, max_bytes: int) -> StoredObject:
        if key == self._hidden:
            raise ObjectMissingError(key, "the CDN")
        return self._storage.get(key, max_bytes=max_bytes)


def publish_watched(drill: Drill, before: Callable[[str], None]) -> None:
    publisher = drill.publisher()
    publish_realm(
        open_publisher(
            publisher.tree,
            "public",
            storage=WatchedStorage(publisher.storage, before),
            clock=publisher.clock,
            workers=1,
        )
    )


def slow_reader(drill: Drill, folder: Path) -> StockClient:
    root = (drill.root / "trust/public/1.root.json").read_bytes()
    reader = StockClient(_SlowCdn(drill.storage, 2), root, folder)
    reader.updater._trusted_set.reference_time = drill.client("new").updater._trusted_set.reference_time
    return reader


def watched(requests: Sequence[str]) -> Sequence[str]:
    """Leave out what no reader can notice: bins and pages, of which there are many."""
    return [what for what in requests if ".bin-" not in what and "put_mutable" not in what]


@pytest.mark.parametrize("keys", [ONLINE, TARGETS, {**ROOT, **ONLINE, **TARGETS, **DELEGATED}])
def test_no_reader_is_refused_at_any_request(drill: Drill, keys: dict[str, tuple[str, ...]], tmp_path: Path) -> None:
    drill.ceremony("rotate", Wanted(keys=keys))
    drill.tree.release("acme/slack", "1.1.0")
    seen: list[set[str]] = []

    def look(what: str) -> None:
        if watched([what]):
            found = drill.seen() | {slow_reader(drill, tmp_path / "slow").versions("acme/slack")[0]}
            seen.append(found)

    publish_watched(drill, look)
    assert len(seen) > 10
    changes = [found for n, found in enumerate(seen) if n == 0 or found != seen[n - 1]]
    assert changes == [{"1.0.0"}, {"1.1.0"}]  # all of them at once, once
    assert drill.seen() == {"1.1.0"}
    assert slow_reader(drill, tmp_path / "slow").versions("acme/slack")[0] == "1.1.0"
    # from the next publish on the old keys are no part of it
    drill.tree.release("acme/slack", "1.2.0")
    drill.publish()
    newest = Metadata[Root].from_bytes((drill.root / "trust/public/2.root.json").read_bytes()).signed
    timestamp = Metadata.from_bytes(drill.storage.get("metadata/timestamp.json", max_bytes=16_384).data)
    assert set(timestamp.signatures) == set(newest.roles["timestamp"].keyids)


@pytest.mark.parametrize("old_key_is_here", [True, False])
def test_killed_at_any_request_from_targets_on_the_next_publish_succeeds(
    drill: Drill, old_key_is_here: bool, tmp_path: Path
) -> None:
    drill.ceremony("rotate", Wanted(keys={**ONLINE, **TARGETS}))
    if not old_key_is_here:
        drill.take_away("online")
    drill.tree.release("acme/slack", "1.1.0")
    parts = [drill.root.parent / name for name in ("published", "state", "clients")]
    for part in parts:
        shutil.copytree(part, tmp_path / "before" / part.name)
    log: list[str] = []
    publish_watched(drill, log.append)
    root_at = log.index("put_new metadata/2.root.json")
    assert root_at > log.index("put_if_match metadata/timestamp.json")
    first = next(n for n, what in enumerate(log) if what.endswith(".targets.json") and what.startswith("put_new"))
    for at in [n for n, what in enumerate(log) if n >= first and watched([what])]:
        for part in parts:
            shutil.rmtree(part)
            shutil.copytree(tmp_path / "before" / part.name, part)
        count = 0

        def die(what: str, at: int = at) -> None:
            nonlocal count
            if count == at:
                raise _Killed
            count += 1

        with pytest.raises(_Killed):
            publish_watched(drill, die)
        drill.publish()
        assert drill.seen() == {"1.1.0"}, log[at]
        assert drill.storage.get("metadata/2.root.json", max_bytes=10_000).data
