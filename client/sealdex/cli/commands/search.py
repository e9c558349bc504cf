"""Commands that look into registries and change nothing: search, info."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import click
import msgspec

from sealdex import resolve
from sealdex.cli.context import Context, client_command
from sealdex.cli.group import examples
from sealdex.cli.output import Output
from sealdex.cli.progress import in_bytes
from sealdex.errors import NotFoundError, UsageError
from sealdex.model.decode import convert_to
from sealdex.model.index import latest_release
from sealdex.model.platforms import usual_spelling
from sealdex.model.selectors import Selector, describe
from sealdex.text import counted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sealdex.client import Client
    from sealdex.model.index import ArtifactEntry, ReleaseEntry
    from sealdex.model.release import PublishedManifest
    from sealdex.resolve import Choice
    from sealdex.results import Found, Located, PluginInfo

_MAX_PLATFORMS = 6


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
        found = client.search(query, registry=registry)
    if not found:
        raise NotFoundError(
            f"no plugin matches{': ' + ' '.join(words) if words else ' these filters'}",
            hint="try fewer words or filters; to see which registries were searched: sealdex registry list",
            details={"skipped": context.out.skipped} if context.out.skipped else None,
        )
    shown = found[:limit] if limit else found
    meant = found[0].meant
    context.out.result({
        "plugins": [_found_plain(hit) for hit in shown],
        "total": len(found),
        **({"did_you_mean": meant} if meant is not None else {}),
    })  # fmt: skip
    if meant is not None:
        context.out.note(f"nothing matches '{' '.join(words)}'; did you mean '{meant}'?")
    several = len({hit.registry for hit in found}) > 1
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
    if len(found) > len(shown):
        context.out.note(f"{len(found) - len(shown)} more; --limit 0 shows all")


def _label(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise UsageError(f"'{text}' is not a valid label: write KEY=VALUE", hint="for example: --label os=linux")
    return key, usual_spelling(key, value) or value


def _platform(text: str) -> tuple[str, str | None]:
    system, slash, machine = text.partition("/")
    if not system or (slash and not machine) or "/" in machine:
        raise UsageError(
            f"'{text}' is not a valid platform: write OS or OS/ARCH", hint="for example: --platform linux/arm64"
        )
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
    if hit.row.deprecated is None:
        return summary
    return f"[deprecated{', use ' + hit.row.use if hit.row.use else ''}] {summary}"


def _found_plain(hit: Found) -> dict[str, Any]:
    row = msgspec.to_builtins(hit.row)
    return {"plugin": str(hit.row.id), "registry": hit.registry, **row}


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
    name, at, _ = plugin.partition("@")
    with context.client("asking", offline=offline) as client:
        found = client.info(name)
        if at:
            version = _version_in(context.out, client, found, plugin)
            _show_manifest(context.out, found, client.manifest(name, version))
            return
        here: Choice | None = None
        with suppress(NotFoundError):  # includes NoMatchError: no release fits this host
            here = client.resolve(name).requested[0]
        lacks = client.queries.lacks
        lacking = {r.version: why for r in found.document.releases if (why := lacks(found.document, r)) is not None}
        file = client.located(here) if here is not None else None
    _show_plugin(context.out, found, here, file, lacking, None if show_all else 20)


def _version_in(out: Output, client: Client, found: PluginInfo, asked: str) -> str:
    """Return the version to show for a request.

    Raises:
        UsageError: the range is not valid. NotFoundError: no release is in it.
    """
    request = resolve.parse_request(asked)
    exact = request.range.removeprefix("=").strip()
    if found.document.release(exact) is not None:
        return exact
    with suppress(NotFoundError):
        return client.resolve(request).requested[0].release.version
    newest = resolve.newest_in(found.document, request.range)
    if newest is None:
        raise NotFoundError(
            f"{request.plugin} has no release {request.range}",
            subject=str(request.plugin),
            hint=f"to list its releases: sealdex info {request.plugin}",
        )
    out.note(
        f"no release in {request.range} fits this host, so this is the newest, {newest.version}; "
        f"to see why: sealdex install '{asked}'"
    )
    return newest.version


def _show_plugin(
    out: Output,
    found: PluginInfo,
    here: Choice | None,
    file: Located | None,
    lacking: Mapping[str, str],
    limit: int | None,
) -> None:
    """Show what is signed of a plugin.

    Args:
        out: where to.
        found: what is signed.
        here: the release that this host would install.
        file: where its file is.
        lacking: the releases that a partial mirror doesn't have, and why.
        limit: how many releases are shown; None: all.
    """
    document = found.document
    releases, latest = resolve.newest_first(document), latest_release(document)
    out.result({
        "plugin": str(document.id),
        "registry": found.trust.registry,
        "signed_by": found.trust.signed_by,
        "root_version": found.trust.root_version,
        "latest": latest.version if latest is not None else None,
        "fits_here": here.release.version if here is not None else None,
        "file": _file_plain(file) if file is not None else None,
        **({"not_on_mirror": dict(lacking)} if lacking else {}),
        **msgspec.to_builtins(document),
    })  # fmt: skip
    named = f"{document.title} ({document.id})" if document.title else str(document.id)
    facts = [named, document.type, document.license or "no license stated", str(found.trust)]
    out.line(" · ".join(facts), style="bold")
    out.block(document.summary)
    if document.deprecated is not None:
        why = f": {document.deprecated.why}" if document.deprecated.why else ""
        use = f"; use {document.deprecated.use} instead" if document.deprecated.use else ""
        out.line(f"  DEPRECATED{why}{use}", style="yellow")
    if document.moved_to is not None:
        out.line(f"  MOVED to {document.moved_to}", style="yellow")
        out.line("  later releases are there; this host asks the registry that its namespace is mapped to")
    for label, value in (
        ("keywords", ", ".join(document.keywords)),
        ("owners", ", ".join(owner.name for owner in document.owners)),
        ("homepage", document.homepage),
        ("repository", document.repository),
        ("documentation", document.documentation),
    ):
        if value:
            out.line(f"  {label}: {value}")
    evaluated = (r for r in (latest, *releases) if r is not None and r.evaluations and r.yanked is None)
    if measured := next(evaluated, None):
        _show_evaluations(out, measured)
    if attached := next((r for r in (latest, *releases) if r is not None and r.attachments), None):
        files = ", ".join(f"{each.name} ({each.kind})" for each in attached.attachments)
        out.line(f"  attached to {attached.version}: {files}")
        out.line(f"    to fetch: sealdex fetch {document.id}@{attached.version} --attachment NAME")
    if here is not None:
        size = f", {in_bytes(here.artifact.size)}" if here.artifact is not None and here.artifact.size else ""
        out.line(f"  for this host: {here.release.version}{size}", style="green")
        if file is not None and file.image is not None:
            out.line(f"    a container image, pinned by its digest: docker pull {file.image}")
    else:
        out.line(f"  for this host: no release fits; to see why: sealdex install {document.id}", style="yellow")
    out.line()
    out.table(
        ["VERSION", "CHANNELS", "RELEASED", "SHA-256", "NEEDS", "FOR"],
        [_release_cells(release, is_there=release.version not in lacking) for release in releases[:limit]],
    )
    if limit is not None and len(releases) > limit:
        out.note(f"{len(releases) - limit} older releases; --all shows them")


def _file_plain(file: Located) -> dict[str, Any]:
    return {"address": file.address, "image": file.image, "size": file.size, "sha256": file.sha256}


def _show_evaluations(out: Output, release: ReleaseEntry) -> None:
    for each in release.evaluations:
        measured = ", ".join(f"{name} {value:g}" for name, value in each.metrics.items())
        on = f" on {each.dataset}" if each.dataset else ""
        by = f", by {each.evaluator or each.by} at {each.at}"
        out.line(f"  measured for {release.version}: {measured}{on}{by}{f' ({each.report})' if each.report else ''}")


def _release_cells(release: ReleaseEntry, *, is_there: bool) -> list[str]:
    digests = list(dict.fromkeys(artifact.sha256[:12] for artifact in release.artifacts))
    return [
        release.version
        + (" YANKED" if release.yanked is not None else "")
        + (f" ({_offered(release)})" if release.rollout < 100 else "")
        + ("" if is_there else " NOT ON THIS MIRROR"),
        ", ".join(release.channels) or "-",
        (release.released_at or "-")[:10],
        digests[0] if len(digests) == 1 else counted(len(digests), "file"),
        ", ".join(f"{name} {wanted}" for name, wanted in sorted(release.dependencies.items())) or "-",
        _platforms(release),
    ]


def _offered(release: ReleaseEntry) -> str:
    return str(release.ab) if release.ab is not None else f"{release.rollout}% of hosts"


def _platforms(release: ReleaseEntry) -> str:
    shown = list(dict.fromkeys(_conditions(release, artifact) for artifact in release.artifacts)) or ["-"]
    more = f" and {len(shown) - _MAX_PLATFORMS} more" if len(shown) > _MAX_PLATFORMS else ""
    return "; ".join(shown[:_MAX_PLATFORMS]) + more


def _conditions(release: ReleaseEntry, artifact: ArtifactEntry) -> str:
    parts: list[str] = []
    for selector in (release.selector, artifact.selector):
        try:
            parsed = convert_to(selector, Selector)
        except msgspec.ValidationError:
            parts.append("a selector that needs a newer sealdex")
            continue
        if set(parsed.match_labels) == {"os", "arch"} and not parsed.match_expressions:
            parts.append(f"{parsed.match_labels['os']}/{parsed.match_labels['arch']}")
        elif parsed:
            parts.append(describe(parsed))
    tags = dict.fromkeys((*release.tags, *artifact.tags))
    if release.min_host_version:
        parts.append(f"host >={release.min_host_version}")
    return " ".join([", ".join(parts), *tags]).strip() or "any"


def _show_manifest(out: Output, found: PluginInfo, manifest: PublishedManifest) -> None:
    entry = found.document.release(manifest.version)
    out.result({
        "registry": found.trust.registry,
        "signed_by": found.trust.signed_by,
        "root_version": found.trust.root_version,
        "yanked": entry is not None and entry.yanked is not None,
        "attachments": msgspec.to_builtins(entry.attachments) if entry is not None else [],
        "evaluations": msgspec.to_builtins(entry.evaluations) if entry is not None else [],
        "manifest": msgspec.to_builtins(manifest),
    })  # fmt: skip
    out.line(f"{found.document.id} {manifest.version} · {found.trust}", style="bold")
    if entry is not None and entry.yanked is not None:
        out.line(f"  YANKED by {entry.yanked.by}{': ' + entry.yanked.why if entry.yanked.why else ''}", style="yellow")
    if entry is not None:
        _show_evaluations(out, entry)
        for attached in entry.attachments:
            where = f" at {attached.url}" if attached.url else ""
            out.line(f"  attached {attached.kind}: {attached.name}{where}, {attached.size} bytes, {attached.sha256}")
    # the manifest exactly as verified: a summary would leave something out
    out.block(msgspec.json.format(msgspec.json.encode(manifest), indent=2).decode())
    if manifest.caveats:
        out.line("caveats:")
        out.block(manifest.caveats)
