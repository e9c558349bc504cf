"""``sealdex-builder``: the table of its commands, which are imported only when they run."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from registry_builder.cli.options import example, typed
from sealdex.cli.errors import run
from sealdex.cli.group import LazyCommand, LazyGroup, output_of, output_options
from sealdex.cli.output import Output
from sealdex.trust.key_libraries import put_off

PROGRAM = "sealdex-builder"

_ROOM = "registry_builder.cli"

COMMANDS = {
    "init": LazyCommand(f"{_ROOM}.init:init", "Create a source tree for a new registry."),
    "upgrade": LazyCommand(f"{_ROOM}.upgrade:upgrade", "Update the GitHub workflows to this version."),
    "new": LazyCommand(f"{_ROOM}.authoring:new", "Create a working plugin to start from."),
    "pack": LazyCommand(f"{_ROOM}.authoring:pack", "Pack a folder into a zip, reproducibly."),
    "test": LazyCommand(f"{_ROOM}.trial:test", "Try out plugins: pack, install, load, run."),
    "release": LazyCommand(f"{_ROOM}.authoring:release", "Write a release into the source tree."),
    "ship": LazyCommand(f"{_ROOM}.ship:ship", "Pack, test, release, commit and open a pull request."),
    "yank": LazyCommand(f"{_ROOM}.lifecycle:yank", "Yank a release: select it no longer."),
    "unyank": LazyCommand(f"{_ROOM}.lifecycle:unyank", "Undo a yank."),
    "deprecate": LazyCommand(f"{_ROOM}.lifecycle:deprecate", "Deprecate a plugin."),
    "undeprecate": LazyCommand(f"{_ROOM}.lifecycle:undeprecate", "Undo a deprecation."),
    "promote": LazyCommand(f"{_ROOM}.lifecycle:promote", "Add a release to a channel."),
    "demote": LazyCommand(f"{_ROOM}.lifecycle:demote", "Remove a release from a channel."),
    "move": LazyCommand(f"{_ROOM}.move:move", "Move a plugin to another realm."),
    "evaluate": LazyCommand(f"{_ROOM}.lifecycle:evaluate", "Link evaluation results to a release."),
    "attest": LazyCommand(f"{_ROOM}.lifecycle:attest", "Attach an SBOM, statement or bundle to a release."),
    "import": LazyCommand(f"{_ROOM}.import_:import_group", "Import other registries' metadata."),
    "validate": LazyCommand(f"{_ROOM}.validate:validate", "Show every problem of the source tree."),
    "diff": LazyCommand(f"{_ROOM}.diff:diff", "Show what publishing would change."),
    "publish": LazyCommand(f"{_ROOM}.publish:publish", "Sign and publish what changed."),
    "refresh": LazyCommand(f"{_ROOM}.refresh:refresh", "Re-sign metadata that expires soon."),
    "status": LazyCommand(f"{_ROOM}.status:status", "Show what is published, its signers and expiry."),
    "verify-published": LazyCommand(
        f"{_ROOM}.verify_published:verify_published", "Verify everything that is published."
    ),
    "recover": LazyCommand(f"{_ROOM}.recover:recover", "Republish after an online key was stolen."),
    "unlock": LazyCommand(f"{_ROOM}.unlock:unlock", "Free the lock that a killed publish left."),
    "gc": LazyCommand(f"{_ROOM}.gc:gc", "Remove files that are no longer referenced."),
    "access": LazyCommand(f"{_ROOM}.access:access", "Print who may do what in a realm's bucket."),
    "stats": LazyCommand(f"{_ROOM}.stats:stats", "Count downloads from access logs."),
    "doctor": LazyCommand(f"{_ROOM}.doctor:doctor", "Check the publication target for problems."),
    "pages": LazyCommand(f"{_ROOM}.pages:pages", "Check and record a GitHub Pages deployment."),
    "cloud": LazyCommand(f"{_ROOM}.cloud:cloud", "Print documents for the account at AWS."),
    "serve": LazyCommand(f"{_ROOM}.serve:serve", "Serve a published folder locally."),
    "site": LazyCommand(f"{_ROOM}.site:site_command", "Write the browse pages."),
    "images": LazyCommand(f"{_ROOM}.images:images", "Keep images of READMEs in the source tree."),
    "keys": LazyCommand(f"{_ROOM}.keys:keys", "Create and list signing keys."),
    "ceremony": LazyCommand(f"{_ROOM}.ceremony:ceremony_group", "Change root or targets with several signers."),
    "realm": LazyCommand(f"{_ROOM}.realm:realm", "Add, list and remove realms."),
    "namespace": LazyCommand(f"{_ROOM}.namespace:namespace", "Sign for a claimed namespace."),
    "completion": LazyCommand(f"{_ROOM}.completion:completion", "Print a completion script for a shell."),
}


ADVISED = rf"\bsealdex-builder(?= (?:{'|'.join(name for name in COMMANDS if name not in {'init', 'completion'})})\b)"
"""A command in a text, up to where --tree goes; init takes its folder as an argument."""

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
    help="The source tree; by default the nearest one from the current folder upwards.",
)
@output_options
@click.version_option(package_name="sealdex-builder", prog_name=PROGRAM, message="%(prog)s %(version)s")
@click.pass_context
def group(ctx: click.Context, tree: Path | None) -> None:
    """Pass the tree to the commands."""
    ctx.meta["registry_builder.tree"] = tree
    if tree is not None:
        output_of(ctx).keep_options(ADVISED, f"--tree {typed(tree)}")


def _main(args: list[str], out: Output) -> object:
    return group.main(args, prog_name=PROGRAM, standalone_mode=False, obj=out)


def _completed() -> bool:
    from registry_builder.cli.completers import COMPLETERS  # noqa: PLC0415  # only when a shell asks
    from sealdex.cli.complete import answer  # noqa: PLC0415  # completing must not wait for it

    return answer(group, PROGRAM, COMPLETERS)


def main() -> None:
    """Run the command line of this process and exit with its code."""
    if "_SEALDEX_BUILDER_COMPLETE" in os.environ and _completed():
        sys.exit()
    put_off()
    sys.exit(run(_main, prog=PROGRAM, rooms=(_ROOM,)))


__all__ = ["COMMANDS", "PROGRAM", "group", "main"]
