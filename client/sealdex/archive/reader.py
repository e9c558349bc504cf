"""An archive file, opened once and read at any position, by several threads."""

from __future__ import annotations

import hashlib
import io
import os
import threading
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, BinaryIO

from sealdex.disk import open_regular

if TYPE_CHECKING:
    from typing_extensions import Buffer

CHUNK_BYTES = 1 << 20


class ArchiveFile:
    """One open file: everything is checked and unpacked through the same descriptor.

    So replacing the file at its path after the check has no effect. Its bytes could only be changed by someone who can
    write to the store, who could also change the installation.

    Args:
        path: the file.
        name: its name in messages; default: the last part of the path.
        file: the file, if the caller has opened it; it is closed with this.

    Raises:
        OSError: the file can't be opened.
    """

    def __init__(self, path: Path, *, name: str | None = None, file: BinaryIO | None = None) -> None:
        self.path = path
        self.name = name or path.name
        self._file = file if file is not None else open_regular(path)
        self._seek_lock = threading.Lock()
        self.size = os.fstat(self._file.fileno()).st_size

    def read_at(self, offset: int, length: int) -> bytes:
        """Return ``length`` bytes from ``offset``, fewer only at the end of the file."""
        pieces = []
        while length > 0:
            piece = self._read_some(offset, length)
            if not piece:
                break
            pieces.append(piece)
            offset += len(piece)
            length -= len(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    if hasattr(os, "pread"):

        def _read_some(self, offset: int, length: int) -> bytes:
            return os.pread(self._file.fileno(), length, offset)

    else:  # Windows

        def _read_some(self, offset: int, length: int) -> bytes:
            with self._seek_lock:
                self._file.seek(offset)
                return self._file.read(length)

    def sha256(self) -> str:
        """Return the SHA-256 of the whole file, as hexadecimal digits."""
        digest = hashlib.sha256()
        offset = 0
        while chunk := self.read_at(offset, CHUNK_BYTES):
            digest.update(chunk)
            offset += len(chunk)
        return digest.hexdigest()

    def stream(self) -> SequentialReader:
        """Return an independent reader from the start of the file."""
        return SequentialReader(self)

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def __enter__(self) -> ArchiveFile:  # noqa: PYI034  # typing.Self needs Python 3.11
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


class SequentialReader(io.RawIOBase):
    """Reads an `ArchiveFile` from start to end, for a decompressor."""

    def __init__(self, archive: ArchiveFile) -> None:
        super().__init__()
        self._archive = archive
        self._position = 0

    def readinto(self, buffer: Buffer, /) -> int:
        """Fill the buffer, less only at the end."""
        view = memoryview(buffer).cast("B")
        data = self._archive.read_at(self._position, len(view))
        view[: len(data)] = data
        self._position += len(data)
        return len(data)

    def seek(self, position: int, whence: int = os.SEEK_SET, /) -> int:
        """Move to an absolute position."""
        if whence != os.SEEK_SET:
            raise io.UnsupportedOperation("only absolute positions")
        self._position = position
        return position

    def tell(self) -> int:
        """Return the position."""
        return self._position

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True
