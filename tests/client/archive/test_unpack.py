"""Unpacking good archives: what comes out is what went in, under the modes and paths the manifest asks for."""

from __future__ import annotations

import gzip
import hashlib
import io
import itertools
import os
import stat
import tarfile
import tempfile
import threading
import zipfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.archives import (
    FORMATS,
    compress_tar,
    make_archive,
    make_tar,
    make_zip,
    tar_bytes,
    tar_info,
    tree,
    zip_info,
)
from support.budgets import examples

from sealdex.archive.entries import same_file_key
from sealdex.archive.mapping import MappingError, plan_files
from sealdex.archive.unpack import ArchiveEntry, DamagedArchiveError, inspect_archive, unpack
from sealdex.errors import InstallError, UnsafeArchiveError
from sealdex.model.index import MappedFile

FILES = {
    "bin/tool": b"#!/bin/sh\n",
    "lib/data.bin": bytes(range(256)) * 9000,
    "empty": b"",
    "d/\u00e9t\u00e9.txt": b"x",
}


@pytest.mark.parametrize("archive_format", FORMATS)
def test_round_trip(tmp_path: Path, archive_format: str) -> None:
    archive = make_archive(tmp_path / "a", archive_format, FILES, executable=frozenset({"bin/tool"}))
    written = unpack(archive, archive_format, tmp_path / "out", durable=True)
    assert tree(tmp_path / "out") == FILES
    assert [f.path for f in written] == sorted(FILES)
    for file in written:
        content = FILES[file.path]
        assert (file.size, file.sha256) == (len(content), hashlib.sha256(content).hexdigest())
        assert stat.S_IMODE((tmp_path / "out" / file.path).stat().st_mode) == file.mode
    assert {f.path for f in written if f.mode == 0o755} == {"bin/tool"}


def test_modes_are_normalised_whatever_the_umask(tmp_path: Path) -> None:
    archive = make_zip(
        tmp_path / "a.zip",
        [
            (zip_info("open", stat.S_IFREG | 0o666), b""),
            (zip_info("program", stat.S_IFREG | 0o700), b""),
            (zip_info("windows", 0, system=0), b""),
            (zip_info("closed/", stat.S_IFDIR | 0o700), b""),
        ],
    )
    before = os.umask(0o077)
    try:
        unpack(archive, "zip", tmp_path / "out", bin_path="windows")
    finally:
        os.umask(before)
    modes = {p.name: stat.S_IMODE(p.stat().st_mode) for p in [tmp_path / "out", *(tmp_path / "out").iterdir()]}
    assert modes == {"out": 0o755, "open": 0o644, "program": 0o755, "windows": 0o755, "closed": 0o755}


def test_single_file_is_installed_under_its_name(tmp_path: Path) -> None:
    source = tmp_path / "5b1c"
    source.write_bytes(b"program")
    (written,) = unpack(source, "file", tmp_path / "out", name="tool-linux", bin_path="tool-linux")
    assert tree(tmp_path / "out") == {"tool-linux": b"program"}
    assert (written.mode, written.size) == (0o755, 7)


@pytest.mark.parametrize("archive_format", ["tar.gz", "tar.zst"])
def test_tar_with_dot_slash_links_and_repeated_folders(tmp_path: Path, archive_format: str) -> None:
    folder = tarfile.DIRTYPE
    archive = make_tar(
        tmp_path / "a",
        archive_format,
        [
            (tar_info("./", folder), b""),
            (tar_info("./lib/", folder, mode=0o2755), b""),
            (tar_info("./lib/a.so.1", mode=0o755), b"code"),
            (tar_info("./lib/", folder), b""),
            (tar_info("./lib/a.so", tarfile.SYMTYPE, target="a.so.1"), b""),
            (tar_info("./bin/up", tarfile.SYMTYPE, target="../lib/./a.so"), b""),
            (tar_info("./lib/same", tarfile.LNKTYPE, target="./lib/a.so.1"), b""),
            (tar_info("./void/", folder), b""),
        ],
    )
    written = {f.path: f for f in unpack(archive, archive_format, tmp_path / "out")}
    assert tree(tmp_path / "out") == {
        "bin/up": "-> ../lib/./a.so",
        "lib/a.so": "-> a.so.1",
        "lib/a.so.1": b"code",
        "lib/same": b"code",
    }
    assert (tmp_path / "out/void").is_dir()
    assert (tmp_path / "out/bin/up").read_bytes() == b"code"
    assert (tmp_path / "out/lib/same").samefile(tmp_path / "out/lib/a.so.1")
    assert written["lib/same"].sha256 == written["lib/a.so.1"].sha256
    assert written["lib/a.so"].target == "a.so.1"


@pytest.mark.parametrize("tar_format", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_long_names_of_each_tar_dialect(tmp_path: Path, tar_format: int) -> None:
    name = "folder/" * 12 + "f" * 90
    data = tar_bytes([(tar_info(name), b"deep")], tar_format)
    unpack(compress_tar(tmp_path / "a", "tar.gz", data), "tar.gz", tmp_path / "out")
    assert tree(tmp_path / "out") == {name: b"deep"}


def test_gzip_of_several_members_is_read_whole(tmp_path: Path) -> None:
    data = tar_bytes([(tar_info("a"), b"1" * 5000), (tar_info("b"), b"2")])
    path = tmp_path / "a.tar.gz"
    path.write_bytes(gzip.compress(data[:3000]) + gzip.compress(data[3000:]))
    unpack(path, "tar.gz", tmp_path / "out")
    assert tree(tmp_path / "out") == {"a": b"1" * 5000, "b": b"2"}


def test_zip_written_to_a_pipe_has_its_sizes_after_the_content(tmp_path: Path) -> None:
    class Pipe(io.BytesIO):
        def seekable(self) -> bool:
            return False

        def seek(self, *_: int) -> int:
            raise io.UnsupportedOperation

        tell = seek

    pipe = Pipe()
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a", b"streamed" * 100)
        with archive.open(zipfile.ZipInfo("b"), "w", force_zip64=True) as entry:
            entry.write(b"big")
    path = tmp_path / "a.zip"
    path.write_bytes(pipe.getvalue())
    unpack(path, "zip", tmp_path / "out")
    assert tree(tmp_path / "out") == {"a": b"streamed" * 100, "b": b"big"}


def test_zip64_directory_and_comment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zipfile, "ZIP_FILECOUNT_LIMIT", 2)  # makes the library write a zip64 end record
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for i in range(5):
            archive.writestr(f"f{i}", str(i))
        archive.comment = b"a comment that isn't an end record"
    unpack(path, "zip", tmp_path / "out")
    assert tree(tmp_path / "out") == {f"f{i}": str(i).encode() for i in range(5)}


def test_many_files_go_through_threads_with_the_same_result(tmp_path: Path) -> None:
    files = {f"d{i % 7}/f{i}": os.urandom(40_000) for i in range(150)}
    seen: list[tuple[int, int]] = []
    threads = set()

    def progress(done: int, total: int) -> None:
        threads.add(threading.current_thread().name)
        seen.append((done, total))

    archive = make_archive(tmp_path / "a", "zip", files)
    written = unpack(archive, "zip", tmp_path / "out", on_progress=progress)
    assert tree(tmp_path / "out") == files
    assert len(written) == len(files)
    assert seen[-1] == (6_000_000, 6_000_000)
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert all(name.startswith("unpack") for name in threads) or os.cpu_count() == 1


@pytest.mark.parametrize("archive_format", FORMATS)
def test_a_failure_leaves_no_folder_behind(tmp_path: Path, archive_format: str) -> None:
    archive = make_archive(tmp_path / "a", archive_format, {"a": os.urandom(3_000_000), "b": b"b"})

    def fails(done: int, total: int) -> None:
        raise InstallError("stop here")

    with pytest.raises(InstallError, match="stop here"):
        unpack(archive, archive_format, tmp_path / "out", on_progress=fails)
    assert not (tmp_path / "out").exists()


def test_the_destination_must_be_new(tmp_path: Path) -> None:
    archive = make_archive(tmp_path / "a", "zip", {"a": b"a"})
    (tmp_path / "out").mkdir()
    (tmp_path / "out/mine").write_bytes(b"mine")
    with pytest.raises(InstallError, match="exists"):
        unpack(archive, "zip", tmp_path / "out")
    assert tree(tmp_path / "out") == {"mine": b"mine"}


@pytest.mark.parametrize("archive_format", [*FORMATS])
@pytest.mark.parametrize("keep", [0, 10, 0.5, 0.99])
def test_an_archive_cut_short_is_damaged(tmp_path: Path, archive_format: str, keep: float) -> None:
    archive = make_archive(tmp_path / "a", archive_format, {"a": os.urandom(30_000), "b": os.urandom(30_000)})
    data = archive.read_bytes()
    archive.write_bytes(data[: int(keep if keep > 1 else keep * len(data))])
    with pytest.raises(DamagedArchiveError):
        unpack(archive, archive_format, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_inspecting_names_where_zip_content_lies(tmp_path: Path) -> None:
    archive = make_zip(tmp_path / "a.zip", [("a", b"one"), ("b/c", b"two")], zipfile.ZIP_STORED)
    entries = inspect_archive(archive, "zip")
    data = archive.read_bytes()
    stored = [e.data for e in entries if e.data]
    assert [data[d.offset : d.offset + d.length] for d in stored] == [b"one", b"two"]


# --- which files are taken -------------------------------------------------------------------------------------------

ENTRIES = [
    ArchiveEntry(path=p, kind="file", mode=0o644)
    for p in ("LICENSE", "v1/tool", "v1/tool.1", "v1/share/a", "v1/share/.b", "v2/tool")
]


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        ([], {e.path for e in ENTRIES}),
        ([("*", ".")], {e.path for e in ENTRIES}),
        ([("LICENSE", ".")], {"LICENSE"}),
        ([("./LICENSE", "doc/licence.txt")], {"doc/licence.txt"}),
        ([("/v1/tool", ".")], {"tool"}),
        ([("v1/*", ".")], {"tool", "tool.1", "share/a", "share/.b"}),
        ([("v1/tool*", "bin/")], {"bin/tool", "bin/tool.1"}),
        ([("v1/share", "data")], {"data/a", "data/.b"}),
        ([("v1/share", ".")], {"share/a", "share/.b"}),
        ([("v?/tool", "x"), ("LICENSE", ".")], None),
        ([("*/tool.[0-9]", ".")], {"tool.1"}),
        ([("v1/[^t]*", ".")], {"share/a", "share/.b"}),
        ([("v1/tool", "a"), ("v1/*", "rest")], {"a", "rest/tool.1", "rest/share/a", "rest/share/.b"}),
        ([(".", "all")], {f"all/{e.path}" for e in ENTRIES}),
    ],
)
def test_mapping(rules: list[tuple[str, str]], expected: set[str] | None) -> None:
    files = [MappedFile(source=source, to=to) for source, to in rules]
    if expected is None:  # two files would get one name
        with pytest.raises(MappingError, match="occurs twice"):
            plan_files("a.zip", ENTRIES, files)
    else:
        assert {f.path for f in plan_files("a.zip", ENTRIES, files)} == expected


def test_mapping_problems_are_all_named() -> None:
    rules = [MappedFile("nothing/*", "."), MappedFile("LICENSE", "../out"), MappedFile("v1/tool", ".sealdex/x")]
    with pytest.raises(MappingError) as caught:
        plan_files("a.zip", ENTRIES, rules)
    text = str(caught.value)
    assert len(caught.value.problems) == 3
    assert "'nothing/*' matches nothing" in text
    assert "'../out', which leads out" in text
    assert "reserved" in text


def test_a_missing_program_is_named_with_what_is_near() -> None:
    with pytest.raises(MappingError, match=r"bin 'v1/tol' is not among the unpacked files; near: v1/tool"):
        plan_files("a.zip", ENTRIES, bin_path="v1/tol")


def test_the_program_is_executable_through_links() -> None:
    entries = [
        *ENTRIES,
        ArchiveEntry(path="hard", kind="hardlink", target="v1/tool"),
        ArchiveEntry(path="bin/soft", kind="symlink", target="../hard"),
    ]
    planned = {f.path: f.mode for f in plan_files("a.tar.gz", entries, bin_path="./bin/soft")}
    assert {p for p, mode in planned.items() if mode == 0o755 and p != "bin/soft"} >= {"v1/tool", "hard"}
    assert planned["v1/tool.1"] == 0o644


def test_a_hard_link_taken_without_its_file_still_gets_the_content(tmp_path: Path) -> None:
    archive = make_tar(
        tmp_path / "a",
        "tar.gz",
        [(tar_info("a"), b"content"), (tar_info("x/b", tarfile.LNKTYPE, target="a"), b"")],
    )
    unpack(archive, "tar.gz", tmp_path / "out", files=[MappedFile("x", ".")])
    assert tree(tmp_path / "out") == {"x/b": b"content"}


# --- any good archive ------------------------------------------------------------------------------------------------

_PART = st.text(st.sampled_from("abcXYZ019_-.\u00e4\u00df\u65e5 "), min_size=1, max_size=8).filter(
    lambda part: part[-1] not in ". " and part[0] != "."
)
_TREES = st.dictionaries(
    st.lists(_PART, min_size=1, max_size=4).map("/".join), st.binary(max_size=300), max_size=8
).filter(lambda files: _is_a_tree(list(files)))


def _is_a_tree(paths: list[str]) -> bool:
    """No two paths (folders above them included) are one file where case or normal form don't count."""
    spelt: dict[str, tuple[str, bool]] = {}
    for path in paths:
        parts = path.split("/")
        for i in range(1, len(parts) + 1):
            prefix, is_file = "/".join(parts[:i]), i == len(parts)
            known = spelt.setdefault(same_file_key(prefix), (prefix, is_file))
            if known != (prefix, is_file) or (is_file and paths.count(prefix) > 1):
                return False
    return True


@settings(max_examples=examples(60, slow=True))
@given(files=_TREES, archive_format=st.sampled_from(FORMATS))
def test_any_safe_tree_round_trips(files: dict[str, bytes], archive_format: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        archive = make_archive(Path(folder) / "a", archive_format, files)
        written = unpack(archive, archive_format, Path(folder) / "out")
        assert tree(Path(folder) / "out") == files
        assert {f.path: f.sha256 for f in written} == {p: hashlib.sha256(c).hexdigest() for p, c in files.items()}


@pytest.mark.parametrize("seed", range(3))
def test_any_damaged_byte_is_noticed_or_harmless(tmp_path: Path, seed: int) -> None:
    """Flip each byte in turn: never another exception, never other content under a right digest, nothing left."""
    archive_format = FORMATS[seed]
    files = {"a.txt": b"hello hello hello", "d/b": b"\1\2\3"}
    good = make_archive(tmp_path / "a", archive_format, files).read_bytes()
    for at, mask in itertools.product(range(len(good)), (0x01, 0x80)):
        bad = bytearray(good)
        bad[at] ^= mask
        (tmp_path / "bad").write_bytes(bad)
        out = tmp_path / f"out-{at}-{mask}"
        try:
            unpack(tmp_path / "bad", archive_format, out)
        except (InstallError, UnsafeArchiveError):
            assert not out.exists()
