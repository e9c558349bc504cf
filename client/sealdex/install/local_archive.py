"""Archives from this host's disk: which release one is, by its manifest or as stated by the user."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from msgspec import Struct

from sealdex.archive.limits import UnpackLimits
from sealdex.archive.reader import ArchiveFile
from sealdex.archive.tar import read_tar
from sealdex.archive.unpack import inspect_archive
from sealdex.archive.zip import list_zip, zip_content
from sealdex.config.config import Config
from sealdex.disk import open_regular
from sealdex.errors import InstallError, NotFoundError, SealdexError, UsageError, VerificationError
from sealdex.install.archive_path import FORMATS, format_of
from sealdex.install.foreign_manifest import NAMESPACE, Foreign, as_manifest, is_ours, read_foreign
from sealdex.model.decode import DocumentError, encode_json, read_wire
from sealdex.model.foreign_release import SERVICE_JSON
from sealdex.model.ids import PluginId, parse_plugin_id
from sealdex.model.index import ArtifactEntry
from sealdex.model.release import MANIFEST_FORMAT, PublishedManifest
from sealdex.model.versions import version_problem
from sealdex.store.hashing import hash_of
from sealdex.store.layout import Store
from sealdex.store.manifests import MAX_MANIFEST_BYTES
from sealdex.store.staging import staging_folder

REGISTRY = "local"
"""In receipts, takes the place of the registry's name."""

MANIFEST_INSIDE = "manifest.json"
_INSIDE = (MANIFEST_INSIDE, SERVICE_JSON)  # the first that is there counts
_NAMED = re.compile(r"(?P<name>[a-z0-9]+(?:[._-][a-z0-9]+)*?)-v?\d+\.\d+\.\d+.*")


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
        identity: plugin and version; default: from its ``manifest.json``, or a model hub's ``service.json``.

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


class Told(NamedTuple):
    """What an archive says of itself: a manifest of ours, or one of another system, or why it can't be read."""

    ours: PublishedManifest | None
    foreign: Foreign | None
    problem: str
    data: bytes = b""


def told_by(path: Path) -> Told:
    """Return what an archive says of itself; whatever is wrong with it, it says nothing."""
    archive_format = format_of(path.name)
    try:
        with ArchiveFile(path, name=path.name) as archive:
            return _read(_manifest_inside(archive, archive_format or ""))
    except (SealdexError, OSError) as error:
        return Told(None, None, str(error))


def plugins_meant(path: Path, told: Told, named: Callable[[str], Iterable[PluginId]]) -> list[PluginId]:
    """Return the plugins whose release an archive may be, by what it says of itself or by its file name.

    Args:
        path: the archive.
        told: what it says of itself.
        named: returns the plugins of a name, whatever their namespace.
    """
    if told.ours is not None:
        with suppress(ValueError):
            return [parse_plugin_id(f"{told.ours.namespace}/{told.ours.name}")]
    if told.foreign is not None and told.foreign.name is not None:
        return list(named(told.foreign.name))
    by_name = _NAMED.fullmatch(path.name.lower())
    return list(named(by_name["name"])) if by_name is not None else []


def digest_of(path: Path) -> str:
    """Return the SHA-256 of a file.

    Raises:
        NotFoundError: there is none. InstallError: it can't be read.
    """
    try:
        with open_regular(path) as file:
            return hash_of(file)
    except FileNotFoundError as error:
        raise NotFoundError(f"there is no file {path}", subject=str(path), untouched="nothing was installed") from error
    except OSError as error:
        raise InstallError(f"{path} can't be read: {error.strerror or error}", subject=str(path)) from error


def _described(
    path: Path,
    copy: Path,
    artifact: ArtifactEntry,
    inside: tuple[str, bytes] | None,
    identity: tuple[PluginId, str] | None,
) -> LocalArchive:
    told = _read(inside)
    if identity is None:
        identity = _identity(path, told)
    plugin, version = identity
    if told.ours is not None:
        found = told.ours
        if (found.namespace, found.name, found.version) != (*plugin, version):
            raise _other(path, f"{found.namespace}/{found.name} {found.version}", plugin, version)
        return LocalArchive(copy, plugin, version, artifact, told.data, dict(found.dependencies))
    made = PublishedManifest(format=MANIFEST_FORMAT, namespace=plugin.namespace, name=plugin.name, version=version)
    if told.foreign is not None:
        if told.foreign.version != version:
            raise _other(path, f"{told.foreign.shown} {told.foreign.version}", plugin, version)
        try:
            made = as_manifest(told.foreign, *plugin, version)
        except ValueError as error:
            raise UsageError(
                f"what {path.name} says of itself can't be used: {error}",
                subject=str(path),
                untouched="nothing was installed",
                hint="mend its manifest and pack it again",
            ) from error
    return LocalArchive(copy, plugin, version, artifact, encode_json(made), dict(made.dependencies))


def _identity(path: Path, told: Told) -> tuple[PluginId, str]:
    if told.ours is not None:
        return parse_identity(f"{told.ours.namespace}/{told.ours.name}@{told.ours.version}")
    if told.foreign is not None and told.foreign.name is not None:
        return parse_identity(f"{NAMESPACE}/{told.foreign.name}@{told.foreign.version}")
    problem = (
        told.problem or f"its name '{told.foreign.shown if told.foreign else ''}' is not one that a plugin can have"
    )
    raise UsageError(
        f"{path.name} doesn't say which plugin and version it is: {problem}",
        subject=str(path),
        untouched="nothing was installed",
        hint="state it: --as NAMESPACE/NAME@VERSION",
    )


def _other(path: Path, said: str, plugin: PluginId, version: str) -> UsageError:
    return UsageError(
        f"{path.name} says that it is {said}, not {plugin} {version}",
        subject=str(path),
        untouched="nothing was installed",
    )


def _read(inside: tuple[str, bytes] | None) -> Told:
    if inside is None:
        return Told(None, None, f"it has neither {' nor '.join(_INSIDE)} at its top level")
    name, data = inside
    try:
        if name == MANIFEST_INSIDE and is_ours(data):
            return Told(read_wire(data, PublishedManifest, newest_format=MANIFEST_FORMAT, what=name), None, "", data)
        return Told(None, read_foreign(name, data), "")
    except (DocumentError, ValueError) as error:
        return Told(None, None, f"its {name} can't be read ({error})")


def _manifest_inside(archive: ArchiveFile, archive_format: str) -> tuple[str, bytes] | None:
    limits = UnpackLimits()
    found: dict[str, bytes] = {}
    if archive_format == "zip":
        for entry in list_zip(archive, limits).entries:
            if entry.path in _INSIDE and entry.kind == "file" and entry.size <= MAX_MANIFEST_BYTES:
                found[entry.path] = b"".join(zip_content(archive, entry))
    else:
        for item in read_tar(archive, archive_format.removeprefix("tar."), limits):
            entry = item.entry
            if entry.path in _INSIDE and entry.kind == "file" and entry.size <= MAX_MANIFEST_BYTES:
                found[entry.path] = b"".join(item.content)
    return next(((name, found[name]) for name in _INSIDE if name in found), None)
