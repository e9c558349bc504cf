"""The documents of one plugin: of the plugin as a whole, and of each release. Pure.

The document of a release follows from its entry in the index alone, so another release leaves it as it is.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

from msgspec import structs

from registry_builder.baseline.documents import target_key
from registry_builder.compile.catalog import catalogue_row
from registry_builder.compile.manifest import manifest_key
from registry_builder.site.held_files import HeldFiles
from registry_builder.site.pages import Page
from registry_builder.site.static_api import _shapes as shapes
from registry_builder.site.static_api.keys import plugin_key, release_key
from registry_builder.site.urls import address, link
from sealdex.model.decode import encode_json
from sealdex.model.index import ArtifactEntry, IndexDocument, ReleaseEntry, index_target, release_folder
from sealdex.model.plugin import Attachment
from sealdex.model.plugin import Mark as SignedMark


class Addresses:
    """How one document names files: by address below the registry's url, or relative to itself.

    Args:
        page: key of the document.
        url: the registry's address with a slash at its end; None if it isn't known.
        held: the files that are there.
    """

    def __init__(self, page: str, url: str | None, held: HeldFiles) -> None:
        self._page, self._url, self._held = page, url, held

    def of(self, key: str) -> str:
        """Return the address of a file of the published tree."""
        return link(key, page=self._page) if self._url is None else self._url + address(key)

    def found(self, key: str, elsewhere: str | None = None) -> str | None:
        """Return the address of a file that may not be on this mirror, or may be elsewhere."""
        key_here, url = self._held.place_of(key, elsewhere)
        return self.of(key_here) if key_here is not None else url


def plugin_document(document: IndexDocument, sha256: str, *, url: str | None, held: HeldFiles) -> Page:
    """Return a plugin's document.

    Args:
        document: its index document.
        sha256: the digest of that.
        url: the registry's address with a slash at its end, if it is known.
        held: the files that are there.
    """
    plugin = document.id
    key = plugin_key(plugin)
    at = Addresses(key, url, held)
    target = index_target(plugin)
    row = catalogue_row(document)
    moved = document.moved_to
    releases = []
    for release in document.releases:
        details = at.of(release_key(plugin, release.version))
        releases.append(shapes.ReleaseDetails(details=details, **_release(document, release, at)))
    whole = shapes.PluginDetails(
        format=shapes.API_FORMAT,
        signed=shapes.Signed(target, at.of(target_key(target, sha256)), sha256),
        id=str(plugin),
        namespace=document.namespace,
        name=document.name,
        type=document.type,
        summary=document.summary,
        versions=tuple(release.version for release in document.releases),
        releases=tuple(releases),
        latest=row.latest,
        channels=row.channels,
        description=document.description,
        license=document.license,
        keywords=document.keywords,
        owners=tuple(
            {name: value for name, value in structs.asdict(owner).items() if value is not None}
            for owner in document.owners
        ),
        homepage=document.homepage,
        repository=document.repository,
        documentation=document.documentation,
        icon=document.icon,
        links=document.links,
        deprecated=_mark(document.deprecated),
        moved_to=shapes.Moved(**structs.asdict(moved)) if moved is not None else None,
    )
    return Page(key, encode_json(whole))


def release_documents(
    document: IndexDocument, versions: Collection[str] | None, *, url: str | None, held: HeldFiles
) -> Iterator[Page]:
    """Yield the documents of a plugin's releases; ``versions`` None for all of them."""
    plugin = document.id
    for release in document.releases:
        if versions is None or release.version in versions:
            key = release_key(plugin, release.version)
            at = Addresses(key, url, held)
            fields = _release(document, release, at)
            only = _for_all(release, fields["artifacts"])
            details = shapes.DownloadPlugin(
                format=shapes.API_FORMAT,
                signed=shapes.Signed(index_target(plugin)),
                id=str(plugin),
                plugin=at.of(plugin_key(plugin)),
                download_url=only.address if only is not None else None,
                checksum=only.sha256 if only is not None else None,
                size=only.size if only is not None else None,
                **fields,
            )
            yield Page(key, encode_json(details))


def _release(document: IndexDocument, release: ReleaseEntry, at: Addresses) -> dict[str, Any]:
    folder = release_folder(document.id, release.version)
    manifest = manifest_key(document.id, release.version)
    return {
        "version": release.version,
        "released_at": release.released_at,
        "channels": release.channels,
        "artifacts": tuple(_artifact(folder, each, at) for each in release.artifacts),
        "manifest": shapes.File(release.manifest.size, release.manifest.sha256, at.found(manifest)),
        "selector": release.selector,
        "tags": release.tags,
        "min_host_version": release.min_host_version,
        "dependencies": release.dependencies,
        "yanked": _mark(release.yanked),
        "rollout": release.rollout,
        "attachments": tuple(_attached(folder, each, at) for each in release.attachments),
    }


def _artifact(folder: str, entry: ArtifactEntry, at: Addresses) -> shapes.Artifact:
    place = entry.url if entry.format == "oci" else at.found(f"{folder}/{entry.file}", entry.url)
    return shapes.Artifact(
        file=entry.file,
        format=entry.format,
        sha256=entry.sha256,
        address=place,
        size=entry.size,
        selector=entry.selector,
        tags=entry.tags,
        bin=entry.bin,
    )


def _attached(folder: str, entry: Attachment, at: Addresses) -> shapes.Attached:
    place = at.found(f"{folder}/{entry.name}", entry.url)
    return shapes.Attached(entry.name, entry.kind, entry.size, entry.sha256, place)


def _for_all(release: ReleaseEntry, artifacts: tuple[shapes.Artifact, ...]) -> shapes.Artifact | None:
    """Return the artifact that every environment gets, as far as the release itself allows it."""
    if release.selector or release.tags or len(artifacts) != 1:
        return None
    only = artifacts[0]
    return None if only.selector or only.tags or only.format == "oci" else only


def _mark(mark: SignedMark | None) -> shapes.Mark | None:
    return shapes.Mark(mark.at, mark.by, mark.why, mark.use) if mark is not None else None


__all__ = ["Addresses", "plugin_document", "release_documents"]
