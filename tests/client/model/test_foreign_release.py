"""What manifests of other systems say of a release: one reading, for a host's archive and for an import."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sealdex.install.foreign_manifest import read_foreign
from sealdex.model.foreign_fields import utc
from sealdex.model.foreign_release import engine_dependencies, engine_fields, service_fields


def test_every_problem_of_a_manifest_is_told_with_its_own_names() -> None:
    problems: list[str] = []
    values: dict[str, Any] = {"entryPoint": 5, "configSchema": [], "author": {}, "tags": 1, "dependencies": [5, ""]}
    assert engine_fields(values, problems) == {}
    assert dict(engine_dependencies(values, problems)) == {}
    assert [problem.partition(":")[0] for problem in problems] == [
        "entryPoint",
        "author",
        "configSchema",
        "dependencies[0]",
        "dependencies[1]",
    ]


def test_every_problem_of_a_service_is_told_with_its_own_names() -> None:
    problems: list[str] = []
    values: dict[str, Any] = {
        "port": 80,
        "models": ["x"],
        "dependencies": {"cuda": 5},
        "created_at": "gestern",
        "description": [],
    }
    service_fields(values, problems)
    assert [problem.partition(":")[0] for problem in problems] == [
        "dependencies.cuda",
        "description",
        "models[0]",
        "startup_command",
        "created_at",
    ]


@pytest.mark.parametrize(
    ("file", "values", "said"),
    [
        ("manifest.json", {"name": "x", "version": "1.0"}, ["version: '1.0'"]),
        ("manifest.json", {"name": 5, "entryPoint": []}, ["name: is", "version: is missing", "entryPoint: is"]),
        ("manifest.json", {"name": "x", "version": "1.0.0", "dependencies": ["消息@^1", "a@x y"]}, ["dependencies: "]),
        ("service.json", {"version": "1.0.0", "port": 1}, ["service_id: is missing", "startup_command: is missing"]),
    ],
)
def test_a_host_is_told_all_of_it_at_once(file: str, values: dict[str, Any], said: list[str]) -> None:
    with pytest.raises(ValueError, match=said[0]) as caught:
        read_foreign(file, json.dumps(values).encode())
    assert [each for each in said if each not in str(caught.value)] == []


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("2025-01-16T08:00:00Z", "2025-01-16T08:00:00Z"),
        ("2025-01-16 08:00:00", "2025-01-16T08:00:00Z"),
        ("2025-01-16T08:00:00.123456789+08:00", "2025-01-16T00:00:00Z"),
        ("2025-01-16", "2025-01-16T00:00:00Z"),
        ("2025/1/16 8:00", "2025-01-16T08:00:00Z"),
        ("2025/12/6 18:00:09", "2025-12-06T18:00:09Z"),
        ("2025/1/6", "2025-01-06T00:00:00Z"),
    ],
)
def test_times(text: str, time: str) -> None:
    assert utc(text, "created_at") == time


@pytest.mark.parametrize(
    "value", ["gestern", "", None, 5, "20250116", "2025-W03-4", "2025-13-01", "2025/13/1", "1/16/25 8:00"]
)
def test_what_is_no_time(value: object) -> None:
    with pytest.raises(ValueError, match=r"created_at: .* is not a time"):
        utc(value, "created_at")
