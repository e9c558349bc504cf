"""Looks for secrets in what is about to be published: single files, the members of archives, and archives in these.

By name first, which costs nothing; then in the content of texts, up to `MAX_SCANNED_BYTES` of each and
`MAX_ARCHIVE_BYTES` of an archive. Binary files are recognised by their first bytes and skipped; those that are archives
or compressed themselves are opened, whatever their names, within the bounds below. What wasn't looked into is told.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import BinaryIO, NamedTuple

from registry_builder.source.secrets._bounds import Bounds, SpentError, UnsearchedError
from registry_builder.source.secrets._containers import (
    Member,
    PieceReader,
    ar_members,
    is_zip,
    tar_members,
    zip_members,
)
from registry_builder.source.secrets._decompress import decompressed
from registry_builder.source.secrets._file_names import secret_name
from registry_builder.source.secrets._formats import (
    HEAD_BYTES,
    Compression,
    Container,
    compression_of,
    container_of,
    opaque_format_of,
)
from registry_builder.source.secrets.text import MAX_SCANNED_BYTES, Secret, is_scanned, secrets_in
from sealdex.archive.entries import ArchiveEntry, DamagedArchiveError, RefusedArchiveError
from sealdex.archive.limits import UnpackLimits
from sealdex.archive.reader import CHUNK_BYTES, ArchiveFile
from sealdex.archive.tar import read_tar
from sealdex.archive.zip import zip_content

MAX_ARCHIVE_BYTES = 1 << 30
"""Bytes of texts that are searched in one archive, and of what the archives in it unpack to: twenty seconds each."""

MAX_INNER_BYTES = 128 << 20
"""A larger zip inside of an archive isn't opened: it is data, such as a model's weights. All others are streams."""

MAX_INNER_ENTRIES = 100_000
"""Files, folders and links in all archives that lie in one."""

MAX_INNER_SECONDS = 120
"""How long the archives in one are searched, in seconds of the processor."""

MAX_DEPTH = 6
"""So many archives and compressions in one another are opened; three of ``.tar.gz``, or six zips."""

_UNMARKED: tuple[Compression | Container, ...] = ("lzma", "program")  # others may begin like these by chance
_COMPRESSED_NAME = re.compile(r"\.(gz|bz2|xz|lzma|zst|zstd)$", re.IGNORECASE)


class FoundSecret(NamedTuple):
    """A secret, and the member of the archive that contains it; empty for the file itself.

    A member of an archive in the archive has both names: ``lib/tool.whl:tool/key.pem``.
    """

    member: str
    secret: Secret


class Unsearched(NamedTuple):
    """A member that wasn't looked into, or not to its end; empty for the file itself. And why."""

    member: str
    reason: str


def secrets_of_bytes(name: str, data: bytes) -> list[Secret]:
    """Return the secrets of one local file that isn't an archive.

    Args:
        name: its path.
        data: its bytes, or the first of them.
    """
    if kind := secret_name(name.rpartition("/")[2]):
        return [Secret(kind, 0, "by its name")]
    return secrets_in(data[:MAX_SCANNED_BYTES]) if is_scanned(data) else []


class SecretSearch:
    """A search of one archive, or of the files of a folder that is packed: its bounds hold for all of them together."""

    def __init__(self) -> None:
        self._texts_left = MAX_ARCHIVE_BYTES  # so that what archives in it cost leaves none of its own texts out
        self._inner = Bounds(MAX_ARCHIVE_BYTES, MAX_INNER_ENTRIES, MAX_INNER_SECONDS)

    def of_file(self, name: str, file: BinaryIO) -> Iterator[FoundSecret | Unsearched]:
        """Yield the secrets of one open file, and of what is in it if it is an archive.

        Args:
            name: its path.
            file: the file, at its start.
        """
        yield from self._of_outermost(name, "", iter(lambda: file.read(CHUNK_BYTES), b""))

    def of_archive(
        self, archive: ArchiveFile, kind: str, entries: Sequence[ArchiveEntry]
    ) -> Iterator[FoundSecret | Unsearched]:
        """Yield the secrets in an archive that was found to be safe, in the order of its members.

        Args:
            archive: the open file.
            kind: ``zip``, ``tar.gz``, ``tar.zst``, or ``file`` for a file that is installed as it is.
            entries: its entries.

        Raises:
            DamagedArchiveError, RefusedArchiveError: a member can't be read.
        """
        if kind == "file":
            stream = archive.stream()
            yield from self._of_outermost(archive.name, "", iter(lambda: stream.read(CHUNK_BYTES), b""))
        elif kind == "zip":
            for entry in entries:
                if entry.kind == "file":
                    yield from self._of_outermost(entry.path, entry.path, zip_content(archive, entry))
        else:
            for item in read_tar(archive, kind.removeprefix("tar."), UnpackLimits()):
                if item.entry.kind == "file":
                    yield from self._of_outermost(item.entry.path, item.entry.path, item.content)

    def _of_outermost(self, name: str, place: str, pieces: Iterable[bytes]) -> Iterator[FoundSecret | Unsearched]:
        if self._texts_left <= 0:
            yield from (FoundSecret(place, secret) for secret in secrets_of_bytes(name, b""))
            yield Unsearched(place, f"comes after more than {MAX_ARCHIVE_BYTES >> 20} MiB of text")
            return
        self._inner.begin()
        try:
            yield from self._of_member(name, place, pieces, 0)
        except SpentError:
            pass  # told where it happened; what lies beside it is searched
        finally:
            self._inner.end()

    def _of_member(
        self, name: str, place: str, pieces: Iterable[bytes], depth: int
    ) -> Iterator[FoundSecret | Unsearched]:
        """Yield the secrets of a file whose bytes come in pieces, which are read as far as needed.

        Raises:
            SpentError: a bound of what is unpacked is reached; it was told.
        """
        rest = iter(pieces)
        head = _head(rest)
        if depth == 0 and is_scanned(head):
            self._texts_left -= len(head)
        yield from (FoundSecret(place, secret) for secret in secrets_of_bytes(name, head))
        kind = compression_of(head) or container_of(head)
        if kind is None:
            if opaque := opaque_format_of(head):
                yield Unsearched(place, f"is {opaque}, which can't be read here")
            return
        if depth == MAX_DEPTH:
            yield Unsearched(place, f"lies in more than {MAX_DEPTH} archives that lie in one another")
            return
        source = PieceReader(self._inner.charged(chain([head], rest)))
        try:
            yield from self._of_inner(name, place, kind, source, depth + 1)
        except SpentError as error:
            if not error.is_told:
                error.is_told = True
                yield Unsearched(place, str(error))
            raise
        except (UnsearchedError, DamagedArchiveError, RefusedArchiveError) as error:
            if source.failed is not None:
                raise source.failed from error  # the fault of the archive around it
            if kind not in _UNMARKED:
                yield Unsearched(place, str(error) if isinstance(error, UnsearchedError) else f"can't be read: {error}")

    def _of_inner(
        self, name: str, place: str, kind: Compression | Container, source: PieceReader, depth: int
    ) -> Iterator[FoundSecret | Unsearched]:
        """Yield the secrets of what is in an archive, or compressed; see `_of_member`."""
        if kind == "zip" or kind == "program":  # noqa: PLR1714  # mypy narrows
            with tempfile.TemporaryFile() as copy:
                _fill(copy, source)
                if kind == "zip" or is_zip(copy):
                    yield from self._of_members(place, zip_members(copy, self._inner, name), depth)
        elif kind == "tar":
            yield from self._of_members(place, tar_members(source, self._inner, name), depth)
        elif kind == "ar":
            yield from self._of_members(place, ar_members(source, self._inner), depth)
        else:
            content = self._inner.charged(decompressed(source, kind))
            yield from self._of_member(_COMPRESSED_NAME.sub("", name), place, content, depth)

    def _of_members(self, place: str, members: Iterable[Member], depth: int) -> Iterator[FoundSecret | Unsearched]:
        for path, content, problem in members:
            inside = f"{place}:{path}" if place else path
            yield from self._of_member(path, inside, content, depth)
            if problem is not None:
                yield Unsearched(inside, problem)


def _fill(copy: BinaryIO, source: Iterable[bytes]) -> None:
    for piece in source:
        if copy.tell() + len(piece) > MAX_INNER_BYTES:
            raise UnsearchedError(f"is larger than {MAX_INNER_BYTES >> 20} MiB")
        copy.write(piece)
    copy.flush()


def _head(pieces: Iterator[bytes]) -> bytes:
    """Return the first bytes of a text, as far as they are searched; of a binary file just enough to recognise it."""
    data = b""
    for piece in pieces:
        data += piece
        if len(data) >= MAX_SCANNED_BYTES or (len(data) >= HEAD_BYTES and not is_scanned(data)):
            break
    return data


__all__ = [
    "MAX_ARCHIVE_BYTES",
    "MAX_DEPTH",
    "MAX_INNER_BYTES",
    "MAX_INNER_ENTRIES",
    "MAX_INNER_SECONDS",
    "FoundSecret",
    "SecretSearch",
    "Unsearched",
    "secrets_of_bytes",
]
