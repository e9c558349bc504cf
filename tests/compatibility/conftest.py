"""Fixtures: the released versions that everything must go on working with."""

from __future__ import annotations

import pytest
from support.made_once import made_once
from support.released import Released, unpack_release


@pytest.fixture(scope="session")
def v0_1_0(tmp_path_factory: pytest.TempPathFactory) -> Released:
    """Version 0.1.0, the first that was released."""
    folder = made_once(tmp_path_factory, "released-0.1.0", lambda folder: unpack_release("0.1.0", folder))
    return Released("0.1.0", folder)
