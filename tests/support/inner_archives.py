"""Archives in archives, made in memory: by every way in which the builder looks into one."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import sys
import tarfile
import zipfile
from collections.abc import Callable, Mapping

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

Files = Mapping[str, bytes]


def zipped(files: Files, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def tarred(files: Files, form: int = tarfile.PAX_FORMAT) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=form) as archive:
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return buffer.getvalue()


def tarred_as_v7(files: Files) -> bytes:
    """Without the mark ``ustar``: as the first tar wrote it."""
    data = bytearray(tarred(files, tarfile.USTAR_FORMAT))
    data[257:265] = bytes(8)
    block = data[:148] + b" " * 8 + data[156:512]
    data[148:156] = b"%06o\0 " % sum(block)
    return bytes(data)


def ar(files: Files) -> bytes:
    """As Debian packages are made."""
    made = b"!<arch>\n"
    for name, data in files.items():
        made += b"%-16s%-12d%-6d%-6d%-8o%-10d`\n" % (f"{name}/".encode(), 0, 0, 0, 0o644, len(data))
        made += data + b"\n" * (len(data) % 2)
    return made


def skippable_frame(data: bytes) -> bytes:
    """Before the frames of zstd, as pzstd writes it."""
    return b"\x50\x2a\x4d\x18" + len(data).to_bytes(4, "little") + data


COMPRESSED: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "gzip of several": lambda data: gzip.compress(data[:100]) + bytes(7) + gzip.compress(data[100:]),
    "bzip2": bz2.compress,
    "bzip2 of several": lambda data: bz2.compress(data[:100]) + bz2.compress(data[100:]),
    "xz": lzma.compress,
    "xz of several": lambda data: lzma.compress(data[:100]) + bytes(8) + lzma.compress(data[100:]),
    "lzma": lambda data: lzma.compress(data, lzma.FORMAT_ALONE),
    "zstd": zstd.compress,
    "zstd of several": lambda data: skippable_frame(b"1234") + zstd.compress(data[:100]) + zstd.compress(data[100:]),
    "followed by something else": lambda data: lzma.compress(data) + b"signature",
}
CONTAINERS: dict[str, Callable[[Files], bytes]] = {
    "zip": zipped,
    "zip, stored": lambda files: zipped(files, zipfile.ZIP_STORED),
    "zip by bzip2": lambda files: zipped(files, zipfile.ZIP_BZIP2),
    "zip by LZMA": lambda files: zipped(files, zipfile.ZIP_LZMA),
    "program": lambda files: b"#!/usr/bin/env python3\n" + zipped(files),
    "tar": tarred,
    "GNU tar": lambda files: tarred(
        {f"{'long/' * 40}{name}": data for name, data in files.items()}, tarfile.GNU_FORMAT
    ),
    "v7 tar": tarred_as_v7,
    "ar": ar,
}
