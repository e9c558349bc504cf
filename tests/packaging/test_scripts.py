"""Shell scripts of packaging: what they remove, and that their checks can fail."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from support.places import REPOSITORY

SCRIPTS = [*sorted((REPOSITORY / "scripts").glob("*.sh")), *sorted((REPOSITORY / "packaging").rglob("*.sh"))]
OWN = re.compile(r'(--one-file-system )?"?(\$work/|\$root/|\$place|\$\{venv:\?\}/|\$venv\b|\$2"|\$root"$)')


@pytest.fixture(params=SCRIPTS, ids=lambda path: path.name)
def lines(request: pytest.FixtureRequest) -> list[str]:
    path: Path = request.param
    return path.read_text(encoding="utf-8").splitlines()


def test_what_is_removed_as_a_whole_is_the_script_s_own(lines: list[str]) -> None:
    """OUT and the like may be any folder: `OUT=~ make deb` emptied it."""
    removed = [line.partition("rm -rf ")[2] for line in lines if "rm -rf " in line]
    assert [each for each in removed if OWN.match(each) is None] == []


def test_no_check_is_a_command_with_an_exclamation_mark(lines: list[str]) -> None:
    """``sh -e`` goes on after ``! command``, whichever way it ends: such a check checks nothing."""
    assert [line for line in lines if re.match(r"\s*! ", line)] == []
