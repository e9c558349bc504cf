"""The release workflow: what it may, that nothing is published untried, and that exchanged bytes end it."""

from __future__ import annotations

import hashlib
import re
import runpy
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.places import REPOSITORY

FILE = REPOSITORY / ".github" / "workflows" / "release.yml"
DESCRIBED: dict[Any, Any] = yaml.safe_load(FILE.read_text(encoding="utf-8"))
JOBS: dict[str, dict[str, Any]] = DESCRIBED["jobs"]
SCRIPT: dict[str, Any] = runpy.run_path(str(REPOSITORY / "scripts" / "dist.py"))
CHANGES = (REPOSITORY / "CHANGELOG.md").read_text(encoding="utf-8")


def needs(job: str) -> set[str]:
    """Return all jobs that come before one."""
    named = JOBS[job].get("needs", [])
    direct = {named} if isinstance(named, str) else set(named)
    return direct.union(*(needs(each) for each in direct))


def uses(job: str) -> set[str]:
    return {step["uses"].partition("@")[0] for step in JOBS[job]["steps"] if "uses" in step}


def test_only_a_tag_releases() -> None:
    assert DESCRIBED[True] == {"push": {"tags": ["v*"]}}
    assert DESCRIBED["concurrency"]["cancel-in-progress"] is False


def test_each_job_may_do_what_it_does_and_the_powerful_ones_are_in_the_protected_environment() -> None:
    assert DESCRIBED["permissions"] == {}
    assert {name: job["permissions"] for name, job in JOBS.items()} == {
        "build": {"contents": "read"},
        "suite": {"contents": "read"},
        "try": {"contents": "read"},
        "programs": {"contents": "read"},
        "attest": {"id-token": "write", "attestations": "write"},
        "publish-client": {"id-token": "write"},
        "publish-builder": {"id-token": "write"},
        "announce": {"contents": "write"},
    }
    for job in JOBS.values():
        assert ("write" in job["permissions"].values()) == (job.get("environment") == "release")
    assert "secrets." not in FILE.read_text(encoding="utf-8")


def test_nothing_of_this_repository_runs_where_an_upload_is_signed() -> None:
    """Attack: a dependency or a script of ours that turned bad could use the identity of its job."""
    for name in ("attest", "publish-client", "publish-builder"):
        assert "actions/checkout" not in uses(name)
        scripts = " ".join(step.get("run", "") for step in JOBS[name]["steps"])
        assert not re.search(r"\b(pip|python3?|npm|make)\b", scripts)


def test_nothing_is_published_untried_and_the_client_comes_first() -> None:
    published = [name for name in JOBS if "pypa/gh-action-pypi-publish" in uses(name)]
    assert published == ["publish-client", "publish-builder"]
    for name in (*published, "announce"):
        assert {"build", "suite", "try", "attest"} <= needs(name)
    assert "publish-client" in needs("publish-builder")
    assert not any("if" in job for job in JOBS.values())  # such as always(), which would go on after a failure
    assert not any("continue-on-error" in step for job in JOBS.values() for step in (job, *job["steps"]))


def test_every_supported_python_tries_the_wheels() -> None:
    assert tuple(JOBS["try"]["strategy"]["matrix"]["python"]) == SCRIPT["PYTHONS"]


def test_actions_are_pinned_and_no_expression_stands_in_a_script() -> None:
    for step in (step for job in JOBS.values() for step in job["steps"]):
        assert "${{" not in step.get("run", "")
        assert re.search(r"@[0-9a-f]{40}$", step.get("uses", "@" + "0" * 40))


def test_uploads_are_attested_and_hold_one_distribution_each() -> None:
    for name, files in (("publish-client", "sealdex-*"), ("publish-builder", "sealdex_builder-*")):
        *_, take, upload = JOBS[name]["steps"]
        assert take["run"] == f"mkdir upload && mv dist/{files} upload/"
        assert upload["with"] == {"packages-dir": "upload", "attestations": True, "print-hash": True}


HANDED_ON = {"dist": ("build", "SHA256SUMS"), "programs": ("programs", "SHA256SUMS.programs")}
"""What one job hands to others: who makes it, and the file of its digests."""


def comparisons() -> list[tuple[str, str, dict[str, Any]]]:
    """Return each job's downloads: job, what it takes, and the step right after."""
    return [
        (job, step["with"]["name"], described["steps"][number + 1])
        for job, described in JOBS.items()
        for number, step in enumerate(described["steps"])
        if step.get("uses", "").startswith("actions/download-artifact@")
    ]


def test_whoever_publishes_takes_what_was_handed_on() -> None:
    taken = {(job, name) for job, name, _ in comparisons()}
    assert {("attest", "dist"), ("attest", "programs"), ("announce", "dist"), ("announce", "programs")} <= taken
    assert {("publish-client", "dist"), ("publish-builder", "dist")} <= taken


@pytest.mark.parametrize(("job", "name", "step"), comparisons())
def test_attack_bytes_exchanged_between_two_jobs_end_the_release(
    job: str, name: str, step: dict[str, Any], tmp_path: Path
) -> None:
    maker, listed = HANDED_ON[name]
    assert step["env"] == {"SUMS": f"${{{{ needs.{maker}.outputs.sums }}}}"}
    assert maker in needs(job)
    folder = tmp_path / name
    folder.mkdir()
    (folder / "a.whl").write_bytes(b"ours")
    sums = f"{hashlib.sha256(b'ours').hexdigest()}  a.whl\n"
    (folder / listed).write_text(sums)
    own = hashlib.sha256(sums.encode()).hexdigest()

    def code() -> int:
        command = ["bash", "-e", "-c", step["run"]]
        return subprocess.run(
            command, cwd=tmp_path, env={"SUMS": own, "PATH": "/usr/bin:/bin"}, check=False, capture_output=True
        ).returncode

    assert code() == 0
    (folder / "a.whl").write_bytes(b"theirs")
    assert code() != 0
    (folder / listed).write_text(f"{hashlib.sha256(b'theirs').hexdigest()}  a.whl\n")  # and the list with it
    assert code() != 0


def test_the_change_log_has_a_section_for_what_comes_and_for_each_release() -> None:
    heads = re.findall(r"^## (.*)$", CHANGES, re.MULTILINE)
    assert heads[0] == "[Unreleased]" or heads[0].startswith(f"[{SCRIPT['version']()}] - ")
    released = {path.name for path in (REPOSITORY / "tests" / "fixtures" / "released").iterdir()}
    assert released <= {head[1:].partition("]")[0] for head in heads}
    kinds = {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
    assert set(re.findall(r"^### (.*)$", CHANGES, re.MULTILINE)) <= kinds


def test_the_release_page_says_what_changed() -> None:
    notes = SCRIPT["notes"](CHANGES, "0.1.0")
    assert notes.startswith("The first release.")
    assert "Unreleased" not in notes
    with pytest.raises(SCRIPT["DistError"], match=r"no dated section for 9\.9\.9"):
        SCRIPT["notes"](CHANGES, "9.9.9")
