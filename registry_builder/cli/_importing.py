"""What the ``import`` commands share: their options, the run, and how its report is told."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import click

from registry_builder import importers
from registry_builder.cli.archive_argument import parse_archive
from registry_builder.cli.options import shown, tree_of
from sealdex.cli.group import output_of, output_options
from sealdex.cli.output import Output
from sealdex.errors import UsageError
from sealdex.model.ids import namespace_problem
from sealdex.text import counted
from sealdex.transport import Credentials, Transport, TransportSettings

F = TypeVar("F", bound=Callable[..., Any])

_OPTIONS = (
    click.option("--namespace", metavar="NS", help="Namespace of the imported plugins."),
    click.option(
        "--names",
        type=click.Path(dir_okay=False, path_type=Path),
        help="The file with the name of each plugin here; by default imports/SYSTEM.toml in the source tree.",
    ),
    click.option("--type", "plugin_type", metavar="TYPE", help="Type of plugins for which the source states none."),
    click.option("--license", metavar="SPDX", help="License of plugins for which the source states none."),
    click.option(
        "--selector",
        metavar="LABELS",
        help="What files are for, where the source doesn't say: os=linux,arch=amd64,+cuda-11.8.",
    ),
    click.option(
        "--ingest/--no-ingest",
        default=None,
        help="Copy files into the registry, or leave them where they are; by default those whose address doesn't last "
        "are copied.",
    ),
    click.option(
        "--version-map",
        metavar="MAP",
        help="What versions become that aren't semantic: 'numbers', OLD=NEW, or a file of OLD = NEW, the oldest first.",
    ),
    click.option(
        "--allow-host",
        "allow_hosts",
        multiple=True,
        metavar="HOST",
        help="A host of a private network that the source may name; may be repeated.",
    ),
    click.option("--by", metavar="NAME", help="Who imports, for yanks and attachments; git's user.name by default."),
    click.option("--skip-invalid", is_flag=True, help="Exit with 0 if some entries can't be represented."),
    click.option("--dry-run", is_flag=True, help="Say what would be imported; read no files and write nothing."),
)


def import_options(command: F) -> F:
    """Add the options that all importers have."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return output_options(command)


def transport_for(given: Mapping[str, Any], *named: str, credentials: Credentials | None = None) -> Transport:
    """Return the transport of an import: hosts of private networks are asked only where the user named them.

    Args:
        given: the values of `import_options`.
        named: addresses that the user gave on the command line.
        credentials: for one of them.
    """
    hosts = [*given["allow_hosts"], *(importers.host_in(url) for url in named)]
    return Transport(TransportSettings(), credentials=credentials, permit=importers.only_public(hosts))


def run(
    ctx: click.Context,
    system: str,
    found: importers.Found,
    transport: Transport,
    *,
    default_namespace: str | None,
    given: Mapping[str, Any],
) -> int:
    """Import what was found, and tell it; return the exit code.

    Args:
        ctx: of the command.
        system: what is imported from; its file of names is called so.
        found: what was read.
        transport: of the import.
        default_namespace: without --namespace; None: what the source proposes, which --namespace replaces.
        given: the values of `import_options`.
    """
    out, tree = output_of(ctx), tree_of(ctx)
    if given["namespace"] is not None and default_namespace is None:  # what the source proposes is a default
        found.plugins = {key: replace(plugin, namespace=None) for key, plugin in found.plugins.items()}
    namespace = given["namespace"] or default_namespace or system
    if problem := namespace_problem(namespace):
        raise UsageError(
            f"namespace '{namespace}' {problem}", untouched="nothing was imported", hint="give --namespace NS"
        )
    selector, tags = _labels(given["selector"])
    options = importers.ImportOptions(
        namespace=namespace,
        names=given["names"],
        ingest=given["ingest"],
        versions=importers.read_version_map(given["version_map"]) if given["version_map"] else importers.VersionMap(),
        selector=selector,
        tags=tags,
        license=given["license"],
        by=given["by"],
        dry_run=given["dry_run"],
    )
    report = importers.run_import(tree, system, found, options, transport)
    return _tell(out, system, found, report, skip_invalid=given["skip_invalid"], dry_run=given["dry_run"])


def _labels(text: str | None) -> tuple[dict[str, Any] | None, tuple[str, ...]]:
    if text is None:
        return None, ()
    parsed = parse_archive(f"FILE:{text}")
    if parsed.path.name != "FILE":
        raise UsageError(f"'{text}' is not a list of labels", hint="write --selector os=linux,arch=amd64")
    if parsed.selector is None:
        return None, parsed.tags
    expressions = [
        {"key": e.key, "operator": e.operator.value, "values": list(e.values)}
        for e in parsed.selector.match_expressions
    ]
    labels = {"match_labels": dict(parsed.selector.match_labels)}
    return ({**labels, "match_expressions": expressions} if expressions else labels), parsed.tags


def _tell(
    out: Output,
    system: str,
    found: importers.Found,
    report: importers.ImportReport,
    *,
    skip_invalid: bool,
    dry_run: bool,
) -> int:
    for entry in report.refused:
        what = "skipped" if entry.whole else "field skipped"
        out.answer(f"{what}: {entry.place}: {' '.join(filter(None, (entry.name, entry.version)))}: {entry.reason}")
    for plugin, version, how in report.security:
        out.warn(f"SECURITY: {plugin} {version}: {how}")
    for plugin, version, how in report.kept:
        out.line(f"kept: {plugin} {version}: {how}")
    for note in report.notes:
        out.note(note)
    for event in report.events:
        if event.action in {"yank", "deprecate", "promote"}:
            where = f" to {event.channel}" if event.channel else ""
            out.line(f"{event.action}: {event.version or 'the plugin'}{where} {event.why}".rstrip())
    for added in report.types:
        out.line(f"added the type '{added}' to registry.toml")
    whole = sum(entry.whole for entry in report.refused)
    verb = "would write" if dry_run else "wrote"
    plugins = counted(len({plugin for plugin, *_ in report.releases}), "plugin")
    out.line(
        f"{counted(found.entries, 'entry', 'entries')}: {verb} {counted(len(report.releases), 'release')} "
        f"of {plugins}; unchanged: {report.unchanged}; {counted(whole, 'entry', 'entries')} can't be represented"
    )
    if report.names.is_file():
        out.note(f"names are kept in {shown(report.names)}; commit it with what was imported")
    out.result(
        {
            "system": system,
            "entries": found.entries,
            "dry_run": dry_run,
            "plugins": [str(plugin) for plugin in report.plugins],
            "releases": [{"plugin": str(p), "version": v, "artifacts": n} for p, v, n in report.releases],
            "unchanged": report.unchanged,
            "events": len(report.events),
            "kept": [{"plugin": str(p), "version": v, "reason": how} for p, v, how in report.kept],
            "security": [{"plugin": str(p), "version": v, "reason": how} for p, v, how in report.security],
            "not_imported": [
                {"place": e.place, "name": e.name, "version": e.version or None, "reason": e.reason, "whole": e.whole}
                for e in report.refused
            ],
            "notes": report.notes,
            "types_added": report.types,
            "names": str(report.names),
        }
    )
    if report.security:
        return 4
    return 1 if whole and not skip_invalid else 0


__all__ = ["import_options", "run", "transport_for"]
