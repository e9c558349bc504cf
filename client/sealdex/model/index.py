"""The index document: all releases of one plugin, signed, and everything that a client pins and resolves with.

Read leniently: fields that this version doesn't know are ignored. Selectors are the exception: they are kept as plain
values and read strictly when they are evaluated (`ReleaseEntry.conditions`), since to ignore a requirement would be
to match too much. What one can't read doesn't match, and the reason is said.
"""

# annotations are types here, not text (no __future__): msgspec evaluates each that is text, whenever a command starts

from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from sealdex.model.decode import convert_to
from sealdex.model.environment import Environment
from sealdex.model.ids import FileName, IdentifierPart, PluginId, Sha256
from sealdex.model.plugin import Attachment, Evaluation, Mark, MovedTo, Owner, TakenBack
from sealdex.model.precedence import is_prerelease, version_sort_key
from sealdex.model.selectors import Selector, describe, mismatch
from sealdex.model.versions import Version, VersionText, parse_version

INDEX_FORMAT = 1
MAX_INDEX_BYTES = 8 * 1024 * 1024
STABLE = "stable"


class FilePin(Struct, frozen=True):
    """Size in bytes and SHA-256 of a file under the release's folder."""

    size: Annotated[int, Meta(ge=0)]
    sha256: Sha256


class MappedFile(Struct, frozen=True, omit_defaults=True, rename={"source": "from"}):
    """Which files of an archive are installed where."""

    source: str
    to: str = "."


class ArtifactEntry(Struct, frozen=True, omit_defaults=True):
    """One artifact as clients see it.

    Attributes:
        file: name under ``plugins/<namespace>/<name>/<version>/``, or of the download when `url` is set.
        sha256, size: the pin; size is None only for an address whose length isn't known.
        format: ``zip``, ``tar.gz``, ``tar.zst``, ``file`` or ``oci``.
        url: the address of the file if it is not in the published tree; for ``oci`` the image reference.
        selector, tags: conditions of this artifact.
        bin, files: as in the manifest.
        file_list: size and SHA-256 of the archive's list of files, ``<file>.files.json`` (`sealdex.model.files`).
    """

    file: FileName
    sha256: Sha256
    format: str
    size: Annotated[int, Meta(ge=0)] | None = None
    url: str | None = None
    selector: dict[str, Any] = {}
    tags: tuple[str, ...] = ()
    bin: str | None = None
    files: tuple[MappedFile, ...] = ()
    file_list: FilePin | None = None


class AbEntry(Struct, frozen=True, omit_defaults=True):
    """To which hosts a release is offered in an A/B test; as `sealdex.model.release.AbTest`."""

    experiment: str
    share: int = 100
    by: str | None = None
    selector: dict[str, Any] = {}

    def __str__(self) -> str:
        whom = f"{self.share}% of hosts" if self.by is None else f"{self.share}% of values of label {self.by}"
        try:
            selector = convert_to(self.selector, Selector)
        except msgspec.ValidationError:
            where = " where a selector holds that needs a newer sealdex"
        else:
            where = f" where {describe(selector)}" if selector else ""
        return f"A/B test {self.experiment}: {whom}{where}"


class ReleaseEntry(Struct, frozen=True, omit_defaults=True):
    """One release as clients see it: what resolving needs, and pins for the rest.

    With ``ab`` the rollout is 0, so that clients that know no A/B tests (up to 0.1.0) offer the release to nobody.
    """

    version: VersionText
    manifest: FilePin
    released_at: str | None = None
    channels: tuple[str, ...] = ("stable",)
    artifacts: tuple[ArtifactEntry, ...] = ()
    selector: dict[str, Any] = {}
    tags: tuple[str, ...] = ()
    min_host_version: VersionText | None = None
    dependencies: dict[str, str] = {}
    yanked: Mark | None = None
    rollout: int = 100
    ab: AbEntry | None = None
    attachments: tuple[Attachment, ...] = ()
    evaluations: tuple[Evaluation, ...] = ()

    @property
    def semver(self) -> Version:
        """The version, parsed."""
        return parse_version(self.version)


class IndexDocument(Struct, frozen=True, omit_defaults=True):
    """All releases of one plugin, newest version first.

    Attributes:
        title: the plugin's name for people, in any script.
        language: the language of title, summary, description and README; where it isn't stated, readers may tell by the
            script.
        title_i18n, summary_i18n: title and summary in other languages, by tag such as ``zh`` or ``pt-BR``.
        readme_i18n: READMEs in other languages, stored as `readme` is.
    """

    format: Annotated[int, Meta(ge=1)]
    namespace: IdentifierPart
    name: IdentifierPart
    type: str
    summary: str
    releases: tuple[ReleaseEntry, ...]
    title: str | None = None
    language: str | None = None
    title_i18n: dict[str, str] = {}
    summary_i18n: dict[str, str] = {}
    description: str | None = None
    license: str | None = None
    keywords: tuple[str, ...] = ()
    owners: tuple[Owner, ...] = ()
    homepage: str | None = None
    repository: str | None = None
    documentation: str | None = None
    icon: str | None = None
    links: dict[str, str] = {}
    deprecated: Mark | None = None
    readme: FilePin | None = None
    readme_i18n: dict[str, FilePin] = {}
    taken_back: tuple[TakenBack, ...] = ()
    moved_to: MovedTo | None = None

    @property
    def id(self) -> PluginId:
        """``namespace/name``."""
        return PluginId(self.namespace, self.name)

    def release(self, version: str) -> ReleaseEntry | None:
        """Return the release of exactly that version, or None."""
        return next((r for r in self.releases if r.version == version), None)


def latest_release(document: IndexDocument) -> ReleaseEntry | None:
    """Return the release that is shown as a plugin's latest, wherever one is shown; None when all are yanked.

    The newest of channel ``stable`` that is neither yanked nor a pre-release: what ``install`` takes where the
    environment fits. Where there is none, the newest of ``stable`` that isn't yanked, else of any channel.
    """
    offered = [release for release in document.releases if release.yanked is None]
    stable = [release for release in offered if STABLE in release.channels]
    final = [release for release in stable if not is_prerelease(release.version)]
    return max(final or stable or offered, key=lambda release: version_sort_key(release.version), default=None)


class Mismatch(Struct, frozen=True):
    """A condition that an environment fails, in words; ``missing_tags`` where it fails for the lack of tags alone."""

    words: str
    missing_tags: tuple[str, ...] = ()

    def __str__(self) -> str:
        return self.words


def find_mismatch(selector: dict[str, Any], tags: tuple[str, ...], environment: Environment) -> Mismatch | None:
    """Return which condition the environment fails first, or None when selector and tags match.

    A selector that this version can't read does not match.
    """
    try:
        parsed = convert_to(selector, Selector)
    except msgspec.ValidationError:
        return Mismatch("its selector needs a newer sealdex")
    if reason := mismatch(parsed, environment.labels):
        return Mismatch(reason)
    missing = tuple(tag for tag in tags if tag not in environment.tags)
    return Mismatch(f"needs tag {', '.join(missing)}", missing) if missing else None


def choose_artifact(
    release: ReleaseEntry, environment: Environment
) -> tuple[ArtifactEntry | None, tuple[Mismatch, ...]]:
    """Return the first artifact that fits the environment, and why the ones before it don't.

    A release without artifacts (an application suite that only depends on others) fits with None and no reasons when
    its own conditions hold; otherwise None comes with at least one reason.
    """
    if reason := find_mismatch(release.selector, release.tags, environment):
        return None, (reason,)
    if release.min_host_version and environment.host_version:
        needed, have = parse_version(release.min_host_version), parse_version(environment.host_version)
        if have < needed:
            return None, (Mismatch(f"needs host version {needed}, here {have}"),)
    reasons: list[Mismatch] = []
    for artifact in release.artifacts:
        reason = find_mismatch(artifact.selector, artifact.tags, environment)
        if reason is None:
            return artifact, tuple(reasons)
        if reason not in reasons:
            reasons.append(reason)
    return None, tuple(reasons)


def index_target(plugin: PluginId) -> str:
    """Return the TUF target path of a plugin's index document."""
    return f"index/{plugin.namespace}/{plugin.name}.json"


def plugin_of_target(target: str) -> PluginId:
    """Return the plugin of a path that `index_target` made; of another path it isn't one that can exist."""
    namespace, _, name = target.removeprefix("index/").removesuffix(".json").partition("/")
    return PluginId(namespace, name)


def release_folder(plugin: PluginId, version: str) -> str:
    """Return the folder of a release in the published tree, as a storage key without trailing slash."""
    return f"plugins/{plugin.namespace}/{plugin.name}/{version}"


def readme_key(plugin: PluginId, sha256: str) -> str:
    """Return the place of a README in the published tree. ``readme`` is not a valid version, so it names no release."""
    return f"plugins/{plugin.namespace}/{plugin.name}/readme/{sha256}.md"
