"""The fixture that the attacks by archives share."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.archive_scene import Scene


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    """Where an archive attacks."""
    return Scene(tmp_path)
