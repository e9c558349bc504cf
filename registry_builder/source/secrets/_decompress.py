"""Decompresses what comes in pieces, in bounded memory: gzip, bzip2, xz, LZMA and zstd, of any number of streams."""

from __future__ import annotations

import bz2
import lzma
import sys
import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import Protocol

from registry_builder.source.secrets._bounds import UnsearchedError
from registry_builder.source.secrets._formats import Compression
from sealdex.archive.reader import CHUNK_BYTES

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

MAX_MEMORY_BYTES = 128 << 20
"""What one decompressor may hold: above what xz needs at its highest level, and zstd with --ultra or --long."""

_WINDOW_LOG = 27
_FAILURES = (zlib.error, OSError, lzma.LZMAError, EOFError, ValueError, zstd.ZstdError)


class _Decoder(Protocol):
    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    @property
    def needs_input(self) -> bool: ...
    def decompress(self, data: bytes, /, max_length: int) -> bytes: ...


class _Gzip:
    """zlib's decompressor in the form of the others."""

    def __init__(self) -> None:
        self._inflater = zlib.decompressobj(16 + zlib.MAX_WBITS)

    @property
    def eof(self) -> bool:
        return self._inflater.eof

    @property
    def unused_data(self) -> bytes:
        return self._inflater.unused_data

    @property
    def needs_input(self) -> bool:
        return not self.eof and not self._inflater.unconsumed_tail

    def decompress(self, data: bytes, /, max_length: int) -> bytes:
        return self._inflater.decompress(self._inflater.unconsumed_tail + data, max_length)


_NEW: dict[Compression, Callable[[], _Decoder]] = {
    "gzip": _Gzip,
    "bzip2": bz2.BZ2Decompressor,
    "xz": lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=MAX_MEMORY_BYTES),
    "lzma": lambda: lzma.LZMADecompressor(lzma.FORMAT_ALONE, memlimit=MAX_MEMORY_BYTES),
    "zstd": lambda: zstd.ZstdDecompressor(options={zstd.DecompressionParameter.window_log_max: _WINDOW_LOG}),
}


def decompressed(pieces: Iterable[bytes], kind: Compression) -> Iterator[bytes]:
    """Yield the content of a compressed file, in pieces of at most `CHUNK_BYTES`; what follows its end is ignored.

    Args:
        pieces: its bytes; what getting them raises is passed on.
        kind: how it is compressed.

    Raises:
        UnsearchedError: it is damaged or truncated, or needs too much memory.
    """
    new = _NEW[kind]
    decoder, is_begun = new(), False
    is_sure = True  # that these bytes belong to it: the first ones, and what a later stream made something of
    for piece in pieces:
        data = piece
        while True:
            if decoder.eof:
                data = decoder.unused_data + data if is_begun else data
                data = data.lstrip(b"\0")  # padding between streams
                decoder, is_begun, is_sure = new(), False, False
            if not data and decoder.needs_input:
                break
            try:
                made = decoder.decompress(data, max_length=CHUNK_BYTES)
            except _FAILURES as error:
                if not is_sure:
                    return  # not another stream, but something else
                raise UnsearchedError(f"can't be read: {error}") from error
            is_begun, data = True, b""
            if made:
                is_sure = True
                yield made
    if is_sure and not decoder.eof:
        raise UnsearchedError("can't be read: it is truncated")


__all__ = ["MAX_MEMORY_BYTES", "decompressed"]
