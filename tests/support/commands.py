"""Runs of the command line `sealdex` in the test's own process, and what came of them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from sealdex.cli.main import main


class Ran(NamedTuple):
    """Exit code and what was written."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """What json mode answered."""
        return json.loads(self.out)


Run = Callable[..., Ran]


def captured(capsys: pytest.CaptureFixture[str]) -> Run:
    """Return what runs one command; what was printed before is forgotten."""

    def run(*args: str | Path) -> Ran:
        capsys.readouterr()
        code = main(list(map(str, args)))
        shown = capsys.readouterr()
        return Ran(code, shown.out, shown.err)

    return run
