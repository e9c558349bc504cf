"""What is run to create the stack of an account, and then to use it: commands, for people. Pure."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence

from registry_builder.authoring.cloud.stack import Stack, StackWish

_LONGEST = 40  # names of what the stack makes begin with it, and CloudFront's end at 64


def stack_name(registry: str) -> str:
    """Return the name of a registry's stack."""
    return f"sealdex-{re.sub(r'[^a-z0-9]+', '-', registry)}"[:_LONGEST].rstrip("-")


def next_commands(stack: Stack, *, file: str, registry: str, wish: StackWish, git_hub: str | None = None) -> list[str]:
    """Return the three commands that follow: create the stack, take over what it made, publish.

    What the commands can't know is in capitals.

    Args:
        stack: the template.
        file: where it is, as the shell finds it.
        registry: its name.
        wish: what it was made of.
        git_hub: ``OWNER/NAME``, if the template doesn't have it.
    """
    name = stack_name(registry)
    repository = wish.repository or git_hub
    at = f"--region {stack.region} --stack-name {name}"
    given = _given(stack.parameters, repository)
    overrides = f" --parameter-overrides {' '.join(given)}" if given else ""
    return [
        f"aws cloudformation deploy {at} --template-file {shlex.quote(file)} --capabilities CAPABILITY_IAM{overrides}",
        f"aws cloudformation describe-stacks {at} | sealdex-builder cloud outputs -",
        " ".join(["sealdex-builder publish", *(f"--realm {realm}" for realm in wish.realms)]),
    ]


def _given(parameters: Sequence[str], repository: str | None) -> list[str]:
    """Return the values of the parameters, in the form of a shell's words."""
    owner, _, name = (repository or "OWNER/NAME").partition("/")
    given: list[str] = []
    for parameter in parameters:
        if parameter == "GitHubOwner":
            given.append(f"GitHubOwner={owner}")
        elif parameter == "GitHubRepository":
            given.append(f"GitHubRepository={name}")
        elif parameter == "GitHubOwnerId":
            given.append(f"GitHubOwnerId=$(gh api repos/{owner}/{name} --jq .owner.id)")
        elif parameter == "GitHubRepositoryId":
            given.append(f"GitHubRepositoryId=$(gh api repos/{owner}/{name} --jq .id)")
        elif parameter.endswith("ReadersKey"):
            given.append(f'"{parameter}=$(cat PUBLIC-KEY.pem)"')
        else:
            given.append(f"{parameter}=ARN-OF-CERTIFICATE-IN-US-EAST-1")
    return given


__all__ = ["next_commands", "stack_name"]
