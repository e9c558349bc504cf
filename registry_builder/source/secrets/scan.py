"""Looks for secrets in what is about to be published: single files, and the members of archives.

By name first, which costs nothing; then in the content of texts, up to `MAX_SCANNED_BYTES` of each and
`MAX_ARCHIVE_BYTES` of an archive. Binary files are recognised by their first bytes and skipped; those that are archives
themselves (wheels, jars, tarballs) are opened, `MAX_DEPTH` of them in one another, up to `MAX_INNER_BYTES` each.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import BinaryIO, NamedTuple

from registry_builder.source.secrets._file_names import secret_name
from registry_builder.source.secrets.text import MAX_SCANNED_BYTES, Secret, is_scanned, secrets_in
from sealdex.archive.entries import ArchiveEntry, DamagedArchiveError, RefusedArchiveError
from sealdex.archive.limits import UnpackLimits
from sealdex.archive.reader import CHUNK_BYTES, ArchiveFile
from sealdex.archive.tar import read_tar
from sealdex.archive.zip import list_zip, zip_content

MAX_ARCHIVE_BYTES = 1 << 30
"""Bytes of unpacked text, and of archives in it, that are searched in one archive: about twenty seconds."""

MAX_INNER_BYTES = 128 << 20
"""A larger archive inside of an archive isn't opened: it is data, such as a model's weights."""

MAX_DEPTH = 3
"""So many archives in one another are opened, besides the outermost."""

_KINDS = {b"PK\x03\x04": "zip", b"\x1f\x8b": "tar.gz", b"\x28\xb5\x2f\xfd": "tar.zst"}
_HEAD_BYTES = max(map(len, _KINDS))


class FoundSecret(NamedTuple):
    """A secret, and the member of the archive that contains it; empty for the file itself.

    A member of an archive in the archive has both names: ``lib/tool.whl:tool/key.pem``.
    """

    member: str
    secret: Secret


class _Budget:
    """How many bytes may still be searched."""

    def __init__(self) -> None:
        self.left = MAX_ARCHIVE_BYTES  # in bytes


def secrets_of_bytes(name: str, data: bytes) -> list[Secret]:
    """Return the secrets of one local file that isn't an archive.

    Args:
        name: its path.
        data: its bytes, or the first of them.
    """
    if kind := secret_name(name.rpartition("/")[2]):
        return [Secret(kind, 0, "by its name")]
    return secrets_in(data[:MAX_SCANNED_BYTES]) if is_scanned(data) else []


def secrets_of_file(name: str, file: BinaryIO) -> Iterator[FoundSecret]:
    """Yield the secrets of one open file, and of what is in it if it is an archive.

    Args:
        name: its path.
        file: the file, at its start.
    """
    yield from _of_member(name, "", iter(lambda: file.read(CHUNK_BYTES), b""), _Budget(), _Budget())


def secrets_of_archive(archive: ArchiveFile, kind: str, entries: Sequence[ArchiveEntry]) -> Iterator[FoundSecret]:
    """Yield the secrets in an archive that was found to be safe, in the order of its members.

    Args:
        archive: the open file.
        kind: ``zip``, ``tar.gz``, ``tar.zst``, or ``file`` for a file that is installed as it is.
        entries: its entries.

    Raises:
        DamagedArchiveError, RefusedArchiveError: a member can't be read.
    """
    texts, inner = _Budget(), _Budget()
    if kind == "file":
        stream = archive.stream()
        pieces = iter(lambda: stream.read(CHUNK_BYTES), b"")
        yield from _of_member(archive.name, "", pieces, texts, inner)
        return
    for path, content in _members(archive, kind, entries, UnpackLimits()):
        yield from _of_member(path, path, content, texts, inner)


def _of_member(
    name: str, member: str, pieces: Iterable[bytes], texts: _Budget, inner: _Budget, depth: int = 0
) -> Iterator[FoundSecret]:
    """Yield the secrets of a file whose bytes come in pieces, which are read as far as needed.

    ``texts`` is for this archive's own members, so that what archives in it cost leaves none of them unsearched.
    """
    rest = iter(pieces)
    data = _head(rest) if texts.left > 0 else b""
    if depth or is_scanned(data):
        texts.left -= len(data)
    yield from (FoundSecret(member, secret) for secret in secrets_of_bytes(name, data))
    kind = next((kind for magic, kind in _KINDS.items() if data.startswith(magic)), None)
    if kind is not None and depth < MAX_DEPTH:
        yield from _of_inner(kind, member, chain([data], rest), inner, depth + 1)


def _of_inner(kind: str, member: str, pieces: Iterable[bytes], budget: _Budget, depth: int) -> Iterator[FoundSecret]:
    """Yield the secrets of an archive in an archive; of one that can't be read, those that were found before."""
    with tempfile.TemporaryFile() as copy:
        for piece in pieces:
            budget.left -= len(piece)
            if copy.tell() + len(piece) > MAX_INNER_BYTES or budget.left <= 0:
                return
            copy.write(piece)
        copy.flush()
        archive = ArchiveFile(Path(member), file=copy)
        try:
            limits = UnpackLimits(max_total_bytes=budget.left)
            entries: Sequence[ArchiveEntry] = ()
            if kind == "zip":
                listing = list_zip(archive, limits)
                entries = () if listing.problems else listing.entries  # overlapping ones would cost without end
            for path, content in _members(archive, kind, entries, limits, budget):
                place = f"{member}:{path}" if member else path
                yield from _of_member(path, place, content, budget, budget, depth)
        except (DamagedArchiveError, RefusedArchiveError):
            return  # a host unpacks the outer archive alone: this one is data to it, and may be anything


def _members(
    archive: ArchiveFile,
    kind: str,
    entries: Sequence[ArchiveEntry],
    limits: UnpackLimits,
    budget: _Budget | None = None,
) -> Iterator[tuple[str, Iterable[bytes]]]:
    if kind == "zip":
        for entry in entries:
            if entry.kind == "file":
                yield entry.path, zip_content(archive, entry)
    else:
        for item in read_tar(archive, kind.removeprefix("tar."), limits):
            if budget is not None:
                budget.left -= item.entry.size  # it is unpacked, read or not
            if item.entry.kind == "file":
                yield item.entry.path, item.content


def _head(pieces: Iterator[bytes]) -> bytes:
    """Return the first bytes of a text, as far as they are searched; of a binary file just enough to recognise it."""
    data = b""
    for piece in pieces:
        data += piece
        if len(data) >= MAX_SCANNED_BYTES or (len(data) >= _HEAD_BYTES and not is_scanned(data)):
            break
    return data


__all__ = [
    "MAX_ARCHIVE_BYTES",
    "MAX_DEPTH",
    "MAX_INNER_BYTES",
    "FoundSecret",
    "secrets_of_archive",
    "secrets_of_bytes",
    "secrets_of_file",
]
