"""16 processes install, update, ensure, switch, roll back, uninstall and collect on one store: no error and no loss."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.fault_server import FaultServer
from support.places import TESTS
from support.plugin_registry import PluginRegistry
from support.store_truth import disagreements
from support.stress_child import PLUGINS, VERSIONS

from sealdex.cli.main import main
from sealdex.store.cache import ContentCache
from sealdex.store.cache_gc import tidy, verify_files
from sealdex.store.cache_policy import CacheLimits
from sealdex.store.installations import installations
from sealdex.store.layout import Store

PROCESSES, ROUNDS = 16, 4


def files_of(plugin: str, version: str) -> dict[str, bytes]:
    """Most stays the same from version to version, so that an update fetches what changed and links the rest."""
    same = random.Random(plugin)  # noqa: S311  # test data
    large = {f"data/{number}": same.randbytes(70_000) for number in range(3)}
    return {**large, "VERSION": version.encode(), "code.py": f"{plugin} {version}\n".encode() * 50}


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultServer]:
    """A registry, configured for this process and its children, and two projects with their locks."""
    registry = PluginRegistry()
    for version in VERSIONS:
        for plugin in PLUGINS:
            needs = {"acme/base": f"={version}"} if plugin == "acme/app" else {}
            registry.release(plugin, version, files_of(plugin, version), dependencies=needs, file_list=True)
    registry.publish()
    (tmp_path / "root.json").write_bytes(registry.root)
    monkeypatch.setenv("SEALDEX_CONFIG", str(tmp_path / "config.toml"))
    monkeypatch.setenv("SEALDEX_STORE", str(tmp_path / "store"))
    with FaultServer() as running:
        for name, data in registry.files.items():
            running.put(f"/{name}", data)
        (tmp_path / "config.toml").write_text(
            f'[registries.public]\nurl = "{running.url("/")}"\nroot = "root.json"\n'
            "[download]\ntimeout = 60\n"  # sixteen at once on a slow machine
        )
        for version in ("1.0.0", "2.0.0"):
            project = tmp_path / "projects" / version
            project.mkdir(parents=True)
            (project / "sealdex.toml").write_text(f'[plugins]\n"acme/app" = "={version}"\n"acme/tool" = "={version}"\n')
            assert main(["lock", "--project", str(project)]) == 0
        yield running


def test_one_store_serves_them_all(server: FaultServer, tmp_path: Path) -> None:
    assert main(["install", *(f"{plugin}@1.0.0" for plugin in PLUGINS)]) == 0
    arguments = [[str(tmp_path / "projects"), str(seed), str(ROUNDS)] for seed in range(PROCESSES)]
    running = [
        subprocess.Popen(
            [sys.executable, "-m", "support.stress_child", *words],
            env={**os.environ, "PYTHONPATH": os.pathsep.join([str(TESTS), *sys.path])},
            stderr=subprocess.PIPE,
            text=True,
        )
        for words in arguments
    ]
    said = []
    try:
        said = [process.communicate()[1] for process in running]
    finally:
        for process in running:
            process.kill()
            process.wait()
    assert [(p.returncode, text) for p, text in zip(running, said, strict=True) if p.returncode] == []

    store = Store(tmp_path / "store")
    assert disagreements(store) == []
    for installation in installations(store):
        for name, data in files_of("/".join(installation.id), installation.version).items():
            assert (Path(installation.path) / name).read_bytes() == data
    assert [r.path for r in server.requests if r.path.endswith(".zip") and "range" in r.headers], (
        "nothing came by files"
    )
    assert main(["install", *PLUGINS]) == 0
    assert disagreements(store) == []

    cache = ContentCache(Path(store.cache_folder))
    assert all(is_whole for _, is_whole in verify_files(cache))
    tidy(cache, CacheLimits(0))
    assert [path for path in cache.root.rglob("*") if path.is_file()] == []
