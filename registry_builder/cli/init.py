"""The ``init`` command: a source tree for a new registry, its workflows on GitHub, and the template of its account."""

from __future__ import annotations

import os
import re
import secrets
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from registry_builder import authoring, signing, source
from registry_builder.cli.options import example, shown, typed
from registry_builder.source.atomic_write import write_new
from registry_builder.source.storage_choice import github_repository
from sealdex.cli.group import output_of, output_options
from sealdex.errors import UsageError

if TYPE_CHECKING:
    from registry_builder.authoring.cloud.stack import StackWish
    from sealdex.cli.output import Output

STACK_FILE = Path("aws/stack.yaml")
_REGION = "us-east-1"  # where CloudFront's certificates and logs are


@click.command(
    epilog=example(
        "sealdex-builder init my-registry --dev-keys",
        "sealdex-builder init my-registry --github",
        "sealdex-builder init my-registry --aws --github --url https://plugins.example.org/",
    )
)
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@click.option("--name", help="The registry's name; by default derived from the folder's.")
@click.option("--dev-keys", is_flag=True, help="Create unencrypted development keys, so that publish works at once.")
@click.option("--github", is_flag=True, help="Write GitHub workflows; in an existing source tree, only these.")
@click.option(
    "--storage",
    metavar="PLACE",
    help="Where it is published: s3://BUCKET/PREFIX, pages (GitHub Pages) or folder:PATH; by default a folder.",
)
@click.option(
    "--aws",
    is_flag=True,
    help="Write a template of its account at AWS; in an existing source tree, only that.",
)
@click.option("--kms", is_flag=True, help="With --aws: with keys in AWS KMS for the online roles.")
@click.option("--repository", metavar="OWNER/NAME", help="With --aws: its repository on GitHub; by default git's.")
@click.option("--url", help="The public URL; for GitHub Pages by default derived from git's remote.")
@output_options
@click.pass_context
def init(
    ctx: click.Context,
    folder: Path,
    name: str | None,
    dev_keys: bool,
    github: bool,
    aws: bool,
    kms: bool,
    repository: str | None,
    storage: str | None,
    url: str | None,
) -> None:
    """Create a source tree in FOLDER: registry.toml, .gitattributes, .gitignore, README.md, plugins/.

    Existing files are left alone. Keys are never created inside the tree: development keys go to
    $SEALDEX_KEYS or ~/.local/share/sealdex-builder/keys/, and keys for production are created with `keys create`.

    With --github it gets the workflows that validate pull requests, publish on merge and refresh every day, and
    release-plugin.yml and action.yml, with which authors' repositories release to it; docs/publishing.md says what they
    need. What they install is pinned by version and digest in .github/sealdex/; `upgrade --github` adds the digests of
    our wheels.
    With --aws it gets aws/stack.yaml, the CloudFormation template of buckets, CloudFront and roles, as `cloud template`
    prints it; a new registry is then published to a bucket of its own unless --storage is given.
    On a terminal, asks where to publish unless --storage is given: files in a workflow's folder are lost.
    """
    out = output_of(ctx)
    is_there = (github or aws) and (folder / source.CONFIG_NAME).is_file()
    if is_there and (storage is not None or url is not None):
        raise UsageError(
            "registry.toml exists already",
            untouched="nothing was written",
            hint=f"write storage and url into registry.toml, then: sealdex-builder init {typed(folder)} --github --aws"
            if github and aws
            else f"write storage and url into registry.toml, then: sealdex-builder init {typed(folder)} --aws"
            if aws
            else f"write storage and url into registry.toml, then: sealdex-builder init {typed(folder)} --github",
        )
    if not aws and (kms or repository is not None):
        raise UsageError("--kms and --repository are for --aws", untouched="nothing was written", hint="add --aws")
    if aws and storage is not None and not storage.startswith("s3://"):
        raise UsageError(
            f"--storage {storage} is not in S3, and --aws makes buckets there",
            untouched="nothing was written",
            hint=f'leave --storage out, or write --storage "s3://BUCKET?region={_REGION}"',
        )
    if aws and storage is None and not is_there:
        storage = f"s3://{_bucket(name or folder.resolve().name)}?region={_REGION}"
    if github and storage is None and not is_there:
        storage, url = _asked_for_storage(out, url)
    if aws and not is_there and storage is not None:
        _check_stack(storage, url, _wish(folder, kms, repository))
    made = authoring.Made(folder, ())
    reused = signing.check_key_place(folder) if dev_keys else []  # before anything is written
    if not is_there:
        made = authoring.init_tree(folder, name=name, storage=storage, url=url, in_ci=github and storage is not None)
    if github:
        from importlib.metadata import version  # noqa: PLC0415  # brings `email`: only for --github

        flows = authoring.write_workflows(folder, version=version("sealdex-builder"))
        made = authoring.Made(folder, (*made.written, *flows.written), (*made.kept, *flows.kept))
        for realm, section in source.read_config(folder).realms.items():
            if section.storage.startswith("folder:") and not section.folder_in_ci:
                out.warn(
                    f"realm {realm} is published to {section.storage}, which is lost with the workflow's runner: "
                    'publish.yml will refuse. Write "s3://BUCKET/PREFIX" into registry.toml, or "pages:published" and '
                    "the url; or folder_in_ci = true if a later step takes the folder along"
                )
    commands: list[str] = []
    if aws:
        stack_made, commands = _write_stack(out, folder, _wish(folder, kms, repository))
        made = authoring.Made(folder, (*made.written, *stack_made.written), (*made.kept, *stack_made.kept))
    for path in made.written:
        out.line(f"wrote {shown(path)}")
    for path in made.kept:
        out.warn(f"{shown(path)} exists already and was not changed")
    keys: Path | None = None
    if dev_keys:
        keys = signing.make_dev_trust(folder)
        if reused:
            out.warn(f"these keys were in {keys} already and are used: {', '.join(reused)}")
        out.line(f"created development keys in {keys} and signed trust/*/1.root.json and 1.targets.json")
        out.note(
            "development keys are unencrypted: for a registry that others rely on, see sealdex-builder keys --help"
        )
    first = (
        [f"cd {typed(folder)}", *commands]
        if commands
        else [f"cd {typed(folder)} && sealdex-builder new notify acme/slack"]
    )
    for number, command in enumerate(first):
        out.note(f"{'      ' if number else 'next: '}{command}")
    out.result({"tree": folder, "written": made.written, "kept": made.kept, "keys": keys, "next": first})


def _wish(folder: Path, kms: bool, repository: str | None) -> StackWish:
    from registry_builder.authoring.cloud import stack  # noqa: PLC0415  # only for --aws

    return stack.StackWish(repository=repository or github_repository(folder), kms=kms)


def _check_stack(storage: str, url: str | None, wish: StackWish) -> None:
    """Refuse what the template of a new registry could not hold, before anything is written."""
    from registry_builder.authoring.cloud import stack  # noqa: PLC0415  # only for --aws

    stack.check_new(storage, url, wish)


def _write_stack(out: Output, folder: Path, wish: StackWish) -> tuple[authoring.Made, list[str]]:
    """Write the template of the account beside registry.toml; return the commands that follow."""
    from registry_builder.authoring.cloud import stack, stack_commands  # noqa: PLC0415  # only for --aws

    config = source.read_config(folder)
    template = stack.account_template(config, wish)
    for note in template.notes:
        out.warn(note)
    commands = stack_commands.next_commands(
        template, file=STACK_FILE.as_posix(), registry=config.registry.name, wish=wish
    )
    file = folder / STACK_FILE
    try:
        write_new(file, template.text.encode())
    except FileExistsError:
        if file.read_bytes() != template.text.encode():
            out.warn(
                f"{shown(file)} differs from what registry.toml asks for; to replace it: "
                f"sealdex-builder cloud template --output {STACK_FILE.as_posix()}"
            )
        return authoring.Made(folder, (), (file,)), commands
    return authoring.Made(folder, (file,)), commands


def _bucket(name: str) -> str:
    """Return a bucket's name, which nobody else has: names of buckets are those of all accounts."""
    return f"{re.sub(r'[^a-z0-9]+', '-', name.lower()).strip('-')[:40].strip('-') or 'registry'}-{secrets.token_hex(4)}"


def _asked_for_storage(out: Output, url: str | None) -> tuple[str | None, str | None]:
    """Ask where the workflows publish; only at a terminal."""
    if out.mode == "json" or os.environ.get("CI") or not (sys.stdin.isatty() and sys.stderr.isatty()):
        return None, url
    click.echo(out.say("Where do the workflows publish? Files in a folder are lost with the runner."), err=True)
    kind = click.prompt(
        out.say("s3, pages (GitHub Pages) or folder"), type=click.Choice(["s3", "pages", "folder"]), err=True
    )
    if kind == "s3":
        return click.prompt(out.say("Address, such as s3://bucket/prefix?region=eu-central-1"), err=True), url
    return ("folder:published" if kind == "folder" else "pages"), url
