"""Fixtures for the tests of plugins, as `sealdex.testing` names them: ``registry``, ``plugin_host`` and ``plugin``."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from registry_builder.throwaway import Throwaway
from registry_builder.trial import FOLDER_VARIABLE, PLUGIN_VARIABLE, TIMEOUT_S
from sealdex.model.ids import PluginId, parse_plugin_id
from sealdex.model.release import PublishedManifest
from sealdex.runtime import PluginManager
from sealdex.store.installations import find_installation
from sealdex.store.layout import Store
from sealdex.store.manifests import installed_manifest

_ABOUT = ("plugin.yaml", "plugin.yml", "plugin.json")


@dataclass(frozen=True)
class TestedPlugin:
    """The plugin under test, loaded in a host.

    Attributes:
        path: the folder that it is installed in.
        manifest: its manifest as published.
    """

    __test__ = False  # a name for authors, and not a class of tests

    id: PluginId
    version: str
    path: Path
    manifest: PublishedManifest
    host: PluginManager

    def call(self, method: str, /, *params: Any, **named: Any) -> Any:
        """Call a method as the host does: named parameters are checked against ``params_schema``.

        Raises:
            UsageError: the parameters don't match. PluginError: the plugin failed. And whatever the method raises.
        """
        return self.host.call(str(self.id), method, *params, **named)

    @property
    def target(self) -> Any:
        """The object of its entry point; for a process, a proxy."""
        return self.host.get(str(self.id))


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``sealdex_plugin`` to pytest's settings: the plugin's id where its folder doesn't say it."""
    parser.addini("sealdex_plugin", "NS/NAME of the plugin under test", default="")


@pytest.fixture(scope="session")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Throwaway:
    """Return a registry with a trust root of its own, and a host's store beside it."""
    return Throwaway(tmp_path_factory.mktemp("sealdex"))


@pytest.fixture(scope="session")
def _installed(registry: Throwaway, pytestconfig: pytest.Config) -> tuple[PluginId, str]:
    folder, plugin = _under_test(pytestconfig)
    added = registry.add(folder, plugin)
    tree = folder.parents[2] if len(folder.parents) > 2 else folder
    if (tree / "registry.toml").is_file():
        registry.add_released(tree, plugin)
    registry.publish()
    with registry.client() as client:
        client.install(f"{plugin}@={added.version}", fallback=False)
    return plugin, added.version


@pytest.fixture
def plugin_host(registry: Throwaway) -> Iterator[PluginManager]:
    """Yield a host without plugins, on the store of ``registry``."""
    with PluginManager(registry.store, load_timeout=TIMEOUT_S) as host:
        yield host


@pytest.fixture
def plugin(_installed: tuple[PluginId, str], registry: Throwaway, plugin_host: PluginManager) -> TestedPlugin:
    """Return the plugin under test, loaded with the first example of its ``config_schema`` as configuration."""
    asked, version = _installed
    found = find_installation(Store(registry.store), asked, version)
    if found is None:
        pytest.fail(f"{asked} {version} has no files for this host")
    manifest = installed_manifest(found)
    examples = (manifest.config_schema or {}).get("examples") or [{}]
    plugin_host.register(asked, version=version, config=examples[0])
    plugin_host.init()
    return TestedPlugin(asked, version, found.path, manifest, plugin_host)


def _under_test(config: pytest.Config) -> tuple[Path, PluginId]:
    folder = Path(os.environ.get(FOLDER_VARIABLE) or _nearest(config.invocation_params.dir))
    named = os.environ.get(PLUGIN_VARIABLE) or config.getini("sealdex_plugin")
    try:
        return folder, parse_plugin_id(str(named or f"{folder.parent.name}/{folder.name}"))
    except ValueError as error:
        raise pytest.UsageError(f"{error}: write sealdex_plugin = NS/NAME into pytest's settings") from error


def _nearest(start: Path) -> Path:
    for folder in (start, *start.parents):
        if any((folder / name).is_file() for name in _ABOUT):
            return folder
    raise pytest.UsageError(f"no plugin.yaml in {start} or any folder above it: run pytest in the plugin's folder")
