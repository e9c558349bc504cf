"""Zip archives: a strict reader of the directory, and the content of one entry at a time.

Not `zipfile`, because that accepts what different readers understand differently (a forged directory, local
headers that say something else, overlapping entries, names cut at NUL), differs in this between Python 3.10 and
3.14, and reads one entry at a time. Format: PKWARE APPNOTE.TXT 6.3.10, sections 4.3 and 4.4. Here everything must be
in the order of the standard, once, and both headers of an entry must agree; anything else is refused.
"""

from __future__ import annotations

import stat
import struct
import zlib
from collections.abc import Iterator

from msgspec import Struct

from sealdex.archive.entries import (
    DEVICE,
    MAX_LINK_TARGET_BYTES,
    ArchiveEntry,
    DamagedArchiveError,
    EntryKind,
    EntryProblem,
    Listing,
    StoredData,
    normal_path,
    refuse_if,
)
from sealdex.archive.limits import UnpackLimits
from sealdex.archive.reader import CHUNK_BYTES, ArchiveFile

_END = struct.Struct("<4s4H2LH")
_END64_LOCATOR = struct.Struct("<4sLQL")
_END64 = struct.Struct("<4sQ2H2L4Q")
_CENTRAL = struct.Struct("<4s6H3L5H2L")
_LOCAL = struct.Struct("<4s5H3L2H")

_MAX_DIRECTORY_BYTES = 32 * 2**20
_DEFLATE_INPUT_BYTES = 128 * 1024
_METHODS = {1: "shrink", 6: "implode", 9: "deflate64", 12: "bzip2", 14: "lzma", 93: "zstd", 95: "xz", 99: "AES"}
_STORED, _DEFLATED = 0, 8
_ENCRYPTED, _STREAMED, _UTF8 = 0x0001, 0x0008, 0x0800
_MADE_ON_UNIX = {3, 19}
_FULL16, _FULL32 = 0xFFFF, 0xFFFFFFFF
_EXTRA_ZIP64, _EXTRA_UNICODE_PATH = 0x0001, 0x7075


class _Directory(Struct, frozen=True):
    """Position and length of the central directory in bytes, and its stated number of entries."""

    offset: int
    length: int
    entries: int


class _Record(Struct, frozen=True):
    """One entry of the central directory, its sizes taken from the zip64 field where that holds them."""

    raw_name: bytes
    name: str
    system: int
    flags: int
    method: int
    crc32: int
    stored_size: int
    size: int
    attributes: int
    header_offset: int
    is_guessed: bool


def list_zip(archive: ArchiveFile, limits: UnpackLimits, *, as_0_1_0: bool = False) -> Listing:
    """Read the directory of a zip and compare it with the header before each entry.

    Args:
        archive: the zip.
        limits: what it may hold.
        as_0_1_0: read names without a stated encoding as version 0.1.0 did, always as IBM code page 437.

    Raises:
        DamagedArchiveError: it is not a zip in the standard's order.
        RefusedArchiveError: it names more entries than are allowed, before they are read.
    """
    directory = _find_directory(archive)
    if directory.entries > limits.max_entries or directory.length > _MAX_DIRECTORY_BYTES:
        message = (
            f"has {directory.entries} entries (directory of {directory.length} bytes), at most {limits.max_entries}"
        )
        refuse_if(archive.name, [EntryProblem("", message + " are allowed")])
    entries: list[ArchiveEntry] = []
    problems: list[EntryProblem] = []
    ends: list[tuple[int, int, str]] = []  # (start, end, name) of each entry's bytes
    guessed: list[str] = []
    for record in _records(archive, directory, as_0_1_0=as_0_1_0):
        start = record.header_offset
        data_offset, problem = _local_header(archive, record, directory)
        if problem:
            problems.append(EntryProblem(record.name, problem))
        ends.append((start, data_offset + record.stored_size, record.name))
        problems += (EntryProblem(record.name, message) for message in _record_problems(record))
        if record.name not in {".", "./"}:
            entries.append(_entry(record, data_offset))
        if record.is_guessed:
            guessed.append(record.name)
    problems += _overlaps(ends, directory)
    # Content is read only here, to learn where links lead; nothing of an archive with a forged layout is read.
    if not problems:
        for i, entry in enumerate(entries):
            if entry.kind == "symlink":
                entries[i] = _with_target(archive, entry, problems)
    return Listing(entries, problems, guessed=guessed)


def zip_content(archive: ArchiveFile, entry: ArchiveEntry) -> Iterator[bytes]:
    """Yield the content of a file (or the target of a link) in pieces of at most `CHUNK_BYTES`.

    Raises:
        DamagedArchiveError: it is longer or shorter than the directory says, or its checksum differs.
    """
    data = entry.data
    if data is None:
        raise ValueError(f"{entry.path} is not a zip entry")
    pieces = _inflated(archive, data) if data.method == _DEFLATED else _stored(archive, data)
    left, checksum = entry.size, 0
    try:
        for piece in pieces:
            left -= len(piece)
            if left < 0:
                break
            checksum = zlib.crc32(piece, checksum)
            yield piece
    except zlib.error as error:
        raise DamagedArchiveError(archive.name, f"{entry.path!a}: {error}") from error
    if left:
        raise DamagedArchiveError(
            archive.name,
            f"{entry.path!a} is {'longer' if left < 0 else 'shorter'} than the stated {entry.size} bytes",
        )
    if checksum != data.crc32:
        raise DamagedArchiveError(archive.name, f"{entry.path!a} differs from its checksum")


def _stored(archive: ArchiveFile, data: StoredData) -> Iterator[bytes]:
    offset, end = data.offset, data.offset + data.length
    while offset < end:
        piece = archive.read_at(offset, min(CHUNK_BYTES, end - offset))
        if not piece:
            return
        offset += len(piece)
        yield piece


def _inflated(archive: ArchiveFile, data: StoredData) -> Iterator[bytes]:
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    offset, end = data.offset, data.offset + data.length
    while not inflater.eof:
        source = inflater.unconsumed_tail
        if not source:
            source = archive.read_at(offset, min(_DEFLATE_INPUT_BYTES, end - offset))
            offset += len(source)
        piece = inflater.decompress(source, CHUNK_BYTES)
        if piece:
            yield piece
        elif not source:
            raise zlib.error("the compressed data ends too early")
    if inflater.unused_data or offset < end:
        raise zlib.error("there is more data after the compressed data")


def _find_directory(archive: ArchiveFile) -> _Directory:
    tail_offset = max(0, archive.size - _END.size - _FULL16)
    tail = archive.read_at(tail_offset, _END.size + _FULL16)
    ends = [at for at in _all_positions(tail, b"PK\5\6") if _is_end(tail, at)]
    if len(ends) != 1:
        reason = "it has no end record (is it truncated?)" if not ends else "it has more than one end record"
        raise DamagedArchiveError(archive.name, reason)
    _, disk, first_disk, here, count, size, offset, _ = _END.unpack_from(tail, ends[0])
    end_offset = tail_offset + ends[0]
    locator = archive.read_at(end_offset - _END64_LOCATOR.size, _END64_LOCATOR.size) if end_offset >= 20 else b""
    if locator.startswith(b"PK\6\7"):
        _, _, end_offset, _ = _END64_LOCATOR.unpack(locator)
        record = archive.read_at(end_offset, _END64.size)
        if len(record) < _END64.size or not record.startswith(b"PK\6\6"):
            raise DamagedArchiveError(archive.name, "its zip64 end record is not at its stated position")
        _, _, _, _, disk, first_disk, here, count, size, offset = _END64.unpack(record)
    if disk or first_disk or here != count:
        raise DamagedArchiveError(archive.name, "it is one part of a multi-part archive")
    if offset + size != end_offset:
        raise DamagedArchiveError(archive.name, "its directory is not at the position in its end record")
    return _Directory(offset, size, count)


def _all_positions(data: bytes, wanted: bytes) -> Iterator[int]:
    at = data.find(wanted)
    while at >= 0:
        yield at
        at = data.find(wanted, at + 1)


def _is_end(tail: bytes, at: int) -> bool:
    return at + _END.size <= len(tail) and at + _END.size + int.from_bytes(tail[at + 20 : at + 22], "little") == len(
        tail
    )


def _records(archive: ArchiveFile, directory: _Directory, *, as_0_1_0: bool) -> Iterator[_Record]:
    data = archive.read_at(directory.offset, directory.length)
    at = 0
    for _ in range(directory.entries):
        if at + _CENTRAL.size > len(data) or data[at : at + 4] != b"PK\1\2":
            raise DamagedArchiveError(archive.name, "its directory has fewer entries than its end record says")
        (_, made_by, _, flags, method, _, _, crc32, stored_size, size,
         name_bytes, extra_bytes, comment_bytes, disk, _, attributes, offset,
         ) = _CENTRAL.unpack_from(data, at)  # fmt: skip
        at += _CENTRAL.size
        raw_name = data[at : at + name_bytes]
        extra = dict(_extra_fields(data[at + name_bytes : at + name_bytes + extra_bytes]))
        at += name_bytes + extra_bytes + comment_bytes
        if at > len(data) or disk not in {0, _FULL16}:
            raise DamagedArchiveError(archive.name, "its directory is truncated or one part of several")
        try:
            size, stored_size, offset = _zip64_values(extra.get(_EXTRA_ZIP64, b""), size, stored_size, offset)
        except struct.error as error:
            raise DamagedArchiveError(archive.name, "a zip64 field in its directory is truncated") from error
        name = stated_name(raw_name, flags, extra.get(_EXTRA_UNICODE_PATH, b""))
        is_guessed = name is None
        if name is None:
            name = raw_name.decode("cp437") if as_0_1_0 else guessed_name(raw_name)
        yield _Record(
            raw_name, name, made_by >> 8, flags, method, crc32, stored_size, size, attributes, offset, is_guessed
        )
    if at != len(data):
        raise DamagedArchiveError(archive.name, "its directory has more entries than its end record says")


def _extra_fields(extra: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at + 4 <= len(extra):
        kind, length = struct.unpack_from("<2H", extra, at)
        yield kind, extra[at + 4 : at + 4 + length]
        at += 4 + length


def _zip64_values(field: bytes, *values: int) -> tuple[int, ...]:
    """Replace, in order, the values that are all ones by those of the zip64 extra field (APPNOTE 4.5.3)."""
    at, result = 0, []
    for value in values:
        if value == _FULL32 and field:
            result.append(struct.unpack_from("<Q", field, at)[0])
            at += 8
        else:
            result.append(value)
    return tuple(result)


def stated_name(raw_name: bytes, flags: int, unicode_path: bytes) -> str | None:
    """Return a name whose encoding the zip states: ASCII, UTF-8 by its flag, or Info-ZIP's extra field; else None."""
    if flags & _UTF8 or raw_name.isascii():
        return raw_name.decode("utf-8", "surrogateescape")  # surrogates are refused by name, as 'not valid UTF-8'
    if len(unicode_path) > 5 and unicode_path[:5] == b"\1" + zlib.crc32(raw_name).to_bytes(4, "little"):
        return unicode_path[5:].decode("utf-8", "surrogateescape")
    return None


def guessed_name(raw_name: bytes) -> str:
    """Return a name whose encoding nothing states: UTF-8 where it is that strictly, else IBM code page 437.

    macOS writes UTF-8 without the flag. Text in a code page is hardly ever valid UTF-8 by chance.
    """
    try:
        return raw_name.decode("utf-8")
    except UnicodeDecodeError:
        return raw_name.decode("cp437")


def name_as_guessed(name_of_0_1_0: str) -> str:
    """Return how a name that version 0.1.0 read is read now; a list of files has the names as that read them."""
    try:
        return guessed_name(name_of_0_1_0.encode("cp437"))
    except UnicodeEncodeError:
        return name_of_0_1_0


def _local_header(archive: ArchiveFile, record: _Record, directory: _Directory) -> tuple[int, str | None]:
    """Return where an entry's content begins, and in what its own header differs from the directory."""
    header = archive.read_at(record.header_offset, _LOCAL.size + len(record.raw_name))
    if record.header_offset + len(header) > directory.offset or header[:4] != b"PK\3\4":
        return record.header_offset, "has no header where the directory says"
    _, _, flags, method, _, _, crc32, stored_size, size, name_bytes, extra_bytes = _LOCAL.unpack_from(header)
    data_offset = record.header_offset + _LOCAL.size + name_bytes + extra_bytes
    if name_bytes != len(record.raw_name) or header[_LOCAL.size :] != record.raw_name:
        return data_offset, "has another name in its own header than in the directory"
    if method != record.method or (flags ^ record.flags) & (_ENCRYPTED | _STREAMED):
        return data_offset, "has another method in its own header than in the directory"
    if _FULL32 in {size, stored_size}:
        extra = archive.read_at(record.header_offset + _LOCAL.size + name_bytes, extra_bytes)
        try:
            size, stored_size = _zip64_values(dict(_extra_fields(extra)).get(_EXTRA_ZIP64, b""), size, stored_size)
        except struct.error:
            return data_offset, "has a truncated zip64 field"
    expected = (record.crc32, record.stored_size, record.size)
    if (crc32, stored_size, size) != expected and not (
        flags & _STREAMED and all(a in {0, b} for a, b in zip((crc32, stored_size, size), expected, strict=True))
    ):
        return data_offset, "has another size or checksum in its own header than in the directory"
    return data_offset, None


def _record_problems(record: _Record) -> Iterator[str]:
    if record.flags & _ENCRYPTED:
        yield "is encrypted"
    elif record.method not in {_STORED, _DEFLATED}:
        yield f"uses method {_METHODS.get(record.method, record.method)}: only stored and deflated are supported"
    elif record.method == _STORED and record.size != record.stored_size:
        yield "is stored with a size other than its own"
    kind = stat.S_IFMT(_mode(record))
    if record.name.endswith("/"):
        if record.size:
            yield "is a folder with content"
        if kind not in {0, stat.S_IFDIR}:
            yield "is named as a folder but marked as something else"
    elif kind == stat.S_IFDIR:
        yield "is marked as a folder but not named as one"
    elif kind == stat.S_IFLNK and record.size > MAX_LINK_TARGET_BYTES:
        yield f"is a link with a target of {record.size} bytes, at most {MAX_LINK_TARGET_BYTES} are allowed"


def _mode(record: _Record) -> int:
    return record.attributes >> 16 if record.system in _MADE_ON_UNIX else 0


def _entry(record: _Record, data_offset: int) -> ArchiveEntry:
    mode = _mode(record)
    kinds: dict[int, EntryKind] = {0: "file", stat.S_IFREG: "file", stat.S_IFLNK: "symlink", stat.S_IFDIR: "folder"}
    kind = "folder" if record.name.endswith("/") else kinds.get(stat.S_IFMT(mode), "other")
    return ArchiveEntry(
        path=normal_path(record.name),
        kind=kind,
        size=record.size if kind in {"file", "symlink"} else 0,
        mode=stat.S_IMODE(mode),
        data=StoredData(data_offset, record.stored_size, record.method, record.crc32),
        described=DEVICE if kind == "other" else "",
    )


def _with_target(archive: ArchiveFile, entry: ArchiveEntry, problems: list[EntryProblem]) -> ArchiveEntry:
    try:
        target = b"".join(zip_content(archive, entry)).decode("utf-8", "surrogateescape")
    except DamagedArchiveError as error:
        problems.append(EntryProblem(entry.path, f"is a link that can't be read: {error}"))
        target = None
    return ArchiveEntry(path=entry.path, kind="symlink", mode=entry.mode, target=target)


def _overlaps(ends: list[tuple[int, int, str]], directory: _Directory) -> Iterator[EntryProblem]:
    """Each byte belongs to one entry at most: entries that share bytes make a small zip unpack to petabytes."""
    free_from, before = 0, ""
    for start, end, name in sorted(ends):
        if start < free_from:
            yield EntryProblem(name, f"overlaps with {before!a}")
        elif end > directory.offset:
            yield EntryProblem(name, "extends into the directory")
        if end > free_from:
            free_from, before = end, name
