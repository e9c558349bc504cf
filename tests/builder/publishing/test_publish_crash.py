"""A publisher killed at any request, and several at once: readers see the old or the new registry, whole."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from support.publishing_child import DyingStorage, die_publishing, publishers, race_publishing
from support.source_trees import Tree
from support.stock_client import StockClient

from registry_builder.publish import open_publisher, publish
from registry_builder.storage import Storage, open_storage
from registry_builder.storage.folder import FolderStorage
from sealdex.bundle import Bundle

OLD = {"acme/slack": ["1.0.0"], "acme/mail": ["0.1.0"]}
NEW = {"acme/slack": ["1.1.0", "1.0.0"], "acme/mail": ["0.1.0"], "acme/news": ["2.0.0"]}


def environment(tmp_path: Path) -> dict[str, str]:
    return {"SEALDEX_KEYS": str(tmp_path / "keys"), "XDG_STATE_HOME": str(tmp_path / "state")}


def prepare(tree: Tree) -> None:
    """Make the source tree what NEW says."""
    tree.release("acme/slack", "1.1.0")
    tree.plugin("acme/news", readme="# News\n")
    tree.release("acme/news", "2.0.0")


def storage_of(tree: Tree) -> FolderStorage:
    return FolderStorage(tree.root.parent / "published/public")


def seen_by(tree: Tree, folder: Path, storage: Storage | None = None) -> dict[str, list[str]]:
    """Read everything as a client that keeps its trust in ``folder``, and check every file that is pinned."""
    place = storage or storage_of(tree)
    client = StockClient(place, (tree.root / "trust/public/1.root.json").read_bytes(), folder)
    catalogue = client.catalogue()
    found = {}
    for plugin in ("acme/slack", "acme/mail", "acme/news"):
        document = client.index(plugin)
        if document is None:
            assert plugin not in catalogue
            continue
        found[plugin] = [release.version for release in document.releases]
        assert catalogue[plugin] == found[plugin][0]
        for release in document.releases:
            release_folder = f"plugins/{plugin}/{release.version}"
            pins = [(f"{release_folder}/manifest.json", release.manifest.sha256)]
            pins += [(f"{release_folder}/{a.file}", a.sha256) for a in release.artifacts]
            if document.readme is not None:
                pins.append((f"plugins/{plugin}/readme/{document.readme.sha256}.md", document.readme.sha256))
            for key, sha256 in pins:
                assert hashlib.sha256(place.get(key, max_bytes=10_000).data).hexdigest() == sha256
    return found


def kills(log: Sequence[str]) -> Iterator[tuple[int, bool]]:
    """Yield (request, after it?): before each request, which is after the one before it, and after the last.

    Of a run of bins, and of one of pages, only the first two and the last: they are all alike.
    """
    skipped: set[int] = set()
    for alike in (".bin-", "put_mutable", "assets/"):
        run = [n for n, what in enumerate(log, 1) if alike in what and "recent.bundle" not in what]
        skipped |= {*run[2:-1]}
    yield from ((n, False) for n in range(1, len(log) + 1) if n not in skipped)
    yield len(log), True


def log_of(tree: Tree, tmp_path: Path, only: Sequence[str] = ()) -> list[str]:
    """Publish a copy of everything and return the requests that it took."""
    copy = tmp_path / "rehearsal"
    shutil.copytree(tree.root, copy / "source")
    if (tree.root.parent / "published").exists():
        shutil.copytree(tree.root.parent / "published", copy / "published")
    storage = DyingStorage(FolderStorage(copy / "published/public"))
    publish(open_publisher(Tree(copy / "source").load(*only), "public", storage=storage, workers=1, use_memory=False))
    return storage.log


def kill_everywhere(
    tree: Tree, tmp_path: Path, *, only: Sequence[str], old: dict[str, list[str]] | None
) -> tuple[int, int]:
    """Kill a publish at each request; return how many clients then saw the old state and how many the new."""
    context = publishers()
    counts = [0, 0]
    before = tmp_path / "before"
    published, state = tree.root.parent / "published", tmp_path / "state"
    before.mkdir()
    for folder in (published, state):
        if folder.exists():
            shutil.copytree(folder, before / folder.name)
    client = tmp_path / "client"
    if old is not None:
        assert seen_by(tree, client) == old
    log = log_of(tree, tmp_path, only)
    swap = log.index("put_if_match metadata/timestamp.json") + 1
    for at, after in kills(log):
        for folder in (published, state):
            shutil.rmtree(folder, ignore_errors=True)
            if (before / folder.name).exists():
                shutil.copytree(before / folder.name, folder)
        child = context.Process(target=die_publishing, args=(tree.root, only, at, after, environment(tmp_path)))
        child.start()
        child.join()
        assert child.exitcode == -signal.SIGKILL, at
        trust = tmp_path / f"client-{at}-{after}"
        if client.exists():
            shutil.copytree(client, trust, symlinks=True)
        if (published / "public/metadata/timestamp.json").exists():
            seen = seen_by(tree, trust)
            assert seen in (old, NEW), at
            assert (seen == NEW) == (at > swap), at
            counts[seen == NEW] += 1
        else:
            assert old is None
            counts[0] += 1
        result = publish(open_publisher(tree.load(*only), "public"))
        assert seen_by(tree, trust) == NEW, at
        assert result.warnings == [] or all("was skipped" in warning for warning in result.warnings)
        bundle = Bundle((published / "public/metadata/recent.bundle").read_bytes())
        assert bundle.member(f"{result.versions['snapshot']}.snapshot.json", 100_000) is not None
    return counts[0], counts[1]


def test_an_update_killed_at_any_request(tree: Tree, tmp_path: Path) -> None:
    publish(open_publisher(tree.load(), "public"))
    prepare(tree)
    old, new = kill_everywhere(tree, tmp_path, only=["acme/slack", "acme/news"], old=OLD)
    assert new >= 4  # before the bundle and after it, and between the pages
    assert old > 20


def test_a_first_publish_killed_at_any_request(tree: Tree, tmp_path: Path) -> None:
    prepare(tree)
    old, new = kill_everywhere(tree, tmp_path, only=[], old=None)
    assert new >= 4  # before the bundle and after it, and between the pages
    assert old > 20


def test_versions_that_a_dead_run_left_behind_are_skipped_not_overwritten(tree: Tree, tmp_path: Path) -> None:
    publish(open_publisher(tree.load(), "public"))
    prepare(tree)
    log = log_of(tree, tmp_path)
    at = next(n for n, what in enumerate(log, 1) if what.startswith("put_if_match"))
    child = publishers().Process(target=die_publishing, args=(tree.root, (), at, False, environment(tmp_path)))
    child.start()
    child.join()
    metadata = tree.root.parent / "published/public/metadata"
    left = {path.name: path.read_bytes() for path in metadata.iterdir()}
    assert "2.snapshot.json" in left
    tree.release("acme/slack", "1.2.0")  # so that what follows can't be identical
    result = publish(open_publisher(tree.load(), "public"))
    assert result.versions["snapshot"] == 3
    assert any("2.snapshot.json" in warning for warning in result.warnings)
    for name, data in left.items():
        if name not in {"timestamp.json", "recent.bundle"}:
            assert (metadata / name).read_bytes() == data
    assert seen_by(tree, tmp_path / "client")["acme/slack"] == ["1.2.0", "1.1.0", "1.0.0"]


def race(tree: Tree, tmp_path: Path, storage_uri: str, racers: int, extra: dict[str, str]) -> None:
    for number in range(racers):
        tree.plugin(f"acme/racer-{number}")
        tree.release(f"acme/racer-{number}", "1.0.0")
    storage = open_storage(storage_uri, base=tree.root)
    publish(open_publisher(tree.load("acme/slack", "acme/mail"), "public", storage=storage))
    context = publishers()
    barrier = context.Barrier(racers)
    children = [
        context.Process(
            target=race_publishing,
            args=(tree.root, storage_uri, f"acme/racer-{n}", barrier.wait, {**environment(tmp_path), **extra}),
        )
        for n in range(racers)
    ]
    for child in children:
        child.start()
    for child in children:
        child.join()
    assert [child.exitcode for child in children] == [0] * racers
    reader = StockClient(
        open_storage(storage_uri, base=tree.root), (tree.root / "trust/public/1.root.json").read_bytes()
    )
    names = {f"acme/racer-{n}" for n in range(racers)}
    assert set(reader.catalogue()) == names | {"acme/slack", "acme/mail"}
    assert all(reader.versions(name) == ["1.0.0"] for name in names)
    state = publish(open_publisher(tree.load(), "public", storage=storage))
    assert not state.committed
    assert state.versions["timestamp"] == 1 + racers  # every release landed in exactly one commit


@pytest.mark.parametrize("racers", [2, 4])
def test_publishers_at_once_on_a_folder_lose_nothing(tree: Tree, tmp_path: Path, racers: int) -> None:
    race(tree, tmp_path, "folder:../published/public", racers, {})


def test_twenty_publishers_at_once_on_s3_lose_nothing(tree: Tree, tmp_path: Path, s3_uri: str) -> None:
    credentials = {name: os.environ[name] for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")}
    race(tree, tmp_path, s3_uri, 20, credentials)


def test_a_first_publish_by_two_at_once_gives_one_registry(tree: Tree, tmp_path: Path) -> None:
    context = publishers()
    barrier = context.Barrier(2)
    uri = "folder:../published/public"
    children = [
        context.Process(target=race_publishing, args=(tree.root, uri, name, barrier.wait, environment(tmp_path)))
        for name in ("acme/slack", "acme/mail")
    ]
    for child in children:
        child.start()
    for child in children:
        child.join()
    assert [child.exitcode for child in children] == [0, 0]
    assert seen_by(tree, tmp_path / "client") == OLD
