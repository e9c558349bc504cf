"""Attacks by who makes a zip, as in test_archive_attacks: two readers are to see two different things in it."""

from __future__ import annotations

import gzip
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from support.archive_scene import Scene
from support.archives import (
    make_zip,
    patched,
    raw_deflate,
    tar_bytes,
    tar_info,
)

from sealdex.archive.unpack import (
    unpack,
)
from sealdex.errors import InstallError

# --- two readings of one zip ----------------------------------------------------------------------------------------


def local_header(path: Path) -> int:
    return path.read_bytes().index(b"PK\3\4")


def central_header(path: Path) -> int:
    return path.read_bytes().index(b"PK\1\2")


Change = Callable[[Path], tuple[int, bytes]]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        pytest.param(lambda p: (local_header(p) + 30, b"X"), "another name", id="name"),
        pytest.param(lambda p: (local_header(p) + 8, b"\0"), "another method", id="method"),
        pytest.param(lambda p: (local_header(p) + 6, b"\1"), "another method", id="encrypted-locally"),
        pytest.param(lambda p: (local_header(p) + 6, b"\x08"), "another method", id="streamed-locally"),
        pytest.param(lambda p: (local_header(p) + 14, b"\0\0\0\0"), "another size or checksum", id="checksum"),
        pytest.param(lambda p: (local_header(p) + 18, b"\1"), "another size or checksum", id="stored-size"),
        pytest.param(lambda p: (local_header(p) + 22, b"\1"), "another size or checksum", id="size"),
        pytest.param(lambda p: (local_header(p), b"XX"), "no header where", id="signature"),
        pytest.param(lambda p: (local_header(p) + 28, b"\xff\xff"), "extends into the directory", id="extra-length"),
    ],
)
def test_headers_that_disagree(scene: Scene, change: Change, reason: str) -> None:
    """Power: the header before an entry. Change: it says something else than the directory, so readers differ."""
    make_zip(scene.archive, [("name", b"content" * 20)])
    patched(scene.archive, change(scene.archive))
    scene.refused("zip", reason)


def test_an_encrypted_entry(scene: Scene) -> None:
    """Power: the encryption flag. Change: content that no scanner could look into."""
    make_zip(scene.archive, [("name", b"content")])
    patched(scene.archive, (local_header(scene.archive) + 6, b"\1"), (central_header(scene.archive) + 8, b"\1"))
    scene.refused("zip", "is encrypted")


def test_a_method_that_is_not_read(scene: Scene) -> None:
    """Power: the compression method. Change: one with a reader that is used by nobody else."""
    make_zip(scene.archive, [("name", b"content")], zipfile.ZIP_LZMA)
    scene.refused("zip", "uses method lzma")


def forge_end(archive: Path, at: int, value: bytes) -> None:
    end = archive.read_bytes().rindex(b"PK\5\6")
    patched(archive, (end + at, value))


@pytest.mark.parametrize(
    ("forge", "reason"),
    [
        pytest.param(
            lambda a: a.write_bytes(b"junk" + a.read_bytes()), "not at the position in its end record", id="prepended"
        ),
        pytest.param(lambda a: a.write_bytes(a.read_bytes() + b"junk"), "no end record", id="appended"),
        pytest.param(lambda a: forge_end(a, 8, b"\2\0\2\0"), "fewer entries", id="more-counted"),
        pytest.param(lambda a: forge_end(a, 8, b"\0\0\0\0"), "more entries", id="fewer-counted"),
        pytest.param(lambda a: forge_end(a, 4, b"\1"), "one part of a multi-part archive", id="parts"),
        pytest.param(lambda a: forge_end(a, 16, b"\1"), "not at the position in its end record", id="offset"),
    ],
)
def test_directories_that_lie(scene: Scene, forge: Callable[[Path], object], reason: str) -> None:
    """Power: the end record. Change: another directory than the one readers look for from the other side."""
    make_zip(scene.archive, [("name", b"content")])
    forge(scene.archive)
    with pytest.raises(InstallError, match=reason):
        unpack(scene.archive, "zip", scene.destination)
    scene.unharmed()


def test_two_directories(scene: Scene) -> None:
    """Power: the comment. Change: a whole second zip in it, which readers find that look for the last end record."""
    make_zip(scene.archive, [("innocent", b"1")])
    inner = make_zip(scene.archive.with_name("inner.zip"), [("evil", b"2")]).read_bytes()
    outer = scene.archive.read_bytes()
    scene.archive.write_bytes(outer[:-2] + struct.pack("<H", len(inner)) + inner)
    with pytest.raises(InstallError, match="more than one end record"):
        unpack(scene.archive, "zip", scene.destination)
    scene.unharmed()


def test_content_that_differs_from_its_checksum(scene: Scene) -> None:
    """Power: content under a right archive digest. Change: the checksum readers ignore is wrong."""
    make_zip(scene.archive, [("name", b"content")], zipfile.ZIP_STORED)
    patched(scene.archive, (scene.archive.read_bytes().index(b"content"), b"CONTENT"))
    with pytest.raises(InstallError, match="differs from its checksum"):
        unpack(scene.archive, "zip", scene.destination)
    scene.unharmed()


def test_something_hidden_after_compressed_data(scene: Scene) -> None:
    """Power: the stored size. Change: bytes after the end of the deflate stream, which no reader shows."""
    deflated = raw_deflate(b"content") + b"hidden"
    make_zip(scene.archive, [("name", deflated)], zipfile.ZIP_STORED)
    check = struct.pack("<LLL", zlib.crc32(b"content"), len(deflated), 7)
    local, central = local_header(scene.archive), central_header(scene.archive)
    patched(scene.archive, (local + 8, b"\x08"), (central + 10, b"\x08"), (local + 14, check), (central + 16, check))
    with pytest.raises(InstallError, match="more data after the compressed data"):
        unpack(scene.archive, "zip", scene.destination)
    scene.unharmed()


def test_a_damaged_header_in_the_middle_of_a_tar(scene: Scene) -> None:
    """Power: one bit. Change: a header that `tarfile` takes for the end, so that the rest is silently missing."""
    data = bytearray(tar_bytes([(tar_info("a"), b"a"), (tar_info("b"), b"b")]))
    data[1024] ^= 1
    scene.archive.write_bytes(gzip.compress(bytes(data)))
    with pytest.raises(InstallError, match="a header in it is damaged"):
        unpack(scene.archive, "tar.gz", scene.destination)
    scene.unharmed()
