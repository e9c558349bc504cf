"""What a first installation waits for: transactions and flushes, counted, since each takes a disk's time."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from support.plugin_registry import PluginRegistry
from support.tree_server import TreeServer

from sealdex import Client
from sealdex.config.config import Config, ConfigDocument, RegistrySection
from sealdex.store.database import State
from sealdex.store.layout import Store


@pytest.fixture
def flushed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The paths of what was flushed, in order."""
    paths: list[str] = []
    real = os.fsync

    def fsync(descriptor: int) -> None:
        link = Path(f"/proc/self/fd/{descriptor}")  # on Linux
        paths.append(str(link.readlink()) if link.exists() else "")
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    return paths


def test_a_first_installation_flushes_what_it_installs_and_three_transactions(
    tmp_path: Path, flushed: list[str]
) -> None:
    registry = PluginRegistry()
    registry.plugin("acme/slack")
    registry.release("acme/slack", "1.0.0")
    registry.publish()
    (tmp_path / "root.json").write_bytes(registry.root)
    with TreeServer(registry.files) as server:
        sections = {"public": RegistrySection(url=server.url, root="root.json")}
        config = Config(tmp_path / "config.toml", tmp_path / "store", ConfigDocument(registries=sections))
        with Client(config) as client:
            done = client.install("acme/slack")[0].installation
            assert done is not None
            [file] = [path for path in Path(done.path).rglob("*") if path.is_file() and path.parent == Path(done.path)]
            assert file.stat().st_size
            # the file; its folder; receipt, list of files and manifest; their folder and the one above; then the names
            # of version, plugin and namespace; last the switch. Nothing of the cache, whose files are hashed when used.
            assert len(flushed) == 1 + 1 + 3 + 2 + 3 + 1, flushed
            # preparing with the tables, committed, done: the counter in the database's header
            assert int.from_bytes(State(Store(config.store)).change_counter() or b"", "big") == 3

            flushed.clear()
            fetched = client.fetch("acme/slack")
            assert len(flushed) == 2, "the file whose path the user is given, and its name"
            assert fetched[0].path is not None
