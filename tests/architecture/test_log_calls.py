"""Every call of a room's log: its text is made of its fields, and none is called as what a log record has anyway."""

from __future__ import annotations

import ast
import logging
from collections.abc import Iterator
from pathlib import Path
from string import Formatter

import pytest
from support.places import REPOSITORY

PACKAGES = ("client/sealdex", "registry_builder")
TAKEN = {*vars(logging.LogRecord("n", 0, "p", 0, "m", None, None)), "message", "asctime", "event", "fields"}
TAKEN |= {"time", "level", "logger"}  # of a line of JSON


def calls() -> Iterator[tuple[Path, ast.Call]]:
    for package in PACKAGES:
        for file in sorted((REPOSITORY / package).rglob("*.py")):
            text = file.read_text(encoding="utf-8")
            for node in ast.walk(ast.parse(text)) if "_log = Log(" in text else ():
                if isinstance(node, ast.Call) and len(node.args) == 2 and _is_log(ast.unparse(node.func)):
                    yield file, node


def _is_log(called: str) -> bool:
    return called in {"_log.info", "_log.debug", "said", "say"} or called.startswith("(_log.")


CALLS = list(calls())


@pytest.mark.parametrize(
    ("file", "call"), CALLS, ids=[f"{file.parent.name}/{file.name}:{call.lineno}" for file, call in CALLS]
)
def test_a_call_of_the_log_can_be_written(file: Path, call: ast.Call) -> None:
    event, text = (ast.literal_eval(argument) for argument in call.args)
    fields = {keyword.arg for keyword in call.keywords}
    assert {name for _, name, _, _ in Formatter().parse(text) if name is not None} <= fields
    assert fields & TAKEN == set()
    package = REPOSITORY / ("client/sealdex" if file.is_relative_to(REPOSITORY / "client") else "registry_builder")
    assert event.partition(".")[0] == file.relative_to(package).parts[0].removesuffix(".py")


def test_the_calls_are_found() -> None:
    assert len(CALLS) > 60
