"""The one line at the end of install, update and ensure, and the totals of the progress line."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from support.commands import Run, captured
from support.log_lines import LogLines
from support.plugin_registry import PluginRegistry

from sealdex.cli.summary import Totals


def test_the_line_in_words() -> None:
    now = [5.0]
    totals = Totals(clock=lambda: now[0])
    assert totals.in_words() is None
    totals.count("acme/slack 1.0.0", "keep")
    assert totals.in_words() is None
    for name in ("a", "b", "c"):
        totals.count(f"acme/{name} 1.0.0", "unpack")
    now[0] = 7.13
    assert totals.in_words() == "installed 3 plugins in 2.1 s, nothing downloaded"
    totals.fetched_bytes = 41 << 20
    totals.count("acme/d 1.0.0", "repair")
    now[0] = 5 + 59.96
    assert totals.in_words() == "installed 3 plugins, repaired 1 plugin in 1 min 0 s, 41.0 MiB"


@pytest.fixture
def ready(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("SEALDEX_CONFIG", str(tmp_path / "config/config.toml"))
    monkeypatch.setenv("SEALDEX_STORE", str(tmp_path / "store"))
    monkeypatch.chdir(tmp_path)
    made = PluginRegistry()
    made.release("acme/slack", "1.0.0", {"data": os.urandom(5000)}, dependencies={"acme/base": "^1"})
    made.release("acme/slack", "1.1.0", {"data": os.urandom(5000)}, dependencies={"acme/base": "^1"})
    made.release("acme/base", "1.0.0")
    made.publish()
    url = made.write(tmp_path / "published")
    (tmp_path / "root.json").write_bytes(made.root)
    run = captured(capsys)
    assert run("registry", "add", "public", url, "--root", "root.json").code == 0
    return run


def test_install_update_and_ensure_end_by_it(ready: Run, tmp_path: Path) -> None:
    first = ready("install", "acme/slack@1.0.0")
    assert "installed 2 plugins in " in first.err
    assert first.err.rstrip().endswith(" KiB")
    assert "in place" not in first.err
    assert "plugins in" not in ready("install", "acme/slack@1.0.0").err  # nothing was installed
    assert "installed 1 plugin in " in ready("update").err

    (tmp_path / "sealdex.toml").write_text('[plugins]\n"acme/slack" = "=1.0.0"\n')
    assert ready("lock").code == 0
    ready("uninstall", "acme/slack")
    ensured = ready("ensure")
    assert ensured.out.splitlines()[-1].startswith("installed 1 plugin in ")
    assert ensured.out.splitlines()[-1].endswith(" s, nothing downloaded; 1 already in place")
    assert ready("ensure").out == "all 2 plugins are in place\n"


def test_as_lines_of_json_it_has_fields(ready: Run, tmp_path: Path) -> None:
    lines = LogLines.of(ready("install", "acme/slack@1.0.0", "--log-format", "json").err)
    assert lines.one("install.done")["installed"] == ["acme/base 1.0.0", "acme/slack 1.0.0"]
    (tmp_path / "sealdex.toml").write_text('[plugins]\n"acme/slack" = "=1.1.0"\n')
    done = LogLines.of(ready("ensure", "--log-format=json").err).one("install.done")
    assert done["installed"] == ["acme/slack 1.1.0"]
    assert done["bytes"] > 5000
    [failed] = LogLines.of(ready("install", "acme/nothing", "--log-format", "json").err)
    assert failed["level"] == "error"
    assert "\n" not in failed["message"]


def test_json_and_quiet_have_no_such_line(ready: Run) -> None:
    made = ready("install", "acme/slack@1.0.0", "--json")
    assert [set(each) & {"seconds"} for each in json.loads(made.out)["installed"]] == [set(), set()]
    assert "plugins in" not in made.err
    ready("uninstall", "acme/slack")
    assert "plugin" not in ready("install", "acme/slack@1.0.0", "-q").err
