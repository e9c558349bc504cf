"""A publisher killed at any request, on a folder and on S3: readers see the old or the new registry, whole.

The requests about the commit point are always among those that it is killed at, others are drawn at random; with
KILLS=all it is every one.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import signal
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from support.killing import ALL, drawn
from support.publishing_child import (
    LARGE_BYTES,
    DyingStorage,
    die_publishing,
    die_publishing_on_s3,
    log_requests,
    own_folders,
    publishers,
)
from support.source_trees import Tree
from support.stock_client import StockClient

from registry_builder.publication.publish import PublishResult, open_publisher, publish_realm
from registry_builder.storage import ObjectMissingError, Storage, open_storage, s3
from registry_builder.storage.folder import FolderStorage
from sealdex.trust.metadata_bundle import Bundle

pytestmark = pytest.mark.every_bin

OLD = {"acme/slack": ["1.0.0"], "acme/mail": ["0.1.0"]}
NEW = {"acme/slack": ["1.1.0", "1.0.0"], "acme/mail": ["0.1.0"], "acme/news": ["2.0.0"]}
KILLS = 7
"""Requests drawn at random in each test, besides those about the commit point."""


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
    catalogue = client.catalog()
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

    Of a run of bins, and of one of pages, only the first two and the last: they are all alike. Of what is left, the
    swap, the one after it and the last, and some of the others.
    """
    skipped: set[int] = set()
    for alike in (".bin-", "put_mutable", "assets/"):
        run = [n for n, what in enumerate(log, 1) if alike in what and "recent.bundle" not in what]
        skipped |= {*run[2:-1]}
    unlike = [n for n in range(1, len(log) + 1) if n not in skipped]
    swap = log.index("put_if_match metadata/timestamp.json") + 1
    yield from ((n, False) for n in drawn(unlike, KILLS, always={swap, swap + 1, len(log)}))
    yield len(log), True


def log_of(tree: Tree, tmp_path: Path, only: Sequence[str] = ()) -> list[str]:
    """Publish a copy of everything and return the requests that it took."""
    copy = tmp_path / "rehearsal"
    shutil.copytree(tree.root, copy / "source")
    if (tree.root.parent / "published").exists():
        shutil.copytree(tree.root.parent / "published", copy / "published")
    storage = DyingStorage(FolderStorage(copy / "published/public"))
    publish_realm(
        open_publisher(Tree(copy / "source").load(*only), "public", storage=storage, workers=1, use_memory=False)
    )
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
        child = context.Process(target=die_publishing, args=(tree.root, only, at, after, own_folders(tmp_path)))
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
        result = publish_realm(open_publisher(tree.load(*only), "public"))
        assert seen_by(tree, trust) == NEW, at
        assert result.warnings == [] or all("was skipped" in warning for warning in result.warnings)
        bundle = Bundle((published / "public/metadata/recent.bundle").read_bytes())
        assert bundle.member(f"{result.versions['snapshot']}.snapshot.json", 100_000) is not None
    return counts[0], counts[1]


@pytest.mark.slow
def test_an_update_killed_at_any_request(tree: Tree, tmp_path: Path) -> None:
    publish_realm(open_publisher(tree.load(), "public"))
    prepare(tree)
    old, new = kill_everywhere(tree, tmp_path, only=["acme/slack", "acme/news"], old=OLD)
    assert new >= (4 if ALL else 3)  # before the bundle and after it, and between the pages
    assert old + new > (24 if ALL else KILLS)


@pytest.mark.slow
def test_a_first_publish_killed_at_any_request(tree: Tree, tmp_path: Path) -> None:
    prepare(tree)
    old, new = kill_everywhere(tree, tmp_path, only=[], old=None)
    assert new >= (4 if ALL else 3)  # before the bundle and after it, and between the pages
    assert old + new > (24 if ALL else KILLS)


def test_versions_that_a_dead_run_left_behind_are_skipped_not_overwritten(tree: Tree, tmp_path: Path) -> None:
    publish_realm(open_publisher(tree.load(), "public"))
    prepare(tree)
    log = log_of(tree, tmp_path)
    at = next(n for n, what in enumerate(log, 1) if what.startswith("put_if_match"))
    child = publishers().Process(target=die_publishing, args=(tree.root, (), at, False, own_folders(tmp_path)))
    child.start()
    child.join()
    metadata = tree.root.parent / "published/public/metadata"
    left = {path.name: path.read_bytes() for path in metadata.iterdir()}
    assert "2.snapshot.json" in left
    tree.release("acme/slack", "1.2.0")  # so that what follows can't be identical
    result = publish_realm(open_publisher(tree.load(), "public"))
    assert result.versions["snapshot"] == 3
    assert any("2.snapshot.json" in warning for warning in result.warnings)
    for name, data in left.items():
        if name not in {"timestamp.json", "recent.bundle"}:
            assert (metadata / name).read_bytes() == data
    assert seen_by(tree, tmp_path / "client")["acme/slack"] == ["1.2.0", "1.1.0", "1.0.0"]


# --- on S3, where an operation may be several requests ----------------------------------------------------------------


def requests_to_die_at(log: Sequence[str]) -> list[int]:
    """Choose requests, counted from 1: the first, and from the one before the first write, pages but for a few.

    What only read has left nothing behind, wherever it dies. Of the others, the swap, the one after it and the last are
    always among them.
    """
    first_write = next(n for n, what in enumerate(log, 1) if not what.startswith("GET"))
    pages = [n for n, what in enumerate(log, 1) if not re.search(r" (metadata|targets|plugins)/", what)]
    chosen = [1, *(n for n in range(first_write - 1, len(log) + 1) if n not in pages[3:-2])]
    swap = next(n for n, what in enumerate(log, 1) if what.startswith("PUT metadata/timestamp.json"))
    return drawn(chosen, KILLS, always={swap, swap + 1, chosen[-1]})


class OnS3:
    """A registry on S3 with one reader, who keeps what it has seen, and whose publishers die."""

    def __init__(self, tree: Tree, uri: str, tmp_path: Path, client: str = "client") -> None:
        self.tree = tree
        self.uri = uri
        self.storage = open_storage(uri, base=tree.root)
        self._client = tmp_path / client
        credentials = {name: os.environ[name] for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")}
        self._environment = {**own_folders(tmp_path), **credentials}
        self._context = publishers()

    def publish(self, *only: str) -> PublishResult:
        return publish_realm(open_publisher(self.tree.load(*only), "public", storage=self.storage, workers=1))

    def die(self, at: int, *only: str) -> None:
        child = self._context.Process(
            target=die_publishing_on_s3, args=(self.tree.root, self.uri, only, at, self._environment)
        )
        child.start()
        child.join()
        assert child.exitcode == -signal.SIGKILL, at

    def seen(self) -> str | None:
        """Return the newest version of acme/slack after checking all files of it; None when nothing is published."""
        root = (self.tree.root / "trust/public/1.root.json").read_bytes()
        if not self._client.exists():
            try:
                self.storage.get("metadata/timestamp.json", max_bytes=10_000)
            except ObjectMissingError:
                return None
        client = StockClient(self.storage, root, self._client)
        document = client.index("acme/slack")
        assert document is not None
        newest = document.releases[0]
        assert client.catalog()["acme/slack"] == newest.version
        folder = f"plugins/acme/slack/{newest.version}"
        pins = {"manifest.json": newest.manifest.sha256, newest.artifacts[0].file: newest.artifacts[0].sha256}
        for name, sha256 in pins.items():
            data = self.storage.get(f"{folder}/{name}", max_bytes=2 * LARGE_BYTES).data
            assert hashlib.sha256(data).hexdigest() == sha256
        return newest.version


@pytest.mark.slow
def test_an_update_on_s3_killed_at_any_http_request(
    tree: Tree, tmp_path: Path, s3_uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3, "MULTIPART_BYTES", LARGE_BYTES - 1)
    registry = OnS3(tree, s3_uri, tmp_path)
    registry.publish()
    tree.release("acme/slack", "1.1.0", data=bytes(LARGE_BYTES))
    log = log_requests(registry.storage)
    registry.publish("acme/slack")
    rehearsed = list(log)
    assert [what.partition(" ")[0] for what in rehearsed].count("POST") == 2  # the artifact went in parts
    swap = next(n for n, what in enumerate(rehearsed, 1) if what.startswith("PUT metadata/timestamp.json"))
    before = registry.seen()
    counts = [0, 0]
    for number, at in enumerate([*requests_to_die_at(rehearsed), -len(rehearsed)], 2):
        new = f"1.{number}.0"
        tree.release("acme/slack", new, data=bytes(LARGE_BYTES))
        registry.die(at, "acme/slack")
        is_new = not 0 < at <= swap
        assert registry.seen() == (new if is_new else before), at
        counts[is_new] += 1
        result = registry.publish("acme/slack")
        assert all("was skipped" in warning for warning in result.warnings), at
        assert result.committed != is_new, at
        before = new
        assert registry.seen() == before, at
    assert sum(counts) > (16 if ALL else KILLS)
    # before the bundle and after it, between the pages, and when the last answer came
    assert counts[1] >= (4 if ALL else 3)


@pytest.mark.slow
def test_a_first_publish_on_s3_killed_at_each_kind_of_request(
    tree: Tree, tmp_path: Path, s3_uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing, or all of it: an empty prefix for each death, and the publish that follows needs no help."""
    tree.release("acme/slack", "1.1.0", data=bytes(LARGE_BYTES))
    place, _, options = s3_uri.partition("?")
    rehearsal = OnS3(tree, f"{place}/rehearsal?{options}", tmp_path, "rehearsal")
    monkeypatch.setattr(s3, "MULTIPART_BYTES", LARGE_BYTES - 1)
    log = log_requests(rehearsal.storage)
    rehearsal.publish()
    wanted = (
        "POST plugins/acme/slack/1.1.0/slack-1.1.0.bin?uploadId", "PUT targets/index/", "PUT metadata/1.bin-20",
        "PUT metadata/1.catalog", "PUT metadata/1.snapshot", "PUT metadata/1.root", "PUT metadata/timestamp",
        "PUT metadata/recent.bundle",
    )  # fmt: skip
    deaths = [max(n for n, what in enumerate(log, 1) if what.startswith(start)) for start in wanted]
    trials = [n for n, what in enumerate(log, 1) if what.startswith("PUT metadata/recent.bundle")][:-1]
    # the last trial of conditions: the bundle is there; the last death: all of it is
    for number, at in enumerate(drawn([*deaths, trials[-1]], KILLS // 3, always={deaths[-1]})):
        registry = OnS3(tree, f"{place}/{number}?{options}", tmp_path, f"client-{number}")
        registry.die(at)
        assert registry.seen() == ("1.1.0" if at == deaths[-1] else None), log[at - 1]
        registry.publish()
        assert registry.seen() == "1.1.0", log[at - 1]
