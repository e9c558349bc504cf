"""The ``publish`` command: for each realm what was published, what waits, and the exit code."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from registry_builder import publication, source
from registry_builder.cli.accept_removed import ACCEPT_REMOVED, refuse_held
from registry_builder.cli.markdown import error_markdown, plan_markdown
from registry_builder.cli.options import (
    ALL_REALMS,
    ALLOW_FILE,
    FILES,
    PLUGIN_ID,
    REALMS,
    SUMMARY,
    append,
    example,
    tree_of,
)
from registry_builder.cli.plan_output import file_documents, plan_document, show_files, show_plan
from registry_builder.cli.realms import open_realm, realms_named
from sealdex.cli.group import output_of, output_options
from sealdex.errors import NotFoundError, SealdexError, UsageError
from sealdex.model.ids import PluginId

if TYPE_CHECKING:
    from registry_builder.publication.publish import PublishResult
    from sealdex.cli.output import Output

_ONLY = click.option(
    "--only", multiple=True, metavar="NS/NAME", type=PLUGIN_ID, help="Only this plugin; may be repeated."
)


@click.command(
    epilog=example(
        "sealdex-builder publish",
        "sealdex-builder publish --only acme/slack",
        "sealdex-builder publish --dry-run --files",
    )
)
@REALMS
@ALL_REALMS
@_ONLY
@click.option("--dry-run", is_flag=True, help="Read, verify and plan; write nothing.")
@ACCEPT_REMOVED
@ALLOW_FILE
@click.option(
    "--require-all", is_flag=True, help="Exit 1 if something waits for the signature of a claimed namespace's team."
)
@click.option("--no-site", is_flag=True, help="Skip the browse site; the next full publish updates it.")
@click.option(
    "--first-publish", is_flag=True, help="On GitHub Pages, once and by hand: nothing was ever deployed at the url."
)
@click.option(
    "--folder-in-ci",
    is_flag=True,
    help="In a workflow: allow a folder, because a later step copies it from the runner.",
)
@FILES
@SUMMARY
@output_options
@click.pass_context
def publish(
    ctx: click.Context,
    realms: tuple[str, ...],
    all_realms: bool,
    only: tuple[PluginId, ...],
    dry_run: bool,
    accept_removed: tuple[PluginId, ...],
    allow_files: tuple[str, ...],
    require_all: bool,
    no_site: bool,
    first_publish: bool,
    folder_in_ci: bool,
    files: bool,
    summary: Path | None,
) -> None:
    """Sign and publish what changed, in one atomic step.

    The published state is read and verified first, and nothing is signed on top of a state that doesn't verify. The
    next publish continues one that was interrupted. With --only the time doesn't depend on the size of the registry:
    only the pages of these plugins are written, and the next full publish writes the rest of the browse site.

    A plugin without some of its published events, such as a yank, is left as published, because the source tree is
    probably an older checkout. All others are published, and the exit code is 1. A realm that can't be published
    doesn't hold up the others: they are published, and the exit code is that of the first error.

    Output, logs and --summary of a run with --realm have no name of another realm's plugins.
    """
    out, root = output_of(ctx), tree_of(ctx)
    if realms and all_realms:
        raise UsageError("--all-realms and --realm exclude each other", untouched="nothing was published")
    if not dry_run:
        _check_places(root, realms, first_publish=first_publish, folder_in_ci=folder_in_ci)
    results, failed = _publish_realms(
        out,
        root,
        realms,
        only,
        dry_run=dry_run,
        first_publish=first_publish,
        site=not no_site,
        files=files,
        accept_removed=accept_removed,
        allow_files=allow_files,
    )
    if summary is not None:
        title = "Publishing would change" if dry_run else "Published"
        for each in results:
            append(summary, plan_markdown(each.plan, title))
        for name, error in failed.items():
            append(summary, error_markdown(error, name))
    out.result(
        {
            "dry_run": dry_run,
            "realms": [_document(result) for result in results],
            **({"failed": {name: error.message for name, error in failed.items()}} if failed else {}),
        }
    )
    for error in failed.values():
        raise error
    refuse_held(results, dry_run=dry_run)
    if require_all:
        _refuse_waiting(results)


def _publish_realms(
    out: Output,
    root: Path,
    realms: Collection[str],
    only: Collection[PluginId],
    *,
    dry_run: bool,
    site: bool,
    files: bool,
    accept_removed: Collection[PluginId],
    first_publish: bool,
    allow_files: Collection[str],
) -> tuple[list[PublishResult], dict[str, SealdexError]]:
    """Publish each realm; return what was done, and what kept the others from it."""
    tree = source.load_tree(root, only=only or None, allow_files=allow_files)
    results: list[PublishResult] = []
    failed: dict[str, SealdexError] = {}
    named = realms_named(tree, realms, only)
    for name in named:
        try:
            with out.progress(f"publishing {name}") as progress:
                publisher = open_realm(tree, name, progress, site=site)
                try:
                    result = publication.publish_realm(
                        publisher,
                        only=only or None,
                        dry_run=dry_run,
                        accept_removed=accept_removed,
                        first_publish=first_publish and tree.config.realms[name].is_pages,
                    )
                except publication.NotAllPublishedError as error:  # raised once every realm is published
                    (result,) = error.results
        except SealdexError as error:
            if len(named) == 1:
                raise
            failed[name] = error
            out.warn(f"realm {name} is not published: {error.message}")
            continue
        results.append(result)
        show_plan(out, result.plan)
        if files:
            show_files(out, result.files)
        for warning in result.warnings:
            out.warn(warning)
        if result.committed:
            versions = ", ".join(f"{role} {version}" for role, version in result.versions.items())
            races = f", after losing {result.attempts - 1} races" if result.attempts > 1 else ""
            out.line(f"published realm {name}: {versions}{races}", style="green")
    if not results and not failed:
        raise NotFoundError(
            f"none of {', '.join(map(str, only))} is in realm {', '.join(realms)}", untouched="nothing was written"
        )
    return results, failed


def _refuse_waiting(results: Iterable[PublishResult]) -> None:
    waiting = [each for result in results for each in result.plan.waiting if each.is_unpublished]
    if waiting:
        raise SealdexError(
            f"not everything is published: {'; '.join(map(str, waiting))}",
            subject=", ".join(dict.fromkeys(each.namespace for each in waiting)),
            untouched="what waits stays as it was published before",
            hint="commit the team's signatures, and publish again; without --require-all this is exit code 0",
        )


def _document(result: PublishResult) -> dict[str, Any]:
    return {
        **plan_document(result.plan),
        "writes": file_documents(result.files),
        "committed": result.committed,
        "versions": result.versions,
        "attempts": result.attempts,
        "requests": dict(result.requests),
        "bytes_put": result.bytes_put,
        "pages": result.pages,
        "invalidated": result.invalidated,
        "warnings": result.warnings,
    }


def _check_places(root: Path, realms: Collection[str], *, first_publish: bool, folder_in_ci: bool) -> None:
    configured = source.read_config(root).realms.items()
    sections = {name: section for name, section in configured if not realms or name in realms}
    if first_publish and not any(section.is_pages for section in sections.values()):
        raise UsageError(
            "--first-publish is for a realm on GitHub Pages; elsewhere the storage itself is read",
            untouched="nothing was published",
            hint="leave it out",
        )
    for name, section in sections.items():
        if not folder_in_ci:
            publication.check_disk(root, name, section)


__all__ = ["publish"]
