"""Time and luck under a test's control: sleeping moves the clock, and nobody waits."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from types import SimpleNamespace

import pytest

from sealdex.transport import Chance


@dataclass
class FakeTime:
    """A clock that only ``sleep`` and ``pass_by`` move; ``slept`` lists the sleeps. Thread-safe."""

    now: float = 1000.0
    luck: float = 0.5
    slept: list[float] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def chance(self) -> Chance:
        return Chance(clock=lambda: self.now, sleep=self.sleep, random=lambda: self.luck)

    def sleep(self, seconds: float) -> None:
        with self._lock:
            self.slept.append(seconds)
            self.now += seconds

    def pass_by(self, seconds: float) -> None:
        with self._lock:
            self.now += seconds


def sleep_in_no_time(monkeypatch: pytest.MonkeyPatch, *modules: str) -> None:
    """Let modules that ``import time`` sleep for no time; others, and servers in threads, have the real one."""
    for module in modules:
        monkeypatch.setattr(f"{module}.time", SimpleNamespace(**{**vars(time), "sleep": lambda _: None}))
