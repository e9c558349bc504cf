"""Archives for tests: good ones from a mapping of paths to content, and bad ones entry by entry."""

from __future__ import annotations

import gzip
import io
import os
import stat
import sys
import tarfile
import warnings
import zipfile
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

FORMATS = ("zip", "tar.gz", "tar.zst")


def zip_info(name: str, mode: int = stat.S_IFREG | 0o644, *, system: int = 3) -> zipfile.ZipInfo:
    """Head of a zip entry; ``system`` 3 is Unix, 0 is Windows."""
    info = zipfile.ZipInfo("placeholder")
    # set afterwards: the constructor cuts names at NUL and rewrites separators
    info.filename = name
    info.create_system = system
    info.external_attr = (mode << 16) if system == 3 else 0
    return info


def make_zip(
    path: Path, entries: Iterable[tuple[zipfile.ZipInfo | str, bytes]], method: int = zipfile.ZIP_DEFLATED
) -> Path:
    """Write a zip of exactly these entries, in this order."""
    with warnings.catch_warnings(), zipfile.ZipFile(path, "w", method) as archive:
        warnings.simplefilter("ignore", UserWarning)  # a name twice: some attacks want that
        for info, content in entries:
            head = zip_info(info) if isinstance(info, str) else info
            archive.writestr(head, content, compress_type=method)
    return path


def tar_info(name: str, kind: bytes = tarfile.REGTYPE, *, mode: int = 0o644, target: str = "") -> tarfile.TarInfo:
    """Head of a tar entry."""
    info = tarfile.TarInfo(name)
    info.type, info.mode, info.linkname = kind, mode, target
    return info


def tar_bytes(entries: Iterable[tuple[tarfile.TarInfo, bytes]], tar_format: int = tarfile.PAX_FORMAT) -> bytes:
    """Return a tar, not compressed, of exactly these entries, in this order."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tar_format) as archive:
        for info, content in entries:
            if content:
                info.size = len(content)
            archive.addfile(info, io.BytesIO(content) if content else None)
    return buffer.getvalue()


def compress_tar(path: Path, archive_format: str, data: bytes) -> Path:
    """Write a tar as ``tar.gz`` or ``tar.zst``."""
    path.write_bytes(gzip.compress(data, 6, mtime=0) if archive_format == "tar.gz" else zstd.compress(data))
    return path


def make_tar(path: Path, archive_format: str, entries: Iterable[tuple[tarfile.TarInfo, bytes]]) -> Path:
    """Write ``tar.gz`` or ``tar.zst`` of exactly these entries, in this order."""
    return compress_tar(path, archive_format, tar_bytes(entries))


def make_archive(
    path: Path, archive_format: str, files: Mapping[str, bytes], *, executable: frozenset[str] = frozenset()
) -> Path:
    """Write a good archive of any format from paths and contents."""
    modes = {name: 0o755 if name in executable else 0o644 for name in files}
    if archive_format == "zip":
        return make_zip(path, ((zip_info(n, stat.S_IFREG | modes[n]), c) for n, c in files.items()))
    return make_tar(path, archive_format, ((tar_info(n, mode=modes[n]), c) for n, c in files.items()))


def one_entry(path: Path, archive_format: str, name: str, content: bytes = b"bad") -> Path:
    """Write an archive with a good entry, then one of any name."""
    if archive_format == "zip":
        return make_zip(path, [("good.txt", b"good"), (zip_info(name), content)])
    return make_tar(path, archive_format, [(tar_info("good.txt"), b"good"), (tar_info(name), content)])


def link_entry(path: Path, archive_format: str, name: str, target: str) -> Path:
    """Write an archive with a good entry, then a symbolic link."""
    if archive_format == "zip":
        return make_zip(path, [("good.txt", b"good"), (zip_info(name, stat.S_IFLNK | 0o777), target.encode())])
    return make_tar(
        path, archive_format, [(tar_info("good.txt"), b"good"), (tar_info(name, tarfile.SYMTYPE, target=target), b"")]
    )


def patched(path: Path, *changes: tuple[int, bytes]) -> Path:
    """Overwrite bytes of a file at positions."""
    data = bytearray(path.read_bytes())
    for at, new in changes:
        data[at : at + len(new)] = new
    path.write_bytes(data)
    return path


def raw_deflate(data: bytes, level: int = 9) -> bytes:
    """Return data as a zip stores it."""
    deflater = zlib.compressobj(level, zlib.DEFLATED, -zlib.MAX_WBITS)
    return deflater.compress(data) + deflater.flush()


def pax_record(key: str, value: str) -> bytes:
    """Return one record of a pax header: its own length in digits, then key and value."""
    body = f" {key}={value}\n".encode()
    length = len(body) + 1
    while len(str(length)) + len(body) != length:
        length += 1
    return str(length).encode() + body


def tree(folder: Path) -> dict[str, bytes | str]:
    """Return all below a folder: path -> content, of a link its target (text)."""
    return {
        str(path.relative_to(folder)): f"-> {os.readlink(path)}" if path.is_symlink() else path.read_bytes()  # noqa: PTH115  # Path rewrites it
        for path in sorted(folder.rglob("*"))
        if path.is_symlink() or not path.is_dir()
    }
