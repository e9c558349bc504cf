"""What tests of mirrors share."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.plugin_registry import PluginRegistry


@pytest.fixture
def root(registry: PluginRegistry, tmp_path: Path) -> Path:
    """The root that the user trusts, as a file."""
    path = tmp_path / "pinned.json"
    path.write_bytes(registry.root)
    return path
