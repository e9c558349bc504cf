"""An agent's world: the command line on a store of its own, a project, and a registry on loopback. Fixtures.

``acme/slack`` needs ``acme/base``; ``acme/mail`` 0.9.0 is yanked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.commands import Run, captured
from support.plugin_registry import YANKED, PluginRegistry
from support.tree_server import TreeServer


@pytest.fixture
def bare(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs commands in a folder of the project, with nothing configured."""
    monkeypatch.setenv("SEALDEX_CONFIG", str(tmp_path / "config/config.toml"))
    monkeypatch.setenv("SEALDEX_STORE", str(tmp_path / "store"))
    monkeypatch.delenv("SEALDEX_DEBUG", raising=False)
    (tmp_path / "project").mkdir()
    monkeypatch.chdir(tmp_path / "project")
    return captured(capsys)


@pytest.fixture
def registry() -> PluginRegistry:
    made = PluginRegistry()
    made.release("acme/slack", "1.0.0", dependencies={"acme/base": "^1"})
    made.release("acme/slack", "1.1.0", dependencies={"acme/base": "^1"})
    made.release("acme/slack", "2.0.0", channels=("beta",), dependencies={"acme/base": "^1"})
    made.release("acme/base", "1.0.0")
    made.release("acme/mail", "0.9.0", yanked=YANKED)
    made.release("acme/mail", "1.0.0")
    made.publish()
    return made


@pytest.fixture
def server(registry: PluginRegistry) -> Iterator[TreeServer]:
    with TreeServer(registry.files) as running:
        yield running


@pytest.fixture
def run(bare: Run, registry: PluginRegistry, server: TreeServer, tmp_path: Path) -> Run:
    """Runs commands with the registry configured, and impatient with it."""
    root = tmp_path / "given-root.json"
    root.write_bytes(registry.root)
    added = bare("registry", "add", "public", server.url, "--root", root)
    assert added.code == 0, added.err
    config = tmp_path / "config/config.toml"
    config.write_text(config.read_text() + "\n[download]\nretry = 1\n")
    return bare


@pytest.fixture
def want(tmp_path: Path) -> Callable[[str], None]:
    """Writes ``[plugins]`` of the project's sealdex.toml, and what follows."""

    def write(lines: str) -> None:
        (tmp_path / "project/sealdex.toml").write_text(f"[plugins]\n{lines}\n")

    return write
