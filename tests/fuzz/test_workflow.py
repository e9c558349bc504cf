"""The scheduled workflow: each reader is in one part of it, and one issue is open as long as something fails."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml
from support.places import REPOSITORY
from support.workflows import GitHub, git

OWN = REPOSITORY / ".github" / "workflows" / "fuzz.yml"


def test_one_issue_is_open_as_long_as_a_reader_fails(tmp_path: Path) -> None:
    github = GitHub(tmp_path, "acme/sealdex")
    clone = tmp_path / "clone"
    clone.mkdir()
    git(clone, "init", "--quiet", "--initial-branch=main")
    workflows = clone / ".github" / "workflows"
    workflows.mkdir(parents=True)

    def run(readers: str) -> list[dict[str, Any]]:
        described = yaml.safe_load(OWN.read_text(encoding="utf-8"))
        del described["jobs"]["readers"]["strategy"]
        described["jobs"]["readers"] |= {"name": "readers", "steps": [{"run": readers}]}
        (workflows / "fuzz.yml").write_text(yaml.safe_dump(described, sort_keys=False), encoding="utf-8")
        git(clone, "add", ".")
        git(clone, "-c", "user.name=t", "-c", "user.email=t@example.org", "commit", "--quiet", "--message=x")
        git(clone, "push", "--quiet", str(github.remote), "main")
        jobs = github.run("fuzz.yml", "schedule")
        assert jobs["report"].result == "success", jobs["report"].output
        issues: list[dict[str, Any]] = github.known["issues"]
        return issues

    assert run("true") == []
    (issue,) = run("false")
    assert issue["open"]
    assert "tests/fuzz/finds/" in issue["body"]
    (issue,) = run("false # again")
    assert issue["open"]
    (issue,) = run("true # again")
    assert not issue["open"]


def test_the_parts_are_as_many_as_the_shell_divides_by() -> None:
    described = yaml.safe_load(OWN.read_text(encoding="utf-8"))["jobs"]["readers"]
    parts = described["strategy"]["matrix"]["part"]
    steps = " ".join(step.get("run", "") for step in described["steps"])
    assert re.findall(r"number % (\d+)", steps) == [str(len(parts))]
    assert parts == list(range(len(parts)))
