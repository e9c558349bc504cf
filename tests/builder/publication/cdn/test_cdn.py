"""Behind a CDN that keeps what it may: readers see a publish at once, and immutable files come from the cache."""

from __future__ import annotations

import urllib.error
import urllib.request
from pathlib import Path

import pytest
from support.source_trees import Tree

from registry_builder.publication.publish import PublishResult, open_publisher, publish_realm
from registry_builder.signing.metadata import bin_of
from registry_builder.storage import Storage, open_storage
from registry_builder.storage.http import UrlStorage
from registry_builder.storage.listing import inventory_of
from sealdex.model.ids import parse_plugin_id
from sealdex.model.index import index_target
from sealdex.transport import Transport
from sealdex.trust import TrustedRegistry


def storage_of(uri: str, tree: Tree) -> Storage:
    return open_storage(uri, base=tree.root)


def run(tree: Tree, uri: str) -> PublishResult:
    return publish_realm(open_publisher(tree.load(), "public", storage=storage_of(uri, tree)))


def ask(url: str) -> tuple[int, str, str]:
    """Return status, what the cache says (MISS, HIT, REVALIDATED ...) and Cache-Control."""
    try:
        with urllib.request.urlopen(url) as answer:
            answer.read()
            return answer.status, answer.headers["X-Cache"], answer.headers["Cache-Control"]
    except urllib.error.HTTPError as error:
        return error.code, error.headers["X-Cache"], error.headers.get("Cache-Control", "")


@pytest.mark.every_bin
def test_each_file_is_cached_as_its_header_says(tree: Tree, s3_uri: str, cdn: str) -> None:
    run(tree, s3_uri)
    kept = 0
    for listed in inventory_of(storage_of(s3_uri, tree)).listed():
        url = f"{cdn}/{listed.key}"
        first, second = ask(url), ask(url)
        assert first[:2] == (200, "MISS"), listed.key
        if listed.key == "metadata/timestamp.json":
            assert first[2] == "no-cache"
            assert second[1] in {"MISS", "REVALIDATED", "EXPIRED"}
        else:
            assert "max-age=" in first[2], listed.key
            assert second[1] == "HIT", listed.key
        immutable = listed.key.startswith(("targets/", "plugins/")) or listed.key[9:10].isdigit()
        assert ("immutable" in first[2]) or not immutable, listed.key
        kept += immutable
    assert kept > 60


def test_readers_behind_the_cache_see_a_publish_at_once_and_never_half_of_it(
    tree: Tree, s3_uri: str, cdn: str, tmp_path: Path
) -> None:
    """The cache holds the old bundle, pages and everything that the old state names; none of it can hide the new."""
    run(tree, s3_uri)
    root = (tree.root / "trust/public/1.root.json").read_bytes()

    def versions(folder: str) -> list[str]:
        with Transport() as transport:
            registry = TrustedRegistry("acme", f"{cdn}/", root, tmp_path / folder, transport)
            document = registry.index(parse_plugin_id("acme/slack"))
        assert document is not None
        return [release.version for release in document.releases]

    assert versions("one") == ["1.0.0"]
    # a client asks for the next root each time, so that the CDN keeps its absence
    assert ask(f"{cdn}/metadata/2.root.json")[:2] in {(404, "HIT"), (404, "MISS")}
    tree.release("acme/slack", "1.1.0")
    run(tree, s3_uri)
    assert versions("one") == ["1.1.0", "1.0.0"]
    assert versions("new") == ["1.1.0", "1.0.0"]


def test_a_missing_file_that_the_cache_remembers_delays_nothing_but_itself(tree: Tree, s3_uri: str, cdn: str) -> None:
    """The builder writes under names that nobody asked for before: what is new has the digest or version in its name.

    The exception is a next root, which clients ask for: its absence is kept as long as the CDN is told, and meanwhile
    they go on with the root that they have, which is still valid.
    """
    run(tree, s3_uri)
    for number in range(2, 4):
        assert ask(f"{cdn}/metadata/{number}.snapshot.json")[:2] == (404, "MISS")
    assert ask(f"{cdn}/metadata/2.snapshot.json")[:2] == (404, "HIT")
    tree.release("acme/slack", "1.1.0")
    run(tree, s3_uri)
    # somebody guessed the next snapshot's name: readers who trust the new timestamp are told that it isn't there yet,
    # an error that names the file and that another attempt cures; nobody is given another file
    assert ask(f"{cdn}/metadata/2.snapshot.json")[:2] == (404, "HIT")
    assert UrlStorage(cdn).get(index_key(tree, s3_uri), max_bytes=1 << 20).data


def index_key(tree: Tree, uri: str) -> str:
    """Return the storage key of the index document that is published now."""
    target = index_target(parse_plugin_id("acme/slack"))
    publisher = open_publisher(tree.load(), "public", storage=storage_of(uri, tree))
    with publisher.reader(publisher.clock()) as reader:
        state = reader.open(target)
        assert state is not None
        reader.load_bins([bin_of(target, state.bits)])
        pin = state.pin(target)
    assert pin is not None
    folder, _, name = target.rpartition("/")
    return f"targets/{folder}/{pin.sha256}.{name}"
