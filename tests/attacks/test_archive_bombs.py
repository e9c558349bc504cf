"""Attacks by who makes an archive, as in test_archive_attacks: on the disk, the memory and the time of a host."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
import tarfile
import zlib
from collections.abc import Iterator

import pytest
from support.archive_scene import Scene
from support.archives import (
    FORMATS,
    compress_tar,
    make_archive,
    make_zip,
    pax_record,
    raw_deflate,
    tar_bytes,
    tar_info,
)

from sealdex.archive.entries import ArchiveEntry, entry_problems
from sealdex.archive.unpack import (
    ArchiveFile,
    DamagedArchiveError,
    RefusedArchiveError,
    UnpackLimits,
    inspect_archive,
    unpack,
)
from sealdex.archive.zip import zip_content
from sealdex.errors import InstallError

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd


# --- bombs ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("archive_format", FORMATS)
def test_a_bomb(scene: Scene, archive_format: str) -> None:
    """Power: compression. Change: 70 MB of zeros in some 70 KB; refused by the ratio before anything is written."""
    make_archive(scene.archive, archive_format, {"zeros": bytes(70 * 10**6)})
    scene.refused(archive_format, "unpacks to")


@pytest.mark.parametrize("archive_format", FORMATS)
def test_what_compresses_well_is_no_bomb(scene: Scene, archive_format: str) -> None:
    """The other side of the bound: a ratio of 100 above the floor is let through."""
    make_archive(scene.archive, archive_format, {"a": os.urandom(10**5), "zeros": bytes(10**7)})
    found = inspect_archive(scene.archive, archive_format, limits=UnpackLimits(ratio_free_bytes=0))
    assert {entry.path for entry in found} == {"a", "zeros"}


@pytest.mark.parametrize("archive_format", FORMATS)
def test_more_bytes_than_the_caller_allows(scene: Scene, archive_format: str) -> None:
    """Power: size. Change: a package larger than the host's limit, spread over two files."""
    make_archive(scene.archive, archive_format, {"a": os.urandom(600), "b": os.urandom(600)})
    scene.refused(archive_format, "unpacks to 1200 bytes; 1000 are allowed", limits=UnpackLimits(max_total_bytes=1000))


@pytest.mark.parametrize("archive_format", FORMATS)
def test_more_entries_than_allowed(scene: Scene, archive_format: str) -> None:
    """Power: number. Change: entries that cost an inode each and hardly a byte."""
    make_archive(scene.archive, archive_format, {f"f{i}": b"" for i in range(11)})
    scene.refused(archive_format, "entries", limits=UnpackLimits(max_entries=10))


def test_the_default_bounds_the_number_of_entries(scene: Scene) -> None:
    """As above, with the limit that hosts have; the number is read from the end record, before any entry."""
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 0xFFFF, 0xFFFF, 0, 0xFFFFFFFF, 0)
    end64 = struct.pack("<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, 0, 0, 100_001, 100_001, 0, 0)
    locator = struct.pack("<4sLQL", b"PK\6\7", 0, 0, 1)
    scene.archive.write_bytes(end64 + locator + end)
    scene.refused("zip", "has 100001 entries")


def test_the_rules_bound_the_number_by_themselves() -> None:
    """Power: a reader that lets more entries through than it should. The pure rules refuse as well."""
    entries = [ArchiveEntry(path=f"f{i}", kind="file") for i in range(11)]
    problems = entry_problems(entries, UnpackLimits(max_entries=10), 1000)
    assert [problem.message for problem in problems] == ["has 11 entries, at most 10 are allowed"]


def test_headers_that_together_are_too_large(scene: Scene) -> None:
    """Power: pax headers. Change: each below the bound for one, together more than the archive's content."""
    info = tar_info("PaxHeader/x", tarfile.XHDTYPE)
    info.size = 900 * 1024
    head = info.tobuf() + pax_record("comment", "x" * (info.size - 30)).ljust(info.size, b"\0")
    data = b"".join(head + tar_info(f"f{i}").tobuf() for i in range(5)) + bytes(1024)
    compress_tar(scene.archive, "tar.gz", data)
    scene.refused("tar.gz", "headers that are much larger", limits=UnpackLimits(max_entries=10))


@pytest.mark.parametrize("said", [5, 10**6])
def test_forged_sizes(scene: Scene, said: int) -> None:
    """Power: sizes in both headers. Change: the content is a million bytes, the headers say five, and the other way."""
    content = b"z" * 10**6 if said == 5 else b"zzzzzzz"
    make_zip(scene.archive, [("a", content)])
    data = scene.archive.read_bytes()
    forged = data.replace(struct.pack("<L", len(content)), struct.pack("<L", said))
    assert forged != data
    scene.archive.write_bytes(forged)
    with pytest.raises(InstallError, match=r"is (longer|shorter) than the"):
        unpack(scene.archive, "zip", scene.destination)
    scene.unharmed()


def next_or_error(content: Iterator[bytes]) -> bytes | None:
    """Return the next piece; None where the refusal comes, which must come before the end."""
    try:
        return next(content)
    except DamagedArchiveError as error:
        assert "is longer than the stated 5 bytes" in str(error)  # noqa: PT017  # pieces before it are what is counted
        return None


def test_a_forged_size_stops_the_bytes_not_just_the_result(scene: Scene) -> None:
    """Power: as above. Change: five bytes said, five million inflated; not one of them gets to the disk."""
    make_zip(scene.archive, [("a", bytes(5 * 10**6))])
    data = scene.archive.read_bytes()
    scene.archive.write_bytes(data.replace(struct.pack("<L", 5 * 10**6), struct.pack("<L", 5)))
    (entry,) = inspect_archive(scene.archive, "zip")
    given_out = 0
    with ArchiveFile(scene.archive) as archive:
        content = zip_content(archive, entry)
        while (piece := next_or_error(content)) is not None:
            given_out += len(piece)
    assert given_out <= 5


def test_entries_that_share_their_bytes(scene: Scene) -> None:
    """Power: offsets. Change: many entries whose content is the same kernel of compressed zeros (Fifield, 2019)."""
    kernel = raw_deflate(bytes(10**6))
    check = zlib.crc32(bytes(10**6))
    files, central = b"", b""
    for name in (b"a", b"b"):
        # b's header lies inside what a calls its content
        length = len(kernel) + (31 if name == b"a" else 0)
        central += struct.pack("<4s6H3L5H2L", b"PK\1\2", 788, 20, 0, 8, 0, 0, check, length,
                               10**6, 1, 0, 0, 0, 0, 0, len(files)) + name  # fmt: skip
        files += (
            struct.pack(
                "<4s5H3L2H", b"PK\3\4", 20, 0, 8, 0, 0, check, len(kernel) + (31 if name == b"a" else 0), 10**6, 1, 0
            )
            + name
        )
    files += kernel
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 2, 2, len(central), len(files), 0)
    scene.archive.write_bytes(files + central + end)
    scene.refused("zip", "overlaps with 'a'")


def test_a_gzip_bomb_in_front_of_the_headers(scene: Scene) -> None:
    """Power: a pax header. Change: one of 100 MB, which is read into memory whole before any entry is seen."""
    info = tar_info("PaxHeader/x", tarfile.XHDTYPE)
    info.size = 100 * 2**20
    data = info.tobuf() + b" " * info.size + tar_info("a").tobuf() + bytes(1024)
    compress_tar(scene.archive, "tar.gz", data)
    scene.refused("tar.gz", "has a header of more than 1048576 bytes")


def test_a_chain_of_headers(scene: Scene) -> None:
    """Power: headers before headers. Change: ten thousand long-name records, each handled inside the one before."""
    record = tar_info("././@LongLink", tarfile.GNUTYPE_LONGNAME)
    record.size = 2
    data = (record.tobuf() + b"x\0".ljust(512, b"\0")) * 10_000 + tar_info("a").tobuf() + bytes(1024)
    compress_tar(scene.archive, "tar.gz", data)
    with pytest.raises((RefusedArchiveError, InstallError)):
        unpack(scene.archive, "tar.gz", scene.destination)
    scene.unharmed()


def test_a_zstd_window_that_fills_the_memory(scene: Scene) -> None:
    """Power: the frame's parameters. Change: a window of 1 GiB, which the reader would have to hold."""
    data = tar_bytes([(tar_info("a"), os.urandom(1000))])
    options: dict[int, int] = {
        zstd.CompressionParameter.window_log: 30,
        zstd.CompressionParameter.enable_long_distance_matching: 1,
    }
    compressor = zstd.ZstdCompressor(options=options)
    scene.archive.write_bytes(compressor.compress(data) + compressor.flush())  # size unknown, so the window stands
    scene.refused("tar.zst", "larger zstd window")

    # the same of a single segment, whose window is its content
    scene.archive.write_bytes(b"\x28\xb5\x2f\xfd" + b"\xa0" + (1 << 30).to_bytes(4, "little") + bytes(8))
    scene.refused("tar.zst", "larger zstd window")


def test_data_after_the_end_of_a_tar(scene: Scene) -> None:
    """Power: what follows the end. Change: 100 MB that are never shown and cost the time to unpack."""
    data = tar_bytes([(tar_info("a"), b"a")]) + bytes(100 * 2**20)
    compress_tar(scene.archive, "tar.gz", data)
    with pytest.raises(InstallError, match="more data after its end"):
        unpack(scene.archive, "tar.gz", scene.destination)
    scene.unharmed()


BOMB_SCRIPT = """
import resource, sys
from pathlib import Path
from sealdex.errors import SealdexError
from sealdex.archive.unpack import unpack
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    unpack(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]))
except SealdexError:
    pass
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss is in KiB on Linux")
@pytest.mark.parametrize("archive_format", FORMATS)
def test_memory_stays_bounded(scene: Scene, archive_format: str) -> None:
    """Power: one entry of 60 MB out of 60 KB, below the ratio's floor. It is unpacked, in pieces."""
    make_archive(scene.archive, archive_format, {"zeros": bytes(60 * 10**6)})
    output = subprocess.run(
        [sys.executable, "-c", BOMB_SCRIPT, scene.archive, archive_format, scene.destination],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    assert (scene.destination / "zeros").stat().st_size == 60 * 10**6
    assert int(output) < 30, f"{output} MiB"
