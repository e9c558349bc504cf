"""Several files at a time, and how that ends."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from sealdex.download.mirror import _workers
from sealdex.download.mirror._workers import each_of
from sealdex.download.mirror.contents import MirrorFile


def test_what_still_waits_is_not_fetched_once_the_run_is_interrupted(monkeypatch: pytest.MonkeyPatch) -> None:
    begun, goes_on, done = threading.Event(), threading.Event(), list[str]()

    class Over(threading.Event):
        """Lets the first go on when the run is over, and no earlier: the second would be begun."""

        def set(self) -> None:
            super().set()
            goes_on.set()

    monkeypatch.setattr(_workers, "threading", SimpleNamespace(Event=Over, Thread=threading.Thread))

    def fetch(file: MirrorFile) -> None:
        done.append(file.key)
        begun.set()
        assert goes_on.wait(60)

    def files() -> Iterator[MirrorFile]:
        yield MirrorFile("first", "0" * 64, 1, None, "")
        assert begun.wait(60)
        yield MirrorFile("second", "0" * 64, 1, None, "")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        each_of(files(), fetch, 1)
    assert done == ["first"]
