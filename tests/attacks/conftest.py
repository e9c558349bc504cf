"""The fixtures that attacks share: by archives, and on an agent."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.agent_scene import bare, registry, run, server, want
from support.archive_scene import Scene

__all__ = ["bare", "registry", "run", "scene", "server", "want"]


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    """Where an archive attacks."""
    return Scene(tmp_path)
