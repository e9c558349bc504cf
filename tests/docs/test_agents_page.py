"""docs/agents.md, run as written: its blocks in one shell, and what it says is printed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from support.pages_as_written import BLOCK, run_page
from support.places import REPOSITORY

PAGE = (REPOSITORY / "docs" / "agents.md").read_text(encoding="utf-8")


@pytest.mark.slow
def test_every_block_runs_and_prints_what_the_page_says(tmp_path: Path) -> None:
    try:
        run_page(PAGE, tmp_path)
    finally:
        store = next(tmp_path.glob("*/agent/store"), None)
        if store is not None:  # a page that failed half-way may have left its service running
            command = [f"{Path(sys.executable).parent}/sealdex", "stop", "--store", str(store), "speech/echo-service"]
            subprocess.run(command, capture_output=True, check=False)


def test_the_page_has_the_three_ways_of_the_agent() -> None:
    text = "\n".join(text for kind, text in BLOCK.findall(PAGE) if kind == "sh")
    for command in ("sealdex run ", "plugins.watch(", "sealdex update ", "sealdex job run ", "sealdex ensure "):
        assert command in text
