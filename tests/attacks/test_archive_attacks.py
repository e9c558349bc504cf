"""Attacks by who makes an archive.

The attacker is the author of a plugin, or has an author's key: the archive is signed and its digest is right, so
nothing before unpacking stops it. They want to write outside of the installation, to fill the disk or the memory, to
plant a set-user-id program, or to have two readers see two different things. Each test makes one such archive and
checks the refusal, that its reason is the rule meant (so that the test fails when that rule is taken out), and that
nothing was left: not in the destination, not anywhere around it.
"""

from __future__ import annotations

import gzip
import os
import stat
import struct
import subprocess
import sys
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from support.archives import (
    FORMATS,
    compress_tar,
    link_entry,
    make_archive,
    make_tar,
    make_zip,
    one_entry,
    patched,
    raw_deflate,
    tar_bytes,
    tar_info,
    tree,
    zip_info,
)

from sealdex.archive.entries import ArchiveEntry, entry_problems, symlink_problem
from sealdex.archive.writing import TreeWriter
from sealdex.archive.zip_reader import zip_content
from sealdex.errors import InstallError, UnsafeArchiveError
from sealdex.unpack import (
    ArchiveFile,
    RefusedArchiveError,
    UnpackLimits,
    archive_problems,
    inspect_archive,
    unpack,
)

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

TARS = ("tar.gz", "tar.zst")


class Scene:
    """A folder with an outside that must not change, and a destination that must not appear."""

    def __init__(self, root: Path) -> None:
        self.archive = root / "attack"
        self.outside = root / "outside"
        self.outside.mkdir(parents=True)
        (self.outside / "victim").write_bytes(b"as it was")
        self.destination = self.outside / "inner" / "destination"
        self.destination.parent.mkdir()

    def refused(self, archive_format: str, *reasons: str, limits: UnpackLimits | None = None) -> RefusedArchiveError:
        """Unpack, and check that it is refused for exactly these reasons and that nothing was written."""
        with pytest.raises(RefusedArchiveError) as caught:
            unpack(self.archive, archive_format, self.destination, limits=limits)
        problems = [str(problem) for problem in caught.value.problems]
        assert len(problems) == len(reasons), problems
        for reason in reasons:
            assert any(reason in problem for problem in problems), (reason, problems)
        self.unharmed()
        return caught.value

    def unharmed(self) -> None:
        """Check that nothing is there but what was."""
        assert tree(self.outside) == {"victim": b"as it was"}
        assert sorted(p.name for p in self.outside.rglob("*")) == ["inner", "victim"]


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


# --- names ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("archive_format", FORMATS)
@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("/etc/cron.d/job", "absolute path"),
        ("//server/share", "absolute path"),
        ("../../victim", "leads out"),
        ("a/../../../victim", "leads out"),
        ("..", "leads out"),
        ("a/..", "leads out"),
        ("C:/Windows/x", "drive letter"),
        ("C:x", "drive letter"),
        ("a/c:x", "drive letter"),
        ("a\\..\\..\\x", "backslash"),
        ("\\\\server\\share", "backslash"),
        ("a\x01b", "control character"),
        ("a\x1b[2Jb", "control character"),
        ("a\nb", "control character"),
        ("a\x85b", "control character"),
        ("a//b", "empty or '.' part"),
        ("a/./b", "empty or '.' part"),
        ("NUL", "device on Windows"),
        ("a/com1.txt", "device on Windows"),
        ("aux .h", "device on Windows"),
        ("CONOUT$", "device on Windows"),
        ("a./b", "ends in a dot"),
        ("a /b", "ends in a dot or a space"),
        ("n" * 256, "longer than 255"),
        ("\u65e5" * 86, "longer than 255"),
        ("/".join(["d" * 200] * 6), "at most 1024"),
        ("/".join(["d"] * 101), "folders deep"),
        (".sealdex/installation.json", "reserved"),
        (".SealDex/x", "reserved"),
        (".\u017fealdex/x", "reserved"),  # the long s folds to s
    ],
)
def test_names_that_lead_elsewhere(scene: Scene, archive_format: str, name: str, reason: str) -> None:
    """Power: the names in an archive. Change: one that leads out, or means something else on another system."""
    one_entry(scene.archive, archive_format, name)
    scene.refused(archive_format, reason)


@pytest.mark.parametrize("archive_format", FORMATS)
def test_a_name_that_is_not_utf8(scene: Scene, archive_format: str) -> None:
    """Power: bytes of a name. Change: bytes that readers turn into different text."""
    if archive_format == "zip":
        one_entry(scene.archive, "zip", "caf\u00e9")
        scene.archive.write_bytes(scene.archive.read_bytes().replace("caf\u00e9".encode(), b"caf\xff\xfe"))
    else:
        data = tar_bytes([(tar_info("caf\udcff"), b"")], tarfile.GNU_FORMAT)
        compress_tar(scene.archive, archive_format, data)
    scene.refused(archive_format, "not valid UTF-8")


def test_a_name_cut_at_nul(scene: Scene) -> None:
    """Power: a zip name. Change: ``good\\0bad``, which C readers see as ``good``."""
    one_entry(scene.archive, "zip", "ab@cd")
    scene.archive.write_bytes(scene.archive.read_bytes().replace(b"ab@cd", b"ab\0cd"))
    scene.refused("zip", "control character")


def test_the_name_of_a_single_file(scene: Scene) -> None:
    """Power: the name under which a single file is to be installed. Change: one that leads out."""
    scene.archive.write_bytes(b"x")
    with pytest.raises(RefusedArchiveError, match="leads out"):
        unpack(scene.archive, "file", scene.destination, name="../../victim")
    scene.unharmed()


# --- entries that clash ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("archive_format", FORMATS)
@pytest.mark.parametrize(
    ("first", "second", "reason"),
    [
        ("a", "a", "comes twice"),
        ("a", "./a", "comes twice"),
        ("Read", "read", "case or Unicode form"),
        ("D/x", "d/y", "case or Unicode form"),
        ("stra\u00dfe", "STRASSE", "case or Unicode form"),
        ("\u00e9", "e\u0301", "case or Unicode form"),
        ("a", "a/b", "file and folder at once"),
        ("a/b", "a", "file and folder at once"),
    ],
)
def test_two_entries_for_one_file(scene: Scene, archive_format: str, first: str, second: str, reason: str) -> None:
    """Power: several entries. Change: two that are one file on some system, so that a check sees the other one."""
    if archive_format == "zip":
        make_zip(scene.archive, [(zip_info(first), b"1"), (zip_info(second), b"2")])
    else:
        make_tar(scene.archive, archive_format, [(tar_info(first), b"1"), (tar_info(second), b"2")])
    scene.refused(archive_format, reason)


# --- links ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("archive_format", FORMATS)
@pytest.mark.parametrize(
    ("name", "target", "reason"),
    [
        ("l", "/etc/passwd", "no relative path"),
        ("l", "../victim", "leads out of the archive"),
        ("a/l", "../../victim", "leads out of the archive"),
        ("l", "a/../../victim", "'..' after a name"),
        ("l", "..", "leads out of the archive"),
        ("l", "C:/x", "no relative path"),
        ("l", "a/C:/x", "drive letter"),
        ("l", "..\\victim", "no relative path"),
        ("l", "x\x07y", "control character"),
    ],
)
def test_links_that_lead_out(scene: Scene, archive_format: str, name: str, target: str, reason: str) -> None:
    """Power: a symbolic link. Change: its target lies outside."""
    link_entry(scene.archive, archive_format, name, target)
    scene.refused(archive_format, reason)


@pytest.mark.parametrize("archive_format", FORMATS)
def test_links_that_lead_out_together(scene: Scene, archive_format: str) -> None:
    """Power: two links, each with a harmless target. Change: the second climbs from where the first leads."""
    links = [("a/b/up", "../.."), ("out", "a/b/up/../victim")]
    if archive_format == "zip":
        make_zip(scene.archive, [(zip_info(n, stat.S_IFLNK | 0o777), t.encode()) for n, t in links])
    else:
        make_tar(scene.archive, archive_format, [(tar_info(n, tarfile.SYMTYPE, target=t), b"") for n, t in links])
    scene.refused(archive_format, "'..' after a name")


@pytest.mark.parametrize("archive_format", FORMATS)
@pytest.mark.parametrize("target", ["lib", "../.."])
def test_writing_through_a_link(scene: Scene, archive_format: str, target: str) -> None:
    """Power: a link and an entry below it. Change: the file is written where the link leads."""
    reasons = ["symlink and folder at once"]
    if target != "lib":
        reasons.append("leads out of the archive")
    if archive_format == "zip":
        make_zip(scene.archive, [(zip_info("d", stat.S_IFLNK | 0o777), target.encode()), (zip_info("d/victim"), b"")])
    else:
        entries = [(tar_info("d", tarfile.SYMTYPE, target=target), b""), (tar_info("d/victim"), b"bad")]
        make_tar(scene.archive, archive_format, entries)
    scene.refused(archive_format, *reasons)


def test_the_writer_does_not_write_through_links_by_itself(scene: Scene) -> None:
    """Power: a name got past every rule. Change: as above; the second lock holds alone."""
    writer = TreeWriter(scene.destination)
    writer.add_symlink("d", "../..")
    writer.add_symlink("file", "../../victim")
    with pytest.raises(UnsafeArchiveError, match="outside of the folders made"):
        writer.add_file("d/victim", 0o644, [b"bad"])
    with pytest.raises(UnsafeArchiveError, match="outside of the folders made"):
        writer.add_file("../../victim", 0o644, [b"bad"])
    with pytest.raises(FileExistsError):
        writer.add_file("file", 0o644, [b"bad"])
    with pytest.raises(FileExistsError):
        writer.add_folder("d")
    assert (scene.outside / "victim").read_bytes() == b"as it was"


@pytest.mark.parametrize("archive_format", FORMATS)
def test_a_link_that_mapping_moves_out(scene: Scene, archive_format: str) -> None:
    """Power: the manifest's `files` with a link. Change: inside where it stands, it leads out where it is put."""
    from sealdex.archive.mapping import MappingError  # noqa: PLC0415  # used once
    from sealdex.model.index import MappedFile  # noqa: PLC0415  # the same

    link_entry(scene.archive, archive_format, "a/b/l", "../../good.txt")
    with pytest.raises(MappingError, match="leads out of the archive"):
        unpack(scene.archive, archive_format, scene.destination, files=[MappedFile("a/b/l", ".")])
    with pytest.raises(MappingError, match="leads out"):
        unpack(scene.archive, archive_format, scene.destination, files=[MappedFile("good.txt", "../../victim")])
    scene.unharmed()


@pytest.mark.parametrize("archive_format", TARS)
@pytest.mark.parametrize("target", ["../../victim", "/etc/passwd", "later", "link", "d"])
def test_hard_links_to_what_is_not_ours(scene: Scene, archive_format: str, target: str) -> None:
    """Power: a hard link. Change: to a file outside, to one that comes later, to a symbolic link, to a folder."""
    make_tar(
        scene.archive,
        archive_format,
        [
            (tar_info("d", tarfile.DIRTYPE), b""),
            (tar_info("link", tarfile.SYMTYPE, target="later"), b""),
            (tar_info("hard", tarfile.LNKTYPE, target=target), b""),
            (tar_info("later"), b"later"),
        ],
    )
    scene.refused(archive_format, "is a hard link to")


# --- kinds and modes ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("archive_format", TARS)
@pytest.mark.parametrize("kind", [tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE, b"Z", tarfile.CONTTYPE])
def test_devices_in_a_tar(scene: Scene, archive_format: str, kind: bytes) -> None:
    """Power: root unpacks. Change: a device, pipe or unknown kind; a contiguous file is a file and harmless."""
    make_tar(scene.archive, archive_format, [(tar_info("dev", kind), b"")])
    if kind == tarfile.CONTTYPE:
        assert [f.path for f in unpack(scene.archive, archive_format, scene.destination)] == ["dev"]
    else:
        scene.refused(archive_format, "device, pipe or socket")


@pytest.mark.parametrize("kind", [stat.S_IFCHR, stat.S_IFBLK, stat.S_IFIFO, stat.S_IFSOCK, stat.S_IFDIR])
def test_devices_in_a_zip(scene: Scene, kind: int) -> None:
    """Power and change: as in a tar; and an entry that is folder and file at once."""
    make_zip(scene.archive, [(zip_info("dev", kind | 0o644), b"")])
    scene.refused("zip", "not named as one" if kind == stat.S_IFDIR else "device, pipe or socket")


def test_folders_in_a_zip_that_are_something_else(scene: Scene) -> None:
    """Power: the kind of an entry. Change: named as a folder, with content, or said to be a link."""
    make_zip(
        scene.archive, [(zip_info("a/", stat.S_IFDIR | 0o755), b"content"), (zip_info("b/", stat.S_IFLNK | 0o777), b"")]
    )
    scene.refused("zip", "folder with content", "said to be something else")


@pytest.mark.parametrize("archive_format", FORMATS)
@pytest.mark.parametrize("mode", [0o4755, 0o2755])
def test_set_user_id(scene: Scene, archive_format: str, mode: int) -> None:
    """Power: mode bits. Change: a program that runs as its owner, who is root when an agent installed it."""
    if archive_format == "zip":
        make_zip(scene.archive, [(zip_info("su", stat.S_IFREG | mode), b"")])
    else:
        make_tar(scene.archive, archive_format, [(tar_info("su", mode=mode), b"")])
    scene.refused(archive_format, "set-user-id")


def test_a_sparse_file(scene: Scene) -> None:
    """Power: GNU sparse headers. Change: a file of a tebibyte that takes no room in the archive."""
    header = tar_info("PaxHeader/x", tarfile.XHDTYPE)
    size = 2**40
    records = b"".join(
        _pax(k, v)
        for k, v in [("GNU.sparse.map", f"{size},0"), ("GNU.sparse.size", str(size)), ("GNU.sparse.numblocks", "1")]
    )
    make_tar(scene.archive, "tar.gz", [(header, records), (tar_info("sparse"), b"")])
    scene.refused("tar.gz", "sparse", "unpacks to 1099511627776 bytes")


def _pax(key: str, value: str) -> bytes:
    body = f" {key}={value}\n".encode()
    length = len(body) + 1
    while len(str(length)) + len(body) != length:
        length += 1
    return str(length).encode() + body


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
    assert archive_problems(scene.archive, archive_format, limits=UnpackLimits(ratio_free_bytes=0)) == []


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
    head = info.tobuf() + _pax("comment", "x" * (info.size - 30)).ljust(info.size, b"\0")
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


def test_a_forged_size_stops_the_bytes_not_just_the_result(scene: Scene) -> None:
    """Power: as above. Change: five bytes said, five million inflated; not one of them gets to the disk."""
    make_zip(scene.archive, [("a", bytes(5 * 10**6))])
    data = scene.archive.read_bytes()
    scene.archive.write_bytes(data.replace(struct.pack("<L", 5 * 10**6), struct.pack("<L", 5)))
    (entry,) = inspect_archive(scene.archive, "zip")
    given_out = 0
    with ArchiveFile(scene.archive) as archive, pytest.raises(InstallError, match="is longer than the 5 bytes"):
        for piece in zip_content(archive, entry):
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


def test_data_after_the_end_of_a_tar(scene: Scene) -> None:
    """Power: what follows the end. Change: 100 MB that are never shown and cost the time to unpack."""
    data = tar_bytes([(tar_info("a"), b"a")]) + bytes(100 * 2**20)
    compress_tar(scene.archive, "tar.gz", data)
    with pytest.raises(InstallError, match="goes on after its end"):
        unpack(scene.archive, "tar.gz", scene.destination)
    scene.unharmed()


BOMB_SCRIPT = """
import resource, sys
from pathlib import Path
from sealdex.errors import SealdexError
from sealdex.unpack import unpack
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
        pytest.param(lambda p: (local_header(p) + 28, b"\xff\xff"), "reaches into the directory", id="extra-length"),
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
            lambda a: a.write_bytes(b"junk" + a.read_bytes()), "not where its end record says", id="prepended"
        ),
        pytest.param(lambda a: a.write_bytes(a.read_bytes() + b"junk"), "no end record", id="appended"),
        pytest.param(lambda a: forge_end(a, 8, b"\2\0\2\0"), "fewer entries", id="more-counted"),
        pytest.param(lambda a: forge_end(a, 8, b"\0\0\0\0"), "more entries", id="fewer-counted"),
        pytest.param(lambda a: forge_end(a, 4, b"\1"), "one part of several", id="parts"),
        pytest.param(lambda a: forge_end(a, 16, b"\1"), "not where its end record says", id="offset"),
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
    with pytest.raises(InstallError, match="something after the compressed data"):
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


# --- all at once ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("archive_format", FORMATS)
def test_all_bad_entries_are_named(scene: Scene, archive_format: str) -> None:
    names = ["../a", "/b", "ok", "c:d", "e\\f"]
    if archive_format == "zip":
        make_zip(scene.archive, [(zip_info(n), b"") for n in names])
    else:
        make_tar(scene.archive, archive_format, [(tar_info(n), b"") for n in names])
    problems = archive_problems(scene.archive, archive_format)
    assert {p.name for p in problems} == {"../a", "/b", "c:d", "e\\f"}


@pytest.mark.skipif(not hasattr(tarfile, "data_filter"), reason="this Python's tarfile has no filters")
def test_tarfile_is_asked_as_well(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """Power: a name our rules know nothing of. The standard library's filter refuses by itself."""
    monkeypatch.setattr("sealdex.archive.entries.path_problem", lambda _: None)
    one_entry(scene.archive, "tar.gz", "../../victim")
    scene.refused("tar.gz", "data filter")


def test_without_tarfile_filters_the_rules_hold(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """Power: an old Python without filters."""
    monkeypatch.delattr(tarfile, "data_filter", raising=False)
    make_tar(
        scene.archive,
        "tar.gz",
        [
            (tar_info("../victim"), b""),
            (tar_info("l", tarfile.SYMTYPE, target="../victim"), b""),
            (tar_info("h", tarfile.LNKTYPE, target="/etc/passwd"), b""),
            (tar_info("n", tarfile.CHRTYPE), b""),
        ],
    )
    scene.refused("tar.gz", "leads out of its folder", "leads out of the archive", "is a hard link to", "device")


def leads_inside(path: Path, folder: Path) -> bool:
    """Say whether a path, with all links followed, lies in a folder; a loop of links leads nowhere."""
    try:
        real = path.resolve()
    except (RuntimeError, OSError):
        return True
    return folder in [real, *real.parents]


NASTY = st.lists(
    st.sampled_from(["..", ".", "", "a", "b", "victim", "C:", "\\", "/", "a\\b", "\u2025", "NUL", " ", "...", "~"]),
    min_size=1, max_size=6,
).map("/".join)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(
    names=st.lists(
        st.tuples(NASTY, st.sampled_from(["file", "link", "folder", "hard"]), NASTY), min_size=1, max_size=5
    ),
    archive_format=st.sampled_from(FORMATS),
)
@example([("a/b/l", "link", "../.."), ("x", "link", "a/b/l/.."), ("x/victim", "file", "")], "tar.gz")
def test_nothing_is_ever_written_outside(names: list[tuple[str, str, str]], archive_format: str) -> None:
    """Power: any names and targets in any order. Whatever is accepted stays inside, also when it is followed."""
    with tempfile.TemporaryDirectory() as folder:
        scene = Scene(Path(folder))
        if archive_format == "zip":
            kinds = {"file": stat.S_IFREG, "link": stat.S_IFLNK, "folder": stat.S_IFDIR, "hard": stat.S_IFREG}
            make_zip(
                scene.archive,
                [(zip_info(n, kinds[k] | 0o644), t.encode() if k != "folder" else b"") for n, k, t in names],
            )
        else:
            types = {
                "file": tarfile.REGTYPE,
                "link": tarfile.SYMTYPE,
                "folder": tarfile.DIRTYPE,
                "hard": tarfile.LNKTYPE,
            }
            make_tar(
                scene.archive,
                archive_format,
                [(tar_info(n, types[k], target=t), b"bad" if k == "file" else b"") for n, k, t in names],
            )
        try:
            unpack(scene.archive, archive_format, scene.destination)
        except (UnsafeArchiveError, InstallError):
            scene.unharmed()
            return
        inside = scene.destination.resolve()
        for path in scene.destination.rglob("*"):
            assert leads_inside(path, inside), path
        assert (scene.outside / "victim").read_bytes() == b"as it was"
        assert {p.name for p in scene.outside.iterdir()} == {"inner", "victim"}
        assert [p.name for p in scene.destination.parent.iterdir()] == ["destination"]


_CHAIN_PATHS = st.lists(st.sampled_from("abc"), min_size=1, max_size=3).map("/".join)
_CHAIN_TARGETS = st.lists(st.sampled_from(["..", "a", "b", "c", "."]), min_size=1, max_size=5).map("/".join)


@settings(max_examples=300, deadline=None)
@given(links=st.dictionaries(_CHAIN_PATHS, _CHAIN_TARGETS, min_size=1, max_size=4))
def test_no_chain_of_accepted_links_leads_out(links: dict[str, str]) -> None:
    """The proof of rule 3, by the file system: links that are accepted one by one don't lead out together."""
    accepted = {path: target for path, target in links.items() if symlink_problem(path, target) is None}
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder).resolve() / "root"
        root.mkdir()
        for link in sorted(accepted, key=lambda p: (-p.count("/"), p)):
            place = root / link
            place.parent.mkdir(parents=True, exist_ok=True)
            if not place.exists():
                place.symlink_to(accepted[link])
        for path in root.rglob("*"):
            assert leads_inside(path, root), path
