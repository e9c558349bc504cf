"""Pull requests of a registry with a private realm: compared by a role where there is one, and never from a fork."""

from __future__ import annotations

import secrets
from collections.abc import Iterator

import pytest
from support.authoring import builder
from support.s3_proxy import Answer, Passing, S3Proxy, refusal
from support.s3_server import S3Server
from support.workflows import Job, Scene

from registry_builder.authoring.github import upgrade_workflows

ROLE = "arn:aws:iam::000000000000:role/reads-metadata"
NO_VARIABLE = "the environment validate-team has no variable SEALDEX_AWS_ROLE"


@pytest.fixture
def proxy(s3_server: S3Server) -> Iterator[S3Proxy]:
    """What the realm's jobs go through; it lets nobody read or write more than the policy of validators."""
    with S3Proxy(s3_server) as running:
        yield running


@pytest.fixture
def with_team(
    scene: Scene, proxy: S3Proxy, s3_server: S3Server, s3_bucket: str, monkeypatch: pytest.MonkeyPatch
) -> Scene:
    """A public realm and a published private one, whose plugin a pull request gives a second release."""
    github, tree = scene.github, scene.clone
    for name, value in s3_server.environment.items():
        monkeypatch.setenv(name, value)
    storage = proxy.uri(s3_bucket, f"{secrets.token_hex(4)}/team")
    assert builder("--tree", tree, "realm", "add", "team", "--storage", storage) == 0
    upgrade_workflows(tree, version="0.1.0")
    folder = tree / "plugins/acme-team/pager"
    assert builder("--tree", tree, "new", "notify", "acme-team/pager", "--realm", "team") == 0
    assert builder("pack", folder) == 0
    assert builder("--tree", tree, "release", folder) == 0
    assert builder("--tree", tree, "publish", "--all-realms") == 0
    scene.push("A private realm")
    template = folder / "release.yaml"
    template.write_text(template.read_text().replace("version: 0.1.0", "version: 0.2.0"))
    assert builder("pack", folder) == 0
    assert builder("--tree", tree, "release", folder) == 0
    scene.push("Release acme-team/pager 0.2.0", "more")
    github.variables = {"SEALDEX_AWS_REGION": "us-east-1"}
    proxy.seen.clear()
    proxy.before.append(metadata_alone)
    return scene


def metadata_alone(passing: Passing) -> Answer | None:
    is_read = passing.operation in {"GetObject", "HeadObject"}
    is_metadata = passing.key.partition("/")[2].startswith(("team/metadata/", "team/targets/"))
    return None if is_read and is_metadata else refusal(403, "AccessDenied")


def compared(scene: Scene) -> Job:
    scene.github.only = ("compare-team",)
    return scene.github.run("validate.yml", "pull_request", "more")["compare-team"]


@pytest.mark.slow
def test_a_private_realm_is_compared_by_a_role_and_from_the_tree_alone_without(
    with_team: Scene, proxy: S3Proxy
) -> None:
    github = with_team.github
    job = compared(with_team)
    assert job.result == "success", job.output
    assert f"Realm team is validated from the tree alone, not compared with what is published: {NO_VARIABLE}." in (
        job.summary
    )
    assert "0 errors" in job.summary
    assert (github.roles, proxy.seen) == ([], [])

    github.of_environment["validate-team"] = {"SEALDEX_AWS_ROLE": ROLE}
    job = compared(with_team)
    assert job.result == "success", job.output
    assert "not compared" not in job.output + job.summary
    assert "new release `acme-team/pager 0.2.0`" in job.summary
    assert github.roles == [ROLE]
    assert {passing.operation for passing in proxy.seen} <= {"GetObject", "HeadObject"}
    assert proxy.seen
    proxy.seen.clear()

    # a role that is refused is red, and shows what GitHub says of the job
    github.refuses_role, github.token_url = True, "http://127.0.0.1:9/none?"
    job = compared(with_team)
    assert job.result == "failure"
    assert "$ sealdex-builder cloud claims" in job.output
    assert "bearer-of-job" not in job.output

    # attack: a fork's pull request gets at the private realm; GitHub gives it no token, and no job asks for one
    github.only, github.roles = (), []
    jobs = github.run_of_fork("validate.yml", "more")
    assert {name: job.result for name, job in jobs.items()} == {"validate": "success", "compare-team": "skipped"}, jobs[
        "validate"
    ].output
    summary = jobs["validate"].summary
    assert "Realm team is validated from the tree alone" in summary
    assert "GitHub gives pull requests from forks no token for its role" in summary
    assert "0 errors" in summary
    assert "Realm public, compared with what is published" in summary
    assert (github.roles, proxy.seen) == ([], [])
