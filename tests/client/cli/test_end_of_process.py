"""How the process of a plain call ends: at once, but with everything said, called and waited for."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest


def end_of(tmp_path: Path, before: str, *args: str) -> subprocess.CompletedProcess[str]:
    end = "from sealdex.cli.main import program\nsys.exit(program())"
    program = f"import sys, atexit, os, threading\n{before}\n{end}"
    environment = {"SEALDEX_STORE": str(tmp_path / "store"), "SEALDEX_CONFIG": str(tmp_path / "none.toml"), "PATH": ""}
    command = [sys.executable, "-c", program, *args]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=120)


TOLD = """
def told(code, end=os._exit):
    os.write(1, b"ended at once")
    end(code)
os._exit = told
"""


@pytest.mark.parametrize(
    ("before", "args", "is_at_once"),
    [
        ("", ["info", "acme/slack", "--json"], True),
        ("", ["info", "acme/slack", "--json", "--pre"], False),  # not a plain call
        ("threading.Thread(target=threading.main_thread().join).start()\n", ["info", "acme/slack", "--json"], False),
        ("sys.settrace(lambda *_: None)\n", ["info", "acme/slack", "--json"], False),
    ],
    ids=["plain", "another call", "a thread is at work", "traced"],
)
def test_all_is_said_and_called_however_it_ends(
    tmp_path: Path, before: str, args: list[str], *, is_at_once: bool
) -> None:
    done = end_of(tmp_path, TOLD + "atexit.register(print, 'called at the end')\n" + before, *args)
    assert done.returncode not in {0, 1}, done.stderr
    assert done.stdout.startswith("{")
    assert "called at the end" in done.stdout
    assert ("ended at once" in done.stdout) == is_at_once
