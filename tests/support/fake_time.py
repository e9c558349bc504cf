"""Time and luck under a test's control: sleeping moves the clock, and nobody waits."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

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
