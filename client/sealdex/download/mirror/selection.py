"""Which releases and artifacts a mirror is to have: the filters, as people write them, and what they select. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Annotated, Literal, NamedTuple

import msgspec
from msgspec import Meta, Struct

from sealdex.errors import UsageError
from sealdex.model.decode import convert_to
from sealdex.model.ids import PluginId, Sha256
from sealdex.model.index import ArtifactEntry, IndexDocument, ReleaseEntry
from sealdex.model.platforms import KNOWN_VALUES, usual_spelling
from sealdex.model.precedence import is_prerelease, version_sort_key
from sealdex.model.ranges import VersionRange, parse_range
from sealdex.model.selectors import Selector, mismatch
from sealdex.model.versions import parse_version
from sealdex.resolve.requests import parse_request

Artifacts = Literal["all", "store", "none"]
"""Which artifacts are copied: all of them, those that the registry has in its own store, or none."""

_PLATFORM_KEYS = ("os", "arch")


class LockedRelease(Struct, frozen=True):
    """A release that a ``sealdex.lock`` names, with the digest of its manifest there."""

    plugin: str
    version: str
    manifest: Sha256


class Selection(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """What a mirror is to have. Without any field: everything.

    Attributes:
        plugins: ``NS/NAME`` or ``NS/NAME@RANGE``.
        namespaces: whole namespaces.
        channels: releases of these channels only.
        platforms: ``os/arch``: artifacts that can be for one of these only.
        latest: the newest so many releases of each channel and major version only; pre-releases aren't counted.
        locked: releases that lock files name, whatever else is said.
        with_dependencies: and what the selected releases depend on.
        artifacts: which artifacts are copied.
    """

    plugins: tuple[str, ...] = ()
    namespaces: tuple[str, ...] = ()
    channels: tuple[str, ...] = ()
    platforms: tuple[str, ...] = ()
    latest: Annotated[int, Meta(ge=1)] | None = None
    locked: tuple[LockedRelease, ...] = ()
    with_dependencies: bool = False
    artifacts: Artifacts = "all"

    @property
    def is_everything(self) -> bool:
        """Whether it leaves nothing out but yanked releases."""
        return self == Selection()

    @property
    def names_plugins(self) -> bool:
        """Whether plugins are named one by one, so that no others need be looked for."""
        return bool(self.plugins or self.locked) and not self.namespaces


def described(selection: Selection) -> list[str]:
    """Return the parts of a selection for people, in a few words each; empty for everything."""
    parts = [*selection.plugins, *selection.namespaces]
    parts += [f"channel {each}" for each in selection.channels]
    parts += selection.platforms
    parts += [f"latest {selection.latest}"] if selection.latest is not None else []
    parts += [f"{len(selection.locked)} locked"] if selection.locked else []
    parts += ["with dependencies"] if selection.with_dependencies else []
    parts += [f"artifacts {selection.artifacts}"] if selection.artifacts != "all" else []
    return parts


class Want(NamedTuple):
    """One reason to have releases of a plugin: those in a range; None: all of them."""

    range: VersionRange | None
    is_exact: bool = False

    def admits(self, version: str) -> bool:
        """Say whether a version is in the range."""
        return self.range is None or self.range.contains(parse_version(version))


class Picked(NamedTuple):
    """One selected release: the artifacts to copy, and the images to name.

    Attributes:
        release: as the index document has it.
        artifacts: files that are copied, whether the registry has them in its store or they are elsewhere.
        images: container images, which are only named.
        yanked_for_lock: whether it is yanked and here since a lock names it.
    """

    release: ReleaseEntry
    artifacts: tuple[ArtifactEntry, ...]
    images: tuple[ArtifactEntry, ...]
    yanked_for_lock: bool = False


def check_selection(selection: Selection) -> Selection:
    """Return a selection with its platforms in the usual spelling.

    Raises:
        UsageError: a plugin, range or platform isn't a valid one; all of them are named.
    """
    problems: list[str] = []
    for text in selection.plugins:
        try:
            parse_request(text)
        except UsageError as error:  # noqa: PERF203  # all problems are told at once
            problems.append(error.message)
    platforms: list[str] = []
    for text in selection.platforms:
        parts = text.split("/")
        usual = [usual_spelling(key, part) for key, part in zip(_PLATFORM_KEYS, parts, strict=False)]
        if len(parts) != len(_PLATFORM_KEYS) or None in usual:
            known = "; ".join(f"{key}: {', '.join(sorted(KNOWN_VALUES[key]))}" for key in _PLATFORM_KEYS)
            problems.append(f"'{text}' is not a valid platform: write os/arch, such as linux/arm64 ({known})")
        else:
            platforms.append("/".join(filter(None, usual)))
    if problems:
        raise UsageError("\n".join(problems), untouched="nothing was copied")
    return msgspec.structs.replace(selection, platforms=tuple(dict.fromkeys(platforms)))


def normal(selection: Selection) -> Selection:
    """Return a selection without the order and the repetitions in which it was written."""
    return Selection(
        plugins=tuple(sorted(set(selection.plugins))),
        namespaces=tuple(sorted(set(selection.namespaces))),
        channels=tuple(sorted(set(selection.channels))),
        platforms=tuple(sorted(set(selection.platforms))),
        latest=selection.latest,
        locked=tuple(sorted(set(selection.locked), key=lambda each: (each.plugin, each.version, each.manifest))),
        with_dependencies=selection.with_dependencies,
        artifacts=selection.artifacts,
    )


def named_wants(selection: Selection) -> dict[PluginId, list[Want]]:
    """Return what a selection asks of the plugins that it names one by one."""
    wants: dict[PluginId, list[Want]] = {}
    for text in selection.plugins:
        request = parse_request(text)
        found = None if request.range == "*" else parse_range(request.range)
        wants.setdefault(request.plugin, []).append(Want(found))
    return wants


def wants_of_namespace(selection: Selection, namespace: str) -> list[Want]:
    """Return what a selection asks of a plugin that it doesn't name: all releases, where it asks for its namespace."""
    if selection.plugins or selection.namespaces or selection.locked:
        return [Want(None)] if namespace in selection.namespaces else []
    return [Want(None)]


def locked_of(selection: Selection) -> dict[PluginId, dict[str, Sha256]]:
    """Return the locked versions of each plugin, with the digests of their manifests."""
    found: dict[PluginId, dict[str, Sha256]] = {}
    for each in selection.locked:
        found.setdefault(PluginId(*each.plugin.split("/", 1)), {})[each.version] = each.manifest
    return found


def pick(
    document: IndexDocument, wants: Sequence[Want], locked: Iterable[str], selection: Selection
) -> Iterator[Picked]:
    """Yield the releases of a plugin that a selection asks for, newest first.

    Args:
        document: all that is signed of the plugin.
        wants: ranges, of which one is enough.
        locked: versions that a lock names.
        selection: its channels, platforms and ``latest`` hold for what no lock names.
    """
    named = set(locked)
    offered = [
        release
        for release in document.releases
        if release.yanked is None
        and any(want.admits(release.version) for want in wants)
        and (not selection.channels or set(selection.channels) & set(release.channels))
        and _is_for(release, selection)
    ]
    chosen = {release.version for release in (_newest(offered, selection) if selection.latest else offered)}
    for release in document.releases:
        if release.version in chosen or release.version in named:
            artifacts = [artifact for artifact in release.artifacts if _can_be_for(artifact, release, selection)]
            images = tuple(artifact for artifact in artifacts if artifact.format == "oci")
            files = [artifact for artifact in artifacts if artifact.format != "oci"]
            copied = tuple(artifact for artifact in files if _is_copied(artifact, selection))
            yield Picked(release, copied, images, release.yanked is not None)


def dependencies_of(picked: Iterable[Picked]) -> Mapping[PluginId, list[Want]]:
    """Return what these releases depend on."""
    wants: dict[PluginId, list[Want]] = {}
    for each in picked:
        for name, text in each.release.dependencies.items():
            namespace, _, plugin = name.partition("/")
            wants.setdefault(PluginId(namespace, plugin), []).append(Want(parse_range(text)))
    return wants


def _newest(offered: Sequence[ReleaseEntry], selection: Selection) -> Iterator[ReleaseEntry]:
    """Yield the newest releases of each channel and major version."""
    counts: dict[tuple[str, int], int] = {}
    for release in sorted(offered, key=lambda each: version_sort_key(each.version), reverse=True):
        if is_prerelease(release.version):
            continue
        channels = [c for c in release.channels if not selection.channels or c in selection.channels]
        groups = [(channel, parse_version(release.version).major) for channel in channels]
        if any(counts.get(group, 0) < (selection.latest or 0) for group in groups):
            yield release
        for group in groups:
            counts[group] = counts.get(group, 0) + 1


def _is_for(release: ReleaseEntry, selection: Selection) -> bool:
    """Say whether some selected platform gets something of a release; one without artifacts is for all."""
    if not selection.platforms or not release.artifacts:
        return True
    return any(_can_be_for(artifact, release, selection) for artifact in release.artifacts)


def _can_be_for(artifact: ArtifactEntry, release: ReleaseEntry, selection: Selection) -> bool:
    if not selection.platforms:
        return True
    return any(
        _admits(release.selector, platform) and _admits(artifact.selector, platform) for platform in selection.platforms
    )


def _admits(selector: Mapping[str, object], platform: str) -> bool:
    """Say whether a selector leaves a platform possible: other labels than os and arch may be anything there."""
    labels = dict(zip(_PLATFORM_KEYS, platform.split("/", 1), strict=True))
    try:
        parsed = convert_to(dict(selector), Selector)
    except msgspec.ValidationError:
        return True  # a newer client may know what it asks for
    reduced = Selector(
        {key: value for key, value in parsed.match_labels.items() if key in labels},
        tuple(expression for expression in parsed.match_expressions if expression.key in labels),
    )
    return mismatch(reduced, labels) is None


def _is_copied(artifact: ArtifactEntry, selection: Selection) -> bool:
    return selection.artifacts == "all" or (selection.artifacts == "store" and artifact.url is None)


__all__ = [
    "Artifacts",
    "LockedRelease",
    "Picked",
    "Selection",
    "Want",
    "check_selection",
    "dependencies_of",
    "described",
    "locked_of",
    "named_wants",
    "normal",
    "pick",
    "wants_of_namespace",
]
