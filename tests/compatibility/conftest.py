"""Fixtures: the released versions that everything must go on working with."""

from __future__ import annotations

import pytest
from support.released import Released, unpack_release


@pytest.fixture(scope="session")
def v0_1_0(tmp_path_factory: pytest.TempPathFactory) -> Released:
    """Version 0.1.0, the first that was released."""
    return unpack_release("0.1.0", tmp_path_factory.mktemp("released") / "0.1.0")
