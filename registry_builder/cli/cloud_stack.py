"""``cloud template|outputs``: one CloudFormation template of a registry's account, and what its stack made."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from registry_builder import source
from registry_builder.authoring.cloud import stack, stack_commands, stack_outputs
from registry_builder.cli.init import STACK_FILE
from registry_builder.cli.options import example, print_text, shown, tree_of
from registry_builder.source.atomic_write import replace_file
from registry_builder.source.storage_choice import github_repository
from sealdex.cli.group import output_of, output_options
from sealdex.errors import NotFoundError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sealdex.cli.output import Output

_MAX_BYTES = 1 << 24


@click.command(
    epilog=example(
        "sealdex-builder cloud template --output aws/stack.yaml",
        "sealdex-builder cloud template --realm public --repository acme/plugins --kms",
    )
)
@click.option("--realm", "realms", multiple=True, metavar="NAME", help="Only this realm; may be repeated.")
@click.option(
    "--output", "file", type=click.Path(dir_okay=False, path_type=Path), help="Write it to this file, or replace it."
)
@click.option("--repository", metavar="OWNER/NAME", help="The registry's repository on GitHub; by default git's.")
@click.option("--owner-id", type=int, metavar="NUMBER", help="The number of the owner on GitHub.")
@click.option("--repository-id", type=int, metavar="NUMBER", help="The number of the repository on GitHub.")
@click.option("--kms", is_flag=True, help="With keys in AWS KMS for the online roles.")
@click.option("--validators", is_flag=True, help="With a role for pull requests, in realms with readers.")
@click.option("--recovery", is_flag=True, help="With the break-glass role of `recover`.")
@output_options
@click.pass_context
def template(
    ctx: click.Context,
    realms: tuple[str, ...],
    file: Path | None,
    repository: str | None,
    owner_id: int | None,
    repository_id: int | None,
    kms: bool,
    validators: bool,
    recovery: bool,
) -> None:
    """Print a CloudFormation template of everything that the realms in S3 need at AWS.

    Buckets in which nothing published is overwritten, CloudFront in front of them, roles for the jobs of the
    workflows, logs without addresses. The realms are those of registry.toml; nothing is contacted.
    """
    out, tree = output_of(ctx), tree_of(ctx)
    wish = stack.StackWish(
        realms=realms,
        repository=repository or github_repository(tree),
        owner_id=owner_id,
        repository_id=repository_id,
        kms=kms,
        validators=validators,
        recovery=recovery,
    )
    config = source.read_config(tree)
    made = stack.account_template(config, wish)
    if file is None:
        print_text(out, made.text)
    else:
        replace_file(file, made.text.encode())
        out.line(f"wrote {shown(file)}")
    for note in made.notes:
        out.warn(note)
    where = STACK_FILE if file is None else file
    commands = stack_commands.next_commands(made, file=str(where), registry=config.registry.name, wish=wish)
    _advise(out, commands)
    out.result(
        {
            "file": file,
            "template": made.text if file is None else None,
            "region": made.region,
            "realms": made.realms,
            "parameters": made.parameters,
            "notes": made.notes,
            "next": commands,
        }
    )


@click.command(
    epilog=example(
        "aws cloudformation describe-stacks --stack-name sealdex-acme > stack.json",
        "sealdex-builder cloud outputs stack.json",
    )
)
@click.argument("file", type=click.Path(dir_okay=False, allow_dash=True, path_type=Path))
@output_options
@click.pass_context
def outputs(ctx: click.Context, file: Path) -> None:
    """Take over what the stack of `cloud template` made, from what `aws cloudformation describe-stacks` prints.

    Writes `cloudfront`, and `url` where there is none, into registry.toml, and prints the commands that tell GitHub
    the roles. FILE is a file, or - for standard input.
    """
    out = output_of(ctx)
    try:
        with contextlib.nullcontext(sys.stdin.buffer) if str(file) == "-" else file.open("rb") as stream:
            data = stream.read(_MAX_BYTES + 1)
    except OSError as error:
        raise NotFoundError(f"{file} can't be read: {error.strerror or error}", subject=str(file)) from error
    if len(data) > _MAX_BYTES:
        raise UsageError("this is not what describe-stacks prints: it is too large")
    adopted = stack_outputs.adopt_stack(tree_of(ctx), data)
    for field, value in adopted.fields.items():
        out.line(f"wrote {field} = {value} to registry.toml")
    if not adopted.fields:
        out.line("registry.toml has everything already")
    for note in adopted.notes:
        out.note(note)
    _advise(out, adopted.commands)
    out.result({"stack": adopted.stack, "written": adopted.fields, "notes": adopted.notes, "next": adopted.commands})


def _advise(out: Output, commands: Sequence[str]) -> None:
    for number, command in enumerate(commands):
        out.note(f"{'      ' if number else 'next: '}{command}")


__all__ = ["outputs", "template"]
