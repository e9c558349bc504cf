"""Writes small RPM packages, so that the peers have as many real, distinct packages as a benchmark needs, in seconds.

The format is that of rpm 4 (https://rpm-software-management.github.io/rpm/manual/format_v4.html): a lead, a signature
header, a header, and a cpio archive (SVR4 "newc"), gzipped. `rpm -K` accepts the digests.
"""

from __future__ import annotations

import gzip
import hashlib
import struct
from collections.abc import Sequence
from pathlib import Path

_INT16, _INT32, _STRING, _BIN, _STRING_ARRAY, _I18N = 3, 4, 6, 7, 8, 9
_ALIGNMENT = {_INT16: 2, _INT32: 4}
_HEADER_MAGIC = b"\x8e\xad\xe8\x01\0\0\0\0"
_SIGNATURES_REGION, _HEADER_REGION = 62, 63
_REGION_TRAILER_BYTES = 16
_SHA256_ALGORITHM = 8
_REGULAR_FILE = 0o100644
_GREATER_OR_EQUAL = 0x0C
_EQUAL = 0x08

Value = str | bytes | Sequence[str] | Sequence[int]
Entry = tuple[int, int, Value]


def rpm_bytes(
    name: str, version: str, summary: str, requires: Sequence[str], path: str, data: bytes, time: int
) -> bytes:
    """Return a noarch package of one file.

    Args:
        name: of the package.
        version: of the package; the release number is 1.
        summary: one line, used as the description too.
        requires: names of packages it depends on, in any version from 1 on.
        path: absolute path that the file is installed to.
        data: the file's bytes.
        time: seconds since 1970, as build and modification time.
    """
    folder, _, base = path.rpartition("/")
    cpio = _cpio(f".{path}", data, time)
    payload = gzip.compress(cpio, 0, mtime=0)
    header = _header(
        _HEADER_REGION,
        [
            (100, _STRING_ARRAY, ["C"]),  # the one language of what is of type _I18N
            (1000, _STRING, name),
            (1001, _STRING, version),
            (1002, _STRING, "1"),
            (1004, _I18N, [summary]),
            (1005, _I18N, [summary]),
            (1006, _INT32, [time]),
            (1007, _STRING, "localhost"),
            (1009, _INT32, [len(data)]),
            (1014, _STRING, "Apache-2.0"),
            (1016, _I18N, ["Unspecified"]),
            (1021, _STRING, "linux"),
            (1022, _STRING, "noarch"),
            (1028, _INT32, [len(data)]),
            (1030, _INT16, [_REGULAR_FILE]),
            (1033, _INT16, [0]),
            (1034, _INT32, [time]),
            (1035, _STRING_ARRAY, [hashlib.sha256(data).hexdigest()]),
            (1036, _STRING_ARRAY, [""]),
            (1037, _INT32, [0]),
            (1039, _STRING_ARRAY, ["root"]),
            (1040, _STRING_ARRAY, ["root"]),
            (1044, _STRING, f"{name}-{version}-1.src.rpm"),
            (1047, _STRING_ARRAY, [name]),
            (1048, _INT32, [_GREATER_OR_EQUAL] * len(requires)),
            (1049, _STRING_ARRAY, list(requires)),
            (1050, _STRING_ARRAY, ["1"] * len(requires)),
            (1112, _INT32, [_EQUAL]),
            (1113, _STRING_ARRAY, [f"{version}-1"]),
            (1116, _INT32, [0]),
            (1117, _STRING_ARRAY, [base]),
            (1118, _STRING_ARRAY, [f"{folder}/"]),
            (1124, _STRING, "cpio"),
            (1125, _STRING, "gzip"),
            (1126, _STRING, "0"),
            (5011, _INT32, [_SHA256_ALGORITHM]),
        ],
    )
    signatures = _header(
        _SIGNATURES_REGION,
        [
            (269, _STRING, hashlib.sha1(header).hexdigest()),  # the format's, for integrity only
            (273, _STRING, hashlib.sha256(header).hexdigest()),
            (1000, _INT32, [len(header) + len(payload)]),
            (1004, _BIN, hashlib.md5(header + payload).digest()),  # the format's, for integrity only
            (1007, _INT32, [len(cpio)]),
        ],
    )
    padding = b"\0" * (-len(signatures) % 8)
    return _lead(f"{name}-{version}-1") + signatures + padding + header + payload


def rpm_name(name: str, version: str) -> str:
    """Return the file name of a package."""
    return f"{name}-{version}-1.noarch.rpm"


def write_rpm(folder: Path, name: str, version: str, content: bytes, requires: Sequence[str]) -> None:
    """Write one small package into a folder."""
    summary = f"Benchmark package {name}"
    data = rpm_bytes(name, version, summary, requires, f"/opt/{name}/main.py", content, 1_700_000_000)
    (folder / rpm_name(name, version)).write_bytes(data)


def _lead(name: str) -> bytes:
    return struct.pack(">4sBBHH66sHH16x", b"\xed\xab\xee\xdb", 3, 0, 0, 1, name.encode()[:65], 1, 5)


def _header(region: int, entries: Sequence[Entry]) -> bytes:
    index, store = b"", b""
    for tag, kind, value in sorted(entries, key=lambda entry: entry[0]):
        if not value:
            continue
        data, count = _encode(kind, value)
        store += b"\0" * (-len(store) % _ALIGNMENT.get(kind, 1))
        index += struct.pack(">IIII", tag, kind, len(store), count)
        store += data
    # the region covers all entries; its trailer, at the end of the store, points back to where it begins
    entry_bytes = len(index) + _REGION_TRAILER_BYTES
    index = struct.pack(">IIII", region, _BIN, len(store), _REGION_TRAILER_BYTES) + index
    store += struct.pack(">IIiI", region, _BIN, -entry_bytes, _REGION_TRAILER_BYTES)
    return _HEADER_MAGIC + struct.pack(">II", entry_bytes // 16, len(store)) + index + store


def _encode(kind: int, value: Value) -> tuple[bytes, int]:
    if isinstance(value, bytes):
        return value, len(value)
    if isinstance(value, str):
        return value.encode() + b"\0", 1
    if kind in _ALIGNMENT:
        return struct.pack(f">{len(value)}{'H' if kind == _INT16 else 'I'}", *value), len(value)
    return b"".join(f"{text}\0".encode() for text in value), len(value)


def _cpio(name: str, data: bytes, time: int) -> bytes:
    return _member(name, data, _REGULAR_FILE, time) + _member("TRAILER!!!", b"", 0, 0)


def _member(name: str, data: bytes, mode: int, time: int) -> bytes:
    encoded = name.encode() + b"\0"
    fields = (1, mode, 0, 0, 1, time, len(data), 0, 0, 0, 0, len(encoded), 0)
    head = b"070701" + b"".join(b"%08x" % field for field in fields) + encoded
    return head + b"\0" * (-len(head) % 4) + data + b"\0" * (-len(data) % 4)
