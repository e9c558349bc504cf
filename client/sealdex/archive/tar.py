"""Tar archives, plain, under gzip or zstd: read once from start to end, in bounded memory.

`tarfile` parses the headers. It reads them through `_ForwardStream`, which bounds what a header may cost (pax headers
and sparse maps are read whole into memory) and how much is decompressed in all. ``tarfile.data_filter`` is
also used if this Python has it; the rules of `sealdex.archive.entries` hold without it.
"""

from __future__ import annotations

import stat
import sys
import tarfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import Any, NamedTuple, NoReturn, Protocol

from sealdex.archive.entries import (
    DEVICE,
    ArchiveEntry,
    DamagedArchiveError,
    EntryKind,
    EntryProblem,
    Listing,
    RefusedArchiveError,
    normal_path,
)
from sealdex.archive.limits import UnpackLimits
from sealdex.archive.reader import CHUNK_BYTES, ArchiveFile

_MAX_HEADER_BYTES = 1 << 20
_MAX_TRAILING_BYTES = 1 << 20
_HEADER_ROOM_BYTES = 2048  # header and pax header of an ordinary entry
_BLOCK_BYTES = 512
_NOWHERE = "/nonexistent/sealdex"  # a destination to check paths against; nothing is ever written there


class Readable(Protocol):
    """What is read only forwards."""

    def read(self, size: int, /) -> bytes:
        """Return at most ``size`` bytes; none at the end alone."""


class TarItem(NamedTuple):
    """One entry and its content, which must be read before the next item is requested, or not at all."""

    entry: ArchiveEntry
    problems: list[EntryProblem]
    member: tarfile.TarInfo
    content: Iterator[bytes]


def list_tar(archive: ArchiveFile, compression: str, limits: UnpackLimits) -> Listing:
    """Read all headers of a tar; ``compression`` is ``gz`` or ``zst``.

    Raises:
        DamagedArchiveError: it is not such an archive, or truncated.
        RefusedArchiveError: a bomb, found before its end was reached.
    """
    entries: list[ArchiveEntry] = []
    problems: list[EntryProblem] = []
    second_opinions: list[EntryProblem] = []
    for item in read_tar(archive, compression, limits):
        entries.append(item.entry)
        problems += item.problems
        second_opinions += _standard_filter(item)
    return Listing(entries, problems, second_opinions)


def read_tar(archive: ArchiveFile, compression: str, limits: UnpackLimits) -> Iterator[TarItem]:
    """Yield each entry with its content, in order; the root folder itself (``./``) is left out.

    Raises:
        DamagedArchiveError, RefusedArchiveError: as `list_tar`; also while content is read.
    """
    told = partial(_told_as_archive_errors, archive, limits)
    with told():
        source = _decompressor(archive, compression, limits)
        yield from _items(_ForwardStream(archive.name, source, limits, limits.allowed_bytes(archive.size), told))


def read_tar_stream(name: str, source: Readable, limits: UnpackLimits) -> Iterator[TarItem]:
    """Yield the entries of a plain tar, as `read_tar`, from what is read only forwards; its ratio has no limit.

    Args:
        name: what it is called in messages.
        source: where its bytes come from; what this raises is passed on.
        limits: what it may hold.

    Raises:
        DamagedArchiveError, RefusedArchiveError: as `list_tar`; also while content is read.
    """
    told = partial(_told_as_tar_errors, name)
    with told():
        yield from _items(_ForwardStream(name, source, limits, limits.max_total_bytes, told))


def _items(stream: _ForwardStream) -> Iterator[TarItem]:
    with tarfile.open(fileobj=stream, mode="r:", errorlevel=2) as tar:  # type: ignore[call-overload]  # a duck
        count = 0
        while (member := _next_member(tar, stream)) is not None:
            count += 1
            if count > stream.max_entries:
                stream.refuse(f"has more than the {stream.max_entries} entries allowed")
            if member.name in {".", "./", ""} and member.isdir():
                continue
            entry, problems = _entry(member)
            yield TarItem(entry, problems, member, stream.content(member.offset_data, entry.size))
        stream.expect_end()


def _next_member(tar: tarfile.TarFile, stream: _ForwardStream) -> tarfile.TarInfo | None:
    stream.begin_header()
    if tar.offset == 0 and stream.tell() > 0:
        return None  # an empty archive, for whose end Python 3.10 would go back
    member = tar.next()
    tar.members.clear()  # type: ignore[attr-defined]  # kept for random access, which we never do: 1 KB an entry
    return member


def _entry(member: tarfile.TarInfo) -> tuple[ArchiveEntry, list[EntryProblem]]:
    path = normal_path(member.name)
    problems: list[EntryProblem] = []
    if member.issparse():
        problems.append(EntryProblem(path, "is a sparse file: create the archive without --sparse"))
    kind: EntryKind = "other"
    if member.isreg():
        kind = "file"
    elif member.isdir():
        kind = "folder"
    elif member.issym():
        kind = "symlink"
    elif member.islnk():
        kind = "hardlink"
    target = member.linkname if kind == "symlink" else normal_path(member.linkname) if kind == "hardlink" else None
    if member.size < 0:
        problems.append(EntryProblem(path, "has a negative size"))
    size = max(0, member.size) if kind == "file" else 0
    mode, described = stat.S_IMODE(member.mode), DEVICE if kind == "other" else ""
    return ArchiveEntry(path=path, kind=kind, size=size, mode=mode, target=target, described=described), problems


def _standard_filter(item: TarItem) -> list[EntryProblem]:
    data_filter = getattr(tarfile, "data_filter", None)  # missing before 3.10.12 and 3.11.4
    if data_filter is None:
        return []
    try:
        data_filter(item.member, _NOWHERE)
    except tarfile.FilterError as error:
        return [EntryProblem(item.entry.path, f"is refused by tarfile's data filter: {type(error).__name__}")]
    except (ValueError, OSError) as error:  # NUL or surrogates in a name
        return [EntryProblem(item.entry.path, f"is refused by tarfile's data filter: {error}")]
    return []


class _ForwardStream:
    """The file object for `tarfile`: a forward-only decompressor with limits.

    The bytes read for one header (until `begin_header` is called again) are limited, as is their total; bytes skipped
    or read as content are limited by the allowed unpacked size.
    """

    def __init__(
        self,
        name: str,
        source: Readable,
        limits: UnpackLimits,
        allowed: int,
        told: Callable[[], AbstractContextManager[None]],
    ) -> None:
        self._name = name
        self._source = source
        self._told = told
        self.max_entries = limits.max_entries
        self._position = 0
        self._allowed = allowed
        self._content_left = self._allowed + _BLOCK_BYTES
        self._all_headers_left = limits.max_entries * _HEADER_ROOM_BYTES + _MAX_HEADER_BYTES
        self._header_left = _MAX_HEADER_BYTES
        self._last_block = b""

    def begin_header(self) -> None:
        """Allow one more header, and the padding before it."""
        self._header_left = _MAX_HEADER_BYTES
        self._content_left += _BLOCK_BYTES

    def tell(self) -> int:
        return self._position

    def seek(self, position: int) -> int:
        """Skip forward."""
        if position < self._position:
            raise DamagedArchiveError(self._name, "its entries overlap")
        while self._position < position:
            if not self._take_content(position - self._position):
                raise DamagedArchiveError(self._name, "it is truncated")
        return self._position

    def read(self, size: int) -> bytes:
        """Read for a header; one that is too long is refused before it is read."""
        if size < 0 or size > self._header_left:
            self.refuse(f"has a header of more than {_MAX_HEADER_BYTES} bytes")
        self._header_left -= size
        self._all_headers_left -= size
        if self._all_headers_left < 0:
            self.refuse("has headers that are much larger than its entries need")
        pieces = []
        while size > 0 and (piece := self._take(size)):
            pieces.append(piece)
            size -= len(piece)
        self._last_block = b"".join(pieces)
        return self._last_block

    def content(self, offset: int, size: int) -> Iterator[bytes]:
        """Yield the content of the entry at hand, in pieces of at most `CHUNK_BYTES`."""
        with self._told():
            self.seek(offset)
            while size > 0:
                piece = self._take_content(size)
                if not piece:
                    raise DamagedArchiveError(self._name, "it is truncated")
                size -= len(piece)
                yield piece

    def expect_end(self) -> None:
        """Check that the archive ended where `tarfile` stopped.

        It also stops, silently, at a header that is damaged. What follows the end is read so that the decompressor
        compares its checksum.
        """
        if self._last_block.strip(b"\0"):
            raise DamagedArchiveError(self._name, "a header in it is damaged")
        trailing = 0
        while piece := self._take(CHUNK_BYTES):
            trailing += len(piece)
            if trailing > _MAX_TRAILING_BYTES:
                raise DamagedArchiveError(self._name, "there is more data after its end")

    def _take_content(self, size: int) -> bytes:
        piece = self._take(min(CHUNK_BYTES, size))
        self._content_left -= len(piece)
        if self._content_left < 0:
            self.refuse(f"unpacks to more than the {self._allowed} bytes allowed for its size")
        return piece

    def _take(self, size: int) -> bytes:
        piece = self._source.read(size)
        self._position += len(piece)
        return piece

    def refuse(self, message: str) -> NoReturn:
        """Refuse the whole archive."""
        raise RefusedArchiveError(self._name, [EntryProblem("", message)])


def _decompressor(archive: ArchiveFile, compression: str, limits: UnpackLimits) -> Any:
    if compression == "gz":
        import gzip  # noqa: PLC0415  # only for this format

        return gzip.GzipFile(fileobj=archive.stream(), mode="rb")
    if sys.version_info >= (3, 14):
        from compression import zstd  # noqa: PLC0415  # only for this format
    else:
        from backports import zstd  # noqa: PLC0415  # only for this format
    options: dict[int, int] = {zstd.DecompressionParameter.window_log_max: limits.max_zstd_window_log}
    return zstd.ZstdFile(archive.stream(), options=options)


def _zstd_window(archive: ArchiveFile) -> int:
    """Return the window size in bytes of the first frame (RFC 8878, section 3.1.1.1); 0 if there is none."""
    header = archive.stream().read(17)  # magic, descriptor, dictionary, size
    if len(header) < 17 or header[:4] != b"\x28\xb5\x2f\xfd":
        return 0
    if not header[4] & 0x20:
        base = 1 << (10 + (header[5] >> 3))
        return base + base // 8 * (header[5] & 7)
    # a single segment has no separate window: it is as large as the content
    start = 5 + (0, 1, 2, 4)[header[4] & 3]
    length = (1, 2, 4, 8)[header[4] >> 6]
    size = int.from_bytes(header[start : start + length], "little")
    return size + 256 if length == 2 else size


@contextmanager
def _told_as_tar_errors(name: str) -> Iterator[None]:
    try:
        yield
    except (tarfile.TarError, zlib.error, EOFError, RecursionError, ValueError, OverflowError) as error:
        raise DamagedArchiveError(name, str(error) or type(error).__name__) from error


@contextmanager
def _told_as_archive_errors(archive: ArchiveFile, limits: UnpackLimits) -> Iterator[None]:
    try:
        with _told_as_tar_errors(archive.name):
            yield
    except OSError as error:
        if error.errno is not None:
            raise  # of the disk, not of the archive
        raise DamagedArchiveError(archive.name, str(error)) from error  # gzip.BadGzipFile
    except Exception as error:
        if type(error).__name__ != "ZstdError":
            raise
        if _zstd_window(archive) > 1 << limits.max_zstd_window_log:
            problem = EntryProblem(
                "", "needs a larger zstd window than is allowed: compress it without --long or --ultra"
            )
            raise RefusedArchiveError(archive.name, [problem]) from error
        raise DamagedArchiveError(archive.name, str(error)) from error
