"""The contents of a plugin's page. Pure: from its index document to plain data; templates only lay it out."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from markupsafe import Markup

from registry_builder.compile.catalog import catalogue_row
from registry_builder.compile.manifest import manifest_key
from registry_builder.site._drawings import Chart, Timeline, charts, timeline
from registry_builder.site._format import format_selector, format_size
from registry_builder.site._languages import Worded, language_of, summary_of, title_of
from registry_builder.site._platform_matrix import Matrix, platform_matrix, platform_names
from registry_builder.site._provenance import Provenance
from registry_builder.site._readme_html import Heading, headings_of
from registry_builder.site._words import ENGLISH_WORDS, Words
from registry_builder.site.held_files import ALL, HeldFiles
from registry_builder.site.urls import plugin_page
from sealdex.model.ids import PluginId, parse_plugin_id
from sealdex.model.index import STABLE, IndexDocument, ReleaseEntry, latest_release, readme_key, release_folder
from sealdex.model.plugin import Attachment, Mark, MovedTo
from sealdex.model.precedence import version_sort_key
from sealdex.model.versions import parse_version
from sealdex.text import clean

WEB = ("https://", "http://")
_SBOMS = frozenset({"cyclonedx", "spdx"})


@dataclass(frozen=True)
class MarkView:
    """A yank or deprecation for display; ``use`` is the successor, with the key of its page if there is one."""

    date: str
    by: str
    why: str
    use: str | None = None
    use_page: str | None = None


@dataclass(frozen=True)
class LinkedPlugin:
    """A plugin's name, with the key of its page if this registry has one."""

    id: str
    page: str | None
    note: str = ""


@dataclass(frozen=True)
class AttachmentView:
    """An attestation, report or other file of a release: ``key`` in the published tree, or ``url`` elsewhere."""

    name: str
    kind: str
    size: str
    sha256: str
    key: str | None
    url: str | None


@dataclass(frozen=True)
class EvaluationView:
    """Evaluation results of a release; ``report`` is the attached file with all of them."""

    version: str
    date: str
    by: str
    dataset: str
    evaluator: str
    metrics: tuple[tuple[str, str], ...]
    why: str
    report: AttachmentView | None


@dataclass(frozen=True)
class ReleaseLine:
    """One line of a plugin's table of releases; ``is_here`` is False for one that a mirror doesn't have."""

    version: str
    date: str
    timestamp: str
    channels: tuple[str, ...]
    size: str
    prerelease: bool
    yanked: MarkView | None
    is_here: bool = True


@dataclass(frozen=True)
class ChangeView:
    """The changelog of one release; ``page`` is the release's, ``language`` empty where it is the page's."""

    version: str
    date: str
    timestamp: str
    page: str
    html: Markup
    language: str = ""


@dataclass(frozen=True)
class Extras:
    """What a plugin's page shows that isn't in the index document: read from files that it pins.

    Attributes:
        changes: changelogs of the newest releases, newest first.
        more_changes: whether older releases may have some too.
        provenance: what the shown release's Sigstore bundles say.
        readme_language: of the README; empty where it is the page's.
    """

    changes: tuple[ChangeView, ...] = ()
    more_changes: bool = False
    provenance: tuple[Provenance, ...] = ()
    readme_language: str = ""


PluginState = Literal["released", "all-yanked", "unreleased"]


@dataclass(frozen=True)
class PluginView:
    """The contents of a plugin's page.

    Attributes:
        state: whether a release can be installed; deprecation comes on top of each.
        latest: the version that is shown first.
        nearest: the newest stable release that is on this mirror, where `latest` isn't.
        title, title_language: the plugin's name for people, or empty; its language, empty where it is the page's.
        summary_language: of the summary, likewise.
        moved_to: the realm that has later releases, with its address and the reason.
        document: key of the signed index document, the JSON beside this page.
        role: the metadata role that signs it.
        systems: the operating systems of the shown release; empty if any will do.
        claimed: whether the namespace has keys of its own, of its team.
        contents: the README's headings.
        changes, more_changes: changelogs of the newest releases, and whether older releases have some too.
        provenance, sboms: where the shown release was built, and what it consists of, as attached files say.
        timeline, charts: drawings, which follow from the document alone.
        dates: the days of all releases that aren't yanked, for a script that counts those of the last year.
    """

    id: str
    plugin: PluginId
    type: str
    summary: str
    description: str
    license: str
    keywords: tuple[str, ...]
    owners: tuple[tuple[str, str | None], ...]
    links: tuple[tuple[str, str], ...]
    state: PluginState
    deprecated: MarkView | None
    latest: ReleaseLine | None
    title: str
    title_language: str
    summary_language: str
    channels: tuple[tuple[str, str], ...]
    releases: tuple[ReleaseLine, ...]
    matrix: Matrix | None
    conditions: str
    tags: tuple[str, ...]
    min_host_version: str | None
    dependencies: tuple[LinkedPlugin, ...]
    dependents: tuple[LinkedPlugin, ...]
    readme: Markup | None
    readme_key: str | None
    evaluations: tuple[EvaluationView, ...]
    document: str
    role: str
    moved_to: MovedTo | None = None
    nearest: ReleaseLine | None = None
    systems: tuple[str, ...] = ()
    claimed: bool = False
    readme_language: str = ""
    contents: tuple[Heading, ...] = ()
    changes: tuple[ChangeView, ...] = ()
    more_changes: bool = False
    provenance: tuple[Provenance, ...] = ()
    sboms: tuple[AttachmentView, ...] = ()
    timeline: Timeline | None = None
    charts: tuple[Chart, ...] = ()
    description_language: str = ""
    dates: tuple[str, ...] = ()


def plugin_view(
    document: IndexDocument,
    *,
    sha256: str,
    role: str,
    readme: Markup | None,
    dependents: Collection[PluginId],
    known: Collection[PluginId],
    held: HeldFiles = ALL,
    words: Words = ENGLISH_WORDS,
    extras: Extras = Extras(),  # frozen
) -> PluginView:
    """Return the contents of a plugin's page.

    Args:
        document: its index document.
        sha256: the document's digest, which is part of its URL.
        role: the metadata role that signs it.
        readme: its README as safe HTML.
        dependents: the plugins whose latest release needs it.
        known: plugins that have a page here; others are named without a link.
        held: the files that may be linked.
        words: the words of the page.
        extras: what else it shows.
    """
    plugin = document.id
    row = catalogue_row(document)
    title, summary = title_of(document, words.language) or Worded(""), summary_of(document, words.language)
    description = (document.description or "").strip()
    latest = latest_release(document)
    state: PluginState = "released" if latest else "all-yanked" if document.releases else "unreleased"
    shown = latest or (document.releases[0] if document.releases else None)
    lines = tuple(_line(plugin, release, held, words) for release in document.releases)
    usable = [line for line in lines if line.is_here and line.yanked is None and not line.prerelease]
    first = next((line for line in lines if latest is not None and line.version == latest.version), None)
    return PluginView(
        id=str(plugin),
        plugin=plugin,
        type=document.type,
        summary=summary.text,
        title=title.text,
        title_language=title.language,
        summary_language=summary.language,
        description=description,
        license=clean(document.license or ""),
        keywords=document.keywords,
        owners=tuple((clean(owner.name), _owner_address(owner.github)) for owner in document.owners),
        links=_links(document, words),
        state=state,
        deprecated=mark_view(document.deprecated, known, words),
        latest=first,
        channels=tuple(sorted(row.channels.items(), key=lambda item: (item[0] != STABLE, item[0]))),
        releases=lines,
        matrix=platform_matrix(shown, words) if shown else None,
        conditions=_conditions(shown, words),
        tags=row.tags,
        min_host_version=shown.min_host_version if shown else None,
        dependencies=named_plugins(shown.dependencies, known) if shown else (),
        dependents=tuple(LinkedPlugin(str(each), plugin_page(each)) for each in sorted(dependents)),
        readme=readme,
        readme_key=readme_key(plugin, document.readme.sha256) if document.readme and readme is not None else None,
        evaluations=tuple(
            each for release in document.releases for each in evaluations_of(plugin, release, held, words)
        ),
        document=f"targets/index/{plugin.namespace}/{sha256}.{plugin.name}.json",
        role=role,
        moved_to=_moved(document.moved_to),
        nearest=_newest(usable) if first is not None and not first.is_here else None,
        systems=platform_names(shown) if shown else (),
        claimed=role == f"ns-{plugin.namespace}",
        readme_language=extras.readme_language,
        contents=headings_of(readme) if readme is not None else (),
        changes=extras.changes,
        more_changes=extras.more_changes,
        provenance=extras.provenance,
        sboms=tuple(a for a in attachments_of(plugin, shown, held, words) if a.kind in _SBOMS) if shown else (),
        timeline=timeline(document),
        charts=charts(document),
        description_language=_other(language_of(description, document.language), words),
        dates=tuple(sorted(r.released_at[:10] for r in document.releases if r.released_at and r.yanked is None)),
    )


def _conditions(release: ReleaseEntry | None, words: Words) -> str:
    if release is None or not (release.selector or release.tags):
        return ""
    return format_selector(release.selector, release.tags, words)


def _other(language: str, words: Words) -> str:
    return "" if language == words.language else language


def _moved(moved: MovedTo | None) -> MovedTo | None:
    if moved is None:
        return None
    return MovedTo(clean(moved.realm), moved.at, clean(moved.by), clean(moved.why), clean(moved.url or "") or None)


def dependencies_of(document: IndexDocument) -> frozenset[PluginId]:
    """Return the dependencies of a plugin's latest release: it is shown as a dependent on their pages."""
    release = latest_release(document)
    return frozenset(filter(None, map(_parsed, release.dependencies))) if release else frozenset()


def mentioned(document: IndexDocument) -> set[PluginId]:
    """Return all plugins that the pages of a plugin mention: dependencies of each release, and the successor."""
    named = {plugin for release in document.releases for plugin in map(_parsed, release.dependencies) if plugin}
    successor = _parsed(document.deprecated.use) if document.deprecated and document.deprecated.use else None
    return named | ({successor} if successor else set())


def web_links(links: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """Return the links to the web: no ``javascript:`` or ``data:`` URL becomes a link."""
    return tuple((clean(label), url) for label, url in links.items() if url.lower().startswith(WEB))


def _parsed(text: str) -> PluginId | None:
    try:
        return parse_plugin_id(text)
    except ValueError:
        return None


def named_plugins(dependencies: Mapping[str, str], known: Collection[PluginId]) -> tuple[LinkedPlugin, ...]:
    """Return dependencies for display, linked where the plugin has a page."""
    named = []
    for text, wanted in sorted(dependencies.items()):
        plugin = _parsed(text)
        page = plugin_page(plugin) if plugin is not None and plugin in known else None
        named.append(LinkedPlugin(clean(text), page, clean(wanted)))
    return tuple(named)


def mark_view(mark: Mark | None, known: Collection[PluginId], words: Words = ENGLISH_WORDS) -> MarkView | None:
    """Return a yank or deprecation for display."""
    if mark is None:
        return None
    successor = _parsed(mark.use) if mark.use else None
    return MarkView(
        date=words.date(mark.at),
        by=clean(mark.by),
        why=clean(mark.why),
        use=clean(mark.use) if mark.use else None,
        use_page=plugin_page(successor) if successor is not None and successor in known else None,
    )


def _owner_address(github: str | None) -> str | None:
    # a name that isn't a plain account name must not become part of a URL
    return f"https://github.com/{github}" if github and github.replace("-", "").isalnum() and github.isascii() else None


def _links(document: IndexDocument, words: Words) -> tuple[tuple[str, str], ...]:
    named = {
        words.say("Homepage"): document.homepage,
        words.say("Source"): document.repository,
        words.say("Documentation"): document.documentation,
    }
    return web_links({**{label: url for label, url in named.items() if url}, **document.links})


def _newest(lines: Sequence[ReleaseLine]) -> ReleaseLine | None:
    return max(lines, key=lambda line: version_sort_key(line.version), default=None)


def _line(plugin: PluginId, release: ReleaseEntry, held: HeldFiles, words: Words) -> ReleaseLine:
    return ReleaseLine(
        version=release.version,
        date=words.date(release.released_at),
        timestamp=release.released_at or "",
        channels=release.channels,
        size=_size_range(release, words),
        prerelease=parse_version(release.version).prerelease is not None,
        yanked=mark_view(release.yanked, (), words),
        is_here=held.has(manifest_key(plugin, release.version)),
    )


def _size_range(release: ReleaseEntry, words: Words) -> str:
    sizes = sorted({artifact.size for artifact in release.artifacts if artifact.size is not None})
    if not sizes:
        return ""
    low, high = format_size(sizes[0], words), format_size(sizes[-1], words)
    return low if low == high else words.say("%(low)s to %(high)s", low=low, high=high)


def attachments_of(
    plugin: PluginId, release: ReleaseEntry, held: HeldFiles = ALL, words: Words = ENGLISH_WORDS
) -> tuple[AttachmentView, ...]:
    """Return the attached files of a release."""
    folder = release_folder(plugin, release.version)
    return tuple(_attachment(folder, each, held, words) for each in release.attachments)


def _attachment(folder: str, attachment: Attachment, held: HeldFiles, words: Words) -> AttachmentView:
    key, url = held.place_of(f"{folder}/{attachment.name}", attachment.url or None)
    return AttachmentView(
        name=attachment.name,
        kind=clean(attachment.kind),
        size=format_size(attachment.size, words),
        sha256=attachment.sha256,
        key=key,
        url=url if url and url.lower().startswith(WEB) else None,
    )


def evaluations_of(
    plugin: PluginId, release: ReleaseEntry, held: HeldFiles = ALL, words: Words = ENGLISH_WORDS
) -> tuple[EvaluationView, ...]:
    """Return the evaluations of a release, the latest first."""
    files = {each.name: each for each in attachments_of(plugin, release, held, words)}
    return tuple(
        EvaluationView(
            version=release.version,
            date=words.date(each.at),
            by=clean(each.by),
            dataset=clean(each.dataset or ""),
            evaluator=clean(each.evaluator or ""),
            metrics=tuple((clean(name), f"{value:.6g}") for name, value in sorted(each.metrics.items())),
            why=clean(each.why),
            report=files.get(each.report) if each.report else None,
        )
        for each in reversed(release.evaluations)
    )
