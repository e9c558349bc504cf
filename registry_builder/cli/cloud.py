"""``cloud claims|trust``: which of GitHub's jobs a role at AWS trusts, and what GitHub says of the job that asks.

``template`` and ``outputs`` are in `registry_builder.cli.cloud_stack`.
"""

from __future__ import annotations

import json
import os
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

import click

from registry_builder.authoring.cloud import github_identity
from registry_builder.cli.cloud_stack import outputs, template
from registry_builder.cli.options import SUMMARY, append, example, print_text
from registry_builder.source.realms import PUBLIC_REALM
from sealdex.cli.group import LazyGroup, output_of, output_options
from sealdex.errors import UnavailableError, UsageError

_SECONDS = 20
_MAX_BYTES = 1 << 16
_TASKS: dict[str, github_identity.Task] = {"publisher": "publish", "refresher": "refresh", "validators": "validate"}


@click.group(
    cls=LazyGroup,
    epilog=example("sealdex-builder cloud template --output aws/stack.yaml", "sealdex-builder cloud claims"),
)
def cloud() -> None:
    """Documents for the account that a registry lives in. Nothing is changed there."""


cloud.add_command(template)
cloud.add_command(outputs)


@cloud.command(
    epilog=example(
        "gh api repos/acme/plugins --jq '.owner.id, .id'",
        "sealdex-builder cloud trust --for publisher --repository acme/plugins --owner-id 1 --repository-id 2",
    )
)
@click.option("--for", "who", type=click.Choice(list(_TASKS)), required=True, help="Whose role it is.")
@click.option("--repository", required=True, metavar="OWNER/NAME", help="The registry's repository on GitHub.")
@click.option("--owner-id", required=True, type=click.IntRange(min=1), help="The number of the owner on GitHub.")
@click.option("--repository-id", required=True, type=click.IntRange(min=1), help="The number of the repository.")
@click.option("--account", default="123456789012", show_default=True, metavar="ID", help="The AWS account.")
@click.option("--realm", default=PUBLIC_REALM, show_default=True, help="The realm of the role.")
@output_options
@click.pass_context
def trust(
    ctx: click.Context, who: str, repository: str, owner_id: int, repository_id: int, account: str, realm: str
) -> None:
    """Print the trust policy of a role that only one job of the generated workflows may assume.

    It accepts both spellings of GitHub's `sub`, with and without ids, and the repository's id beside them.
    """
    owner, _, name = repository.partition("/")
    if not owner or not name or "/" in name:
        raise UsageError(f"'{repository}' is not a repository", hint="write --repository OWNER/NAME")
    out = output_of(ctx)
    policy = github_identity.trust_policy(
        github_identity.Repository(owner, name, str(owner_id), str(repository_id)),
        task=_TASKS[who],
        provider=f"arn:aws:iam::{account}:oidc-provider/{github_identity.ISSUER}",
        realm=realm,
    )
    print_text(out, json.dumps(policy, indent=2))
    out.result(policy)


@cloud.command(epilog=example("sealdex-builder cloud claims"))
@SUMMARY
@output_options
@click.pass_context
def claims(ctx: click.Context, summary: Path | None) -> None:
    """Show what GitHub's token says about the job that this runs in, but never the token itself.

    A role is refused if its trust policy asks for anything else. The workflows run it when that happens.
    """
    out = output_of(ctx)
    said = github_identity.claims_of(_token())
    out.table(("claim", "value"), list(said.items()))
    advice = "the role's trust policy has to accept these"
    if (found := github_identity.repository_in(said)) is not None:
        task = said.get("environment", "").partition("-")[0]
        who = next((name for name, each in _TASKS.items() if each == task), "publisher")
        wanted = {"for": who, "repository": f"{found.owner}/{found.name}", "owner-id": found.owner_id}
        options = {**wanted, "repository-id": found.id}
        advice += f": {ctx.parent and ctx.parent.command_path} trust"
        advice += "".join(f" --{option} {value}" for option, value in options.items())
    out.note(advice)
    rows = "".join(f"| `{name}` | `{value}` |\n" for name, value in said.items())
    append(
        summary, f"**AWS refused the role.** GitHub says about this job:\n\n| claim | value |\n| --- | --- |\n{rows}\n"
    )
    out.result({"claims": said})


def _token() -> str:
    """Ask GitHub for a token of this job, as the action that assumes the role does."""
    url, bearer = os.environ.get("ACTIONS_ID_TOKEN_REQUEST_URL"), os.environ.get("ACTIONS_ID_TOKEN_REQUEST_TOKEN")
    if not url or not bearer:
        raise UsageError(
            "this is not a job that may ask GitHub for a token",
            hint="run it in a workflow, in a job with the permission id-token: write",
        )
    asked = f"{url}&audience={urllib.parse.quote(github_identity.AUDIENCE)}"
    request = urllib.request.Request(asked, headers={"Authorization": f"bearer {bearer}"})  # noqa: S310  # GitHub's own
    try:
        with urllib.request.urlopen(request, timeout=_SECONDS) as answer:  # noqa: S310  # likewise
            return str(json.loads(answer.read(_MAX_BYTES))["value"])
    except urllib.error.HTTPError as error:
        reason = f"status {error.code}"
    except (OSError, ValueError, KeyError, TypeError) as error:
        reason = type(error).__name__  # never its text, which may have what was sent
    raise UnavailableError(f"GitHub gave no token for this job: {reason}", untouched="nothing was changed")


__all__ = ["cloud"]
