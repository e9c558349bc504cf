"""A host's own small limits: a cache of a few bytes, a disk with too little room."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.plugin_registry import PluginRegistry
from support.small_disk import Filler, small_disk
from support.tree_server import TreeServer

from sealdex.cli.main import main
from sealdex.store.cache import ContentCache
from sealdex.store.cache_gc import cached_files

FILES = {"data": random.Random(1).randbytes(100_000)}  # noqa: S311  # test data that doesn't compress


@pytest.fixture
def server() -> Iterator[tuple[TreeServer, bytes]]:
    registry = PluginRegistry()
    for name in ("acme/a", "acme/b"):
        registry.release(name, "1.0.0", {**FILES, "name": name.encode()})
    registry.publish()
    with TreeServer(registry.files) as server:
        yield server, registry.root


def host(folder: Path, server: tuple[TreeServer, bytes], cache: str, store: Path) -> list[str]:
    folder.mkdir()
    (folder / "root.json").write_bytes(server[1])
    config = folder / "config.toml"
    config.write_text(f'[registries.p]\nurl = "{server[0].url}"\nroot = "root.json"\n[cache]\n{cache}\n')
    return ["--config", str(config), "--store", str(store)]


@pytest.mark.parametrize("eviction", ["lru", "lfu", "fifo"])
def test_a_cache_smaller_than_any_file(
    eviction: str, tmp_path: Path, server: tuple[TreeServer, bytes], capsys: pytest.CaptureFixture[str]
) -> None:
    store = tmp_path / "store"
    base = host(tmp_path / "host", server, f'max_bytes = 100\neviction = "{eviction}"', store)
    assert main(["fetch", "acme/a", "--cache-only", "--json", *base]) == 0
    path = Path(json.loads(capsys.readouterr().out)["fetched"][0]["path"])
    assert path.is_file()  # it was asked for, so it is there; the next clean-up may take it
    assert main(["fetch", "acme/a", "--to", str(tmp_path / "out"), *base]) == 0
    assert len(list((tmp_path / "out").iterdir())) == 1
    assert main(["install", "acme/a", "acme/b", *base]) == 0
    capsys.readouterr()
    assert main(["verify", "acme/a", "acme/b", *base]) == 0
    assert sum(file.size for file in cached_files(ContentCache(store / "cache"))) <= 100


def test_lfu_keeps_what_was_fetched_just_now(
    tmp_path: Path, server: tuple[TreeServer, bytes], capsys: pytest.CaptureFixture[str]
) -> None:
    """Nobody has used a new file twice; by the count alone it would always be the first to go."""
    store = tmp_path / "store"
    base = host(tmp_path / "host", server, 'max_bytes = 150_000\neviction = "lfu"', store)
    for _ in range(3):
        assert main(["fetch", "acme/a", "--to", str(tmp_path / "out"), *base]) == 0
    capsys.readouterr()
    assert main(["fetch", "acme/b", "--to", str(tmp_path / "out"), "--json", *base]) == 0
    digest = json.loads(capsys.readouterr().out)["fetched"][0]["sha256"]
    assert ContentCache(store / "cache").find(digest) is not None


def test_no_room_is_said_before_anything_is_fetched(
    tmp_path: Path, server: tuple[TreeServer, bytes], capsys: pytest.CaptureFixture[str]
) -> None:
    with small_disk(tmp_path / "disk", "1m") as disk:
        base = host(tmp_path / "host", server, "", disk / "store")
        assert main(["search", "a", *base]) == 0
        Filler(disk, 350_000)  # room for the two archives, and for the registry's documents, but not for their files
        asked = len(server[0].requests)
        capsys.readouterr()
        assert main(["install", "acme/a", "acme/b", "--json", *base]) == 1
        error = json.loads(capsys.readouterr().out)["error"]
        assert error["untouched"] == "nothing was downloaded"
        assert "acme/a" in error["message"]
        assert "acme/b" in error["message"]
        assert [path for path in server[0].requests[asked:] if path.endswith(".zip")] == []


@pytest.mark.parametrize(("mapping", "code"), [([], 1), ([{"from": "name", "to": "."}], 0)])
def test_an_archive_of_which_little_is_taken_needs_room_for_that(
    mapping: list[dict[str, str]], code: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Between its download with its files, and its download with what an installation keeps free."""
    mebibyte = 1 << 20
    registry = PluginRegistry()
    large = random.Random(2).randbytes(20 * mebibyte)  # noqa: S311  # test data that doesn't compress
    registry.release("acme/a", "1.0.0", {"large": large, "name": b"a"}, artifact={"files": mapping})
    registry.publish()
    with TreeServer(registry.files) as server, small_disk(tmp_path / "disk", "64m") as disk:
        base = host(tmp_path / "host", (server, registry.root), "", disk / "store")
        Filler(disk, 39 * mebibyte)
        assert main(["install", "acme/a", "--json", *base]) == code
        if code:
            assert json.loads(capsys.readouterr().out)["error"]["untouched"] == "nothing was downloaded"
