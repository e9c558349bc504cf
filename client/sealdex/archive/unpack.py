"""Unpacks an archive into a new folder: inspects all of it, decides, then writes and hashes.

`inspect_archive` lists the contents of an archive or reports all its problems; `plan_unpack` decides what will be
written; `carry_out` writes it. `unpack` does all three. Nothing from an archive is executed, and nothing is written
before the whole archive was checked.

Archives are ``zip``, ``tar.gz``, ``tar.zst``, or a single ``file`` that is installed as it is. The rules are in
`sealdex.archive.entries`, the mapping of files in `sealdex.archive.mapping`.
"""

from __future__ import annotations

import os
import shutil
import stat
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

from msgspec import Struct

from sealdex.archive.entries import (
    ArchiveEntry,
    DamagedArchiveError,
    EntryProblem,
    Listing,
    RefusedArchiveError,
    entry_problems,
    refuse_if,
)
from sealdex.archive.limits import UnpackLimits
from sealdex.archive.mapping import FileRule, MappingError, PlannedFile, plan_files
from sealdex.archive.reader import CHUNK_BYTES, ArchiveFile
from sealdex.archive.tree_writer import TreeWriter, UnpackedFile
from sealdex.archive.windows_names import refuse_on_windows
from sealdex.archive.zip import list_zip, zip_content
from sealdex.errors import MAKE_ROOM, InstallError, is_disk_full

__all__ = [
    "ArchiveEntry",
    "ArchiveFile",
    "DamagedArchiveError",
    "EntryProblem",
    "MappingError",
    "PlannedFile",
    "RefusedArchiveError",
    "UnpackLimits",
    "UnpackPlan",
    "UnpackedFile",
    "carry_out",
    "inspect_archive",
    "plan_files",
    "plan_unpack",
    "unpack",
]

_In = TypeVar("_In")
_Out = TypeVar("_Out")

Progress = Callable[[int, int], None]
"""Called with (bytes written, bytes in all), never twice at once, from whichever thread wrote them."""

_MAX_WORKERS = 4
_WORTH_THREADS_BYTES = 4 << 20
"""Below it threads wait for each other longer than they save: a twentieth of what installing 1 MiB takes."""


class UnpackPlan(Struct, frozen=True):
    """What will be written, decided from the archive's directory alone.

    Attributes:
        format: of the archive.
        files: what will be there, folders first.
        entries: the archive's entries that bring the content, by their paths in the archive.
        total_bytes: content of all files together.
    """

    format: str
    files: tuple[PlannedFile, ...]
    entries: dict[str, ArchiveEntry]
    total_bytes: int


def inspect_archive(
    path: Path, archive_format: str, *, limits: UnpackLimits | None = None, name: str | None = None
) -> list[ArchiveEntry]:
    """Return what is in an archive, without unpacking it.

    Args:
        path: the archive.
        archive_format: ``zip``, ``tar.gz``, ``tar.zst`` or ``file``.
        limits: what it may hold.
        name: the archive's own name, for messages and for the one entry of a ``file``; else that of ``path``.

    Raises:
        RefusedArchiveError: an `UnsafeArchiveError` with every rule that is broken in ``problems``.
        DamagedArchiveError: it is not an archive of that format.
        OSError: it can't be read.
    """
    with ArchiveFile(path, name=name) as archive:
        return _inspect(archive, archive_format, limits or UnpackLimits())


def plan_unpack(
    archive: ArchiveFile,
    archive_format: str,
    *,
    limits: UnpackLimits | None = None,
    files: Sequence[FileRule] = (),
    bin_path: str | None = None,
) -> UnpackPlan:
    """Decide what an archive will be unpacked to; ``files`` and ``bin_path`` as in the manifest (`plan_files`).

    Raises:
        RefusedArchiveError, DamagedArchiveError: as `inspect_archive`.
        MappingError: `files` or `bin_path` don't fit the archive.
    """
    entries = _inspect(archive, archive_format, limits or UnpackLimits())
    try:
        planned = plan_files(archive.name, entries, files, bin_path)
    except MappingError:
        # a manifest published with version 0.1.0 may name files as that version read them
        if archive_format != "zip":
            raise
        entries = list_zip(archive, limits or UnpackLimits(), as_0_1_0=True).entries
        refuse_if(archive.name, entry_problems(entries, limits or UnpackLimits(), archive.size))
        planned = plan_files(archive.name, entries, files, bin_path)
    refuse_on_windows(archive.name, (file.path for file in planned))
    needed = {file.source for file in planned if file.kind == "file"}
    return UnpackPlan(
        format=archive_format,
        files=planned,
        entries={entry.path: entry for entry in entries if entry.path in needed and entry.kind == "file"},
        total_bytes=sum(file.size for file in planned),
    )


def carry_out(
    plan: UnpackPlan,
    archive: ArchiveFile,
    destination: Path,
    *,
    limits: UnpackLimits | None = None,
    durable: bool = False,
    on_progress: Progress | None = None,
) -> tuple[UnpackedFile, ...]:
    """Write what was planned into a new folder; on any failure the folder is removed again.

    Args:
        plan: made from the same archive.
        archive: still open.
        destination: must not exist; the folder above it must.
        limits: those of the plan.
        durable: return only when the disk holds it, so that a power cut can't empty files under their final names.
        on_progress: told about written bytes.

    Raises:
        DamagedArchiveError: content differs from what the directory said.
        InstallError: the disk is full, or another file system error.
    """
    try:
        writer = TreeWriter(destination)
        try:
            return _write(plan, archive, writer, limits or UnpackLimits(), durable, _Meter(plan, on_progress))
        except BaseException:
            shutil.rmtree(destination, ignore_errors=True)
            raise
    except OSError as error:
        raise InstallError(
            f"unpacking {archive.name} failed: {error.strerror or error}",
            subject=archive.name,
            untouched="nothing was installed",
            hint=MAKE_ROOM if is_disk_full(error) else "check the permissions of the store, then run the command again",
        ) from error


def unpack(
    path: Path,
    archive_format: str,
    destination: Path,
    *,
    limits: UnpackLimits | None = None,
    files: Sequence[FileRule] = (),
    bin_path: str | None = None,
    name: str | None = None,
    durable: bool = False,
    on_progress: Progress | None = None,
) -> tuple[UnpackedFile, ...]:
    """Unpack an archive into a new folder and return what was written, sorted by path. See `carry_out`."""
    with ArchiveFile(path, name=name) as archive:
        plan = plan_unpack(archive, archive_format, limits=limits, files=files, bin_path=bin_path)
        return carry_out(plan, archive, destination, limits=limits, durable=durable, on_progress=on_progress)


def _inspect(archive: ArchiveFile, archive_format: str, limits: UnpackLimits) -> list[ArchiveEntry]:
    listing = _listing(archive, archive_format, limits)
    entries, second_opinions = listing.entries, listing.second_opinions
    problems = [*listing.problems, *entry_problems(entries, limits, archive.size)]
    told = {problem.name for problem in problems}
    refuse_if(archive.name, [*problems, *(problem for problem in second_opinions if problem.name not in told)])
    return entries


def _listing(archive: ArchiveFile, archive_format: str, limits: UnpackLimits) -> Listing:
    if archive_format == "zip":
        return list_zip(archive, limits)
    if archive_format in {"tar.gz", "tar.zst"}:
        from sealdex.archive.tar import list_tar  # noqa: PLC0415  # most archives are zip

        return list_tar(archive, archive_format.removeprefix("tar."), limits)
    if archive_format == "file":
        return Listing([ArchiveEntry(path=archive.name, kind="file", size=archive.size, mode=stat.S_IRUSR)], [])
    raise InstallError(f"format {archive_format!a} can't be unpacked", subject=archive.name)


class _Meter:
    """Adds up progress over threads."""

    def __init__(self, plan: UnpackPlan, on_progress: Progress | None) -> None:
        self._total = plan.total_bytes
        self._on_progress = on_progress
        self._done = 0
        self._lock = threading.Lock()

    def metered(self, content: Iterable[bytes]) -> Iterable[bytes]:
        return content if self._on_progress is None else self._watched(content, self._on_progress)

    def _watched(self, content: Iterable[bytes], on_progress: Progress) -> Iterator[bytes]:
        for piece in content:
            yield piece
            with self._lock:
                self._done += len(piece)
                on_progress(self._done, self._total)


def _write(
    plan: UnpackPlan, archive: ArchiveFile, writer: TreeWriter, limits: UnpackLimits, durable: bool, meter: _Meter
) -> tuple[UnpackedFile, ...]:
    for file in plan.files:
        writer.add_folder(file.path if file.kind == "folder" else file.path.rpartition("/")[0])
    if plan.format in {"zip", "file"}:
        written = _write_in_parallel(plan, archive, writer, meter)
    else:
        written = _write_in_order(plan, archive, writer, limits, meter)
    by_path = {file.path: file for file in written}
    missing = [file.path for file in plan.files if file.kind == "file" and file.path not in by_path]
    if missing or any(by_path[file.path].size != file.size for file in plan.files if file.kind == "file"):
        raise DamagedArchiveError(archive.name, "it changed while it was read")
    for file in plan.files:
        if file.kind == "hardlink":
            by_path[file.path] = writer.add_hard_link(file.path, by_path[file.source])
    for file in plan.files:
        if file.kind == "symlink":
            by_path[file.path] = writer.add_symlink(file.path, file.target or "")
    if durable:
        _in_threads(writer.sync_file, [file for file in written if file.size], plan.total_bytes)
        writer.sync_folders()
    return tuple(by_path[path] for path in sorted(by_path))


def _write_in_parallel(plan: UnpackPlan, archive: ArchiveFile, writer: TreeWriter, meter: _Meter) -> list[UnpackedFile]:
    """Write files whose content can be read in any order. zlib, hashing and the system calls release the GIL."""

    def write(file: PlannedFile) -> UnpackedFile:
        content = zip_content(archive, plan.entries[file.source]) if plan.format == "zip" else _whole(archive)
        return writer.add_file(file.path, file.mode, meter.metered(content))

    # the largest first, so that no thread starts a long one when the others are done
    files = sorted((file for file in plan.files if file.kind == "file"), key=lambda file: -file.size)
    return _in_threads(write, files, plan.total_bytes)


def _whole(archive: ArchiveFile) -> Iterator[bytes]:
    stream = archive.stream()
    while piece := stream.read(CHUNK_BYTES):
        yield piece


def _write_in_order(
    plan: UnpackPlan, archive: ArchiveFile, writer: TreeWriter, limits: UnpackLimits, meter: _Meter
) -> list[UnpackedFile]:
    from sealdex.archive.tar import read_tar  # noqa: PLC0415  # most archives are zip

    wanted = {file.source: file for file in plan.files if file.kind == "file"}
    return [
        writer.add_file(file.path, file.mode, meter.metered(item.content))
        for item in read_tar(archive, plan.format.removeprefix("tar."), limits)
        if item.entry.kind == "file" and (file := wanted.pop(item.entry.path, None)) is not None
    ]


def _in_threads(work: Callable[[_In], _Out], items: Sequence[_In], total_bytes: int) -> list[_Out]:
    """Do ``work`` on each item, on several threads when there are bytes enough; the first error stops all."""
    workers = min(_MAX_WORKERS, os.cpu_count() or 1, len(items)) if total_bytes >= _WORTH_THREADS_BYTES else 1
    if workers <= 1:
        return [work(item) for item in items]
    from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415  # most is written without

    left = deque(items)
    stop = threading.Event()

    def take_and_work() -> list[_Out]:
        done = []
        try:
            while not stop.is_set():
                try:
                    item = left.popleft()
                except IndexError:
                    break
                done.append(work(item))
        except BaseException:
            stop.set()
            raise
        return done

    with ThreadPoolExecutor(workers, thread_name_prefix="unpack") as pool:
        futures = [pool.submit(take_and_work) for _ in range(workers)]
        try:
            return [result for future in futures for result in future.result()]
        finally:
            stop.set()  # an interrupt ends the wait above; the threads then end after their current file
