"""Packing: same input, same bytes; nothing that isn't meant; nothing that can't be unpacked everywhere."""

from __future__ import annotations

import hashlib
import json
import os
import random
import stat
import subprocess
import zipfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.authoring import Bare
from support.budgets import examples

from registry_builder.authoring import pack as pack_module
from registry_builder.authoring.pack import UnpackableError, list_files, pack
from registry_builder.authoring.payload import pack_folder
from registry_builder.authoring.scaffold import new_plugin
from registry_builder.source.archive_check import archive_findings
from registry_builder.source.secrets.scan import secrets_of_bytes
from registry_builder.source.text import is_lfs_pointer
from sealdex.errors import ConfigError, UsageError
from sealdex.model.ids import PluginId
from sealdex.model.release import Artifact

posix_only = pytest.mark.skipif(os.name == "nt", reason="links, pipes and modes are those of POSIX")


def write(folder: Path, files: dict[str, bytes]) -> Path:
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder


# lower case without é's two spellings: names that are one name somewhere are refused, and tested below
names = st.lists(st.text("abc0-_", min_size=1, max_size=8), min_size=1, max_size=3).map("/".join)


# hypothesis tries the constants of our own code as well: what `pack` refuses isn't meant here
contents = st.binary(max_size=300).filter(lambda data: not is_lfs_pointer(data) and not secrets_of_bytes("x", data))


@settings(max_examples=examples(40, slow=True))
@given(files=st.dictionaries(names, contents, min_size=1, max_size=6), order=st.randoms())
def test_same_input_same_bytes(
    tmp_path_factory: pytest.TempPathFactory, files: dict[str, bytes], order: random.Random
) -> None:
    """Whatever the order of creation, the times and the umask; and what was packed is what comes out."""
    files = {name: data for name, data in files.items() if not any(other.startswith(name + "/") for other in files)}
    base = tmp_path_factory.mktemp("pack")
    first = write(base / "a", files)
    shuffled = list(files)
    order.shuffle(shuffled)
    second = write(base / "b", {name: files[name] for name in shuffled})
    for path in second.rglob("*"):
        if path.is_file():
            path.chmod(0o600)
            os.utime(path, (1, 1))
    one, two = pack(first, base / "1.zip"), pack(second, base / "2.zip")
    assert (base / "1.zip").read_bytes() == (base / "2.zip").read_bytes()
    assert one.sha256 == two.sha256 == hashlib.sha256((base / "1.zip").read_bytes()).hexdigest()
    with zipfile.ZipFile(base / "1.zip") as archive:
        assert {name: archive.read(name) for name in archive.namelist()} == files


def test_order_times_and_modes_are_fixed(tmp_path: Path) -> None:
    folder = write(tmp_path / "in", {"b": b"1", "a/z": b"2", "C": b"3"})
    (folder / "b").chmod(0o700)
    assert pack(folder, tmp_path / "out.zip").files == ("C", "a/z", "b")
    with zipfile.ZipFile(tmp_path / "out.zip") as archive:
        for entry in archive.infolist():
            assert entry.date_time == (1980, 1, 1, 0, 0, 0)
            assert entry.create_system == 3
            assert entry.extra == b""
            assert entry.flag_bits & ~0x800 == 0
        modes = {entry.filename: entry.external_attr >> 16 for entry in archive.infolist()}
    assert modes["a/z"] == stat.S_IFREG | 0o644
    if os.name != "nt":
        assert modes["b"] == stat.S_IFREG | 0o755


def test_defaults_and_ignore_file(tmp_path: Path) -> None:
    folder = write(
        tmp_path / "in",
        {
            "main.py": b"", "main.pyc": b"", "__pycache__/x": b"", ".git/config": b"", "a/.git/config": b"",
            ".DS_Store": b"", "notes/todo.md": b"", "notes/keep.md": b"", "build/out": b"", "keep.pyc": b"",
            ".sealdexignore": b"# ours\nnotes/*\n!notes/keep.md\n/build/\n!keep.pyc\n", ".env": b"",
        },
    )  # fmt: skip
    assert [file.name for file in list_files(folder)] == [".env", "keep.pyc", "main.py", "notes/keep.md"]


def test_an_existing_archive_is_replaced_and_a_failure_leaves_it(tmp_path: Path) -> None:
    folder = write(tmp_path / "in", {"a": b"1"})
    target = tmp_path / "out" / "x.zip"
    pack(folder, target)
    before = target.read_bytes()

    def refuse(_: Path, __: str) -> None:
        raise ConfigError("no")

    (folder / "a").write_bytes(b"2")
    with pytest.raises(ConfigError):
        pack(folder, target, accept=refuse)
    assert target.read_bytes() == before
    assert [path.name for path in target.parent.iterdir()] == ["x.zip"]
    pack(folder, target)
    assert target.read_bytes() != before


@posix_only
@pytest.mark.parametrize("target", ["../outside", "/etc/passwd", "a/../../outside", "sub/../../outside", "gone"])
def test_attack_a_link_that_leaves_the_folder_is_refused(tmp_path: Path, target: str) -> None:
    """Attacker: can change the folder that is packed. Change: a link to a file outside, to have it published. Refusal:
    the link is named; no archive is written.
    """
    (tmp_path / "outside").write_text("secret")
    folder = write(tmp_path / "in", {"sub/a": b""})
    (folder / "link").symlink_to(target)
    with pytest.raises(UnpackableError, match="'link' is a link to"):
        pack(folder, tmp_path / "out.zip")
    assert not (tmp_path / "out.zip").exists()


@posix_only
def test_a_link_inside_stays_a_link(tmp_path: Path) -> None:
    folder = write(tmp_path / "in", {"lib/tool": b"x"})
    (folder / "bin").mkdir()
    (folder / "bin/tool").symlink_to("../lib/tool")
    pack(folder, tmp_path / "out.zip")
    with zipfile.ZipFile(tmp_path / "out.zip") as archive:
        entry = archive.getinfo("bin/tool")
        assert stat.S_ISLNK(entry.external_attr >> 16)
        assert archive.read("bin/tool") == b"../lib/tool"
    artifact = Artifact(source="out.zip", sha256="a" * 64)
    (finding,) = archive_findings(tmp_path / "out.zip", artifact)
    assert "a symbolic link, which few users may create on Windows" in finding.message


@posix_only
@pytest.mark.parametrize("name", ["a\\b", "nul", "con.txt", "end.", "C:x", "new\nline", ".sealdex/x"])
def test_names_that_are_unsafe_somewhere_are_refused_all_at_once(tmp_path: Path, name: str) -> None:
    folder = write(tmp_path / "in", {name: b"", "aux": b"", "fine": b""})
    with pytest.raises(UnpackableError) as caught:
        pack(folder, tmp_path / "out.zip")
    assert len(caught.value.problems) == 2


@posix_only
def test_names_that_differ_in_case_alone_are_refused(tmp_path: Path) -> None:
    folder = write(tmp_path / "in", {"a/x": b"", "A/y": b""})
    if (folder / "a").samefile(folder / "A"):
        return  # this file system can't hold both
    with pytest.raises(UnpackableError, match="clashes"):
        pack(folder, tmp_path / "out.zip")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes here")
def test_pipes_are_refused_without_waiting_for_them(tmp_path: Path) -> None:
    folder = write(tmp_path / "in", {"a": b""})
    os.mkfifo(folder / "pipe")
    with pytest.raises(UnpackableError, match="'pipe' is not a file"):
        pack(folder, tmp_path / "out.zip")


def test_nothing_to_pack_and_no_folder(tmp_path: Path) -> None:
    write(tmp_path / "in", {".git/config": b""})
    with pytest.raises(UnpackableError, match="it contains no files"):
        pack(tmp_path / "in", tmp_path / "out.zip")
    with pytest.raises(UsageError):
        pack(tmp_path / "gone", tmp_path / "out.zip")


# --- plugins and services --------------------------------------------------------------------------------------------


@pytest.fixture
def service(tmp_path: Path) -> Path:
    tree = Bare(tmp_path / "registry")
    return new_plugin(tree.root, "service", PluginId("acme", "echo")).folder


def test_a_service_package_describes_and_checks_itself(service: Path, tmp_path: Path) -> None:
    packed = pack_folder(service)
    assert packed.path == service / "dist/0.1.0/echo-0.1.0.zip"
    with zipfile.ZipFile(packed.path) as archive:
        archive.extractall(tmp_path / "out")
    document = (tmp_path / "out/service.json").read_text()
    for field in ('"service_id": "echo"', '"startup_command": "python3 service.py"', '"endpoint": "/health"'):
        assert field in document
    lines = (tmp_path / "out/checksum.sha256").read_text().splitlines()
    assert [line.split("  ")[1] for line in lines] == ["README.md", "models/echo.json", "service.json", "service.py"]
    for line in lines:
        digest, name = line.split("  ")
        assert hashlib.sha256((tmp_path / "out" / name).read_bytes()).hexdigest() == digest
    if os.name == "posix":
        subprocess.run(["sha256sum", "-c", "--quiet", "checksum.sha256"], cwd=tmp_path / "out", check=True)


def test_packing_a_service_twice_is_the_same(service: Path) -> None:
    first = pack_folder(service)
    assert pack_folder(service / "src").sha256 == first.sha256


def created_at(packed: Path) -> str | None:
    with zipfile.ZipFile(packed) as archive:
        stated: str | None = json.loads(archive.read("service.json")).get("created_at")
    return stated


def test_a_service_says_when_it_was_made_if_that_is_stated(service: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not by the clock: packing again would give other bytes."""
    for wrong in ("", "now", "-5", "٣", "9" * 30):
        monkeypatch.setenv("SOURCE_DATE_EPOCH", wrong)
        assert created_at(pack_folder(service).path) is None
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1795219200")
    first = pack_folder(service)
    assert created_at(first.path) == "2026-11-21T00:00:00Z"
    assert pack_folder(service).sha256 == first.sha256
    template = service / "release.yaml"
    template.write_text(template.read_text() + "released_at: 2026-11-22T12:00:00Z\n")
    assert created_at(pack_folder(service).path) == "2026-11-22T12:00:00Z"


def test_a_service_has_the_readme_unless_it_brings_its_own(service: Path) -> None:
    (service / "README.md").write_bytes(b"# Echo\r\n")
    with zipfile.ZipFile(pack_folder(service).path) as archive:
        assert archive.read("README.md") == b"# Echo\n"
    (service / "src/ReadMe.md").write_text("# Mine\n")
    with zipfile.ZipFile(pack_folder(service).path) as archive:
        assert {name for name in archive.namelist() if name.lower() == "readme.md"} == {"ReadMe.md"}


def test_an_own_service_json_is_kept_if_it_is_of_this_version(service: Path) -> None:
    own = service / "src/service.json"
    own.write_text('{"service_id": "mine", "version": "0.1.0"}')
    with zipfile.ZipFile(pack_folder(service).path) as archive:
        assert b"mine" in archive.read("service.json")
    own.write_text('{"service_id": "mine", "version": "0.0.9"}')
    with pytest.raises(ConfigError, match=r"states version 0\.0\.9"):
        pack_folder(service)


def test_a_folder_that_is_no_plugin_becomes_a_plain_zip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "tool", {"a": b""})
    monkeypatch.chdir(tmp_path)
    assert pack_folder(Path("tool")).path == Path("tool.zip")
    assert zipfile.ZipFile("tool.zip").namelist() == ["a"]


def test_a_file_that_changes_while_it_is_packed_is_not_packed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A log, such as that of a service: checksum.sha256 would name other bytes than the archive has."""
    folder, checksums = write(tmp_path / "service", {"log": b"one"}), pack_module._checksums

    def then_write(*given: Any) -> dict[str, str]:
        stated = checksums(*given)
        (folder / "log").write_bytes(b"two")
        return stated

    monkeypatch.setattr(pack_module, "_checksums", then_write)
    with pytest.raises(UnpackableError, match="changed while it was packed"):
        pack(folder, tmp_path / "a.zip", checksums=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["service"]
