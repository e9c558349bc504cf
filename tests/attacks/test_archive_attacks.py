"""Attacks by who makes an archive.

The attacker is the author of a plugin, or has an author's key: the archive is signed and its digest is right, so
nothing before unpacking stops it. They want to write outside of the installation, to fill the disk or the memory, to
plant a set-user-id program, or to have two readers see two different things. Each test makes one such archive and
checks the refusal, that its reason is the rule meant (so that the test fails when that rule is taken out), and that
nothing was left: not in the destination, not anywhere around it.
"""

from __future__ import annotations

import stat
import tarfile
import tempfile
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from support.archive_scene import Scene
from support.archives import (
    FORMATS,
    compress_tar,
    link_entry,
    make_tar,
    make_zip,
    one_entry,
    pax_record,
    tar_bytes,
    tar_info,
    zip_info,
)
from support.budgets import examples

from sealdex.archive.entries import symlink_problem
from sealdex.archive.tree_writer import TreeWriter
from sealdex.archive.unpack import (
    RefusedArchiveError,
    inspect_archive,
    unpack,
)
from sealdex.errors import InstallError, UnsafeArchiveError

TARS = ("tar.gz", "tar.zst")


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
        ("a", "a", "occurs twice"),
        ("a", "./a", "occurs twice"),
        ("Read", "read", "case or Unicode form"),
        ("D/x", "d/y", "case or Unicode form"),
        ("stra\u00dfe", "STRASSE", "case or Unicode form"),
        ("\u00e9", "e\u0301", "case or Unicode form"),
        ("a", "a/b", "file and folder at the same time"),
        ("a/b", "a", "file and folder at the same time"),
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
        ("l", "/etc/passwd", "not a relative path"),
        ("l", "../victim", "leads out of the archive"),
        ("a/l", "../../victim", "leads out of the archive"),
        ("l", "a/../../victim", "'..' after a name"),
        ("l", "..", "leads out of the archive"),
        ("l", "C:/x", "not a relative path"),
        ("l", "a/C:/x", "drive letter"),
        ("l", "..\\victim", "not a relative path"),
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
    reasons = ["symlink and folder at the same time"]
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
    with pytest.raises(UnsafeArchiveError, match="outside the folders created"):
        writer.add_file("d/victim", 0o644, [b"bad"])
    with pytest.raises(UnsafeArchiveError, match="outside the folders created"):
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
    scene.refused("zip", "folder with content", "marked as something else")


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
        pax_record(k, v)
        for k, v in [("GNU.sparse.map", f"{size},0"), ("GNU.sparse.size", str(size)), ("GNU.sparse.numblocks", "1")]
    )
    make_tar(scene.archive, "tar.gz", [(header, records), (tar_info("sparse"), b"")])
    scene.refused("tar.gz", "sparse", "unpacks to 1099511627776 bytes")


# --- all at once ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("archive_format", FORMATS)
def test_all_bad_entries_are_named(scene: Scene, archive_format: str) -> None:
    names = ["../a", "/b", "ok", "c:d", "e\\f"]
    if archive_format == "zip":
        make_zip(scene.archive, [(zip_info(n), b"") for n in names])
    else:
        make_tar(scene.archive, archive_format, [(tar_info(n), b"") for n in names])
    with pytest.raises(RefusedArchiveError) as caught:
        inspect_archive(scene.archive, archive_format)
    assert {p.name for p in caught.value.problems} == {"../a", "/b", "c:d", "e\\f"}


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


@settings(max_examples=examples(150, slow=True))
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


@settings(max_examples=examples(300, slow=True))
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
