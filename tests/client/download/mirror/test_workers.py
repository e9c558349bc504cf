"""Several files at a time, and how that ends."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from sealdex.download.mirror._workers import each_of
from sealdex.download.mirror.contents import MirrorFile


def test_what_still_waits_is_not_fetched_once_the_run_is_interrupted() -> None:
    begun, goes_on, done = threading.Event(), threading.Event(), list[str]()

    def fetch(file: MirrorFile) -> None:
        done.append(file.key)
        begun.set()
        assert goes_on.wait(60)

    def files() -> Iterator[MirrorFile]:
        yield MirrorFile("first", "0" * 64, 1, None, "")
        assert begun.wait(60)
        yield MirrorFile("second", "0" * 64, 1, None, "")
        threading.Timer(0.05, goes_on.set).start()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        each_of(files(), fetch, 1)
    assert done == ["first"]
