"""Writes small Debian packages: an ``ar`` archive of a version, a control archive and a data archive (see deb(5))."""

from __future__ import annotations

import gzip
import io
import tarfile
from collections.abc import Sequence
from pathlib import Path


def deb_bytes(name: str, version: str, content: bytes, requires: Sequence[str]) -> bytes:
    """Return a package for all architectures with one file in /opt."""
    control = (
        f"Package: {name}\nVersion: {version}\nArchitecture: all\nMaintainer: Benchmark <nobody@localhost>\n"
        f"Section: misc\nPriority: optional\n"
        + (f"Depends: {', '.join(requires)}\n" if requires else "")
        + f"Description: Benchmark package {name}\n"
    )
    members = (
        ("debian-binary", b"2.0\n"),
        ("control.tar.gz", _tar({"./control": control.encode()})),
        ("data.tar.gz", _tar({f"./opt/{name}/main.py": content})),
    )
    return b"!<arch>\n" + b"".join(_member(member, data) for member, data in members)


def write_deb(folder: Path, name: str, version: str, content: bytes, requires: Sequence[str]) -> None:
    """Write one small package into a folder."""
    (folder / f"{name}_{version}_all.deb").write_bytes(deb_bytes(name, version, content, requires))


def _member(name: str, data: bytes) -> bytes:
    head = b"%-16s%-12d%-6d%-6d%-8s%-10d`\n" % (name.encode(), 0, 0, 0, b"100644", len(data))
    return head + data + b"\n" * (len(data) % 2)


def _tar(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
        end = archive.offset
    # two blocks of zeros end an archive; tarfile pads to twenty, which would be most of a small package
    return gzip.compress(buffer.getvalue()[: end + 2 * tarfile.BLOCKSIZE], 0, mtime=0)
