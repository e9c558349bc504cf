"""Installs a release: inspects, decides, unpacks beside the store's versions, then switches by rename.

The steps, and what a kill (or a power cut) during each one leaves behind:

1. Stale staging folders of killed runs are deleted.
2. Under the plugin's lock: the existing installation is compared with the request. The same release with the same
   digest and intact files: nothing to do. With another digest: refused.
3. The archive is opened once and hashed against its pin; all that follows reads that open file.
4. Its directory is checked, the plan made (`InstallPlan`) and the free disk space compared with it.
   *Killed until here: only the download in the cache remains.*
5. It is unpacked into ``staging/<random>/``, every file hashed on the way, the receipt written last, the result
   compared with the plan. *Killed: a stale folder, deleted by step 1 of the next run.*
6. Everything is flushed to the disk: files first, then folders, so that after a power cut no file of an installation
   is empty or torn; the rename must come after that. (1 GiB in 3,000 files: half a second. ``durable=False``
   skips it, for short-lived hosts.)
7. One rename puts the folder under its version. *Killed before: the old state. After: installed, not yet current.*
8. One rename switches ``current``. *Killed after: the new state.*

A damaged installation is replaced: the old folder is renamed away just before step 7. Killed between the two, the
version is not installed, and the next install puts it there.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import time
from contextlib import ExitStack
from pathlib import Path

from msgspec import Struct

from sealdex.archive.entries import RECEIPT_FOLDER
from sealdex.archive.limits import UnpackLimits
from sealdex.archive.tree_writer import UnpackedFile
from sealdex.archive.unpack import ArchiveFile, Progress, carry_out
from sealdex.disk import rename, sync_path
from sealdex.download.ready_tree import ReadyTree
from sealdex.errors import MAKE_ROOM, InstallError, VerificationError, is_disk_full
from sealdex.install.plan import (
    ChangedMeanwhileError,
    InstallPlan,
    InstallRequest,
    decide,
    has_files,
    plan_install,
    refuse_other_case,
)
from sealdex.log import Log, stopwatch
from sealdex.results import InstallAction
from sealdex.store.activation import LOCK_TIMEOUT_S, plugin_lock, point_current, rename_into, settle_current
from sealdex.store.installations import (
    Installation,
    current,
    current_version_named,
    find_installation,
    version_stated_in,
)
from sealdex.store.layout import FILES_NAME, MANIFEST_NAME, RECEIPT_NAME, Store
from sealdex.store.staging import remove_stale, staging_folder
from sealdex.store.verify import compare_tree, verify_installation, worse_than_extra, write_files_list

_log = Log("sealdex.install")


class InstallResult(Struct, frozen=True):
    """The result of an install.

    Attributes:
        installation: what is installed now.
        action: as in the plan.
        previous: what was current before; equal to `installation` if that didn't change.
        is_current: whether `installation` is now the current one.
        seconds: what it took, as the log has it.
    """

    installation: Installation
    action: InstallAction
    previous: Installation | None
    is_current: bool
    seconds: float


def action_for(store: Store, request: InstallRequest) -> InstallAction:
    """Return what `install` would do with the release's folder; raises as `needs_archive`."""
    return _look(store, request, full_check=False)[0]


def needs_archive(store: Store, request: InstallRequest, *, full_check: bool = False) -> bool:
    """Return whether `install` would read the archive, so that nothing already installed is downloaded.

    Raises:
        InstallError: another artifact is installed under this version.
    """
    return _look(store, request, full_check=full_check)[0] != "keep"


def install(
    store: Store,
    request: InstallRequest,
    archive_path: str | os.PathLike[str] | ReadyTree | None,
    *,
    limits: UnpackLimits | None = None,
    make_current: bool = True,
    full_check: bool = False,
    durable: bool = True,
    on_progress: Progress | None = None,
    lock_timeout_s: float = LOCK_TIMEOUT_S,
) -> InstallResult:
    """Install a release from its downloaded archive.

    Args:
        store: where to install.
        request: what to install.
        archive_path: the file, or the result of a delta download (`sealdex.download.delta`); may be None if
            `needs_archive` returned False, or if the artifact has no files.
        limits: limits on the archive's contents.
        make_current: switch ``current`` to it.
        full_check: hash what is already installed instead of comparing sizes and modes.
        durable: see the module's docstring.
        on_progress: told about written bytes.
        lock_timeout_s: how long to wait for another process that changes this plugin.

    Raises:
        VerificationError: the file isn't the pinned one, or the archive is unsafe (`RefusedArchiveError`).
        InstallError: disk full, no permission, a damaged archive, another artifact under this version.
    """
    if request.manifest is not None and hashlib.sha256(request.manifest).hexdigest() != request.manifest_sha256:
        raise VerificationError(
            f"the manifest of {request.plugin} {request.version} is not the one that {request.registry} pins",
            subject=f"{request.plugin} {request.version}",
            untouched="nothing was installed",
        )
    try:
        remove_stale(store)
        with plugin_lock(store, request.plugin, timeout_s=lock_timeout_s), ExitStack() as stack:
            previous = current(store, request.plugin)
            action, existing = _look(store, request, full_check=full_check)
            archive, tree = None, archive_path if isinstance(archive_path, ReadyTree) else None
            if tree is not None:
                stack.callback(tree.close)
                _require_same(request, tree)
            elif action != "keep" and has_files(request.artifact):
                archive = stack.enter_context(_opened(request, archive_path))
            plan = plan_install(store, request, action, archive, limits, make_current=make_current)
            took = stopwatch()
            _require_room(store, request, plan)
            installation = existing
            if action != "keep" or plan.switch_to is not None:
                staging = stack.enter_context(staging_folder(store))
                if tree is not None and action != "keep":
                    rename(tree.folder, staging / "new")
                    installation = _commit(
                        store, request, plan, tree.files, tree.archive_bytes, staging, durable=durable
                    )
                elif action != "keep" and not has_files(request.artifact):
                    (staging / "new").mkdir()
                    installation = _commit(store, request, plan, (), 0, staging, durable=durable)
                elif archive is not None and plan.unpack is not None:
                    files = carry_out(
                        plan.unpack, archive, staging / "new", limits=limits, durable=durable, on_progress=on_progress
                    )
                    installation = _commit(store, request, plan, files, archive.size, staging, durable=durable)
                if plan.switch_to is not None:
                    point_current(store, request.plugin, plan.switch_to, staging)
            settle_current(store, request.plugin)
            if installation is None:
                raise RuntimeError(f"plan {plan.action} gave no installation")  # a plan has either
            is_current = current_version_named(store, request.plugin) == request.version
            seconds = took()
            _log_done(installation, action, seconds)
            return InstallResult(installation, plan.action, previous, is_current, seconds)
    except OSError as error:
        raise _local_failure(store, request, error) from error


_DONE: dict[InstallAction, str] = {
    "unpack": "unpacked and renamed into place",
    "repair": "unpacked again in place of what was damaged",
    "keep": "kept",
}


def _log_done(installation: Installation, action: InstallAction, seconds: float) -> None:
    plugin = f"{installation.namespace}/{installation.name}"
    if action == "keep":
        _log.info(
            "install.kept",
            "{plugin} {version} is in place and whole: kept",
            plugin=plugin,
            version=installation.version,
            registry=installation.registry,
            action=action,
            path=os.fspath(installation),
        )
        return
    _log.info(
        "install.unpacked",
        "{plugin} {version} is {what}: {files} files, {bytes} bytes in {seconds} s, {path}",
        plugin=plugin,
        version=installation.version,
        registry=installation.registry,
        action=action,
        what=_DONE[action],
        files=installation.file_count,
        bytes=installation.unpacked_bytes,
        seconds=seconds,
        path=os.fspath(installation),
    )


def _look(store: Store, request: InstallRequest, *, full_check: bool) -> tuple[InstallAction, Installation | None]:
    existing = find_installation(store, request.plugin, request.version)
    damage = worse_than_extra(verify_installation(existing, quick=not full_check)) if existing is not None else []
    if damage:
        _log.info(
            "install.damaged",
            "{plugin} {version} is installed and damaged: {damage}",
            plugin=request.plugin,
            version=request.version,
            damage=damage[:5],
        )
    folder = store.version_folder(request.plugin, request.version)
    there = os.path.lexists(folder)
    if existing is None and there:
        refuse_other_case(request, version_stated_in(folder))
    return decide(request, existing, damage, there=there), existing


def _require_same(request: InstallRequest, tree: ReadyTree) -> None:
    if tree.artifact_sha256 != request.artifact.sha256:
        raise VerificationError(
            f"the result of the delta download is not {request.plugin} {request.version}",
            subject=f"{request.plugin} {request.version}",
            untouched="nothing was installed",
        )


def _opened(request: InstallRequest, archive_path: str | os.PathLike[str] | ReadyTree | None) -> ArchiveFile:
    if archive_path is None or isinstance(archive_path, ReadyTree):
        raise ChangedMeanwhileError(request)
    archive = ArchiveFile(Path(archive_path), name=request.artifact.file)
    try:
        _compare_with_pin(request, archive)
    except BaseException:
        archive.close()
        raise
    return archive


def _compare_with_pin(request: InstallRequest, archive: ArchiveFile) -> None:
    pinned, digest = request.artifact, archive.sha256()
    if digest != pinned.sha256 or pinned.size not in {None, archive.size}:
        raise VerificationError(
            f"{pinned.file} is not the file that {request.registry} pins: it has {archive.size} bytes and "
            f"sha256 {digest}; pinned are {pinned.size} bytes and {pinned.sha256}",
            subject=f"{request.plugin} {request.version}",
            untouched="nothing was installed",
            hint="run the command again to download it again; if it still fails, report it to the registry's operator",
        )


def _require_room(store: Store, request: InstallRequest, plan: InstallPlan) -> None:
    place = Path(store.root)
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free
    if plan.unpack is not None and free < plan.needed_bytes:
        raise InstallError(
            f"{request.plugin} {request.version} needs {plan.needed_bytes} bytes on the disk of {store.root}, "
            f"{free} are free",
            subject=f"{request.plugin} {request.version}",
            untouched="nothing was unpacked; what was downloaded is in the cache",
            hint=MAKE_ROOM,
        )


def _commit(
    store: Store,
    request: InstallRequest,
    plan: InstallPlan,
    files: tuple[UnpackedFile, ...],
    archive_bytes: int,
    staging: Path,
    *,
    durable: bool,
) -> Installation:
    made = staging / "new"
    final = Path(store.version_folder(request.plugin, request.version))
    if findings := list(compare_tree(made, files, quick=True)):
        raise InstallError(
            f"the unpacked files are not those planned: {'; '.join(map(str, findings[:5]))}",
            subject=f"{request.plugin} {request.version}",
            untouched="nothing was installed",
            hint="another program may be writing to the store: run the command again",
        )
    installation = _write_receipt(request, files, archive_bytes, made, final, durable=durable)
    if plan.replaces is not None:
        rename(plan.replaces, staging / "replaced")
    rename_into(made, final)
    if durable:
        for folder in (final.parent, *list(final.parents)[1:3]):
            sync_path(folder)
    return installation


def _write_receipt(
    request: InstallRequest,
    files: tuple[UnpackedFile, ...],
    archive_bytes: int,
    made: Path,
    final: Path,
    *,
    durable: bool,
) -> Installation:
    files_list = write_files_list(files)
    artifact = request.artifact
    installation = Installation(
        namespace=request.plugin.namespace,
        name=request.plugin.name,
        version=request.version,
        path=str(final),
        registry=request.registry,
        artifact_file=artifact.file,
        artifact_format=artifact.format,
        artifact_size=archive_bytes,
        artifact_sha256=artifact.sha256,
        manifest_sha256=request.manifest_sha256,
        signed_by=request.signed_by,
        root_version=request.root_version,
        installed_at=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        bin=artifact.bin,
        file_count=len(files),
        unpacked_bytes=sum(file.size for file in files),
        files_sha256=hashlib.sha256(files_list).hexdigest(),
    )
    folder = made / RECEIPT_FOLDER
    folder.mkdir()
    (folder / FILES_NAME).write_bytes(files_list)
    (folder / RECEIPT_NAME).write_bytes(installation.receipt())
    if request.manifest is not None:
        (folder / MANIFEST_NAME).write_bytes(request.manifest)
    if durable:
        for path in (*sorted(folder.iterdir()), folder, made):
            sync_path(path)
    return installation


def _local_failure(store: Store, request: InstallRequest, error: OSError) -> InstallError:
    full = is_disk_full(error)
    name = f"{request.plugin} {request.version}"
    return InstallError(
        f"installing {name} failed: " + (f"the disk of {store.root} is full" if full else str(error)),
        subject=name,
        untouched="what was installed before was not changed",
        hint=MAKE_ROOM if full else "check the store: sealdex doctor",
    )
