"""Our own scheduled workflow: one issue is open as long as the suite fails with other versions than the pinned ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from support.places import REPOSITORY
from support.workflows import GitHub, git

OWN = REPOSITORY / ".github" / "workflows" / "newest.yml"


def test_one_issue_is_open_as_long_as_something_needs_a_look(tmp_path: Path) -> None:
    github = GitHub(tmp_path, "acme/sealdex")
    clone = tmp_path / "clone"
    clone.mkdir()
    git(clone, "init", "--quiet", "--initial-branch=main")
    workflows = clone / ".github" / "workflows"
    workflows.mkdir(parents=True)

    def run(suite: str, held: str) -> dict[str, Any]:
        described = yaml.safe_load(OWN.read_text(encoding="utf-8"))
        described["jobs"]["suite"] |= {"steps": [{"run": suite}]}
        look = {"id": "look", "run": f"printf 'held<<END\\n%s\\nEND\\n' '{held}' >> \"$GITHUB_OUTPUT\""}
        described["jobs"]["bounds"] |= {"steps": [look]}
        (workflows / "newest.yml").write_text(yaml.safe_dump(described, sort_keys=False), encoding="utf-8")
        git(clone, "add", ".")
        git(clone, "-c", "user.name=t", "-c", "user.email=t@example.org", "commit", "--quiet", "--message=x")
        git(clone, "push", "--quiet", str(github.remote), "main")
        jobs = github.run("newest.yml", "schedule")
        assert jobs["report"].result == "success", jobs["report"].output
        known: dict[str, Any] = github.known
        return known

    assert run("true", "")["issues"] == []
    (issue,) = run("false", "")["issues"]
    assert issue["open"]
    assert "The suite fails" in issue["body"]
    (issue,) = run("true # again", "- `tuf` 8.0.0 is out, and we ask for `<8`")["issues"]
    assert issue["open"]
    assert "The suite fails" not in issue["body"]
    assert "`tuf` 8.0.0 is out" in issue["body"]
    (issue,) = run("true", "")["issues"]
    assert not issue["open"]
