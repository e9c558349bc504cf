"""Makes bundles: one file with a lock's plugins and what proves them, for a host without a network.

`sealdex.bundle_install` installs them; `sealdex.download.bundle` has the file itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from sealdex.config.config import Config
from sealdex.download.bundle.client_wheels import from_folder, running
from sealdex.download.bundle.create import MadeBundle, make_bundle
from sealdex.download.mirror.options import Watch
from sealdex.download.mirror.selection import LockedRelease, Selection, check_selection
from sealdex.errors import NotFoundError
from sealdex.lockfile.lock_file import read_lock
from sealdex.lockfile.project_file import WANTED_NAME


def create_bundle(
    config: Config,
    lock: Path,
    out: Path,
    *,
    platforms: Sequence[str] = (),
    with_client: bool = False,
    wheels: Path | None = None,
    watch: Watch | None = None,
) -> MadeBundle:
    """Write a bundle: the plugins of a lock, what proves them and, on request, the client.

    Args:
        config: the registries that the plugins are of.
        lock: a ``sealdex.lock``; a ``sealdex.toml`` beside it comes along.
        out: the file.
        platforms: ``os/arch``: only artifacts, and the client, for these.
        with_client: carry the client: of ``wheels``, else the one that is running, for hosts of its kind.
        wheels: a folder of wheels of ``sealdex`` and what it needs.
        watch: told of waits and progress.

    Raises:
        UsageError: a platform isn't a valid one, or the client can't be carried for it.
        NotFoundError, ConfigError: there is no such lock, it can't be read, or no registry is configured for a plugin.
        VerificationError: a registry has signed something else than the lock names.
        UnavailableError, InstallError: something can't be had, or not be written; no bundle was written.
    """
    document = read_lock(lock)
    spelled = check_selection(Selection(platforms=tuple(platforms))).platforms
    locked: dict[str, list[LockedRelease]] = {}
    for block in document.plugin:
        locked.setdefault(config.registry_for(block.id.namespace), []).append(
            LockedRelease(block.name, block.version, block.manifest.sha256)
        )
    if not locked:
        raise NotFoundError(f"{lock} locks no plugin", subject=str(lock), untouched="no bundle was written")
    wanted = lock.with_name(WANTED_NAME)
    carried = None
    if with_client or wheels is not None:
        carried = from_folder(wheels) if wheels is not None else running()
    return make_bundle(
        config,
        out,
        lock.read_bytes(),
        locked,
        watch or Watch(),
        wanted=wanted.read_bytes() if wanted.is_file() else None,
        platforms=spelled,
        wheels=carried,
    )


__all__ = ["MadeBundle", "create_bundle"]
