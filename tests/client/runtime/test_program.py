"""Which process of a started program is the supervisor: itself, or in a frozen program a child of it."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from sealdex.runtime.services._program import is_started_as, module_command


def test_an_installation_runs_the_module_and_is_the_process_itself() -> None:
    assert module_command("sealdex.x") == [sys.executable, "-m", "sealdex.x"]
    assert is_started_as(7, 7)
    assert not is_started_as(os.getppid(), os.getpid())


def test_a_frozen_program_runs_it_in_a_child_of_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    assert module_command("sealdex.x") == [sys.executable, "--run-module", "sealdex.x"]
    with subprocess.Popen(["sleep", "60"]) as child:
        try:
            assert is_started_as(os.getpid(), child.pid)
            assert not is_started_as(child.pid, os.getpid())
        finally:
            child.kill()
    assert not is_started_as(os.getpid(), 2**22 + 1)
