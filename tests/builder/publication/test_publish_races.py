"""Several publishers at once: every release lands exactly once, nobody waits for a lock, losers start over."""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from pathlib import Path

import pytest
from support.publishing_child import Raced, own_folders, publishers, race_publishing
from support.source_trees import Tree
from support.stock_client import StockClient

from registry_builder.publication.publish import open_publisher, publish_realm
from registry_builder.storage import open_storage
from registry_builder.storage.headers import TIMESTAMP_KEY


def race(tree: Tree, tmp_path: Path, storage_uri: str, racers: int, extra: dict[str, str]) -> list[Raced]:
    for number in range(racers):
        tree.plugin(f"acme/racer-{number}")
        tree.release(f"acme/racer-{number}", "1.0.0")
    storage = open_storage(storage_uri, base=tree.root)
    publish_realm(open_publisher(tree.load("acme/slack", "acme/mail"), "public", storage=storage))
    raced = race_of(tree, tmp_path, storage_uri, [f"acme/racer-{number}" for number in range(racers)], extra)
    reader = StockClient(storage, (tree.root / "trust/public/1.root.json").read_bytes())
    names = {f"acme/racer-{n}" for n in range(racers)}
    assert set(reader.catalog()) == names | {"acme/slack", "acme/mail"}
    assert all(reader.versions(name) == ["1.0.0"] for name in names)
    state = publish_realm(open_publisher(tree.load(), "public", storage=storage))
    assert not state.committed
    assert state.versions["timestamp"] == 1 + racers  # every release landed in exactly one commit
    return raced


def race_of(tree: Tree, tmp_path: Path, uri: str, plugins: list[str], extra: dict[str, str]) -> list[Raced]:
    context = publishers()
    barrier = context.Barrier(len(plugins))
    reports = [tmp_path / f"raced-{number}.json" for number in range(len(plugins))]
    environment = {**own_folders(tmp_path), **extra}
    children = [
        context.Process(target=race_publishing, args=(tree.root, uri, plugin, barrier.wait, environment, report))
        for plugin, report in zip(plugins, reports, strict=True)
    ]
    for child in children:
        child.start()
    for child in children:
        child.join()
    assert [child.exitcode for child in children] == [0] * len(plugins)
    return [Raced(**json.loads(report.read_text())) for report in reports]


@pytest.mark.parametrize("racers", [2, 4])
def test_publishers_at_once_on_a_folder_lose_nothing(tree: Tree, tmp_path: Path, racers: int) -> None:
    race(tree, tmp_path, "folder:../published/public", racers, {})


@pytest.mark.slow
def test_twenty_publishers_at_once_on_s3_lose_nothing(tree: Tree, tmp_path: Path, s3_uri: str) -> None:
    credentials = {name: os.environ[name] for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")}
    raced = race(tree, tmp_path, s3_uri, 20, credentials)
    assert sum(each.attempts for each in raced) > 20  # they did meet
    for each in raced:
        check_requests(each)


def check_requests(raced: Raced) -> None:
    """Hold one publisher to what the protocol asks for: what its attempts and the numbers that were taken cost."""
    verbs: dict[str, list[str]] = {"GET": [], "PUT": [], "HEAD": []}
    for request in raced.requests:
        verb, _, key = request.partition(" ")
        verbs[verb].append(key)
    puts, taken = Counter(verbs["PUT"]), [key for key in verbs["HEAD"] if key != TIMESTAMP_KEY]
    # attempts end with a swap, the last of which is won, or sooner, when a number is taken by who won
    swaps = puts.pop(TIMESTAMP_KEY)
    puts -= Counter(verbs["PUT"][:2])  # refused, which proves that the store looks at conditions
    assert 1 <= swaps <= raced.attempts
    assert len(verbs["HEAD"]) - len(taken) == swaps - 1
    # nothing else is put twice: a file that was put is remembered, and so is a number that is taken
    assert set(puts.values()) == {1}
    # an attempt reads two roots (the second is missing), timestamp, snapshot, targets, packages, catalog, bin, shard;
    # a number that is taken costs a PUT, a HEAD that says so, and a GET that says whether the race is lost by now
    assert len(verbs["GET"]) == 9 * raced.attempts + len(taken)
    signed = Counter(kind_of(key) for key in puts) - Counter(map(kind_of, taken))
    assert signed["snapshot"] == swaps
    assert swaps <= signed["catalog"] <= signed["bin"] <= raced.attempts
    # artifact, manifest and index document once, however many attempts; the bundle past the commit point
    assert (signed["plugins"], signed["index"], signed["recent.bundle"]) == (2, 1, 1)
    assert 1 <= signed["catalogue shard"] <= raced.attempts
    assert set(signed) == {"bin", "catalog", "snapshot", "plugins", "index", "recent.bundle", "catalogue shard"}


def kind_of(key: str) -> str:
    if role := re.fullmatch(r"metadata/[0-9]+\.([a-z]+).*\.json", key):
        return role[1]
    if key.startswith("targets/catalog/"):
        return "catalogue shard"
    return key.removeprefix("targets/").removeprefix("metadata/").partition("/")[0]


def test_a_first_publish_by_two_at_once_gives_one_registry(tree: Tree, tmp_path: Path) -> None:
    race_of(tree, tmp_path, "folder:../published/public", ["acme/slack", "acme/mail"], {})
    storage = open_storage("folder:../published/public", base=tree.root)
    reader = StockClient(storage, (tree.root / "trust/public/1.root.json").read_bytes())
    assert reader.catalog() == {"acme/slack": "1.0.0", "acme/mail": "0.1.0"}
    assert reader.versions("acme/slack") == ["1.0.0"]
