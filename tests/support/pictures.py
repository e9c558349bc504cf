"""Pictures for tests, made byte by byte: the smallest that have a size, in the four kinds that pages show."""

from __future__ import annotations

import struct
import zlib


def png(width: int = 3, height: int = 2, shade: int = 255) -> bytes:
    """Return a PNG that browsers show."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = b"".join(b"\0" + bytes([shade]) * width for _ in range(height))
    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def png_that_says(width: int, height: int) -> bytes:
    """Return a PNG of a few bytes whose header states any size."""
    return png()[:16] + struct.pack(">II", width, height) + png()[24:]


def gif(width: int = 3, height: int = 2) -> bytes:
    """Return a GIF of one colour."""
    return b"GIF89a" + struct.pack("<HH", width, height) + b"\x80\0\0\0\0\0\xff\xff\xff,\0\0\0\0\1\0\1\0\0\2\2D\1\0;"


def jpeg(width: int = 3, height: int = 2) -> bytes:
    """Return a JPEG as far as its frame, after a segment and fill bytes."""
    frame = b"\xff\xc2\x00\x0b\x08" + struct.pack(">HH", height, width) + b"\x01\x01\x11\x00"
    return b"\xff\xd8\xff\xe0\x00\x04ab\xff\xff\xff\xdb\x00\x03x" + frame + b"\xff\xda\x00\x02"


def webp(kind: bytes = b"VP8X", width: int = 3, height: int = 2) -> bytes:
    """Return a WebP of one of its three forms, as far as its size."""
    if kind == b"VP8X":
        data = b"\0\0\0\0" + (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    elif kind == b"VP8L":
        data = b"\x2f" + ((width - 1) | (height - 1) << 14).to_bytes(4, "little") + bytes(8)
    else:
        data = b"\0\0\0\x9d\x01\x2a" + struct.pack("<HH", width, height)
    body = b"WEBP" + kind + struct.pack("<I", len(data)) + data
    return b"RIFF" + struct.pack("<I", len(body)) + body
