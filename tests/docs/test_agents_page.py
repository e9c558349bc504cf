"""docs/agents.md, run as written: its blocks in one shell, and what it says is printed."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from support.places import REPOSITORY

PAGE = (REPOSITORY / "docs" / "agents.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"^```(sh|text)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def pattern(line: str) -> str:
    return ".*".join(re.escape(part) for part in line.strip().split("…"))


@pytest.mark.slow
@pytest.mark.timeout(540)
def test_every_block_runs_and_prints_what_the_page_says(tmp_path: Path) -> None:
    blocks = BLOCK.findall(PAGE)
    mark = "=== block {} ==="
    script = ["set -eu"]
    expected: dict[int, list[str]] = {}
    for kind, text in blocks:
        if kind == "sh":
            script += [f"echo '{mark.format(len(expected))}'", text]
            expected[len(expected)] = []
        else:
            expected[len(expected) - 1] += text.splitlines()
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    env = {**os.environ, "PATH": path, "TMPDIR": str(tmp_path), "COLUMNS": "200"}
    done = subprocess.run(
        ["bash", "-c", "\n".join(script)],
        cwd=REPOSITORY,
        env=env,
        capture_output=True,
        text=True,
        check=False,
        timeout=500,  # some thirty commands, on a machine that may have other work
    )
    try:
        assert done.returncode == 0, done.stdout + done.stderr
        for number, lines in expected.items():
            printed = done.stdout.partition(mark.format(number))[2].partition("=== block")[0]
            at = 0
            for line in lines:
                found = re.compile(rf"^\s*{pattern(line)}\s*$", re.MULTILINE).search(printed, at)
                assert found is not None, f"block {number} does not print '{line}' there:\n{printed}"
                at = found.end()
    finally:
        store = next(tmp_path.glob("*/agent/store"), None)
        if store is not None:  # a page that failed half-way may have left its service running
            command = [f"{Path(sys.executable).parent}/sealdex", "stop", "--store", str(store), "speech/echo-service"]
            subprocess.run(command, capture_output=True, check=False, timeout=60)


def test_the_page_has_the_three_ways_of_the_agent() -> None:
    text = "\n".join(text for kind, text in BLOCK.findall(PAGE) if kind == "sh")
    for command in ("sealdex run ", "plugins.watch(", "sealdex update ", "sealdex job run ", "sealdex ensure "):
        assert command in text
