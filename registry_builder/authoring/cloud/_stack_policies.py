"""Roles and policies of an account's template, as `registry_builder.storage.access_policy` has them. Pure.

What only the stack knows is a reference: ``${...}`` in a string of a policy, or a `Tagged` one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from registry_builder.authoring.cloud._stack_realms import StackRealm
from registry_builder.authoring.cloud.github_identity import Repository, Task, trust_policy
from registry_builder.source.config import RegistryConfig
from registry_builder.source.kms_keys import kms_keys
from registry_builder.storage.access_policy import (
    Audience,
    Policy,
    bucket_statements,
    identity_statements,
    policy_of,
)

_GITHUB = Repository("${GitHubOwner}", "${GitHubRepository}", "${GitHubOwnerId}", "${GitHubRepositoryId}")
_TASKS: Mapping[Audience, tuple[Task, str]] = {
    "publisher": ("publish", "Publishes"),
    "refresher": ("refresh", "Re-signs what expires"),
    "validators": ("validate", "Reads metadata, for pull requests"),
}


class Tagged(str):  # noqa: SLOT000  # it has an attribute of its own
    """A string that CloudFormation replaces: ``!GetAtt X.Arn``, say. Everything else takes it for a string.

    What follows ``!If`` is the condition and two references, with blanks between them.
    """

    tag: str

    def __new__(cls, tag: str, value: str) -> Tagged:  # noqa: PYI034  # not to be subclassed
        """Make one of a tag, with its exclamation mark, and what follows it."""
        made = super().__new__(cls, value)
        made.tag = tag
        return made


_PROVIDER = Tagged("!If", "MakesGitHubProvider GitHub GitHubProvider")


@dataclass(frozen=True)
class StackRole:
    """A role of a template.

    Attributes:
        id: its resource's.
        about: a comment.
        description: what the account shows.
        trust, policy: its documents.
    """

    id: str
    about: str
    description: str
    trust: Policy
    policy: Policy


def realm_roles(
    config: RegistryConfig, realm: StackRealm, *, made_keys: Sequence[str], validators: bool, recovery: bool
) -> list[StackRole]:
    """Return the roles of a realm.

    Args:
        config: registry.toml, whose online keys in KMS the roles may sign with.
        realm: the realm.
        made_keys: resources of keys in KMS that the stack makes.
        validators: with a role for pull requests.
        recovery: with the break-glass role.
    """
    audiences: list[Audience] = ["publisher", "refresher"]
    if validators:
        audiences.append("validators")
    roles: list[StackRole] = []
    for audience in audiences:
        task, does = _TASKS[audience]
        trust = trust_policy(_GITHUB, task=task, realm=realm.name, provider=_PROVIDER)
        environment = trust["Statement"][0]["Condition"]["StringEquals"][
            "token.actions.githubusercontent.com:environment"
        ]
        roles.append(
            StackRole(
                role_id(realm, audience),
                f"{does}: the job of {task}.yml in the environment {environment}, and nobody else.",
                f"{does} in realm {realm.name} ({task}.yml)",
                trust,
                _policy(config, realm, audience, made_keys),
            )
        )
    if recovery:
        people = {
            "Effect": "Allow",
            "Principal": {"AWS": "arn:aws:iam::${AWS::AccountId}:root"},
            "Action": "sts:AssumeRole",
            "Condition": {"Bool": {"aws:MultiFactorAuthPresent": "true"}},
        }
        roles.append(
            StackRole(
                role_id(realm, "recovery"),
                "Break-glass, for `recover --apply` alone: whoever the account lets assume it, with a second factor.",
                f"Replaces what a thief published in realm {realm.name}",
                policy_of([people]),
                _policy(config, realm, "recovery", made_keys),
            )
        )
    return roles


def bucket_policy(realm: StackRealm, *, recovery: bool) -> Policy:
    """Return the policy of the realm's bucket; ``recovery`` excepts the stack's break-glass role."""
    readers = realm.section.readers
    role = Tagged("!GetAtt", f"{role_id(realm, 'recovery')}.Arn") if recovery else realm.section.recovery_role
    return policy_of(
        bucket_statements(
            realm.place,
            recovery_role=role,
            readers=readers.principals if readers is not None else (),
            distribution=distribution_arn(realm),
        )
    )


def role_id(realm: StackRealm, audience: Audience) -> str:
    """Return the resource of a role."""
    return f"{realm.id}{audience.capitalize()}Role"


def distribution_arn(realm: StackRealm) -> str | None:
    """Return the ARN of the realm's distribution, as a reference."""
    return (
        f"arn:aws:cloudfront::${{AWS::AccountId}}:distribution/${{{realm.id}Distribution}}" if realm.has_cdn else None
    )


def hub_store_id(realm: StackRealm) -> str:
    """Return the resource of the realm's key value store."""
    return f"{realm.id}HubStore"


def policy_yaml(policy: Policy) -> str:
    """Return a policy as YAML, with CloudFormation's references in it."""
    text: str = yaml.dump(policy, Dumper=_Dumper, sort_keys=False, width=160, allow_unicode=True)
    return text.rstrip("\n")


def _policy(config: RegistryConfig, realm: StackRealm, audience: Audience, made_keys: Sequence[str]) -> Policy:
    keys, aliases = ([], []) if audience == "validators" else kms_keys(config, realm.place)
    made: list[str] = [] if audience == "validators" else [Tagged("!GetAtt", f"{key}.Arn") for key in made_keys]
    return policy_of(
        identity_statements(
            audience,
            realm.place,
            distribution=distribution_arn(realm),
            kms_keys=[*keys, *made],
            kms_aliases=aliases,
            key_value_store=Tagged("!GetAtt", f"{hub_store_id(realm)}.Arn") if realm.has_hub else None,
        )
    )


class _Dumper(yaml.SafeDumper):
    """Writes references by their tags, and never an alias."""

    def ignore_aliases(self, data: Any) -> bool:
        """Repeat what appears twice: CloudFormation's JSON readers know no anchors."""
        del data
        return True


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.Node:
    if isinstance(value, Tagged) and value.tag == "!If":
        condition, *either = value.split()
        parts = [condition, *(Tagged("!Ref", name) for name in either)]
        return dumper.represent_sequence("!If", parts, flow_style=True)
    if isinstance(value, Tagged):
        return dumper.represent_scalar(value.tag, str(value))
    if "${" in value:
        return dumper.represent_scalar("!Sub", value, style='"')
    return dumper.represent_scalar("tag:yaml.org,2002:str", value)


_Dumper.add_representer(str, _text)
_Dumper.add_representer(Tagged, _text)


__all__ = ["StackRole", "bucket_policy", "distribution_arn", "hub_store_id", "policy_yaml", "realm_roles", "role_id"]
