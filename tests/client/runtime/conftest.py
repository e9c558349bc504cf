from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.plugin_store import PluginStore

from sealdex.runtime import PluginManager


@pytest.fixture
def plugins(tmp_path: Path) -> PluginStore:
    return PluginStore(tmp_path)


@pytest.fixture
def manager(plugins: PluginStore) -> Iterator[PluginManager]:
    with PluginManager(plugins.store, load_timeout=120) as made:
        yield made
