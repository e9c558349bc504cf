"""Reads full manifests: from verified bytes, and from the copy kept beside the receipt of an installation."""

from __future__ import annotations

import hashlib

from sealdex.errors import InstallError, VerificationError
from sealdex.model.decode import DocumentError, read_wire
from sealdex.model.ids import PluginId
from sealdex.model.release import MANIFEST_FORMAT, PublishedManifest
from sealdex.store.installations import Installation
from sealdex.store.layout import MANIFEST_NAME, RECEIPT_FOLDER

MAX_MANIFEST_BYTES = 4 * 1024 * 1024


def read_manifest(data: bytes, plugin: PluginId, version: str) -> PublishedManifest:
    """Decode a manifest whose digest was compared with its pin.

    Raises:
        VerificationError: it can't be decoded, or belongs to another release.
        FormatTooNewError: it needs a newer sealdex.
    """
    what = f"the manifest of {plugin} {version}"
    try:
        manifest = read_wire(data, PublishedManifest, newest_format=MANIFEST_FORMAT, what=what)
    except DocumentError as error:
        raise VerificationError(f"{what} is signed but can't be read: {error}", subject=str(plugin)) from error
    if (manifest.namespace, manifest.name, manifest.version) != (*plugin, version):
        raise VerificationError(f"{what} belongs to another release", subject=str(plugin))
    return manifest


def installed_manifest(installation: Installation) -> PublishedManifest:
    """Read the manifest that was kept when a release was installed, without network access.

    Raises:
        InstallError: none was kept (an earlier sealdex installed it), or it can't be read.
        VerificationError: it isn't the one pinned by the receipt.
    """
    plugin = PluginId(*installation.id)
    name = f"{plugin} {installation.version}"
    again = f"sealdex uninstall {plugin}@{installation.version}, then install it again"
    path = installation.path / RECEIPT_FOLDER / MANIFEST_NAME
    try:
        with path.open("rb") as file:
            data = file.read(MAX_MANIFEST_BYTES + 1)
    except OSError as error:
        raise InstallError(
            f"the manifest of {name} was not kept when it was installed", subject=str(path), hint=again
        ) from error
    if len(data) > MAX_MANIFEST_BYTES or hashlib.sha256(data).hexdigest() != installation.manifest_sha256:
        raise VerificationError(
            f"the manifest of {name} is not the one that was installed",
            subject=str(path),
            untouched="nothing of it was run",
            hint=again,
        )
    return read_manifest(data, plugin, installation.version)
