"""``access policy``: the least-privilege policies of a realm in S3, as JSON that AWS takes as it is."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Literal, cast

import click

from registry_builder import maintenance, source
from registry_builder.cli.options import example, print_text, tree_of
from registry_builder.signing.metadata import utc_now
from registry_builder.storage.access_policy import AUDIENCES, Audience
from sealdex.cli.group import LazyGroup, output_of, output_options
from sealdex.errors import UsageError

_EXAMPLES = (
    "sealdex-builder access policy --realm team --for publisher > publisher.json",
    "sealdex-builder access policy --realm team --for readers --kind cookie",
    "sealdex-builder access policy --realm team --for bucket > bucket.json",
)


@click.group(cls=LazyGroup, epilog=example(*_EXAMPLES))
@output_options
def access() -> None:
    """Print who may do what in a realm's bucket."""


@access.command(epilog=example(*_EXAMPLES))
@click.option("--realm", metavar="NAME", default="public", show_default=True, help="A realm of registry.toml.")
@click.option(
    "--for", "audience", type=click.Choice([*AUDIENCES, "bucket"]), required=True, help="Who the policy is for."
)
@click.option(
    "--kind",
    type=click.Choice(["identity", "bucket", "cookie"]),
    help="Which document: of an IAM role, of the bucket, or of signed cookies; by default the first that there is.",
)
@click.option("--account", metavar="NUMBER", default="*", help="The AWS account of the CloudFront distribution.")
@click.option(
    "--days", type=click.IntRange(min=1), default=30, show_default=True, help="How long a cookie's policy is valid."
)
@output_options
@click.pass_context
def policy(ctx: click.Context, realm: str, audience: str, kind: str | None, account: str, days: int) -> None:
    """Print a least-privilege policy document of a realm, as JSON.

    The audience "bucket" is the policy of the bucket itself: what is published is never overwritten, timestamp.json
    only swapped, and readers of registry.toml read. With --json all documents are listed, and what each is attached to.
    """
    out, config = output_of(ctx), source.read_config(tree_of(ctx))
    documents = maintenance.access_documents(
        config,
        realm,
        cast("Audience | Literal['bucket']", audience),
        cookies_expire=utc_now() + timedelta(days=days),
        account=account,
    )
    chosen = next((each for each in documents if kind in {None, each.kind}), None)
    if chosen is None:
        raise UsageError(
            f"there is no {kind} document for {audience}",
            subject=realm,
            hint=f"there is: --kind {' or '.join(each.kind for each in documents)}",
        )
    print_text(out, json.dumps(chosen.policy, indent=2))
    out.result(
        {
            "realm": realm,
            "for": audience,
            "documents": [
                {"kind": each.kind, "attach": each.attach, "policy": each.policy}
                for each in documents
                if kind in {None, each.kind}
            ],
        }
    )


__all__ = ["access"]
