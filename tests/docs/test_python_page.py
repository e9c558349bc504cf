"""docs/python.md: its examples run from top to bottom, and each verb of the client stands on it."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest
from support.places import REPOSITORY
from support.plugin_registry import PluginRegistry

from sealdex import AsyncClient

PAGE = (REPOSITORY / "docs" / "python.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def test_the_examples_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    made = PluginRegistry()
    made.plugin("robotics/kalman", summary="A Kalman filter")
    made.release("robotics/kalman", "1.0.0")
    made.release("robotics/kalman", "1.1.0")
    made.publish()
    made.write(tmp_path / "published")
    (tmp_path / "root.json").write_bytes(made.root)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SEALDEX_CONFIG", str(tmp_path / "config.toml"))
    monkeypatch.setenv("SEALDEX_STORE", str(tmp_path / "store"))
    assert len(BLOCKS) == 6
    for block in BLOCKS:
        exec(compile(block, "docs/python.md", "exec"), {})  # noqa: S102  # our own page
    said = capsys.readouterr().out
    assert "[('robotics/kalman', '1.0.0', '1.1.0')]" in said
    assert "robotics/kalman 1.1.0 unpack" not in said  # the pin held
    assert "robot-1" in said


def test_each_verb_has_its_example() -> None:
    verbs = {name for name, each in inspect.getmembers(AsyncClient, inspect.iscoroutinefunction) if name[0] != "_"}
    assert [name for name in sorted(verbs - {"close"}) if not re.search(rf"[.`]{name}[(`]", PAGE)] == []
