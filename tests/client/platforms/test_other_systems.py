"""What else differs between systems: how a process is told from a later one, and what services need."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.command_scene import make_scene, run

from sealdex.runtime.process import _group
from sealdex.runtime.services import api
from sealdex.store.layout import Store

PS = """#!/bin/sh
# as ps prints a time: in the language and time zone of who asks
echo "${LC_ALL:-C} ${TZ:-local} Sun Nov 29 08:00:00 2026"
"""


def test_a_process_is_the_same_whatever_language_and_time_zone_the_asker_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "bin" / "ps"
    program.parent.mkdir()
    program.write_text(PS)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    monkeypatch.setattr(_group, "Path", lambda path: tmp_path / "no" / path.lstrip("/"))  # a system without /proc
    found = set()
    for language, zone in (("de_DE.UTF-8", "Asia/Shanghai"), ("zh_CN.UTF-8", "America/New_York"), ("C", "UTC")):
        monkeypatch.setenv("LC_ALL", language)
        monkeypatch.setenv("TZ", zone)
        found.add(_group.process_identity(os.getpid()))
    assert found == {"C UTC Sun Nov 29 08:00:00 2026"}


def test_the_real_ps_knows_a_process_and_not_one_that_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_group, "Path", lambda path: tmp_path / "no" / path.lstrip("/"))
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    known = _group.process_identity(child.pid)
    assert known is not None
    assert _group.is_group_left(child.pid, known, "SEALDEX_PLUGIN=acme/app")
    child.communicate(b"\n")
    assert _group.process_identity(child.pid) is None
    assert not _group.is_group_left(child.pid, known, "SEALDEX_PLUGIN=acme/app")


def test_services_are_refused_in_one_line_where_there_are_no_process_groups(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEALDEX_CONFIG", "")
    monkeypatch.setenv("SEALDEX_STORE", "")
    make_scene(tmp_path / "scene")
    monkeypatch.setattr(api, "HAS_GROUPS", False)
    refused = run(Store(str(tmp_path / "store")), "run", "acme/app")
    assert refused.code == 1
    assert refused.out == ""
    assert "they run on Linux and macOS" in refused.err.splitlines()[0]
    assert "nothing was started" in refused.err
