"""What tests of transports share: no proxy of this machine, and a clock that only they move."""

from __future__ import annotations

import pytest
from support.fake_time import FakeTime


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def time() -> FakeTime:
    return FakeTime()
