"""``sealdex-builder``: the table of its commands, which are imported only when they run."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from registry_builder import signing
from registry_builder.cli.options import example, typed
from sealdex.cli.errors import run
from sealdex.cli.group import LazyCommand, LazyGroup, output_of, output_options
from sealdex.cli.output import Output

PROGRAM = "sealdex-builder"

_ROOM = "registry_builder.cli"

COMMANDS = {
    "init": LazyCommand(f"{_ROOM}.authoring:init", "Make a source tree for a new registry."),
    "upgrade": LazyCommand(f"{_ROOM}.upgrade:upgrade", "Bring its GitHub workflows up to this version."),
    "new": LazyCommand(f"{_ROOM}.authoring:new", "Make a plugin that works, to start from."),
    "pack": LazyCommand(f"{_ROOM}.authoring:pack", "Pack a folder into a zip, reproducibly."),
    "release": LazyCommand(f"{_ROOM}.authoring:release", "Write a release into the source tree."),
    "yank": LazyCommand(f"{_ROOM}.lifecycle:yank", "Mark a release as not to be chosen any more."),
    "unyank": LazyCommand(f"{_ROOM}.lifecycle:unyank", "Take a yank back."),
    "deprecate": LazyCommand(f"{_ROOM}.lifecycle:deprecate", "Mark a plugin as superseded."),
    "undeprecate": LazyCommand(f"{_ROOM}.lifecycle:undeprecate", "Take a deprecation back."),
    "promote": LazyCommand(f"{_ROOM}.lifecycle:promote", "Put a release on one more channel."),
    "demote": LazyCommand(f"{_ROOM}.lifecycle:demote", "Take a release off a channel."),
    "evaluate": LazyCommand(f"{_ROOM}.lifecycle:evaluate", "Link evaluation results to a release."),
    "attest": LazyCommand(f"{_ROOM}.lifecycle:attest", "Attach an SBOM, statement or bundle to a release."),
    "import": LazyCommand(f"{_ROOM}.import_:import_group", "Import other registries' metadata."),
    "validate": LazyCommand(f"{_ROOM}.validate:validate", "Show every problem of the source tree."),
    "diff": LazyCommand(f"{_ROOM}.diff:diff", "Show what publishing would change."),
    "publish": LazyCommand(f"{_ROOM}.publish:publish", "Publish what changed, signed, in one step."),
    "refresh": LazyCommand(f"{_ROOM}.refresh:refresh", "Sign anew what is about to expire."),
    "status": LazyCommand(f"{_ROOM}.status:status", "Show what is published, by whom and until when."),
    "verify-published": LazyCommand(f"{_ROOM}.verify_published:verify_published", "Verify and account for all of it."),
    "recover": LazyCommand(f"{_ROOM}.recover:recover", "Publish anew after an online key was stolen."),
    "gc": LazyCommand(f"{_ROOM}.gc:gc", "Remove what nothing reaches any more."),
    "doctor": LazyCommand(f"{_ROOM}.doctor:doctor", "Look over where it is published."),
    "pages": LazyCommand(f"{_ROOM}.pages:pages", "Before and after a deployment to GitHub Pages."),
    "serve": LazyCommand(f"{_ROOM}.serve:serve", "Serve a published folder on this machine."),
    "site": LazyCommand(f"{_ROOM}.site:site_command", "Write the browse pages."),
    "keys": LazyCommand(f"{_ROOM}.keys:keys", "Make and list signing keys."),
    "ceremony": LazyCommand(f"{_ROOM}.ceremony:ceremony_group", "Change root or targets, signed by several."),
    "namespace": LazyCommand(f"{_ROOM}.namespace:namespace", "Sign for a namespace that a team claimed."),
    "completion": LazyCommand(f"{_ROOM}.completion:completion", "Print a completion script for a shell."),
}


ADVISED = rf"\bsealdex-builder(?= (?:{'|'.join(name for name in COMMANDS if name not in {'init', 'completion'})})\b)"
"""A command in a text, up to where --tree may stand; init names its tree itself."""

_HELP = """Build a plugin registry: from a folder of plugins to signed, static files.

\b
Exit codes: 0 done · 1 failed · 2 usage · 3 not found or nothing matches ·
4 verification failed · 5 network or storage unavailable
"""
_EXAMPLE = example(
    "sealdex-builder init my-registry --dev-keys",
    "cd my-registry",
    "sealdex-builder new notify acme/slack",
    "sealdex-builder pack plugins/acme/slack",
    "sealdex-builder release plugins/acme/slack/dist/0.1.0/slack-0.1.0.zip",
    "sealdex-builder validate",
    "sealdex-builder publish",
)


@click.group(
    cls=LazyGroup,
    lazy=COMMANDS,
    help=_HELP,
    epilog=_EXAMPLE,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.option(
    "--tree",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="The source tree; the nearest one from here upwards when left out.",
)
@output_options
@click.version_option(package_name="sealdex-builder", prog_name=PROGRAM, message="%(prog)s %(version)s")
@click.pass_context
def group(ctx: click.Context, tree: Path | None) -> None:
    """Hand the tree to the commands."""
    ctx.meta["registry_builder.tree"] = tree
    if tree is not None:
        output_of(ctx).keep_options(ADVISED, f"--tree {typed(tree)}")


def _main(args: list[str], out: Output) -> object:
    return group.main(args, prog_name=PROGRAM, standalone_mode=False, obj=out)


def main() -> None:
    """Run the command line of this process and exit with its code."""
    signing.put_off()
    sys.exit(run(_main, prog=PROGRAM))


__all__ = ["COMMANDS", "PROGRAM", "group", "main"]
