"""Checks a list of files, and decides which bytes of the archive must be fetched for missing files. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

import msgspec
from msgspec import Struct

from sealdex.archive.entries import ArchiveEntry, EntryKind, EntryProblem, StoredData, entry_problems, refuse_if
from sealdex.archive.limits import UnpackLimits
from sealdex.archive.mapping import MappingError, PlannedFile, plan_files
from sealdex.archive.windows_names import refuse_on_windows
from sealdex.archive.zip import name_as_guessed
from sealdex.download._spans import Span, bytes_in, in_blocks, joined
from sealdex.errors import VerificationError
from sealdex.model.decode import decode_as
from sealdex.model.files import FILE_LIST_FORMAT, FileList, ListedEntry
from sealdex.model.index import ArtifactEntry
from sealdex.store.hashing import is_digest

GAP_BYTES = 32 * 1024
"""Ranges closer than this are joined: the bytes between cost less than a request."""
_KINDS: dict[str, EntryKind] = {"file": "file", "folder": "folder", "symlink": "symlink", "hardlink": "hardlink"}
WORTH_SHARE = 0.7
"""From this share of the archive on, the whole archive is fetched: that is quicker, and it can be cached."""


class ListedPlan(Struct, frozen=True):
    """The contents of an installation made by a list of files.

    Attributes:
        files: the files to create, folders first.
        entries: the list's entries with their content, by path in the archive.
        sha256: digests of that content, by the same paths.
        total_bytes: total size of all files.
        archive_bytes: size of the archive.
    """

    files: tuple[PlannedFile, ...]
    entries: Mapping[str, ArchiveEntry]
    sha256: Mapping[str, str]
    total_bytes: int
    archive_bytes: int


def read_file_list(data: bytes, artifact: ArtifactEntry) -> FileList | None:
    """Decode a verified list of files; None if it has a newer format than this version reads.

    Raises:
        VerificationError: it is not a valid list, or belongs to another archive.
    """
    try:
        listed = decode_as(data, FileList)
    except msgspec.ValidationError as error:
        raise _refused(artifact, f"can't be read: {error}") from error
    except msgspec.DecodeError as error:
        raise _refused(artifact, f"is not valid JSON: {error}") from error
    if listed.format > FILE_LIST_FORMAT:
        return None
    if (listed.archive.size, listed.archive.sha256) != (artifact.size, artifact.sha256):
        raise _refused(artifact, "belongs to another archive")
    return listed


def plan_listed(listed: FileList, artifact: ArtifactEntry, limits: UnpackLimits | None = None) -> ListedPlan:
    """Plan the unpacking of an archive from its list, as `plan_unpack` does from its directory.

    Raises:
        RefusedArchiveError: the list violates the rules for archives, or points outside the archive.
        MappingError: `files` or `bin` of the manifest don't fit the list.
    """
    try:
        return _planned(_as_guessed(listed), artifact, limits or UnpackLimits())
    except MappingError:
        # a manifest published with version 0.1.0 may name files as that version read them
        return _planned(listed, artifact, limits or UnpackLimits())


def _as_guessed(listed: FileList) -> FileList:
    """Return a list with names read as archives are read now; version 0.1.0 read them in another way."""
    if all(each.path.isascii() for each in listed.entries):
        return listed
    renamed = [msgspec.structs.replace(each, path=name_as_guessed(each.path)) for each in listed.entries]
    return msgspec.structs.replace(listed, entries=tuple(renamed))


def _planned(listed: FileList, artifact: ArtifactEntry, bounds: UnpackLimits) -> ListedPlan:
    entries = [_entry(each) for each in listed.entries]
    problems = [*entry_problems(entries, bounds, listed.archive.size), *_layout_problems(listed)]
    refuse_if(f"{artifact.file} (by its list of files)", problems)
    planned = plan_files(artifact.file, entries, artifact.files, artifact.bin)
    refuse_on_windows(artifact.file, (file.path for file in planned))
    needed = {file.source for file in planned if file.kind == "file"}
    return ListedPlan(
        files=planned,
        entries={entry.path: entry for entry in entries if entry.path in needed and entry.kind == "file"},
        sha256={each.path: each.sha256 for each in listed.entries if each.path in needed},
        total_bytes=sum(file.size for file in planned),
        archive_bytes=listed.archive.size,
    )


def spans_for(entries: Iterable[ArchiveEntry]) -> list[Span]:
    """Return the ranges with the stored bytes of these entries: near ones joined, long ones split into blocks."""
    stored = [e.data for e in entries if e.data is not None and e.data.length]
    return in_blocks(joined((Span(data.offset, data.offset + data.length) for data in stored), GAP_BYTES))


def is_worth(plan: ListedPlan, held: Collection[str], list_bytes: int) -> bool:
    """Return whether fetching only the files whose SHA-256 is not in `held` is worthwhile."""
    spans = spans_for(missing_entries(plan, held))
    return list_bytes + bytes_in(spans) < WORTH_SHARE * plan.archive_bytes


def missing_entries(plan: ListedPlan, held: Collection[str]) -> list[ArchiveEntry]:
    """Return the entries whose content is not in `held`."""
    return [entry for path, entry in plan.entries.items() if plan.sha256[path] not in held]


def _entry(listed: ListedEntry) -> ArchiveEntry:
    kind = _KINDS.get(listed.kind, "other")
    return ArchiveEntry(
        path=listed.path,
        kind=kind,
        size=listed.size if listed.kind == "file" else 0,
        mode=listed.mode,
        target=listed.target,
        data=StoredData(listed.offset, listed.length, listed.method, listed.crc32) if listed.kind == "file" else None,
        described=listed.kind if kind == "other" else "",
    )


def _layout_problems(listed: FileList) -> list[EntryProblem]:
    """Return where the list points outside the archive, or to the same bytes twice, as a bomb would."""
    problems: list[EntryProblem] = []
    files: Sequence[ListedEntry] = [each for each in listed.entries if each.kind == "file"]
    for each in files:
        if not is_digest(each.sha256):
            problems.append(EntryProblem(each.path, "has no SHA-256"))
        if each.method not in {0, 8}:
            problems.append(EntryProblem(each.path, f"uses method {each.method}: only 0 and 8 are supported"))
        elif each.method == 0 and each.length != each.size:
            problems.append(EntryProblem(each.path, "is stored with a size other than its own"))
    end, before = 0, ""
    for each in sorted(files, key=lambda file: file.offset):
        if each.length and each.offset < end:
            problems.append(EntryProblem(each.path, f"overlaps with {before!a}"))
        if each.offset + each.length > listed.archive.size:
            problems.append(EntryProblem(each.path, "extends beyond the archive"))
        if each.offset + each.length > end:
            end, before = each.offset + each.length, each.path
    return problems


def _refused(artifact: ArtifactEntry, why: str) -> VerificationError:
    return VerificationError(
        f"the list of files of {artifact.file} {why}",
        subject=artifact.file,
        untouched="nothing was installed",
        hint="report this to the plugin's owners",
    )
