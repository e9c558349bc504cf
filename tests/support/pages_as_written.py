"""Runs a page of the documentation as it is written: its blocks in one shell, and compares what it says is printed."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from support import warm_builder
from support.places import REPOSITORY

BLOCK = re.compile(r"^```(sh|text)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_MARK = "=== block {} ==="


def run_page(text: str, folder: Path) -> None:
    """Run every ``sh`` block of a page, and look for the lines of each ``text`` block in what the one before printed.

    Args:
        text: of the page; ``…`` in a line of a ``text`` block stands for anything.
        folder: for what the page makes (``mktemp -d``).
    """
    script = ["set -eu"]
    expected: dict[int, list[str]] = {}
    for kind, block in BLOCK.findall(text):
        if kind == "sh":
            script += [f"echo '{_MARK.format(len(expected))}'", block]
            expected[len(expected)] = []
        else:
            expected[len(expected) - 1] += block.splitlines()
    programs = folder / "programs"
    programs.mkdir()
    warm_builder.write(programs)
    path = os.pathsep.join([str(programs), str(Path(sys.executable).parent), os.environ["PATH"]])
    env = {**os.environ, "PATH": path, "TMPDIR": str(folder), "COLUMNS": "200"}
    done = subprocess.run(
        ["bash", "-c", "\n".join(script)],
        cwd=REPOSITORY,
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    for number, lines in expected.items():
        printed = done.stdout.partition(_MARK.format(number))[2].partition("=== block")[0]
        at = 0
        for line in lines:
            found = re.compile(rf"^\s*{_pattern(line)}\s*$", re.MULTILINE).search(printed, at)
            assert found is not None, f"block {number} does not print '{line}' there:\n{printed}"
            at = found.end()


def _pattern(line: str) -> str:
    return ".*".join(re.escape(part) for part in line.strip().split("…"))
