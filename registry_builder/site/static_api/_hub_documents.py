"""The Model Hub's documents of one service or model. Pure.

A node of the Model Hub knows one zip a version and no environments. So a release is there if it has one zip, or one
that is for every environment; others are for `sealdex`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from registry_builder.site.held_files import HeldFiles
from registry_builder.site.pages import Page
from registry_builder.site.static_api import _hub_shapes as hub
from registry_builder.site.static_api._shapes import Signed
from registry_builder.site.static_api.keys import MODELS, SERVICES, checksum_key, checksums_key, hub_key
from registry_builder.site.urls import address
from sealdex.model.decode import encode_json
from sealdex.model.ids import PluginId
from sealdex.model.index import (
    STABLE,
    ArtifactEntry,
    IndexDocument,
    ReleaseEntry,
    index_target,
    latest_release,
    release_folder,
)
from sealdex.model.precedence import is_prerelease
from sealdex.model.release import PublishedManifest

Manifest = Callable[[PluginId, ReleaseEntry], PublishedManifest | None]


class Hubbed(NamedTuple):
    """A plugin under its id in the Model Hub."""

    id: str
    document: IndexDocument


class Rewrite(NamedTuple):
    """An address of the Model Hub, and the place or address that answers it."""

    path: str
    to: str


def package_of(release: ReleaseEntry) -> ArtifactEntry | None:
    """Return the zip that is the release for a node of the Model Hub, or None."""
    zips = [artifact for artifact in release.artifacts if artifact.format == "zip"]
    if len({artifact.sha256 for artifact in zips}) == 1:
        return zips[0]
    return next((artifact for artifact in zips if not artifact.selector and not artifact.tags), None)


# --- services ---------------------------------------------------------------------------------------------------------


def service_row(found: Hubbed, manifest: Manifest) -> hub.ServiceRow:
    """Return a service's entry in the list."""
    listed = [(release, package) for release, package in _offered(found.document) if release.yanked is None]
    latest = _latest(found.document)
    versions = tuple(
        hub.VersionRow(release.version, package.size, release.released_at, _is_stable(release))
        for release, package in listed
    )
    return hub.ServiceRow(
        service_id=found.id,
        service_name=found.document.summary,
        service_type=_service_type(found.document, manifest),
        latest_version=latest,
        versions=versions,
        plugin=str(found.document.id),
        signed=_signed(found.document),
    )


def service_documents(found: Hubbed, manifest: Manifest) -> Iterator[Page]:
    """Yield a service's documents: the checksum of each version, those of yanked ones too, and its own."""
    document, details = found.document, []
    port: int | None = None
    description = document.description or document.summary
    for release, package in _offered(document):
        checksum = hub.Checksum(
            found.id, release.version, package.sha256, package.size, release.released_at, _signed(document)
        )
        yield Page(checksum_key(found.id, release.version), encode_json(checksum))
        if release.yanked is not None:
            continue
        said = manifest(document.id, release)
        models = said.models if said is not None else ()
        details.append(
            hub.ServiceVersion(
                version=release.version,
                size_bytes=package.size,
                sha256=package.sha256,
                models=tuple(hub.Model(each.model_id, each.model_type, each.version, each.path) for each in models),
                created_at=release.released_at,
                stable=_is_stable(release),
            )
        )
        if release.version == _latest(document) and said is not None:
            port = said.service.port if said.service is not None else None
            description = said.description or description
    whole = hub.ServiceDetails(
        service_id=found.id,
        service_name=document.summary,
        service_type=_service_type(document, manifest),
        port=port,
        description=description,
        versions=tuple(details),
        plugin=str(document.id),
        signed=_signed(document),
    )
    yield Page(hub_key(SERVICES, found.id), encode_json(whole))


def service_rewrites(found: Hubbed, held: HeldFiles) -> Iterator[Rewrite]:
    """Yield where the packages of a service are; ``latest.zip`` is a redirect, whose bytes would change otherwise."""
    there = set()
    for release, package in _offered(found.document):
        if (to := _place(found.document, release, package, held)) is not None:
            there.add(release.version)
            yield Rewrite(f"/storage/services/{found.id}/{release.version}.zip", to)
    if (latest := _latest(found.document)) in there:
        yield Rewrite(f"/storage/services/{found.id}/latest.zip", f"/storage/services/{found.id}/{latest}.zip")


def _service_type(document: IndexDocument, manifest: Manifest) -> str:
    newest = next((release for release, _ in _offered(document) if release.version == _latest(document)), None)
    said = manifest(document.id, newest) if newest is not None else None
    return said.runtime.kind if said is not None and said.runtime is not None else "process"


def _offered(document: IndexDocument) -> Iterator[tuple[ReleaseEntry, ArtifactEntry]]:
    for release in document.releases:
        if (package := package_of(release)) is not None:
            yield release, package


def _latest(document: IndexDocument) -> str | None:
    """Return the version that ``latest`` is: the registry's own, among those that have a package."""
    offered = {release.version for release, _ in _offered(document)}
    latest = latest_release(document)
    if latest is not None and latest.version in offered:
        return latest.version
    rest = [release for release, _ in _offered(document) if release.yanked is None]
    stable = [release for release in rest if _is_stable(release)]
    return next((release.version for release in stable or rest), None)


# --- models -----------------------------------------------------------------------------------------------------------


def model_document(found: Hubbed) -> hub.HubModel:
    """Return a model's document, which is its entry in the list as well."""
    document = found.document
    versions = tuple(
        hub.ModelVersion(
            release.version,
            release.released_at,
            tuple(hub.ModelFile(each.file, each.size, each.sha256) for each in _files(release)),
        )
        for release in document.releases
        if release.yanked is None
    )
    latest = latest_release(document)
    return hub.HubModel(
        model_id=found.id,
        model_name=document.summary,
        latest_version=latest.version if latest is not None else None,
        versions=versions,
        plugin=str(document.id),
        signed=_signed(document),
    )


def model_documents(found: Hubbed) -> Iterator[Page]:
    """Yield a model's documents: the digests of each version's files, as ``sha256sum`` reads them, and its own."""
    for release in found.document.releases:
        if files := _files(release):
            lines = "".join(f"{each.sha256}  {each.file}\n" for each in files)
            yield Page(checksums_key(found.id, release.version), lines.encode())
    yield Page(hub_key(MODELS, found.id), encode_json(model_document(found)))


def model_rewrites(found: Hubbed, held: HeldFiles) -> Iterator[Rewrite]:
    """Yield where the files of a model are."""
    for release in found.document.releases:
        for artifact in _files(release):
            if (to := _place(found.document, release, artifact, held)) is not None:
                yield Rewrite(f"/storage/models/{found.id}/{release.version}/{artifact.file}", to)


def _files(release: ReleaseEntry) -> list[ArtifactEntry]:
    """Return the files of a release, the first of each name: a node of the Model Hub knows no environments."""
    named: dict[str, ArtifactEntry] = {}
    for artifact in release.artifacts:
        if artifact.format != "oci":
            named.setdefault(artifact.file, artifact)
    return [named[name] for name in sorted(named)]


# --- both -------------------------------------------------------------------------------------------------------------


def _place(document: IndexDocument, release: ReleaseEntry, artifact: ArtifactEntry, held: HeldFiles) -> str | None:
    folder = release_folder(document.id, release.version)
    key, url = held.place_of(f"{folder}/{artifact.file}", artifact.url)
    return f"/{address(key)}" if key is not None else url


def _is_stable(release: ReleaseEntry) -> bool:
    return STABLE in release.channels and not is_prerelease(release.version)


def _signed(document: IndexDocument) -> Signed:
    return Signed(index_target(document.id))


__all__ = [
    "Hubbed",
    "Manifest",
    "Rewrite",
    "model_document",
    "model_documents",
    "model_rewrites",
    "package_of",
    "service_documents",
    "service_rewrites",
    "service_row",
]
