"""Restores a removed version from its cached archive, using the record that was kept of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from sealdex.errors import InstallError, SealdexError
from sealdex.install.install import install
from sealdex.install.plan import NO_FILES, InstallRequest
from sealdex.model.ids import PluginId
from sealdex.model.index import ArtifactEntry, MappedFile
from sealdex.store.cache import ContentCache
from sealdex.store.dependants import OnBroken
from sealdex.store.installations import IMAGE_FORMAT, Installation
from sealdex.store.layout import MANIFEST_NAME, RECEIPT_FOLDER, Store
from sealdex.store.manifests import installed_manifest
from sealdex.store.rollback import RolledBack, roll_back
from sealdex.store.tombstones import kept_record


def roll_back_with_cache(store: Store, to: int | None = None, *, on_broken: OnBroken | None = None) -> RolledBack:
    """Roll back, restoring removed versions from the cache; arguments and errors are those of `roll_back`."""
    cache = ContentCache(Path(store.cache_folder))

    def restore(plugin: PluginId, version: str) -> Callable[[], object] | None:
        record = kept_record(store, plugin, version)
        if record is None:
            return None
        if record.artifact_format in {NO_FILES.format, IMAGE_FORMAT}:
            return lambda: _put_back(store, record, None)
        archive = cache.verified(record.artifact_sha256, record.artifact_size)
        return (lambda: _put_back(store, record, archive)) if archive is not None else None

    with cache.holding():
        return roll_back(store, to, restore=restore, on_broken=on_broken)


def _put_back(store: Store, record: Installation, archive: Path | None) -> None:
    """Install the version of a record, and compare the result with the record.

    Raises:
        VerificationError, InstallError: as `sealdex.install.install.install`; or the files differ from before.
    """
    done = install(store, _request(record), archive, make_current=False).installation
    if done.files_sha256 != record.files_sha256:
        name = f"{record.namespace}/{record.name}"
        raise InstallError(
            f"{name} {record.version} can't be restored as it was: its files would differ",
            subject=name,
            untouched="nothing was changed",
            hint=f"sealdex install {name}@{record.version}",
        )


def _request(record: Installation) -> InstallRequest:
    manifest: bytes | None = None
    files: tuple[MappedFile, ...] = ()
    try:
        full = installed_manifest(record)
    except SealdexError:  # none was kept: what is restored is compared with the record all the same
        pass
    else:
        manifest = (record.path / RECEIPT_FOLDER / MANIFEST_NAME).read_bytes()
        mapped = next((a.files for a in full.artifacts if a.sha256 == record.artifact_sha256), ())
        files = tuple(MappedFile(each.source, each.to) for each in mapped)
    artifact = ArtifactEntry(
        record.artifact_file,
        record.artifact_sha256,
        record.artifact_format,
        record.artifact_size,
        bin=record.bin,
        files=files,
    )
    return InstallRequest(
        PluginId(*record.id),
        record.version,
        artifact,
        record.registry,
        record.manifest_sha256,
        record.signed_by,
        record.root_version,
        manifest,
    )
