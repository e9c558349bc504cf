"""docs/air-gap.md, run as written."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.pages_as_written import run_page
from support.places import REPOSITORY


@pytest.mark.slow
def test_every_block_runs_and_prints_what_the_page_says(tmp_path: Path) -> None:
    run_page((REPOSITORY / "docs" / "air-gap.md").read_text(encoding="utf-8"), tmp_path)
