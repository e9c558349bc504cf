"""Which of GitHub's jobs a role trusts: both spellings of `sub`, and nothing near them."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from registry_builder.authoring.cloud.github_identity import (
    AUDIENCE,
    ISSUER,
    Repository,
    claims_of,
    repository_in,
    trust_policy,
)
from sealdex.errors import SealdexError

ACME = Repository("acme", "plugins", "1001", "2002")
PROVIDER = f"arn:aws:iam::123456789012:oidc-provider/{ISSUER}"
OLD, NEW = "repo:acme/plugins", "repo:acme@1001/plugins@2002"


def claims(subject: str = NEW, task: str = "publish", environment: str = "", **other: str) -> dict[str, str]:
    """What GitHub says of a job of acme/plugins, in one spelling of the subject."""
    ref = other.get("ref", "refs/heads/main")
    said = {
        "aud": AUDIENCE,
        "sub": f"{subject}:environment:{environment or task}",
        "environment": environment or task,
        "repository": "acme/plugins",
        "repository_id": "2002",
        "repository_owner_id": "1001",
        "ref": ref,
        "job_workflow_ref": f"acme/plugins/.github/workflows/{task}.yml@{ref}",
    }
    return said | other


def accepts(policy: dict[str, Any], said: dict[str, str]) -> bool:
    """Evaluate the policy as IAM does: each key of StringEquals has to be there and equal one of its values."""
    (statement,) = policy["Statement"]
    assert set(statement["Condition"]) == {"StringEquals"}
    wanted = statement["Condition"]["StringEquals"]
    return all(
        said.get(key.removeprefix(f"{ISSUER}:")) in (value if isinstance(value, list) else [value])
        for key, value in wanted.items()
    )


@pytest.mark.parametrize("subject", [OLD, NEW])
@pytest.mark.parametrize("task", ["publish", "refresh"])
def test_a_role_trusts_its_job_in_both_spellings(subject: str, task: Any) -> None:
    assert accepts(trust_policy(ACME, task=task, provider=PROVIDER), claims(subject, task))
    team = trust_policy(ACME, task=task, provider=PROVIDER, realm="team")
    assert accepts(team, claims(subject, task, f"{task}-team"))
    assert not accepts(team, claims(subject, task))


@pytest.mark.parametrize(
    "said",
    [
        pytest.param(claims(OLD, repository_id="666"), id="a-new-repository-under-a-name-that-was-given-up"),
        pytest.param(claims("repo:acme@1001/plugins@666"), id="another-id"),
        pytest.param(claims(task="refresh"), id="another-task"),
        pytest.param(claims(environment="publish-team"), id="another-realm"),
        pytest.param(claims(ref="refs/heads/evil"), id="another-branch"),
        pytest.param(claims(ref="refs/pull/1/merge"), id="a-pull-request"),
        pytest.param(claims(job_workflow_ref="acme/plugins/.github/workflows/evil.yml@refs/heads/main"), id="a-file"),
        pytest.param(claims(aud="https://github.com/acme"), id="for-somebody-else"),
        pytest.param({k: v for k, v in claims().items() if k != "repository_id"}, id="a-claim-that-is-absent"),
    ],
)
def test_nothing_else_gets_in(said: dict[str, str]) -> None:
    """Attack: whoever can have GitHub sign a token for a job near the publisher's asks for the publisher's role."""
    assert not accepts(trust_policy(ACME, task="publish", provider=PROVIDER), said)


def test_validation_runs_on_pull_requests() -> None:
    said = claims(task="validate", environment="validate-team", ref="refs/pull/7/merge")
    assert accepts(trust_policy(ACME, task="validate", provider=PROVIDER, realm="team"), said)


def test_a_token_is_shown_by_its_claims_alone() -> None:
    payload = base64.urlsafe_b64encode(json.dumps(claims() | {"jti": "secret", "actor": "kim"}).encode()).decode()
    said = claims_of(f"header.{payload.rstrip('=')}.signature")
    assert said == claims()
    assert repository_in(said) == ACME


@pytest.mark.parametrize("token", ["", "hidden", "a.hidden.b", "a.e30.b.", "a.W10.b"])
def test_what_is_not_a_token_is_not_shown(token: str) -> None:
    try:
        assert claims_of(token) == {}
    except SealdexError as error:
        assert "hidden" not in str(error)  # noqa: PT017  # either is right: no claims, or refused
