"""What ``info`` does and shows; without click, see `sealdex.cli.plain_calls`."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import msgspec

from sealdex import resolve
from sealdex.cli.progress import in_bytes
from sealdex.errors import NotFoundError
from sealdex.locate import located
from sealdex.model.decode import convert_to
from sealdex.model.index import latest_release
from sealdex.model.selectors import Selector, describe
from sealdex.text import counted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sealdex.cli.output import Output
    from sealdex.cli.session import Context
    from sealdex.client import Client
    from sealdex.model.index import ArtifactEntry, ReleaseEntry
    from sealdex.model.release import PublishedManifest
    from sealdex.resolve import Choice
    from sealdex.results import Located, PluginInfo

_MAX_PLATFORMS = 6


def run_info(context: Context, plugin: str, *, offline: bool = False, show_all: bool = False) -> None:
    """Show a plugin, or one release of it; the arguments are those of the command."""
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
        file = located(client.queries, here) if here is not None else None
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
        [_release_cells(out, release, is_there=release.version not in lacking) for release in releases[:limit]],
        worded=("SHA-256", "FOR"),
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


def _release_cells(out: Output, release: ReleaseEntry, *, is_there: bool) -> list[str]:
    digests = list(dict.fromkeys(artifact.sha256[:12] for artifact in release.artifacts))
    return [
        release.version
        + (f" {out.say('YANKED')}" if release.yanked is not None else "")
        + (f" ({out.say(_offered(release))})" if release.rollout < 100 else "")
        + ("" if is_there else f" {out.say('NOT ON THIS MIRROR')}"),
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
