"""Looks for secrets in what is about to be published: single files, and the members of archives.

By name first, which costs nothing; then in the content of texts, up to `MAX_SCANNED_BYTES` of each and
`MAX_ARCHIVE_BYTES` of an archive. Binary files are recognised by their first bytes and skipped.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from registry_builder.source.secrets._file_names import secret_name
from registry_builder.source.secrets.text import MAX_SCANNED_BYTES, Secret, is_scanned, secrets_in
from sealdex.archive.entries import ArchiveEntry
from sealdex.archive.limits import UnpackLimits
from sealdex.archive.reader import ArchiveFile
from sealdex.archive.tar import read_tar
from sealdex.archive.zip import zip_content

MAX_ARCHIVE_BYTES = 1 << 30
"""Bytes of unpacked text that are searched in one archive: about twenty seconds."""


class FoundSecret(NamedTuple):
    """A secret, and the member of the archive that contains it; empty for the file itself."""

    member: str
    secret: Secret


def secrets_of_bytes(name: str, data: bytes) -> list[Secret]:
    """Return the secrets of one local file.

    Args:
        name: its path.
        data: its bytes, or the first of them.
    """
    if kind := secret_name(name.rpartition("/")[2]):
        return [Secret(kind, 0, "by its name")]
    return secrets_in(data[:MAX_SCANNED_BYTES]) if is_scanned(data) else []


def secrets_of_archive(archive: ArchiveFile, kind: str, entries: Sequence[ArchiveEntry]) -> Iterator[FoundSecret]:
    """Yield the secrets in an archive that was found to be safe, in the order of its members.

    Args:
        archive: the open file.
        kind: ``zip``, ``tar.gz``, ``tar.zst``, or ``file`` for a file that is installed as it is.
        entries: its entries.

    Raises:
        DamagedArchiveError, RefusedArchiveError: a member can't be read.
    """
    left = MAX_ARCHIVE_BYTES
    for path, pieces in _members(archive, kind, entries):
        data = _head(pieces) if left > 0 else b""
        if is_scanned(data):
            left -= len(data)
        yield from (FoundSecret("" if kind == "file" else path, secret) for secret in secrets_of_bytes(path, data))


def _members(archive: ArchiveFile, kind: str, entries: Sequence[ArchiveEntry]) -> Iterator[tuple[str, Iterable[bytes]]]:
    if kind == "file":
        yield archive.name, [archive.read_at(0, MAX_SCANNED_BYTES)]
    elif kind == "zip":
        for entry in entries:
            if entry.kind == "file":
                yield entry.path, zip_content(archive, entry)
    else:
        for item in read_tar(archive, kind.removeprefix("tar."), UnpackLimits()):
            if item.entry.kind == "file":
                yield item.entry.path, item.content


def _head(pieces: Iterable[bytes]) -> bytes:
    """Return the first bytes of a text, as far as they are searched; of a binary file just enough to recognise it."""
    data = b""
    for piece in pieces:
        data += piece
        if len(data) >= MAX_SCANNED_BYTES or not is_scanned(data):
            break
    return data[:MAX_SCANNED_BYTES]


__all__ = ["MAX_ARCHIVE_BYTES", "FoundSecret", "secrets_of_archive", "secrets_of_bytes"]
