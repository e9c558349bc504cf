"""Unsigned archives from this host's disk: which release one is, by its manifest or as stated by the user."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from msgspec import Struct

from sealdex.archive.limits import UnpackLimits
from sealdex.archive.reader import ArchiveFile
from sealdex.archive.tar import read_tar
from sealdex.archive.unpack import inspect_archive
from sealdex.archive.zip import list_zip, zip_content
from sealdex.config.config import Config
from sealdex.errors import InstallError, NotFoundError, UsageError, VerificationError
from sealdex.install.archive_path import FORMATS, format_of
from sealdex.model.decode import DocumentError, encode_json, read_wire
from sealdex.model.ids import PluginId, parse_plugin_id
from sealdex.model.index import ArtifactEntry
from sealdex.model.release import MANIFEST_FORMAT, PublishedManifest
from sealdex.model.versions import version_problem
from sealdex.store.layout import Store
from sealdex.store.manifests import MAX_MANIFEST_BYTES
from sealdex.store.staging import staging_folder

REGISTRY = "local"
"""In receipts, takes the place of the registry's name."""

MANIFEST_INSIDE = "manifest.json"


class LocalArchive(Struct, frozen=True):
    """An archive: which release it says it is, its size and digest, and the manifest to keep."""

    path: Path
    plugin: PluginId
    version: str
    artifact: ArtifactEntry
    manifest: bytes
    dependencies: dict[str, str]


def require_allowed(config: Config, path: Path, *, allowed: bool) -> None:
    """Check that this host accepts unsigned archives, and that the caller asked for it.

    Raises:
        VerificationError: one of the two is not the case.
    """
    if config.document.install.require_signed:
        raise VerificationError(
            f"{path.name} is not signed, and this host is configured to refuse unsigned archives",
            subject=str(path),
            untouched="nothing was installed",
            hint=f"publish it in a registry; or set require_signed = false under [install] in {config.path}",
        )
    if not allowed:
        raise VerificationError(
            f"{path.name} is not signed",
            subject=str(path),
            untouched="nothing was installed",
            hint="to install it anyway, if you trust its source: --allow-unsigned",
        )


def parse_identity(text: str) -> tuple[PluginId, str]:
    """Read ``NS/NAME@VERSION``.

    Raises:
        UsageError: it has another form.
    """
    name, _, version = text.partition("@")
    try:
        plugin = parse_plugin_id(name)
    except ValueError as error:
        raise UsageError(str(error), subject=text, hint="write NAMESPACE/NAME@VERSION") from error
    if problem := version_problem(version):
        raise UsageError(f"'{version}' {problem}", subject=text, hint="write NAMESPACE/NAME@VERSION")
    return plugin, version


@contextmanager
def opened(store: Store, path: Path, identity: tuple[PluginId, str] | None = None) -> Iterator[LocalArchive]:
    """Copy an archive into the store's staging folder, inspect it there, and return what it is.

    The copy is installed, so that the file can't be exchanged between inspection and installation.

    Args:
        store: where it is going to be installed.
        path: the archive.
        identity: plugin and version; default: from its ``manifest.json``.

    Raises:
        NotFoundError: there is no such file.
        UsageError: the format isn't supported, the archive doesn't say what it is, or it says something else.
        RefusedArchiveError, DamagedArchiveError: as `sealdex.archive.unpack.inspect_archive`.
    """
    archive_format = format_of(path.name)
    if archive_format is None:
        raise UsageError(
            f"{path.name} is not an archive of a supported format ({', '.join(FORMATS)})", subject=str(path)
        )
    name = re.sub(r"[^A-Za-z0-9._+@=-]", "_", path.name).lstrip(".-") or f"archive.{archive_format}"
    try:
        with staging_folder(store) as staging:
            copy = staging / "archive"
            shutil.copyfile(path, copy)
            inspect_archive(copy, archive_format, name=path.name)
            with ArchiveFile(copy, name=path.name) as archive:
                inside = _manifest_inside(archive, archive_format)
                artifact = ArtifactEntry(name, archive.sha256(), archive_format, archive.size)
            yield _described(path, copy, artifact, inside, identity)
    except FileNotFoundError as error:
        raise NotFoundError(f"there is no file {path}", subject=str(path), untouched="nothing was installed") from error
    except OSError as error:
        raise InstallError(f"{path} can't be read: {error.strerror or error}", subject=str(path)) from error


def _described(
    path: Path, copy: Path, artifact: ArtifactEntry, inside: bytes | None, identity: tuple[PluginId, str] | None
) -> LocalArchive:
    found, problem = _read(inside)
    if identity is None:
        if found is None:
            raise UsageError(
                f"{path.name} doesn't say which plugin and version it is: {problem}",
                subject=str(path),
                untouched="nothing was installed",
                hint="state it: --as NAMESPACE/NAME@VERSION",
            )
        identity = parse_identity(f"{found.namespace}/{found.name}@{found.version}")
    plugin, version = identity
    if found is None:
        made = PublishedManifest(format=MANIFEST_FORMAT, namespace=plugin.namespace, name=plugin.name, version=version)
        return LocalArchive(copy, plugin, version, artifact, encode_json(made), {})
    if (found.namespace, found.name, found.version) != (*plugin, version):
        raise UsageError(
            f"{path.name} says that it is {found.namespace}/{found.name} {found.version}, not {plugin} {version}",
            subject=str(path),
            untouched="nothing was installed",
        )
    return LocalArchive(copy, plugin, version, artifact, inside or b"", dict(found.dependencies))


def _read(data: bytes | None) -> tuple[PublishedManifest | None, str]:
    if data is None:
        return None, f"it has no {MANIFEST_INSIDE} at its top level"
    try:
        return read_wire(data, PublishedManifest, newest_format=MANIFEST_FORMAT, what=MANIFEST_INSIDE), ""
    except DocumentError as error:
        return None, f"its {MANIFEST_INSIDE} can't be read ({error})"


def _manifest_inside(archive: ArchiveFile, archive_format: str) -> bytes | None:
    limits = UnpackLimits()
    if archive_format == "zip":
        for entry in list_zip(archive, limits).entries:
            if entry.path == MANIFEST_INSIDE and entry.kind == "file" and entry.size <= MAX_MANIFEST_BYTES:
                return b"".join(zip_content(archive, entry))
        return None
    for item in read_tar(archive, archive_format.removeprefix("tar."), limits):
        if item.entry.path == MANIFEST_INSIDE and item.entry.kind == "file" and item.entry.size <= MAX_MANIFEST_BYTES:
            return b"".join(item.content)
    return None
