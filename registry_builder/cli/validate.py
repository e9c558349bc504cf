"""The ``validate`` command: problems by file, a count, and whether the published state could be compared."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from registry_builder import ceremony, publication, signing, site, source, storage
from registry_builder.cli.markdown import problems_markdown
from registry_builder.cli.options import (
    ALLOW_FILE,
    BY_URL,
    PLUGIN_ID,
    REALMS,
    SUMMARY,
    append,
    example,
    reader_storage,
    tree_of,
)
from registry_builder.cli.realms import realms_named
from registry_builder.site import images
from registry_builder.source import lint
from registry_builder.source.realms import problems_of
from sealdex.cli.group import output_of, output_options
from sealdex.errors import SealdexError, VerificationError
from sealdex.model.ids import PluginId
from sealdex.text import counted

if TYPE_CHECKING:
    from registry_builder.publication.published_documents import Compared
    from registry_builder.source.tree import Problem, SourceTree
    from sealdex.cli.output import Output

_SHOWN = 20  # plugins without a release


@click.command(epilog=example("sealdex-builder validate", "sealdex-builder --json validate acme/slack"))
@click.argument("plugins", nargs=-1, metavar="[NS/NAME]...", type=PLUGIN_ID)
@click.option("--offline", is_flag=True, help="Don't compare with the published state.")
@REALMS
@ALLOW_FILE
@BY_URL
@SUMMARY
@output_options
@click.pass_context
def validate(
    ctx: click.Context,
    plugins: tuple[PluginId, ...],
    offline: bool,
    realms: tuple[str, ...],
    allow_files: tuple[str, ...],
    by_url: bool,
    summary: Path | None,
) -> int:
    """Show every problem of the source tree, or of the named plugins, at once.

    With --realm, what belongs to plugins of other realms isn't shown, nor counted, so that the output can be public.
    Each line has the file, the field, what is wrong and how to fix it. Errors exit 1, warnings don't. Releases
    are compared with the published state, so that changes are found before publish refuses them.
    """
    return _validate_tree(
        output_of(ctx),
        tree_of(ctx),
        plugins,
        offline=offline,
        realms=realms,
        by_url=by_url,
        summary=summary,
        allow_files=allow_files,
    )


def _validate_tree(
    out: Output,
    root: Path,
    plugins: Collection[PluginId],
    *,
    offline: bool,
    realms: Collection[str] = (),
    by_url: bool = False,
    summary: Path | None = None,
    allow_files: Collection[str] = (),
) -> int:
    """Lint a tree, or the named plugins of it, print everything and return the exit code."""
    tree = source.load_tree(root, only=plugins or None, allow_files=allow_files)
    shown = realms_named(tree, realms)
    compared = {} if offline else _published(out, tree, shown, by_url=by_url)
    # what another realm has of a plugin that moved says nothing of the one that it is in
    published = {
        plugin: document
        for realm, each in compared.items()
        for plugin, document in each.documents.items()
        if plugin not in tree.plugins or tree.plugins[plugin].plugin.realm == realm
    }
    problems = sorted(
        {
            *lint.lint_tree(tree, published=published or None),
            *lint.template_problems(tree),
            *images.image_problems(tree),
            *_comparisons(compared.values()),
            *_elsewhere(tree, compared),
        }
    )

    waiting = [each for realm in compared.values() for each in realm.waiting]
    if tree.complete:
        problems = sorted({*problems, *ceremony.realm_problems(tree, shown)})
        problems = sorted({*problems, *site.site_problems(tree, partial(_is_stored, tree, tuple(compared)))})
    mine = {plugin: each for plugin, each in tree.plugins.items() if each.plugin.realm in shown} if realms else None
    if mine is not None:
        problems = problems_of(problems, tree, shown)
    errors = [problem for problem in problems if problem.severity == "error"]
    file = ""
    for problem in problems:
        if problem.file != file:
            file = problem.file
            out.answer(file)
        place = f"{problem.where}: " if problem.where else ""
        say = out.say if out.mode == "human" else str  # scripts read it in quiet mode
        out.answer(f"  {say(f'{problem.severity}:')} {place}{say(problem.message)}")
    plugins_shown = tree.plugins if mine is None else mine
    releases = sum(len(plugin.releases) for plugin in plugins_shown.values())
    held = f"{counted(len(plugins_shown), 'plugin')}, {counted(releases, 'release')}"
    found = f"{counted(len(errors), 'error')}, {counted(len(problems) - len(errors), 'warning')}"
    out.line(f"{held}: {found}", style="red" if errors else "green")
    unreleased = sorted(str(plugin) for plugin, each in plugins_shown.items() if not each.releases)
    if unreleased:
        more = f" and {len(unreleased) - _SHOWN} more" if len(unreleased) > _SHOWN else ""
        out.note(f"without a release, so nobody can install them: {', '.join(unreleased[:_SHOWN])}{more}")
    if summary is not None:
        append(summary, problems_markdown(problems, len(plugins_shown), releases, waiting))
    out.result(
        {
            "valid": not errors,
            "plugins": len(plugins_shown),
            "releases": releases,
            "unreleased": unreleased,
            "errors": len(errors),
            "warnings": len(problems) - len(errors),
            "compared_with": sorted(compared),
            "waiting": [each.document() for each in waiting],
            "problems": [_document(problem) for problem in problems],
        }
    )
    return 1 if errors else 0


def _comparisons(compared: Iterable[Compared]) -> Iterator[Problem]:
    """Yield what publishing this tree would leave as published, and what waits: as warnings."""
    for realm in compared:
        for each in realm.older:
            if each.events:
                message = (
                    "lacks published events, so publishing would leave the plugin as it is: "
                    f"{', '.join(map(str, each.events))}; is this an older checkout? git pull"
                )
                yield source.Problem(f"plugins/{each.plugin}/status.json", "", message, "warning")
        for waits in realm.waiting:
            said = f"waits for {waits.said}; or publish where its keys are"
            for plugin in waits.plugins:
                yield source.Problem(f"plugins/{plugin}", "", said, "warning")
            if not waits.plugins:
                yield source.Problem("registry.toml", f"namespaces.{waits.namespace}", said, "warning")


def _elsewhere(tree: SourceTree, compared: Mapping[str, Compared]) -> Iterator[Problem]:
    """Yield plugins that another realm has published than the one they are in, and that no ``move`` explains."""
    for realm, each in compared.items():
        for plugin in each.documents:
            found = tree.plugins.get(plugin)
            if found is None or found.plugin.realm == realm:
                continue
            if any(event.action == "move" and event.from_realm == realm for event in found.status.events):
                continue
            there = compared.get(found.plugin.realm)
            message = (
                f"'{found.plugin.realm}' is not the realm in which the plugin is published: write 'realm: {realm}'"
            )
            yield source.Problem(
                f"plugins/{plugin}/plugin.yaml",
                "realm",
                f"{message} again, then: sealdex-builder move {plugin} --to-realm {found.plugin.realm}",
                "warning" if there is not None and plugin in there.documents else "error",
            )


def _is_stored(tree: SourceTree, realms: Collection[str], key: str) -> bool:
    """Return whether a file of the site is published in one of the realms that were compared."""
    try:
        return any(
            publication.is_stored(storage.open_storage(tree.config.realms[each].storage, base=tree.root), key)
            for each in realms
        )
    except SealdexError:
        return False  # a storage that can't be read


def _published(out: Output, tree: SourceTree, realms: Collection[str], *, by_url: bool) -> dict[str, Compared]:
    """Read the published state of each realm; report and skip what can't be read."""
    found: dict[str, Compared] = {}
    for realm in realms:
        if not signing.has_trust(tree.root, realm):
            continue  # without a trust root nothing can be published
        try:
            # expired metadata is still signed: it shows what was published, and validate trusts nothing because of it
            place = reader_storage(tree.config, realm, by_url=by_url)
            found[realm] = publication.compare(
                publication.open_publisher(tree, realm, storage=place, allow_expired=True)
            )
        except VerificationError:
            raise
        except SealdexError as error:  # continue with the other realms
            out.warn(f"realm {realm} is not compared with what is published: {error.message}")
    return found


def _document(problem: Problem) -> dict[str, str]:
    return {
        "file": problem.file,
        "where": problem.where,
        "severity": problem.severity,
        "message": problem.message,
    }


__all__ = ["validate"]
