"""SECURITY.md: each row names a test, which is there, and none is named twice."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from support.places import REPOSITORY

ROOT = REPOSITORY
ROW = re.compile(r"\| (?P<attacker>[^|]+) \| (?P<power>[^|]+) \| (?P<most>[^|]+) \| `(?P<test>[^`|]+)` \|")


def rows() -> list[re.Match[str]]:
    """Return the rows of the tables, without their heads."""
    lines = (ROOT / "SECURITY.md").read_text(encoding="utf-8").splitlines()
    table = [line for line in lines if line.startswith("|") and not re.match(r"\| (attacker|---) ", line)]
    found = [ROW.fullmatch(line) for line in table]
    assert [line for line, match in zip(table, found, strict=True) if match is None] == []
    return [match for match in found if match is not None]


def names_in(path: Path) -> set[str]:
    nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    return {node.name for node in nodes if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")}


def test_the_tests_of_the_tables_exist() -> None:
    tests = [row["test"].partition("::") for row in rows()]
    assert len(tests) > 30
    missing = [f"{file}::{name}" for file, _, name in tests if name not in names_in(ROOT / file)]
    assert missing == []


def test_each_row_has_a_test_of_its_own() -> None:
    tests = [row["test"] for row in rows()]
    assert sorted(test for test in tests if tests.count(test) > 1) == []


def test_every_attack_by_a_lock_or_by_a_hosts_surroundings_has_a_row() -> None:
    shown = {row["test"] for row in rows()}
    honest = {"test_an_honest_lock_is_installed_from_the_cache_when_nobody_answers"}
    for file in ("tests/attacks/test_stranger_locks.py", "tests/attacks/test_host_inputs.py"):
        names = names_in(ROOT / file) - honest
        assert {f"{file}::{name}" for name in names} - shown == set()


def test_every_file_of_attacks_has_a_row() -> None:
    shown = {row["test"].partition("::")[0] for row in rows()}
    files = {f"tests/attacks/{path.name}" for path in (ROOT / "tests" / "attacks").glob("test_*.py")}
    assert files - shown == set()


def test_it_says_how_to_report_and_makes_up_no_address() -> None:
    text = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
    for heading in ("Reporting a vulnerability", "Supported versions", "What is promised", "What is not promised"):
        assert f"\n## {heading}\n" in text
    assert "Report a vulnerability" in text
    assert not re.search(r"[\w.+-]+@[\w-]+\.\w", text)
