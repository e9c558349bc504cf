"""Delta downloads: assembles a release from installed files and ranges of its archive, by its signed list of files.

The steps, all in a staging folder, which is cleaned up if the process is killed:

1. The pinned list is read and checked by the rules for archives, and a plan is made from it
   (`sealdex.download._delta_plan`).
2. Each planned file whose SHA-256 is in another installed version's list is linked or copied from there and then
   hashed. Files that no longer have the listed hash are dropped and fetched like the rest.
3. The rest is fetched by ranges into the archive's part file in the cache and unpacked from there, every file hashed.
   A later run continues with the part file (`sealdex.download._ranges`), or fetches it again if its content doesn't
   match the list.

If the server doesn't serve ranges, or other bytes than listed, this gives up (`GivenUpError`), and the caller fetches
the whole archive, which is verified by its own digest. So the list only saves bytes.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import msgspec

from sealdex.archive.entries import DamagedArchiveError
from sealdex.archive.mapping import PlannedFile
from sealdex.archive.reader import ArchiveFile
from sealdex.archive.tree_writer import TreeWriter, UnpackedFile
from sealdex.archive.zip import zip_content
from sealdex.download._delta_plan import ListedPlan, is_worth, plan_listed, read_file_list, spans_for
from sealdex.download._ranges import NoRangesError, fetch_missing, held_spans
from sealdex.download.ready_tree import GivenUpError, ReadyTree
from sealdex.errors import VerificationError
from sealdex.log import Log, stopwatch
from sealdex.model.files import MAX_FILE_LIST_BYTES
from sealdex.model.ids import PluginId
from sealdex.model.index import ArtifactEntry
from sealdex.store.cache_entry import Partial
from sealdex.store.installations import Installation, files_list_path, installed_versions
from sealdex.store.layout import Store
from sealdex.store.staging import staging_folder
from sealdex.store.verify import read_files_list
from sealdex.transport import HttpStatusError

if TYPE_CHECKING:
    from sealdex.events import Progress
    from sealdex.store.cache import ContentCache
    from sealdex.transport import Transport

_log = Log("sealdex.download")

LINK_BYTES = 64 * 1024
"""Files from this size on are hard-linked, smaller ones copied; see docs/decisions/0010-file-lists.md."""
_LOOKED_THROUGH = 4  # number of installed versions, newest first
_THREADS = 4

_In = TypeVar("_In")
_Out = TypeVar("_Out")


def _let_go(cache: ContentCache, digest: str) -> None:
    """Delete the part file of an installed release, unless another process uses it."""
    with suppress(OSError), cache.try_lock(digest) as is_ours:
        if is_ours:
            cache.partial(digest).discard()


def held_content(bases: Sequence[Installation]) -> dict[str, list[tuple[Path, UnpackedFile]]]:
    """Return, by SHA-256, the files listed by installed versions; later versions first."""
    held: dict[str, list[tuple[Path, UnpackedFile]]] = {}
    for base in reversed(bases):
        try:
            files = read_files_list(Path(files_list_path(base)).read_bytes())
        except (OSError, msgspec.DecodeError, ValueError):
            continue
        for file in files:
            if file.target is None:
                held.setdefault(file.sha256, []).append((base.path / file.path, file))
    return held


def put_together(
    store: Store,
    transport: Transport,
    url: str,
    plan: ListedPlan,
    artifact_sha256: str,
    held: dict[str, list[tuple[Path, UnpackedFile]]],
    *,
    part: Partial | None,
    list_bytes: int,
    progress: Progress | None = None,
) -> ReadyTree:
    """Assemble a release's files.

    Args:
        store: where.
        transport: makes the requests.
        url: address of the archive.
        plan: the plan made from its list.
        artifact_sha256: digest of the archive.
        held: as `held_content`.
        part: the part file that keeps the archive's bytes between runs, under its digest's lock; None for a temporary
            file.
        list_bytes: size of the list, for the number of fetched bytes.
        progress: told about fetched bytes.

    Raises:
        GivenUpError: fetch the whole archive instead.
        UnavailableError: the server can't be reached; received bytes are kept in the part file.
        OSError: a file system error.
    """
    with ExitStack() as stack:
        staging = stack.enter_context(staging_folder(store))
        writer = TreeWriter(staging / "new")
        for file in plan.files:
            writer.add_folder(file.path if file.kind == "folder" else file.path.rpartition("/")[0])
        reused = _reuse(writer, plan, held)
        have = {file.path for file in reused}
        wanted = [file for file in plan.files if file.kind == "file" and file.path not in have]
        entries = [plan.entries[file.source] for file in wanted]
        spans = spans_for(entries)
        if len(reused) == 0 or not is_worth(plan, {file.sha256 for file in reused}, list_bytes):
            raise GivenUpError("too little of the installed files can be reused", has_fetched_nothing=True)
        archive = part or Partial(staging / "archive")
        try:
            fetched_bytes = fetch_missing(transport, url, spans, archive, plan.archive_bytes, progress)
        except NoRangesError as error:
            raise GivenUpError(str(error)) from error
        fetched = _unpack(writer, plan, wanted, archive.path)
        links = [writer.add_symlink(f.path, f.target or "") for f in plan.files if f.kind == "symlink"]
        # flushing each link would wait for the file system's journal, for content that is already on the disk
        written = [file for file in (*reused, *fetched) if file.size and not writer.is_shared(file)]
        _in_threads(writer.sync_file, written)
        writer.sync_folders()
        files = tuple(sorted((*reused, *fetched, *links), key=lambda file: file.path))
        return ReadyTree(
            artifact_sha256,
            plan.archive_bytes,
            staging / "new",
            files,
            list_bytes + fetched_bytes,
            sum(file.size for file in reused),
            stack.pop_all(),
        )


def _reuse(
    writer: TreeWriter, plan: ListedPlan, held: dict[str, list[tuple[Path, UnpackedFile]]]
) -> list[UnpackedFile]:
    def reuse(file: PlannedFile) -> UnpackedFile | None:
        for place, was in held.get(plan.sha256[file.source], ()):
            made = writer.add_known(place, was.sha256, file.path, file.mode, file.size, link=file.size >= LINK_BYTES)
            if made is not None:
                return made
        return None

    found = _in_threads(reuse, [file for file in plan.files if file.kind == "file"])
    return [file for file in found if file is not None]


def _in_threads(work: Callable[[_In], _Out], items: Sequence[_In]) -> list[_Out]:
    """Run ``work`` on each item in threads: hashing and system calls release the GIL."""
    with ThreadPoolExecutor(min(_THREADS, os.cpu_count() or 1), thread_name_prefix="pieces") as pool:
        return list(pool.map(work, items))


def _unpack(writer: TreeWriter, plan: ListedPlan, wanted: Sequence[PlannedFile], path: Path) -> list[UnpackedFile]:
    fetched: list[UnpackedFile] = []
    if not wanted:
        return fetched
    with ArchiveFile(path) as archive:
        for file in wanted:
            try:
                made = writer.add_file(file.path, file.mode, zip_content(archive, plan.entries[file.source]))
            except DamagedArchiveError as error:
                raise GivenUpError(f"the ranges don't match the list: {error}") from error
            if made.sha256 != plan.sha256[file.source]:
                raise GivenUpError(f"{file.path!a} doesn't match the list")
            fetched.append(made)
    return fetched


def from_pieces(
    store: Store,
    transport: Transport,
    plugin: PluginId,
    artifact: ArtifactEntry,
    url: str,
    read_list: Callable[[], bytes],
    cache: ContentCache,
    *,
    progress: Progress | None = None,
) -> ReadyTree | None:
    """Assemble a release from installed versions and ranges of its archive; None if the whole must be fetched.

    Args:
        store: where.
        transport: makes the requests.
        plugin: the plugin; files of its installed versions are reused.
        artifact: an artifact with a `file_list`.
        url: address of the archive.
        read_list: fetches the list and compares it with its pin.
        cache: keeps what was fetched until the release is installed.
        progress: told about fetched bytes.

    Raises:
        VerificationError: the list isn't the pinned one, belongs to another archive, or violates the rules for
            archives.
        UnavailableError: the server can't be reached.
    """
    pin, size = artifact.file_list, artifact.size
    if pin is None or size is None or artifact.format != "zip" or pin.size >= min(size, MAX_FILE_LIST_BYTES):
        return None
    held = held_content(installed_versions(store, plugin)[-_LOOKED_THROUGH:])
    if not held:
        _whole(plugin, artifact, "no version of it is installed")
        return None
    took = stopwatch()
    try:
        data = read_list()
        if hashlib.sha256(data).hexdigest() != pin.sha256:
            raise VerificationError(f"the list of files of {artifact.file} changed in the cache while it was read")
        listed = read_file_list(data, artifact)
        if listed is None:
            _whole(plugin, artifact, "its list of files is of a kind that this version can't use")
            return None
        plan = plan_listed(listed, artifact)
        if not is_worth(plan, held.keys(), len(data)):
            _whole(plugin, artifact, "too little of it is installed already")
            return None
        with cache.try_lock(artifact.sha256) as is_ours:  # another process holding the lock fetches its own ranges
            part = cache.partial(artifact.sha256) if is_ours else None
            had = held_spans(part, plan.archive_bytes) if part is not None else []
            make = partial(
                put_together,
                store, transport, url, plan, artifact.sha256, held,
                part=part, list_bytes=len(data), progress=progress,
            )  # fmt: skip
            try:
                tree = make()
            except GivenUpError as error:
                if part is None or error.has_fetched_nothing:
                    raise
                part.discard()
                if not had:
                    raise
                tree = make()  # the cause may be what an earlier run left, as after a power cut
            tree.on_close(lambda: _let_go(cache, artifact.sha256))
            _log.info(
                "download.delta",
                "{file} of {plugin} is assembled: {reused} bytes from installed versions, {fetched} bytes fetched "
                "of {bytes}, in {seconds} s",
                file=artifact.file,
                plugin=plugin,
                reused=tree.reused_bytes,
                fetched=tree.fetched_bytes,
                bytes=artifact.size,
                seconds=took(),
            )
            return tree
    except (GivenUpError, HttpStatusError) as error:
        _whole(plugin, artifact, str(error))
        return None
    except OSError as error:
        # Only this host's disk raises it here: what the transport meets is an UnavailableError. It may be what only
        # this way needs (a file to reuse that goes meanwhile); what the whole archive needs as well (room, permission)
        # is told on its own way, as an InstallError that says where and what to do.
        _whole(plugin, artifact, f"this host's disk: {error.strerror or error}")
        return None


def _whole(plugin: PluginId, artifact: ArtifactEntry, reason: str) -> None:
    _log.info(
        "download.whole",
        "{file} of {plugin} is fetched whole, not by the files that differ: {reason}",
        file=artifact.file,
        plugin=plugin,
        reason=reason,
    )
