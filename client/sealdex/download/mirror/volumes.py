"""Archives of a mirror: tar files, one or several volumes, that can be read in any order and checked one by one.

    sealdex-mirror.json         what the archive is: readable at the first block, without unpacking the rest
    files/<key>                 a file of the published tree
    parts/<offset>/<key>        a range of one that doesn't fit into a volume
    sealdex-mirror-end.json     how many members there were, so that a volume that was cut off is told from a whole one

Nothing in it sets trust: whoever imports it verifies every file from the root that they have.
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import IO, Annotated, BinaryIO, NamedTuple, cast

import msgspec
from msgspec import Meta, Struct

from sealdex import disk
from sealdex.download.mirror.selection import Selection
from sealdex.errors import ConfigError, InstallError, NotFoundError, UsageError, VerificationError
from sealdex.model.decode import DocumentError, decode_as, encode_pretty, read_wire
from sealdex.model.sizes import read_size

ARCHIVE_FORMAT = 1
HEAD_NAME = "sealdex-mirror.json"
END_NAME = "sealdex-mirror-end.json"
TREES = ("metadata", "targets", "plugins", "sigstore")
MIN_VOLUME_BYTES = 1 << 20
VOLUME_SIZES = {
    "fat32": (4 << 30) - 1,  # the largest file that FAT32 holds
    "cd": 700 << 20,
    "dvd": 4_700_000_000,
}
_MAX_HEAD_BYTES = 16 << 20
_BLOCK = 512
_MEMBER_BLOCKS = 4  # of a member's own head, with the extended one that a long name takes
_COPY_BYTES = 1 << 20

_Count = Annotated[int, Meta(ge=0)]


class ArchiveHead(Struct, frozen=True, omit_defaults=True):
    """The first member of each volume.

    Attributes:
        format: 1.
        set: the same in all volumes of one archive, and in no other.
        number: of this archive; base: of the one whose state it goes on from, 0 for none.
        timestamp_version: of the state of the registry that it brings.
        source: where it was made from, without credentials.
        selection: what it has of the registry, with what the base has.
        files, bytes: in all volumes.
        volume, volumes: which of how many.
    """

    format: Annotated[int, Meta(ge=1)]
    set: str
    number: _Count
    base: _Count
    timestamp_version: _Count
    source: str = ""
    selection: Selection = Selection()
    files: _Count = 0
    bytes: _Count = 0
    volume: Annotated[int, Meta(ge=1)] = 1
    volumes: Annotated[int, Meta(ge=1)] = 1


class _End(Struct, frozen=True):
    format: int
    members: int


class Piece(NamedTuple):
    """A file of the tree, or a range of it: ``offset`` is None for the whole."""

    key: str
    offset: int | None
    size: int


def parse_volume_size(text: str) -> int:
    """Read a size: a medium by name, or as `sealdex.model.sizes` reads it.

    Raises:
        UsageError: it isn't one, or less than a mebibyte.
    """
    lowered = text.strip().lower()
    size = VOLUME_SIZES.get(lowered)
    if size is None:
        try:
            size = read_size(lowered)
        except ValueError:
            size = 0
    if size < MIN_VOLUME_BYTES:
        raise UsageError(
            f"'{text}' is not a valid volume size",
            untouched="nothing was written",
            hint=f"write {', '.join(VOLUME_SIZES)}, or a size of at least 1M such as 500M, 8G or 25GB",
        )
    return size


def cut(files: Iterable[tuple[str, int]], volume_bytes: int | None, head_bytes: int) -> Iterator[tuple[int, Piece]]:
    """Share files out over volumes, in their order; one that is too large is cut into ranges.

    Args:
        files: key and size of each.
        volume_bytes: the most that a volume may have; None for one volume.
        head_bytes: of the first member of each.

    Yields:
        The number of the volume, from 1 on, and what it has.
    """
    if volume_bytes is None:
        yield from ((1, Piece(key, None, size)) for key, size in files)
        return
    room = volume_bytes - _overhead(head_bytes)
    volume, left = 1, room
    for key, size in files:
        if _taken(size) <= room:
            if _taken(size) > left:
                volume, left = volume + 1, room
            yield volume, Piece(key, None, size)
            left -= _taken(size)
            continue
        offset = 0
        while offset < size:
            if left < _taken(_BLOCK):
                volume, left = volume + 1, room
            part = min(size - offset, left - _taken(0))
            yield volume, Piece(key, offset, part)
            offset += part
            left -= _taken(part)


def volume_name(path: Path, volume: int, volumes: int) -> Path:
    """Return the name of a volume: ``out.tar`` where there is one, else ``out.001-of-012.tar``."""
    if volumes == 1:
        return path
    digits = max(3, len(str(volumes)))
    return path.with_name(f"{path.stem}.{volume:0{digits}}-of-{volumes:0{digits}}{path.suffix or '.tar'}")


def write_volume(path: Path, head: ArchiveHead, pieces: Iterable[Piece], folder: Path) -> None:
    """Write one volume, whole or not at all under its name. Each file goes once all of it is written.

    So all that is sent takes its room once, and once more its largest file.

    Raises:
        OSError: it can't be written, or a file can't be read.
    """
    draft = path.with_name(f".{path.name}.new")
    try:
        count = 0
        with draft.open("wb") as file, tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as archive:
            _add(archive, HEAD_NAME, encode_pretty(head))
            for piece in pieces:
                name = f"files/{piece.key}" if piece.offset is None else f"parts/{piece.offset}/{piece.key}"
                with (folder / piece.key).open("rb") as source:
                    source.seek(piece.offset or 0)
                    archive.addfile(_info(name, piece.size), source)
                    _forget_members(archive)
                    is_done = source.tell() == source.seek(0, io.SEEK_END)
                if is_done:
                    (folder / piece.key).unlink()
                count += 1
            _add(archive, END_NAME, encode_pretty(_End(ARCHIVE_FORMAT, count)))
        disk.replace(draft, path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise


def read_head(path: Path) -> ArchiveHead:
    """Read what a volume is, from its first block.

    Raises:
        NotFoundError: there is no such file.
        ConfigError: it is not a volume of a mirror.
        FormatTooNewError: a newer sealdex made it.
    """
    try:
        with disk.open_regular(path) as file, tarfile.open(fileobj=file, mode="r:") as archive:
            return _head_of(archive, path)
    except FileNotFoundError as error:
        raise NotFoundError(f"there is no file {path}", subject=str(path), untouched="nothing was changed") from error
    except OSError as error:
        raise _not_a_volume(path, error.strerror or str(error)) from error
    except tarfile.TarError as error:
        raise _not_a_volume(path, str(error)) from error


def check_set(paths: list[Path]) -> list[tuple[Path, ArchiveHead]]:
    """Read the heads of volumes and put them in order.

    Raises:
        NotFoundError: volumes are missing; they are named.
        UsageError: they are not of one archive: a stale one of an earlier run, perhaps.
        ConfigError, FormatTooNewError: as `read_head`.
    """
    heads = sorted(((path, read_head(path)) for path in paths), key=lambda each: each[1].volume)
    first = heads[0][1]
    strangers = [
        path
        for path, head in heads
        if msgspec.structs.replace(head, volume=1) != msgspec.structs.replace(first, volume=1)
    ]
    if strangers:
        raise UsageError(
            f"{', '.join(map(str, strangers))}: not of the same archive as {heads[0][0]}",
            untouched="nothing was changed",
            hint="give the volumes of one archive; those of an earlier run have another number or state",
        )
    numbers = [head.volume for _, head in heads]
    missing = sorted(set(range(1, first.volumes + 1)) - set(numbers))
    if missing:
        raise NotFoundError(
            f"volume {', '.join(map(str, missing))} of {first.volumes} of archive {first.number} is missing",
            untouched="nothing was changed",
            hint="give all volumes at once, in any order",
        )
    if len(numbers) != first.volumes:
        raise UsageError("a volume is given twice", untouched="nothing was changed", hint="give each volume once")
    return heads


def check_archive(path: Path, stream: IO[bytes]) -> None:
    """Check that an archive which lies in another file begins as ours do; raises as `read_head`."""
    try:
        with tarfile.open(fileobj=stream, mode="r:") as archive:
            _head_of(archive, path)
    except tarfile.TarError as error:
        raise _not_a_volume(path, str(error)) from error


def unpack(path: Path, folder: Path, stream: IO[bytes] | None = None) -> None:
    """Unpack one volume, read once from start to end, below a folder of ours; parts are put together there.

    Args:
        path: the volume, or the file that it lies in.
        folder: where to.
        stream: the volume, where it lies in another file.

    Raises:
        VerificationError: a member has a name that leads elsewhere, or isn't a plain file without holes.
        ConfigError: the volume was cut off.
        InstallError: two of its names are one here.
        OSError: it can't be read, or what is in it can't be written.
    """
    members = 0
    end: _End | None = None
    try:
        with (
            path.open("rb") if stream is None else nullcontext(stream) as file,
            tarfile.open(fileobj=file, mode="r|") as archive,
        ):
            while (member := archive.next()) is not None:
                _forget_members(archive)
                if member.name == HEAD_NAME or member.isdir():  # folders are there where a tar was packed again
                    continue
                # holes take no room on a medium, and hours to be written or hashed here
                source = archive.extractfile(member) if member.isreg() and not member.issparse() else None
                if source is None:
                    raise _refused(path, member.name)
                if member.name == END_NAME:
                    end = decode_as(source.read(_MAX_HEAD_BYTES), _End)
                    continue
                key, offset = _place(path, member.name)
                part = member.name.startswith("parts/")
                if part and offset != _size_of(folder / key):
                    raise _refused(path, member.name)
                _write(folder / key, offset, cast("BinaryIO", source), is_part=part)
                members += 1
    except (tarfile.TarError, msgspec.DecodeError) as error:
        raise _not_a_volume(path, str(error)) from error
    if end is None or end.members != members:
        raise _not_a_volume(path, "it was cut off")


def _place(path: Path, name: str) -> tuple[str, int]:
    """Return the key and the offset that a member's name says."""
    kind, _, rest = name.partition("/")
    offset = 0
    if kind == "parts":
        number, _, rest = rest.partition("/")
        if not number.isascii() or not number.isdecimal() or len(number) > 18:
            raise _refused(path, name)
        offset = int(number)
    parts = rest.split("/")
    if kind not in {"files", "parts"} or parts[0] not in TREES or len(parts) < 2:
        raise _refused(path, name)
    if any(part in {"", ".", ".."} or "\\" in part or "\0" in part or ":" in part for part in parts):
        raise _refused(path, name)
    return rest, offset


def _size_of(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _write(path: Path, offset: int, source: BinaryIO, *, is_part: bool) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        file = path.open("r+b" if is_part and path.exists() else "xb")
    except FileExistsError as error:
        raise InstallError(
            f"{path.name} is in the archive twice, or differs from another name in case alone, which this file system "
            "takes for the same",
            subject=str(path),
            untouched="readers of the mirror see its earlier state",
            hint="import it on a file system that tells case apart, or have the archive made again",
        ) from error
    with file:
        file.seek(offset)
        while data := source.read(_COPY_BYTES):
            file.write(data)


def _head_of(archive: tarfile.TarFile, path: Path) -> ArchiveHead:
    member = archive.next()
    source = archive.extractfile(member) if member is not None and member.isreg() else None
    if member is None or source is None or member.name != HEAD_NAME or member.size > _MAX_HEAD_BYTES:
        raise _not_a_volume(path, f"it doesn't begin with {HEAD_NAME}")
    try:
        return read_wire(source.read(), ArchiveHead, newest_format=ARCHIVE_FORMAT, what=f"{path.name}")
    except DocumentError as error:
        raise _not_a_volume(path, str(error)) from error


def _forget_members(archive: tarfile.TarFile) -> None:
    """Have tarfile forget the members that were: it would keep a kilobyte of each."""
    archive.members.clear()  # type: ignore[attr-defined]  # typeshed leaves it out; `stream=True` is from 3.13 on


def _add(archive: tarfile.TarFile, name: str, data: bytes) -> None:
    archive.addfile(_info(name, len(data)), io.BytesIO(data))


def _info(name: str, size: int) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.size, info.mode = size, 0o644
    return info


def _taken(size: int) -> int:
    """Return the bytes that a member of a size takes at most."""
    return _MEMBER_BLOCKS * _BLOCK + -(-size // _BLOCK) * _BLOCK


def _overhead(head_bytes: int) -> int:
    """Return the bytes that a volume takes beside its files: head, end, and what fills the last record."""
    return _taken(head_bytes + _BLOCK) + _taken(_BLOCK) + tarfile.RECORDSIZE * 2


def _not_a_volume(path: Path, why: str) -> ConfigError:
    return ConfigError(
        f"{path} is not a whole volume of a mirror's archive: {why}",
        subject=str(path),
        untouched="nothing was changed",
        hint="copy it again from where it was made",
    )


def _refused(path: Path, name: str) -> VerificationError:
    return VerificationError(
        f"{path} has a member '{name[:200]}', which no archive of a mirror has",
        subject=str(path),
        untouched="nothing was changed",
        hint="somebody has written to the medium: have the archive made again",
    )


__all__ = [
    "ARCHIVE_FORMAT",
    "ArchiveHead",
    "Piece",
    "check_archive",
    "check_set",
    "cut",
    "parse_volume_size",
    "read_head",
    "unpack",
    "volume_name",
    "write_volume",
]
