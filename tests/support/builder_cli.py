"""The builder's command line on a test's tree: exit code, or the document that --json prints."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from registry_builder.cli.main import group
from sealdex.cli.errors import run
from sealdex.cli.output import Output


def call(root: Path, *args: object) -> int:
    def command(given: list[str], out: Output) -> object:
        return group.main(["--tree", str(root), *given], standalone_mode=False, obj=out)

    return run(command, [str(arg) for arg in args], prog="sealdex-builder")


def document(root: Path, capsys: pytest.CaptureFixture[str], *args: object, code: int = 0) -> Any:
    capsys.readouterr()
    assert call(root, *args, "--json") == code
    return json.loads(capsys.readouterr().out)
