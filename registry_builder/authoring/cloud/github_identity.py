"""What GitHub's OIDC tokens say of a job, and the trust policies of roles that accept exactly these jobs. Pure.

Since 15 July 2026 the `sub` of new, renamed and transferred repositories has the ids of owner and repository
(``repo:acme@1/plugins@2:environment:publish``); older repositories keep names alone until they opt in. A role accepts
both spellings, and `repository_id` beside them, so that nobody who takes over a name that was given up gets in by the
older one. `sub` names no branch where a job has an environment, so `ref` does.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from registry_builder.source.realms import PUBLIC_REALM
from sealdex.errors import SealdexError
from sealdex.model.decode import decode_as

Task = Literal["publish", "refresh", "validate"]
ISSUER = "token.actions.githubusercontent.com"
AUDIENCE = "sts.amazonaws.com"
SHOWN_CLAIMS = (
    "sub",
    "aud",
    "repository",
    "repository_id",
    "repository_owner_id",
    "ref",
    "environment",
    "job_workflow_ref",
)
"""Which claims are printed; none of them is secret, and the token itself never is."""


@dataclass(frozen=True)
class Repository:
    """A repository on github.com; each field may also be a reference of a template, such as ``${GitHubOwner}``."""

    owner: str
    name: str
    owner_id: str
    id: str


def environment_of(task: Task, realm: str = PUBLIC_REALM) -> str:
    """Return the environment of a workflow's job, which is also its name: one for each task and realm."""
    return task if realm == PUBLIC_REALM else f"{task}-{realm}"


def subjects(repository: Repository, environment: str) -> list[str]:
    """Return both spellings of `sub` for jobs of an environment, the older one first."""
    return [
        f"repo:{repository.owner}/{repository.name}:environment:{environment}",
        f"repo:{repository.owner}@{repository.owner_id}/{repository.name}@{repository.id}:environment:{environment}",
    ]


def trust_policy(
    repository: Repository, *, task: Task, provider: str, realm: str = PUBLIC_REALM, branch: str = "main"
) -> dict[str, Any]:
    """Return the trust policy of a role: only this task's job on this branch may assume it.

    `validate` runs for pull requests, in the workflow and on the ref of the pull request, so neither is a condition.

    Args:
        repository: the registry's.
        task: the workflow's.
        provider: the ARN of the account's OIDC provider for GitHub.
        realm: the realm whose role it is.
        branch: the only branch that publishes.
    """
    environment = environment_of(task, realm)
    claims: dict[str, Any] = {
        "aud": AUDIENCE,
        "sub": subjects(repository, environment),
        "repository_id": repository.id,
        "environment": environment,
    }
    if task != "validate":
        ref = f"refs/heads/{branch}"
        claims["ref"] = ref
        claims["job_workflow_ref"] = f"{repository.owner}/{repository.name}/.github/workflows/{task}.yml@{ref}"
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Federated": provider},
                "Action": "sts:AssumeRoleWithWebIdentity",
                "Condition": {"StringEquals": {f"{ISSUER}:{claim}": value for claim, value in claims.items()}},
            }
        ],
    }


def claims_of(token: str) -> dict[str, str]:
    """Return the claims of a token that may be shown; its signature is AWS's business.

    Raises:
        SealdexError: it is not a JSON web token; the message has nothing of it.
    """
    parts = token.split(".")
    try:
        payload = base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4))
        claims = decode_as(payload, dict[str, Any])
    except (IndexError, ValueError, binascii.Error, msgspec.MsgspecError):
        raise SealdexError("GitHub's answer is not a JSON web token", untouched="nothing was changed") from None
    return {name: str(claims[name]) for name in SHOWN_CLAIMS if name in claims}


def repository_in(claims: Mapping[str, str]) -> Repository | None:
    """Return the repository that a token is about, or None if it doesn't say."""
    owner, _, name = claims.get("repository", "").partition("/")
    ids = claims.get("repository_owner_id", ""), claims.get("repository_id", "")
    return Repository(owner, name, *ids) if owner and name and all(ids) else None


__all__ = [
    "AUDIENCE",
    "ISSUER",
    "SHOWN_CLAIMS",
    "Repository",
    "Task",
    "claims_of",
    "environment_of",
    "repository_in",
    "subjects",
    "trust_policy",
]
