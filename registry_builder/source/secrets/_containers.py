"""The files in an archive inside of an archive: zip by any method that can be read, tar, and ar (Debian packages).

Readers of the client refuse what a host mustn't unpack. Nothing is written here, so what can be read is.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

from registry_builder.source.secrets._bounds import Bounds, UnsearchedError
from registry_builder.source.secrets._decompress import decompressed
from registry_builder.source.secrets._formats import Compression
from sealdex.archive.entries import ArchiveEntry, StoredData, normal_path
from sealdex.archive.limits import UnpackLimits
from sealdex.archive.reader import CHUNK_BYTES, ArchiveFile
from sealdex.archive.tar import read_tar_stream
from sealdex.archive.zip import list_zip, zip_content

_METHODS: dict[int, Compression] = {12: "bzip2", 14: "lzma", 93: "zstd", 95: "xz"}  # of zip, beside deflate
_ZIP_END = b"PK\5\6"
_TAIL_BYTES = 22 + 0xFFFF
_AR_HEADER = re.compile(rb"(.{16}).{32}([0-9]{1,10}) *`\n", re.DOTALL)
_AR_HEADER_BYTES = 60


class Member(NamedTuple):
    """A file in an archive: its path, and its content or why that can't be read."""

    path: str
    content: Iterable[bytes]
    problem: str | None = None


class PieceReader:
    """Reads what comes in pieces, forwards.

    Attributes:
        failed: what getting the pieces raised: that is the fault of the archive around it.
    """

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = iter(pieces)
        self._rest = memoryview(b"")
        self.failed: Exception | None = None

    def __iter__(self) -> Iterator[bytes]:
        while piece := self.read(CHUNK_BYTES):
            yield piece

    def read(self, size: int, /) -> bytes:
        """Return at most ``size`` bytes; none at the end alone."""
        try:
            while not self._rest:
                self._rest = memoryview(next(self._pieces))
        except StopIteration:
            return b""
        except Exception as error:
            self.failed = error
            raise
        piece, self._rest = self._rest[:size], self._rest[size:]
        return piece.tobytes()

    def exactly(self, size: int) -> bytes:
        """Return ``size`` bytes, fewer only at the end."""
        made = b""
        while len(made) < size and (piece := self.read(size - len(made))):
            made += piece
        return made


# --- zip --------------------------------------------------------------------------------------------------------------


class _After(ArchiveFile):
    """A zip that begins within a file, after a program that unpacks it."""

    def __init__(self, path: Path, file: BinaryIO, skipped: int) -> None:
        super().__init__(path, file=file)
        self._skipped = skipped
        self.size -= skipped

    def _read_some(self, offset: int, length: int) -> bytes:
        return super()._read_some(offset + self._skipped, length)


def zip_members(copy: BinaryIO, bounds: Bounds, name: str) -> Iterator[Member]:
    """Yield the files of a zip.

    Args:
        copy: a temporary file with its bytes.
        bounds: entries are counted in it, and what is read of them.
        name: what it is called in messages.

    Raises:
        DamagedArchiveError, RefusedArchiveError: it can't be read.
        SpentError: a bound is reached.
    """
    skipped = _before_zip(copy) or 0
    path = Path(name)
    archive = _After(path, copy, skipped) if skipped else ArchiveFile(path, file=copy)
    listing = list_zip(archive, UnpackLimits())
    bounds.take_entries(len(listing.entries))
    problems = {normal_path(problem.name): problem.message for problem in listing.problems}
    for entry in listing.entries:
        if entry.kind != "file" or entry.data is None:
            continue
        if entry.data.method in _METHODS:
            yield Member(entry.path, bounds.charged(_by_method(archive, entry, entry.data)))
        elif entry.path in problems:
            yield Member(entry.path, (), problems[entry.path])
        else:
            yield Member(entry.path, bounds.charged(zip_content(archive, entry)))


def is_zip(copy: BinaryIO) -> bool:
    """Return whether a file ends as a zip does."""
    return _before_zip(copy) is not None


def _before_zip(copy: BinaryIO) -> int | None:
    """Return how many bytes there are before a zip whose positions count from its own start; None if it isn't one."""
    size = copy.seek(0, 2)
    start = copy.seek(max(0, size - _TAIL_BYTES))
    tail = copy.read(_TAIL_BYTES)
    at = tail.rfind(_ZIP_END)
    if at < 0 or at + 22 > len(tail):
        return None
    length, offset = struct.unpack_from("<2L", tail, at + 12)
    return max(0, start + at - length - offset) if offset != 0xFFFFFFFF else 0


def _by_method(archive: ArchiveFile, entry: ArchiveEntry, data: StoredData) -> Iterator[bytes]:
    pieces = _stored(archive, data)
    if _METHODS[data.method] == "lzma":  # 4 bytes of its own, then the properties with which files of lzma begin
        reader = PieceReader(pieces)
        header = reader.exactly(9)
        pieces = iter([header[4:] + entry.size.to_bytes(8, "little"), *reader])
    yield from decompressed(pieces, _METHODS[data.method])


def _stored(archive: ArchiveFile, data: StoredData) -> Iterator[bytes]:
    offset, end = data.offset, data.offset + data.length
    while offset < end and (piece := archive.read_at(offset, min(CHUNK_BYTES, end - offset))):
        offset += len(piece)
        yield piece


# --- tar and ar -------------------------------------------------------------------------------------------------------


def tar_members(source: PieceReader, bounds: Bounds, name: str) -> Iterator[Member]:
    """Yield the files of a plain tar, whose bytes are counted already. Raises what `zip_members` does."""
    for item in read_tar_stream(name, source, UnpackLimits()):
        bounds.take_entries()
        if item.entry.kind == "file":
            yield Member(item.entry.path, item.content)


def ar_members(source: PieceReader, bounds: Bounds) -> Iterator[Member]:
    """Yield the files of an ar archive, as Debian packages are, whose bytes are counted already.

    Raises:
        UnsearchedError: it is damaged.
        SpentError: a bound is reached.
    """
    source.exactly(len(b"!<arch>\n"))
    while header := source.exactly(_AR_HEADER_BYTES):
        bounds.take_entries()
        match = _AR_HEADER.fullmatch(header)
        if match is None:
            raise UnsearchedError("can't be read: a header in it is damaged")
        name, size = match[1].decode("utf-8", "replace").rstrip().rstrip("/"), int(match[2])
        content = _next_bytes(source, size)
        yield Member(name, content)
        for _ in content:  # what nobody wanted
            pass
        source.exactly(size % 2)


def _next_bytes(source: PieceReader, size: int) -> Iterator[bytes]:
    while size > 0 and (piece := source.read(min(size, CHUNK_BYTES))):
        size -= len(piece)
        yield piece


__all__ = ["Member", "PieceReader", "ar_members", "is_zip", "tar_members", "zip_members"]
