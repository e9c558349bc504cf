"""A test that has a clock of its own gives it to the module that it tests, and not to the whole process.

Servers and watchers of other tests run in threads beside it: a loop that is told an hour ago sleeps for a day.
"""

from __future__ import annotations

import re

from support.places import REPOSITORY

_OF_ALL = re.compile(r"""setattr\(\s*(?:["'](?:[\w.]+\.)?time\.[a-z_]+["']|time,)""")


def test_no_test_changes_the_clock_of_the_whole_process() -> None:
    assert _OF_ALL.search('monkeypatch.setattr("sealdex.cli.progress.time.monotonic", f)')
    assert _OF_ALL.search("monkeypatch.setattr(time, 'sleep', f)")
    assert not _OF_ALL.search('monkeypatch.setattr("sealdex.cli.progress.time", clock)')
    files = sorted((REPOSITORY / "tests").rglob("*.py"))
    found = [file.name for file in files if _OF_ALL.search(file.read_text(encoding="utf-8"))]
    assert found == ["test_fake_clocks.py"]
