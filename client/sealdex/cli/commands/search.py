"""Commands that look into registries and change nothing: search, info."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import click

from sealdex import resolve
from sealdex.cli.context import Context, client_command
from sealdex.cli.group import examples
from sealdex.errors import NotFoundError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sealdex.client import Client
    from sealdex.model.ids import PluginId
    from sealdex.results import Found


@click.command(
    epilog=examples(
        "sealdex search slack",
        "sealdex search chat bot --type notify --platform linux/arm64",
        "sealdex search --keyword speech --tag cuda-11.8 --json",
        "sealdex search --type model --metric 'top1>=0.8' --sort used",
    )
)
@click.argument("words", nargs=-1)
@click.option(
    "--type", "types", multiple=True, metavar="TYPE", help="Only plugins of this type; repeated: of any of them."
)
@click.option(
    "--namespace", "namespaces", multiple=True, metavar="NS", help="Only this namespace; repeated: any of them."
)
@click.option("--keyword", "keywords", multiple=True, help="Only plugins with this keyword; may be repeated.")
@click.option(
    "--platform",
    "platforms",
    multiple=True,
    metavar="OS[/ARCH]",
    help="Only plugins that run on this platform, such as linux/arm64; repeated: on any of them.",
)
@click.option(
    "--label",
    "labels",
    multiple=True,
    metavar="K=V",
    help="Only plugins that run on hosts with this label; may be repeated.",
)
@click.option("--tag", "tags", multiple=True, help="Only plugins with this compatibility tag; may be repeated.")
@click.option(
    "--license",
    "--licence",
    "licenses",
    multiple=True,
    metavar="SPDX",
    help="Only this license; repeated: any of them.",
)
@click.option(
    "--channel",
    "channels",
    multiple=True,
    help="Only plugins with a release in this channel; repeated: in any of them.",
)
@click.option("--deprecated/--no-deprecated", default=None, help="Only deprecated plugins, or only others.")
@click.option(
    "--metric",
    "metrics",
    multiple=True,
    metavar="'NAME>=NUMBER'",
    help="Only plugins whose measured value is so; also with <=, >, < and =. May be repeated.",
)
@click.option(
    "--min-metric",
    "least",
    multiple=True,
    metavar="NAME=NUMBER",
    help="Only plugins whose measured value is at least this.",
)
@click.option(
    "--max-metric",
    "most",
    multiple=True,
    metavar="NAME=NUMBER",
    help="Only plugins whose measured value is at most this.",
)
@click.option(
    "--sort",
    type=click.Choice(["relevance", "recent", "name", "used"]),
    default="relevance",
    show_default=True,
    help="The order: best match, last release, name, or number of plugins that need it.",
)
@click.option("--registry", metavar="NAME", help="Search only this registry.")
@click.option(
    "--files", is_flag=True, help="Add to --json what this host would install of each: address, size, SHA-256, signer."
)
@click.option("--offline", is_flag=True, help="Make no requests: search the last verified catalog.")
@click.option(
    "--limit", type=click.IntRange(min=0), default=50, show_default=True, help="Maximum number of rows; 0 shows all."
)
@client_command
def search(
    context: Context,
    words: tuple[str, ...],
    types: tuple[str, ...],
    namespaces: tuple[str, ...],
    keywords: tuple[str, ...],
    platforms: tuple[str, ...],
    labels: tuple[str, ...],
    tags: tuple[str, ...],
    licenses: tuple[str, ...],
    channels: tuple[str, ...],
    deprecated: bool | None,
    metrics: tuple[str, ...],
    least: tuple[str, ...],
    most: tuple[str, ...],
    sort: resolve.Sort,
    registry: str | None,
    files: bool,
    offline: bool,
    limit: int,
) -> None:
    """Search the signed catalogs. Every word must match name, title, keywords, tags or summary; best match first.

    What matches, and in which order, is told in docs/search.md. A registry whose credentials are missing or don't serve
    is passed over, with a warning, where others answer.
    """
    query = resolve.Query(
        words,
        types,
        keywords,
        dict(map(_label, labels)),
        tags,
        min_metrics=dict(map(_metric, least)),
        max_metrics=dict(map(_metric, most)),
        metrics=tuple(map(_bound, metrics)),
        platforms=tuple(map(_platform, platforms)),
        namespaces=namespaces,
        licenses=licenses,
        channels=channels,
        deprecated=deprecated,
        sort=sort,
    )
    with context.client("searching", offline=offline) as client:
        shown = client.search(query, registry=registry, limit=limit or None)
        located = _located(client, shown) if files and context.out.mode == "json" else {}
    if not shown:
        raise NotFoundError(
            f"no plugin matches{': ' + ' '.join(words) if words else ' these filters'}",
            hint="try fewer words or filters; to see which registries were searched: sealdex registry list",
            details={"skipped": context.out.skipped} if context.out.skipped else None,
        )
    meant = shown[0].meant
    context.out.result({
        "plugins": [{**_found_plain(hit), **located.get(hit.row.id, {})} for hit in shown],
        "total": shown.total,
        **({"did_you_mean": meant} if meant is not None else {}),
    })  # fmt: skip
    if meant is not None:
        context.out.note(f"nothing matches '{' '.join(words)}'; did you mean '{meant}'?")
    several = len({hit.registry for hit in shown}) > 1
    measured = list(dict.fromkeys(bound.name for bound in query.bounds))
    context.out.table(
        ["PLUGIN", "VERSION", "TYPE", *measured, *(["REGISTRY"] if several else []), "SUMMARY"],
        [
            [
                str(hit.row.id),
                hit.row.latest or "-",
                hit.row.type,
                *(f"{hit.row.metrics[name]:g}" for name in measured),
                *([hit.registry] if several else []),
                _summary(hit),
            ]
            for hit in shown
        ],
    )
    if shown.total > len(shown):
        context.out.note(f"{shown.total - len(shown)} more; --limit 0 shows all")


def _located(client: Client, shown: Sequence[Found]) -> dict[PluginId, dict[str, Any]]:
    """Return the file that this host would install of each plugin; None where nothing fits it."""
    from sealdex.locate import locate  # noqa: PLC0415  # `--help` needn't wait for it

    client.documents([hit.row.id for hit in shown])  # all at once: what is asked one by one below is at hand then
    found: dict[PluginId, dict[str, Any]] = {}
    for hit in shown:
        found[hit.row.id] = {"file": None}
        with suppress(NotFoundError):  # no release fits this host, or a dependency isn't to be had
            [each] = locate(client.queries, [resolve.Request(hit.row.id)])
            found[hit.row.id] = {
                "file": {
                    "version": each.choice.release.version,
                    "address": each.address,
                    "image": each.image,
                    "size": each.size,
                    "sha256": each.sha256,
                    "registry": each.trust.registry,
                    "signed_by": each.trust.signed_by,
                }
            }
    return found


def _label(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise UsageError(f"'{text}' is not a valid label: write KEY=VALUE", hint="for example: --label os=linux")
    from sealdex.model.platforms import usual_spelling  # noqa: PLC0415  # `--help` needn't wait for it

    return key, usual_spelling(key, value) or value


def _platform(text: str) -> tuple[str, str | None]:
    system, slash, machine = text.partition("/")
    if not system or (slash and not machine) or "/" in machine:
        raise UsageError(
            f"'{text}' is not a valid platform: write OS or OS/ARCH", hint="for example: --platform linux/arm64"
        )
    from sealdex.model.platforms import usual_spelling  # noqa: PLC0415  # `--help` needn't wait for it

    return usual_spelling("os", system) or system, (usual_spelling("arch", machine) or machine) if slash else None


def _bound(text: str) -> resolve.MetricBound:
    try:
        return resolve.parse_metric(text)
    except ValueError as error:
        raise UsageError(str(error), hint="for example: --metric 'top1>=0.8'") from None


def _metric(text: str) -> tuple[str, float]:
    name, _, value = text.partition("=")
    try:
        return name, float(value)
    except ValueError:
        raise UsageError(
            f"'{text}' is not a valid metric: write NAME=NUMBER", hint="for example: --min-metric top1=0.8"
        ) from None


def _summary(hit: Found) -> str:
    summary = f"{hit.row.title}: {hit.row.summary}" if hit.row.title else hit.row.summary
    if hit.not_on_mirror is not None:
        summary = f"[not on this mirror] {summary}"
    if hit.row.deprecated is None:
        return summary
    return f"[deprecated{', use ' + hit.row.use if hit.row.use else ''}] {summary}"


def _found_plain(hit: Found) -> dict[str, Any]:
    import msgspec  # noqa: PLC0415  # `--help` needn't wait for it

    row = msgspec.to_builtins(hit.row)
    lacking = {} if hit.not_on_mirror is None else {"not_on_mirror": hit.not_on_mirror}
    return {"plugin": str(hit.row.id), "registry": hit.registry, **row, **lacking}


@click.command(
    epilog=examples("sealdex info acme/slack", "sealdex info acme/slack@1.2.0", "sealdex info 'acme/slack@^1' --json")
)
@click.argument("plugin", metavar="NS/NAME[@RANGE]")
@click.option("--offline", is_flag=True, help="Make no requests: show what was last verified.")
@click.option("--all", "show_all", is_flag=True, help="Show all releases, not only the newest 20.")
@client_command
def info(context: Context, plugin: str, offline: bool, show_all: bool) -> None:
    """Show a plugin's releases, channels, platforms, dependencies and digests, or the manifest of one release.

    With a range, shows the release that this host would install, or the newest in the range if none fits this host.
    """
    from sealdex.cli.run_info import run_info  # noqa: PLC0415  # `--help` needn't wait for it

    run_info(context, plugin, offline=offline, show_all=show_all)
