"""Recognises archives and compressed files by their first bytes, whatever their names say. Pure."""

from __future__ import annotations

import re
from typing import Literal

from registry_builder.source.secrets.text import is_scanned

HEAD_BYTES = 8192
"""So many bytes from the start of a file decide, or all of a shorter one."""

Compression = Literal["gzip", "bzip2", "xz", "lzma", "zstd"]
Container = Literal["zip", "program", "tar", "ar"]
Opaque = Literal["7-Zip", "RAR", "lzip", "LZ4", "CAB", "RPM", "cpio"]
"""What nothing that we depend on can read."""

_TAR_BLOCK = 512
# name, first bytes as a pattern
_COMPRESSIONS: tuple[tuple[Compression, re.Pattern[bytes]], ...] = (
    ("gzip", re.compile(rb"\x1f\x8b\x08[\x00-\x1f]")),
    ("bzip2", re.compile(rb"BZh[1-9](1AY&SY|\x17rE8P\x90)")),
    ("xz", re.compile(rb"\xfd7zXZ\x00")),
    ("zstd", re.compile(rb"\x28\xb5\x2f\xfd|[\x50-\x5f]\x2a\x4d\x18")),  # a frame of its own may come first: pzstd
)
_OPAQUE: tuple[tuple[Opaque, re.Pattern[bytes]], ...] = (
    ("7-Zip", re.compile(rb"7z\xbc\xaf\x27\x1c")),
    ("RAR", re.compile(rb"Rar!\x1a\x07")),
    ("lzip", re.compile(rb"LZIP[\x00\x01]")),
    ("LZ4", re.compile(rb"\x04\x22\x4d\x18")),
    ("CAB", re.compile(rb"MSCF\0\0\0\0")),
    ("RPM", re.compile(rb"\xed\xab\xee\xdb")),
    ("cpio", re.compile(rb"07070[127][0-9a-fA-F]{6}")),
)


def compression_of(head: bytes) -> Compression | None:
    """Return how a file is compressed as a whole, or None."""
    if (found := next((kind for kind, magic in _COMPRESSIONS if magic.match(head)), None)) is not None:
        return found
    return "lzma" if _is_lzma(head) else None


def container_of(head: bytes) -> Container | None:
    """Return what kind of archive a file is, or None.

    A ``program`` may be a zip with a line for the system before it, as zipapp, shiv and pex make them.
    """
    if head.startswith((b"PK\3\4", b"PK\5\6")):
        return "zip"
    if head.startswith(b"!<arch>\n"):
        return "ar"
    if _is_tar(head):
        return "tar"
    return "program" if head.startswith(b"#!") and not is_scanned(head) else None


def opaque_format_of(head: bytes) -> Opaque | None:
    """Return which archive a file is of those that can't be read here, or None."""
    return next((kind for kind, magic in _OPAQUE if magic.match(head)), None)


def _is_tar(head: bytes) -> bool:
    """Return whether there is a tar's header: older ones have no name in it, but all have its checksum."""
    block = head[:_TAR_BLOCK]
    if len(block) < _TAR_BLOCK or not block[0]:
        return False
    try:
        stated = int(block[148:156].strip(b" \0"), 8)
    except ValueError:
        return False
    unsigned = sum(block[:148]) + 8 * 0x20 + sum(block[156:])
    signed = unsigned - 256 * sum(byte > 0x7F for byte in (*block[:148], *block[156:]))
    return stated in {unsigned, signed}


def _is_lzma(head: bytes) -> bool:
    """Return whether a file begins as those of ``lzma`` do, which have no mark: the usual properties, and sizes."""
    if len(head) < 13 or head[0] != 0x5D:
        return False
    window, size = int.from_bytes(head[1:5], "little"), int.from_bytes(head[5:13], "little")
    is_usual = window >= 1 << 12 and window & (window - 1) in {0, 1 << max(window.bit_length() - 2, 0)}
    return is_usual and (size == (1 << 64) - 1 or size < 1 << 38)


__all__ = [
    "HEAD_BYTES",
    "Compression",
    "Container",
    "Opaque",
    "compression_of",
    "container_of",
    "opaque_format_of",
]
