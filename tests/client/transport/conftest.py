"""What tests of transports share: no proxy of this machine, and a clock that only they move."""

from __future__ import annotations

import pytest
from support.fake_time import FakeTime


@pytest.fixture(autouse=True)
def _no_proxy(no_proxy: None) -> None:
    pass


@pytest.fixture
def time() -> FakeTime:
    return FakeTime()
