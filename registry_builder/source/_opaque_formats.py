"""Recognises archives that clients don't unpack, by name and first bytes, and gives the command to repack them.

Without a stated format, such a file would be installed as it is: a release that no host can use. If that is intended
(a data set that its program unpacks), the release states ``format: file``.
"""

from __future__ import annotations

import re
import shlex
from contextlib import nullcontext
from pathlib import Path
from typing import BinaryIO

from sealdex.model.release import Artifact, artifact_file_name, artifact_format, artifact_kind

# name of the format, the first bytes, the offset of these bytes
_MAGIC = (
    ("xz", b"\xfd7zXZ\x00", 0),
    ("bzip2", b"BZh", 0),
    ("7-Zip", b"7z\xbc\xaf\x27\x1c", 0),
    ("RAR", b"Rar!\x1a\x07", 0),
    ("lzip", b"LZIP", 0),
    ("LZ4", b"\x04\x22\x4d\x18", 0),
    ("tar", b"ustar", 257),
)
_BZIP2_BLOCK = b"1AY&SY"
_NAMES = (
    (re.compile(r"\.(tar\.xz|txz|xz)$"), "xz"),
    (re.compile(r"\.(tar\.bz2|tbz2?|bz2)$"), "bzip2"),
    (re.compile(r"\.(tar\.lzma|tlz|lzma)$"), "LZMA"),
    (re.compile(r"\.(tar\.lz|lz)$"), "lzip"),
    (re.compile(r"\.(tar\.lz4|lz4)$"), "LZ4"),
    (re.compile(r"\.(tar\.z)$"), "compress"),
    (re.compile(r"\.(tar\.br)$"), "Brotli"),
    (re.compile(r"\.7z$"), "7-Zip"),
    (re.compile(r"\.rar$"), "RAR"),
    (re.compile(r"\.tar$"), "tar"),
)
_PROGRAMS = {
    "xz": "xz -dc", "bzip2": "bzip2 -dc", "LZMA": "xz -dc", "lzip": "lzip -dc", "LZ4": "lz4 -dc",
    "compress": "gzip -dc", "Brotli": "brotli -dc",
}  # fmt: skip
_TAR = re.compile(r"\.(tar\.[a-z0-9]+|t[a-z0-9]+)$")
_HEAD_BYTES = 512


def format_by_name(name: str) -> str | None:
    """Return the archive format that a file's name indicates, if clients don't unpack it."""
    return next((kind for pattern, kind in _NAMES if pattern.search(name.lower())), None)


def format_by_content(path: Path, file: BinaryIO | None = None) -> str | None:
    """Return the archive format that a file's first bytes indicate, if clients don't unpack it.

    Args:
        path: the file.
        file: the file, if the caller has opened it; it stays open.

    Raises:
        OSError: it can't be read.
    """
    with path.open("rb") if file is None else nullcontext(file) as opened:
        opened.seek(0)
        head = opened.read(_HEAD_BYTES)
    for kind, magic, at in _MAGIC:
        if head.startswith(magic, at) and (kind != "bzip2" or head[4:10] == _BZIP2_BLOCK):
            return kind
    return None


def opaque_problem(artifact: Artifact, path: Path | None = None, file: BinaryIO | None = None) -> str | None:
    """Return why hosts couldn't use an artifact that is an archive of another format; None if they can.

    Args:
        artifact: what the release says about it.
        path: the file, if it is local.
        file: the file, if the caller has opened it.

    Raises:
        OSError: it can't be read.
    """
    if path is None and artifact.source.endswith((".zip", ".tar.gz", ".tgz", ".tar.zst")):
        return None  # nearly all artifacts, decided quickly
    if artifact_kind(artifact.source) == "oci" or artifact.format == "file":
        return None
    name = artifact_file_name(artifact)
    kind = format_by_content(path, file) if path is not None else None
    if kind is None and artifact_format(artifact) == "file":
        kind = format_by_name(name)
    if kind is None:
        return None
    return (
        f"'{name}' is {kind}, which clients don't unpack: repack it with: {repacking(name, kind)} "
        "(or state format: file, if hosts are meant to install it unchanged)"
    )


def repacking(name: str, kind: str) -> str:
    """Return the command that converts such a file to one that clients unpack."""
    stem = _TAR.sub("", name) if _TAR.search(name.lower()) else name.rpartition(".")[0] or name
    if kind in {"7-Zip", "RAR"}:
        return f"7z x {shlex.quote(name)} -o{shlex.quote(stem)} && sealdex-builder pack {shlex.quote(stem)}"
    if kind == "tar":
        return f"zstd {shlex.quote(name)} -o {shlex.quote(f'{stem}.tar.zst')}"
    if _TAR.search(name.lower()):
        return f"{_PROGRAMS[kind]} {shlex.quote(name)} | zstd -o {shlex.quote(f'{stem}.tar.zst')}"
    return f"{_PROGRAMS[kind]} {shlex.quote(name)} > {shlex.quote(stem)}"


__all__ = ["format_by_content", "format_by_name", "opaque_problem", "repacking"]
