"""Putting a release together from installed files and ranges of its archive, by its signed list of files.

What happens, all of it in a staging folder of its own, which vanishes with a killed process's lock:

1. The pinned list is read, judged by the rules for archives, and a plan is made from it
   (`sealdex.download._delta_plan`).
2. Each planned file whose SHA-256 another installed version's list names is linked or copied from there and hashed
   where it then stands. What doesn't have the listed hash any more is dropped, and fetched like the rest.
3. The rest is fetched by ranges into the archive's part file in the cache, and unpacked from there, every file hashed.
   A later run goes on with what that holds (`sealdex.download._ranges`), or fetches it anew if it isn't what is
   listed.

A server that gives no ranges, or other bytes than listed, makes this give up (`GivenUpError`), and the caller takes the
whole archive, which is verified by its own digest. So the list saves bytes and decides nothing else.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import msgspec

from sealdex.archive.entries import FILE, FOLDER, SYMLINK, DamagedArchiveError
from sealdex.archive.mapping import PlannedFile
from sealdex.archive.reader import ArchiveFile
from sealdex.archive.tree_writer import TreeWriter, UnpackedFile
from sealdex.archive.zip import zip_content
from sealdex.download._delta_plan import ListedPlan, is_worth, plan_listed, read_file_list, spans_for
from sealdex.download._ranges import NoRangesError, fetch_missing, held_spans
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
_LOOKED_THROUGH = 4  # installed versions, the newest ones
_THREADS = 4

_In = TypeVar("_In")
_Out = TypeVar("_Out")


class GivenUpError(Exception):
    """The release can't be put together from pieces, for this reason; the whole archive is to be fetched."""

    def __init__(self, why: str, *, has_fetched_nothing: bool = False) -> None:
        super().__init__(why)
        self.has_fetched_nothing = has_fetched_nothing


@dataclass(frozen=True, slots=True)
class ReadyTree:
    """A release's files, put together and verified, in a staging folder.

    Attributes:
        artifact_sha256, archive_bytes: of the archive that the files are those of.
        folder: the files.
        files: what they are, sorted by path.
        fetched_bytes: read from the server, the list included.
        reused_bytes: content of files that were there already.
    """

    artifact_sha256: str
    archive_bytes: int
    folder: Path
    files: tuple[UnpackedFile, ...]
    fetched_bytes: int
    reused_bytes: int
    _staging: ExitStack

    def on_close(self, call: Callable[[], object]) -> None:
        """Have this called, too, when the tree is closed."""
        self._staging.callback(call)

    def close(self) -> None:
        """Delete what is left in the staging folder."""
        self._staging.close()


def _let_go(cache: ContentCache, digest: str) -> None:
    """Delete the part file of a release that is installed, unless somebody else is at it."""
    with suppress(OSError), cache.try_lock(digest) as is_ours:
        if is_ours:
            cache.partial(digest).discard()


def held_content(bases: Sequence[Installation]) -> dict[str, list[tuple[Path, UnpackedFile]]]:
    """Return, by SHA-256, the files that installed versions say they have; later ones first."""
    held: dict[str, list[tuple[Path, UnpackedFile]]] = {}
    for base in reversed(bases):
        try:
            files = read_files_list(Path(files_list_path(base)).read_bytes())
        except (OSError, msgspec.DecodeError, ValueError):
            continue
        for file in files:
            if file.target is None:
                held.setdefault(file.sha256, []).append((Path(base.path) / file.path, file))
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
    """Make a release's files.

    Args:
        store: where.
        transport: makes the requests.
        url: of the archive.
        plan: from its list.
        artifact_sha256: of the archive.
        held: as `held_content`.
        part: what holds the archive's bytes from run to run, under its digest's lock; None for a file of this run.
        list_bytes: size of the list, for the sum of what was fetched.
        progress: told about fetched bytes.

    Raises:
        GivenUpError: fetch the whole archive.
        UnavailableError: the server can't be reached; what came is kept in the part file.
        OSError: the file system refuses.
    """
    with ExitStack() as stack:
        staging = stack.enter_context(staging_folder(store))
        writer = TreeWriter(staging / "new")
        for file in plan.files:
            writer.add_folder(file.path if file.kind == FOLDER else file.path.rpartition("/")[0])
        reused = _reuse(writer, plan, held)
        have = {file.path for file in reused}
        wanted = [file for file in plan.files if file.kind == FILE and file.path not in have]
        entries = [plan.entries[file.source] for file in wanted]
        spans = spans_for(entries)
        if len(reused) == 0 or not is_worth(plan, {file.sha256 for file in reused}, list_bytes):
            raise GivenUpError("too little of what is installed can be reused", has_fetched_nothing=True)
        archive = part or Partial(staging / "archive")
        try:
            fetched_bytes = fetch_missing(transport, url, spans, archive, plan.archive_bytes, progress)
        except NoRangesError as error:
            raise GivenUpError(str(error)) from error
        fetched = _unpack(writer, plan, wanted, archive.path)
        links = [writer.add_symlink(f.path, f.target or "") for f in plan.files if f.kind == SYMLINK]
        # each flush of a link waits for the file system's journal, for content that the disk holds already
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

    found = _in_threads(reuse, [file for file in plan.files if file.kind == FILE])
    return [file for file in found if file is not None]


def _in_threads(work: Callable[[_In], _Out], items: Sequence[_In]) -> list[_Out]:
    """Do ``work`` on each: hashing and system calls let other threads run."""
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
                raise GivenUpError(f"the ranges don't hold what is listed: {error}") from error
            if made.sha256 != plan.sha256[file.source]:
                raise GivenUpError(f"{file.path!a} is not what is listed")
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
    """Put a release together from installed versions and ranges of its archive; None where the whole is to be fetched.

    Args:
        store: where.
        transport: makes the requests.
        plugin: whose release it is; its installed versions are looked through.
        artifact: with a `file_list`.
        url: of the archive.
        read_list: fetches the list and compares it with its pin.
        cache: keeps what was fetched until the release is installed.
        progress: told about fetched bytes.

    Raises:
        VerificationError: the list is not the pinned one, or that of another archive, or breaks the rules for archives.
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
        with cache.try_lock(artifact.sha256) as is_ours:  # whoever else is at it has his own ranges
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
                tree = make()  # it may have been what an earlier run left, as after a power cut
            tree.on_close(lambda: _let_go(cache, artifact.sha256))
            _log.info(
                "download.delta",
                "{file} of {plugin} is put together: {reused} bytes from installed versions, {fetched} bytes fetched "
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
