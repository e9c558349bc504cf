"""``sealdex-builder``: the table of its commands, which are imported only when they run."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from registry_builder.cli.examples import example
from sealdex.cli.errors import run
from sealdex.cli.group import LazyCommand, LazyGroup, output_of, output_options
from sealdex.cli.output import Output

PROGRAM = "sealdex-builder"

_AUTHORING = "registry_builder.cli.authoring"
_PUBLISHING = "registry_builder.cli.publish"
_LIFECYCLE = "registry_builder.cli.lifecycle"

COMMANDS = {
    "init": LazyCommand(f"{_AUTHORING}:init", "Make a source tree for a new registry."),
    "upgrade": LazyCommand("registry_builder.cli.upgrade:upgrade", "Bring its GitHub workflows up to this version."),
    "new": LazyCommand(f"{_AUTHORING}:new", "Make a plugin that works, to start from."),
    "pack": LazyCommand(f"{_AUTHORING}:pack", "Pack a folder into a zip, reproducibly."),
    "release": LazyCommand(f"{_AUTHORING}:release", "Write a release into the source tree."),
    "yank": LazyCommand(f"{_LIFECYCLE}:yank", "Mark a release as not to be chosen any more."),
    "unyank": LazyCommand(f"{_LIFECYCLE}:unyank", "Take a yank back."),
    "deprecate": LazyCommand(f"{_LIFECYCLE}:deprecate", "Mark a plugin as superseded."),
    "undeprecate": LazyCommand(f"{_LIFECYCLE}:undeprecate", "Take a deprecation back."),
    "promote": LazyCommand(f"{_LIFECYCLE}:promote", "Put a release on one more channel."),
    "demote": LazyCommand(f"{_LIFECYCLE}:demote", "Take a release off a channel."),
    "evaluate": LazyCommand(f"{_LIFECYCLE}:evaluate", "Link evaluation results to a release."),
    "attest": LazyCommand(f"{_LIFECYCLE}:attest", "Attach an SBOM, statement or bundle to a release."),
    "import": LazyCommand("registry_builder.cli.import_:import_group", "Import other registries' metadata."),
    "validate": LazyCommand(f"{_AUTHORING}:validate", "Show every problem of the source tree."),
    "diff": LazyCommand("registry_builder.cli.diff:diff", "Show what publishing would change."),
    "publish": LazyCommand(f"{_PUBLISHING}:publish", "Publish what changed, signed, in one step."),
    "refresh": LazyCommand(f"{_PUBLISHING}:refresh", "Sign anew what is about to expire."),
    "status": LazyCommand(f"{_PUBLISHING}:status", "Show what is published, by whom and until when."),
    "verify-published": LazyCommand("registry_builder.cli.audit:verify_published", "Verify and account for all of it."),
    "recover": LazyCommand("registry_builder.cli.recover:recover", "Publish anew after an online key was stolen."),
    "gc": LazyCommand("registry_builder.cli.audit:gc", "Remove what nothing reaches any more."),
    "doctor": LazyCommand("registry_builder.cli.doctor:doctor", "Look over where it is published."),
    "pages": LazyCommand("registry_builder.cli.pages:pages", "Before and after a deployment to GitHub Pages."),
    "serve": LazyCommand(f"{_PUBLISHING}:serve", "Serve a published folder on this machine."),
    "site": LazyCommand(f"{_PUBLISHING}:site", "Write the browse pages."),
    "keys": LazyCommand("registry_builder.cli.keys:keys", "Make and list signing keys."),
    "ceremony": LazyCommand("registry_builder.cli.ceremony:ceremony", "Change root or targets, signed by several."),
    "namespace": LazyCommand("registry_builder.cli.namespace:namespace", "Sign for a namespace that a team claimed."),
    "completion": LazyCommand("registry_builder.cli.completion:completion", "Print a completion script for a shell."),
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
        from registry_builder.cli.tree import typed  # noqa: PLC0415  # --help needs nothing of it

        output_of(ctx).keep_options(ADVISED, f"--tree {typed(tree)}")


def _main(args: list[str], out: Output) -> object:
    return group.main(args, prog_name=PROGRAM, standalone_mode=False, obj=out)


def main() -> None:
    """Run the command line of this process and exit with its code."""
    sys.exit(run(_main, prog=PROGRAM))


__all__ = ["COMMANDS", "PROGRAM", "group", "main"]
