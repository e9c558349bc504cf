"""What installing a release will do, decided before anything is written; `sealdex.install.install` carries it out."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from msgspec import Struct

from sealdex.archive.limits import UnpackLimits
from sealdex.archive.unpack import ArchiveFile, UnpackPlan, plan_unpack
from sealdex.errors import InstallError
from sealdex.model.ids import PluginId
from sealdex.model.index import ArtifactEntry
from sealdex.results import InstallAction
from sealdex.store.installations import IMAGE_FORMAT, Installation, current_version_named
from sealdex.store.layout import Store
from sealdex.store.verify import Finding

_BLOCK_BYTES = 4096
_MARGIN_BYTES = 16 * 2**20

NO_FILES = ArtifactEntry("none", hashlib.sha256(b"").hexdigest(), "none", 0)
"""The artifact of a release without files: it is recorded like others, in a folder that has only a receipt."""


def has_files(artifact: ArtifactEntry) -> bool:
    """Return whether an artifact is a file to unpack; without files, and for container images, it isn't."""
    return artifact != NO_FILES and artifact.format != IMAGE_FORMAT


class ChangedMeanwhileError(InstallError):
    """An installation that was to be kept was removed or damaged meanwhile: it must be fetched again."""

    def __init__(self, request: InstallRequest) -> None:
        super().__init__(
            f"{request.plugin} {request.version} was changed by another process meanwhile",
            subject=str(request.plugin),
            untouched="nothing was changed",
            hint="run the command again",
        )
        self.plugin = request.plugin


class InstallRequest(Struct, frozen=True):
    """One release to install, with the contents of its receipt.

    Attributes:
        plugin, version: the release.
        artifact: its artifact as pinned by the signed index.
        registry: name of the registry.
        manifest_sha256: digest of the release's manifest.
        signed_by: role that signed the index document; None for a local archive without signature.
        root_version: version of the trust root; None for a local archive.
        manifest: the bytes of the release's manifest, kept beside the receipt; None if it is not kept.
    """

    plugin: PluginId
    version: str
    artifact: ArtifactEntry
    registry: str
    manifest_sha256: str
    signed_by: str | None
    root_version: int | None
    manifest: bytes | None = None


class InstallPlan(Struct, frozen=True):
    """What an install will do, decided before anything is written.

    Attributes:
        action: ``unpack`` (not installed), ``repair`` (installed and damaged) or ``keep`` (installed and intact).
        unpack: what is written; None for ``keep``.
        needed_bytes: required disk space, margin included.
        switch_to: the version that becomes current; None if that doesn't change.
        replaces: the damaged folder that is replaced.
    """

    action: InstallAction
    unpack: UnpackPlan | None
    needed_bytes: int
    switch_to: str | None
    replaces: Path | None


def decide(
    request: InstallRequest, existing: Installation | None, damage: Sequence[Finding], *, there: bool
) -> InstallAction:
    """Return ``unpack``, ``repair`` or ``keep``; pure.

    Args:
        request: what is to be installed.
        existing: what is installed under that version, if its receipt can be read.
        damage: what is wrong with it.
        there: whether its folder exists at all.

    Raises:
        InstallError: another artifact is installed under this version.
    """
    if existing is None:
        return "repair" if there else "unpack"
    if existing.artifact_sha256 != request.artifact.sha256:
        name = f"{request.plugin} {request.version}"
        raise InstallError(
            f"{name} is installed from another file (registry {existing.registry}, "
            f"sha256 {existing.artifact_sha256[:16]}...; wanted from {request.registry}: "
            f"{request.artifact.sha256[:16]}...)",
            subject=name,
            untouched="the installed version was not changed",
            hint=f"sealdex uninstall {request.plugin}@{request.version}, then install again",
        )
    return "repair" if damage else "keep"


def refuse_other_case(request: InstallRequest, stated: str | None) -> None:
    """Refuse a version that differs only in case from an installed one, on a file system that ignores case."""
    if stated is not None and stated != request.version and stated.lower() == request.version.lower():
        raise InstallError(
            f"{request.plugin} {request.version} and the installed {stated} differ only in case, and this file system "
            "can't hold both",
            subject=f"{request.plugin} {request.version}",
            untouched="nothing was changed",
            hint=f"sealdex uninstall {request.plugin}@{stated}, then install again; report it to the plugin's author",
        )


def plan_install(
    store: Store,
    request: InstallRequest,
    action: InstallAction,
    archive: ArchiveFile | None,
    limits: UnpackLimits | None,
    *,
    make_current: bool,
) -> InstallPlan:
    """Read an archive's directory, and say what will be written and switched to.

    Args:
        store: where.
        request: what.
        action: as `decide` says.
        archive: open, and compared with its pin; None where there is none to unpack.
        limits: what it may hold.
        make_current: switch ``current`` to it.

    Raises:
        RefusedArchiveError: the archive breaks the rules.
    """
    named = current_version_named(store, request.plugin)
    switch_to = request.version if make_current and named != request.version else None
    folder = Path(store.version_folder(request.plugin, request.version))
    if archive is None:
        return InstallPlan(action, None, 0, switch_to, folder if action == "repair" else None)
    artifact = request.artifact
    unpack = plan_unpack(archive, artifact.format, limits=limits, files=artifact.files, bin_path=artifact.bin)
    needed = unpack.total_bytes + _BLOCK_BYTES * len(unpack.files) + _MARGIN_BYTES
    return InstallPlan(action, unpack, needed, switch_to, folder if action == "repair" else None)
