"""The ``ship`` command: from a working copy to a pull request, step by step."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import click

from registry_builder import authoring, source
from registry_builder.cli.options import ALLOW_FILE, example, shown
from registry_builder.cli.plugin_argument import named_plugin
from registry_builder.cli.trial import show_step
from registry_builder.trial import try_plugin
from sealdex.cli.group import output_of, output_options
from sealdex.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

    from registry_builder.trial import Trial

STEPS = ("pack", "test", "release", "commit", "pull-request")


@click.command(
    epilog=example(
        "sealdex-builder ship acme/slack",
        "sealdex-builder ship acme/slack --fork",
        "sealdex-builder ship acme/slack --only commit",
    )
)
@click.argument("plugin", metavar="NS/NAME")
@click.option("--only", multiple=True, type=click.Choice(STEPS), help="Only this step; may be repeated.")
@click.option("--no-test", is_flag=True, help="Don't run the plugin's code.")
@click.option("--channel", help="As in release.")
@click.option("--fork", is_flag=True, help="Push to the remote 'fork', which gh makes if there is none.")
@click.option("--body", metavar="TEXT", help="Of the pull request.")
@ALLOW_FILE
@output_options
@click.pass_context
def ship(
    ctx: click.Context,
    plugin: str,
    only: tuple[str, ...],
    no_test: bool,
    channel: str | None,
    fork: bool,
    body: str | None,
    allow_files: tuple[str, ...],
) -> int:
    """Bring a plugin's working copy into review: pack, test, release, commit on a branch, pull request.

    The plugin is given by NS/NAME or the path of its folder. The branch is release/NS/NAME/VERSION; only
    the plugin's folder is committed. The pull request is opened by gh if it is installed. If a step fails, run the
    command again: it continues after the steps that are done. With --fork no right on the registry's repository is
    needed. A branch that is there already is added to, never replaced.
    """
    out = output_of(ctx)
    found = named_plugin(plugin, ctx.meta.get("registry_builder.tree"))
    steps = [step for step in STEPS if (step in only if only else step != "test" or not no_test)]
    version = authoring.stated_version_of(found.folder)
    branch = authoring.release_branch(found.id, version)
    if "commit" in steps:
        authoring.check_branch(found.tree, branch)
    told: dict[str, object] = {"plugin": str(found.id), "version": version, "branch": None, "commit": None}
    told["pull_request"] = None
    if "pack" in steps and not authoring.has_built_archives(found.folder):
        packed = authoring.pack_folder(found.folder, allow_files=allow_files)
        out.line(f"packed {shown(packed.path)}")
        for warning in packed.warnings:
            out.warn(warning)
    if "test" in steps:
        allowed = (*allow_files, *source.read_config(found.tree).policy.allow_files)
        trial = try_plugin(
            found.folder, found.id, tree=found.tree, allow_files=allowed, on_step=lambda step: show_step(out, step)
        )
        if not trial.passed:
            failed = next((step for step in trial.steps if step.outcome == "failed"), None)
            why = f"{failed.name}: {failed.detail}" if failed is not None else "none of it could be tried"
            out.fail([f"{found.id} {version} failed its test, so it was not released", why])
            out.result({**told, "shipped": False, "failed": "test"})
            return 1
        if "release" in steps:
            _check_tested(found.folder, trial)
    if "release" in steps:
        archives = [authoring.Archive(path) for path in authoring.archives_of(found.folder)]
        plan = authoring.write_release(
            found.tree, archives, plugin=found.id, channel=channel, allow_files=allow_files
        )  # fmt: skip
        for warning in plan.warnings:
            out.warn(warning)
        out.line(f"{'already released' if plan.exists else 'released'}: {shown(plan.file)}")
    if "commit" in steps:
        made = authoring.commit_release(found.tree, found.id, version)
        told["branch"], told["commit"] = made.branch, made.commit
        out.line(f"{'committed to' if made.commit else 'nothing new on'} {made.branch}")
    if "pull-request" in steps:
        asked = authoring.open_pull_request(found.tree, found.id, version, fork=fork, body=body)
        told["branch"], told["pull_request"] = asked.branch, asked.pull_request
        if asked.pull_request is not None:
            out.line(f"pull request: {asked.pull_request}")
        elif asked.next_step is not None:
            out.note(f"next: {asked.next_step}")
    out.result({**told, "shipped": True, "failed": None})
    return 0


def _check_tested(folder: Path, trial: Trial) -> None:
    """Make sure that what is released next is what was tested.

    Raises:
        ConfigError: an archive in dist/ has other bytes than the one that was packed for the test.
    """
    for path in authoring.archives_of(folder):
        if hashlib.sha256(path.read_bytes()).hexdigest() != trial.archives.get(path.name):
            raise ConfigError(
                "is not the archive that was tested: the folder was changed since it was packed",
                subject=str(path),
                untouched="it was not released",
                hint="repeat the command; --only release releases what is in dist/ as it is",
            )


__all__ = ["ship"]
