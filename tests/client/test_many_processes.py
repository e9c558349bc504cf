"""16 processes that install, update, uninstall and tidy one store at once: no error, no loss, nothing left behind."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.plugin_registry import PluginRegistry
from support.stress_child import PLUGINS, VERSIONS
from support.tree_server import TreeServer

from sealdex import Client
from sealdex.store.cache import ContentCache
from sealdex.store.cache_policy import CacheLimits
from sealdex.store.cache_upkeep import tidy, verify_files
from sealdex.store.installations import damaged_folders
from sealdex.store.layout import Store

PROCESSES, ROUNDS, LIMIT_S = 16, 3, 120
TESTS = Path(__file__).parents[1]


@pytest.fixture
def config(tmp_path: Path) -> Iterator[Path]:
    registry = PluginRegistry()
    for version in VERSIONS:
        for plugin in PLUGINS:
            needs = {"acme/base": f"={version}"} if plugin == "acme/app" else {}
            registry.release(
                plugin,
                version,
                {f"{n}.py": f"{plugin} {version} {n}".encode() * 50 for n in range(8)},
                dependencies=needs,
            )
    registry.publish()
    (tmp_path / "root.json").write_bytes(registry.root)
    with TreeServer(registry.files) as server:
        path = tmp_path / "config.toml"
        path.write_text(f'[registries.public]\nurl = "{server.url}/"\nroot = "root.json"\n')
        yield path


def test_one_store_serves_them_all(config: Path) -> None:
    store = config.parent / "store"
    running = [
        subprocess.Popen(
            [sys.executable, "-m", "support.stress_child", str(config), str(store), str(seed), str(ROUNDS)],
            env={**os.environ, "PYTHONPATH": os.pathsep.join([str(TESTS), *sys.path])},
            stderr=subprocess.PIPE,
            text=True,
        )
        for seed in range(PROCESSES)
    ]
    said = []
    for process in running:
        try:
            said.append(process.communicate(timeout=LIMIT_S)[1])
        finally:
            process.kill()
    assert [(p.returncode, text) for p, text in zip(running, said, strict=True) if p.returncode] == []

    place = Store(store)
    with Client(config, store=store) as client:
        client.install("acme/app", "acme/tool")
        assert all(check.is_whole for check in client.verify())
        for installation in client.list():
            name = f"{installation.namespace}/{installation.name} {installation.version}"
            assert (Path(installation.path) / "3.py").read_text() == f"{name} 3" * 50
            assert client.current(f"{installation.namespace}/{installation.name}") is not None
        assert {i.name for i in client.list()} == {"app", "base", "tool"}
    assert damaged_folders(place) == []
    assert [p.name for p in Path(place.staging_folder).iterdir() if p.name != "guard"] == []
    cache = ContentCache(Path(place.cache_folder))
    assert all(is_whole for _, is_whole in verify_files(cache))
    tidy(cache, CacheLimits(0))
    assert [path for path in cache.root.rglob("*") if path.is_file()] == []
