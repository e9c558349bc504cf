"""Zips that state no encoding of their names, as macOS' Finder writes them: right now, and as they were before."""

from __future__ import annotations

import hashlib
from pathlib import Path

import msgspec
import pytest
from support.archives import make_zip, zip_info
from support.authoring import Bare, errors, local_artifact, warnings
from support.released import Released

from registry_builder.source.file_list import file_list_bytes
from sealdex.archive.mapping import MappingError
from sealdex.archive.reader import ArchiveFile
from sealdex.archive.unpack import UnpackLimits, plan_unpack, unpack
from sealdex.archive.zip import list_zip, name_as_guessed
from sealdex.download._delta_plan import plan_listed, read_file_list
from sealdex.model.index import ArtifactEntry, FilePin, MappedFile

FINDER = {"größe.txt": b"1", "日本/語.txt": b"2", "plain.txt": b"3"}
AS_0_1_0 = {name.encode().decode("cp437"): data for name, data in FINDER.items()}


def finder_zip(path: Path, names: dict[bytes, bytes] | None = None) -> Path:
    """Write a zip whose names have no flag, by writing stand-ins of the same length and putting the names in."""
    wanted = names or {name.encode(): data for name, data in FINDER.items()}
    stand_ins = {f"{i}".ljust(len(name), "z"): (name, data) for i, (name, data) in enumerate(wanted.items())}
    make_zip(path, [(zip_info(each), data) for each, (_, data) in stand_ins.items()])
    content = path.read_bytes()
    for each, (name, _) in stand_ins.items():
        assert content.count(each.encode()) == 2  # before the entry and in the directory
        content = content.replace(each.encode(), name)
    path.write_bytes(content)
    return path


def entry_of(path: Path, **fields: object) -> ArtifactEntry:
    data = path.read_bytes()
    made = ArtifactEntry(path.name, hashlib.sha256(data).hexdigest(), "zip", len(data), file_list=FilePin(1, "0" * 64))
    return msgspec.structs.replace(made, **fields)


def both_plans(path: Path, artifact: ArtifactEntry) -> tuple[set[str], set[str]]:
    """Return the paths of an installation by the archive itself, and by its list of files."""
    with ArchiveFile(path) as archive:
        whole = plan_unpack(archive, "zip", files=artifact.files, bin_path=artifact.bin)
    listed = read_file_list(file_list_bytes(path), artifact)
    assert listed is not None
    return {file.path for file in whole.files}, {file.path for file in plan_listed(listed, artifact).files}


def test_names_of_the_finder_are_what_the_author_sees(tmp_path: Path) -> None:
    written = unpack(finder_zip(tmp_path / "f.zip"), "zip", tmp_path / "out")
    assert {file.path for file in written} == {*FINDER}
    assert {path: (tmp_path / "out" / path).read_bytes() for path in FINDER} == FINDER


@pytest.mark.parametrize(
    ("raw", "name"),
    [
        (b"gr\x94\xe1e.txt", "größe.txt"),  # code page 437, as DOS wrote it
        (b"\xc3\xa4.txt", "ä.txt"),
        (b"\xc3\x28.txt", "├(.txt"),  # looks like UTF-8 and isn't
        (b"\xed\xa0\x80.txt", "\u03c6\u00e1\u00c7.txt"),  # a surrogate: not strictly UTF-8
    ],
)
def test_utf_8_only_where_it_is_strictly_that(tmp_path: Path, raw: bytes, name: str) -> None:
    with ArchiveFile(finder_zip(tmp_path / "f.zip", {raw: b"1"})) as archive:
        listing = list_zip(archive, UnpackLimits())
    assert [entry.path for entry in listing.entries] == [name]
    assert listing.guessed == [name]


def test_the_list_of_files_is_that_of_0_1_0_and_installs_the_same_names(tmp_path: Path, v0_1_0: Released) -> None:
    path = finder_zip(tmp_path / "f.zip")
    program = (
        "import sys; from pathlib import Path; from registry_builder.source.file_list import file_list_bytes\n"
        f"sys.stdout.write(file_list_bytes(Path({str(path)!r})).hex())"
    )
    assert bytes.fromhex(v0_1_0.python("-c", program, cwd=tmp_path).stdout) == file_list_bytes(path)
    whole, listed = both_plans(path, entry_of(path))
    assert whole == listed
    assert whole >= {*FINDER}


def test_a_name_that_is_stated_is_not_guessed(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "stated.zip", [("größe.txt", b"1"), ("日本.txt", b"2")])
    with ArchiveFile(path) as archive:
        listing = list_zip(archive, UnpackLimits())
    assert listing.guessed == []
    whole, listed = both_plans(path, entry_of(path))
    assert whole == listed == {"größe.txt", "日本.txt"}


@pytest.mark.parametrize("field", ["bin", "files"])
def test_a_manifest_that_names_files_as_0_1_0_read_them_still_installs(tmp_path: Path, field: str) -> None:
    path = finder_zip(tmp_path / "f.zip")
    old = next(iter(AS_0_1_0))
    value = old if field == "bin" else (MappedFile(old, "."),)
    whole, listed = both_plans(path, entry_of(path, **{field: value}))
    assert whole == listed
    assert old in whole
    with pytest.raises(MappingError):
        both_plans(path, entry_of(path, bin="nothing.txt"))


def test_names_survive_both_ways() -> None:
    assert [name_as_guessed(name) for name in AS_0_1_0] == [*FINDER]
    for name in ("plain.txt", "größe.txt", "日本.txt", "é"):
        assert name_as_guessed(name) == name


def test_validate_warns_where_no_encoding_is_stated(tmp_path: Path) -> None:
    tree = Bare(tmp_path / "registry")
    tree.plugin("acme/tool")
    data = finder_zip(tmp_path / "f.zip").read_bytes()
    tree.release("acme/tool", "1.0.0", artifacts=[local_artifact(tree.root, "plugins/acme/tool/dist/f.zip", data)])
    found = tree.lint()
    assert errors(found) == []
    (warning,) = [each for each in warnings(found) if "encoding" in each]
    assert "(and 1 more) is not stated" in warning
    assert "sealdex-builder pack FOLDER -o f.zip" in warning
