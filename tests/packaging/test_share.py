"""Man pages and completions, as packages and wheels carry them."""

from __future__ import annotations

import os
import re
import runpy
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from support.components import missing
from support.places import REPOSITORY

SHARE: dict[str, Any] = runpy.run_path(str(REPOSITORY / "scripts" / "write_share.py"))


@pytest.mark.parametrize("program", ["sealdex", "sealdex-builder"])
def test_the_completions_are_those_that_the_program_prints(program: str) -> None:
    for path, text in SHARE["completions_of"](program):
        assert path.read_text(encoding="utf-8") == text, f"{path} is not up to date: make share"


@pytest.mark.parametrize("program", ["sealdex", "sealdex-builder"])
def test_every_command_has_a_page_that_man_renders_without_a_warning(program: str, tmp_path: Path) -> None:
    if shutil.which("man") is None or shutil.which("groff") is None:
        missing("man and groff", "sudo apt-get install man-db groff")
    pages = dict(SHARE["pages_of"](program))
    assert len(pages) > 30
    assert pages == dict(SHARE["pages_of"](program))
    joined = tmp_path / "all.1"
    joined.write_text("".join(pages.values()), encoding="utf-8")  # one start of groff for all of them
    command = ["groff", "-man", "-Tutf8", "-ww", "-Kutf8", str(joined)]
    shown = subprocess.run(command, capture_output=True, text=True, check=True)
    assert shown.stderr == ""
    plain = re.sub(r".\x08|\x1b\[[0-9;]*m", "", shown.stdout)
    for name in pages:
        assert name.removesuffix(".1").upper() in plain


def test_a_page_says_what_the_help_says(tmp_path: Path) -> None:
    page = dict(SHARE["pages_of"]("sealdex"))["sealdex-install.1"]
    path = tmp_path / "sealdex-install.1"
    path.write_text(page, encoding="utf-8")
    variables = {**os.environ, "MANWIDTH": "200", "LC_ALL": "C.UTF-8", "MAN_KEEP_FORMATTING": ""}
    if shutil.which("man") is None:
        missing("man", "sudo apt-get install man-db")
    shown = subprocess.run(["man", "--warnings", "-l", path], env=variables, capture_output=True, text=True, check=True)
    assert shown.stderr == ""
    for said in ("sealdex install acme/slack --dry-run", "--no-fallback", "Everything is downloaded and verified"):
        assert said in " ".join(shown.stdout.split())  # lines are justified
