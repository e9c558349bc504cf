"""The list of files of an archive (`sealdex.model.files`), generated from the archive: always the same bytes."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import BinaryIO

from sealdex.archive.entries import ArchiveEntry, refuse_if
from sealdex.archive.limits import UnpackLimits
from sealdex.archive.reader import ArchiveFile
from sealdex.archive.zip import list_zip, zip_content
from sealdex.model.decode import encode_json
from sealdex.model.files import FILE_LIST_FORMAT, MAX_FILE_LIST_BYTES, FileList, ListedArchive, ListedEntry
from sealdex.model.release import FileListPin

MIN_ARCHIVE_BYTES = 4 * 2**20
"""Below this size, downloading the whole archive is about as fast as a list and a few ranges."""


def file_list_bytes(path: Path, file: BinaryIO | None = None) -> bytes:
    """Return the list of files of a zip archive, encoded.

    Raises:
        DamagedArchiveError, RefusedArchiveError: not a zip archive that clients accept.
        OSError: it can't be read.
    """
    with ArchiveFile(path, file=file) as archive:
        listing = list_zip(archive, UnpackLimits(), as_0_1_0=True)  # so that the same archive always has the same list
        refuse_if(archive.name, listing.problems)
        entries = tuple(_listed(archive, entry) for entry in listing.entries)
        return encode_json(FileList(FILE_LIST_FORMAT, ListedArchive(archive.size, archive.sha256()), entries))


def file_list_pin(path: Path) -> FileListPin | None:
    """Return the pin of a zip archive's list, or None if none is published because it would not pay off.

    Raises:
        DamagedArchiveError, RefusedArchiveError, OSError: as `file_list_bytes`.
    """
    size = path.stat().st_size
    if size < MIN_ARCHIVE_BYTES:
        return None
    data = file_list_bytes(path)
    if len(data) > min(MAX_FILE_LIST_BYTES, size // 4):
        return None
    return FileListPin(len(data), hashlib.sha256(data).hexdigest())


def _listed(archive: ArchiveFile, entry: ArchiveEntry) -> ListedEntry:
    if entry.kind != "file" or entry.data is None:
        return ListedEntry(entry.path, entry.kind, entry.mode, target=entry.target)
    digest = hashlib.sha256()
    for piece in zip_content(archive, entry):
        digest.update(piece)
    data = entry.data
    return ListedEntry(
        entry.path,
        entry.kind,
        entry.mode,
        entry.size,
        digest.hexdigest(),
        data.offset,
        data.length,
        data.method,
        data.crc32,
    )


__all__ = ["MIN_ARCHIVE_BYTES", "file_list_bytes", "file_list_pin"]
