"""The builder publishes nothing that no host can use without a word: spellings of platforms, formats nobody reads."""

from __future__ import annotations

import bz2
import io
import json
import lzma
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import pytest
from support.authoring import Bare, errors, local_artifact, url_artifact, warnings, zip_of
from support.builder_cli import call, document

from registry_builder.authoring.payload import pack_folder
from registry_builder.authoring.release import Archive, write_release
from registry_builder.cli.archive_argument import parse_archive
from registry_builder.importers.krew import read_history, write_import
from registry_builder.source._opaque_formats import repacking
from sealdex.errors import ConfigError
from sealdex.model.decode import encode_pretty
from sealdex.model.ids import PluginId

TOOL = PluginId("acme", "tool")


@pytest.fixture
def tree(tmp_path: Path) -> Bare:
    made = Bare(tmp_path / "registry")
    made.plugin("acme/tool")
    return made


def tar(compress: Any = bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("tool"))
    made: bytes = compress(buffer.getvalue())
    return made


# --- platforms -------------------------------------------------------------------------------------------------------


def test_release_writes_what_hosts_report_and_says_so(
    tree: Bare, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("linux", "mac"):
        (tmp_path / f"{name}.zip").write_bytes(zip_of("tool", data=name.encode()))
    tree.write("plugins/acme/tool/release.yaml", "version: 1.0.0\nselector: {match_labels: {arch: x86_64}}\n")
    arguments = [f"{tmp_path}/linux.zip:os=Linux", f"{tmp_path}/mac.zip:os=macos|darwin"]
    said = document(tree.root, capsys, "release", *arguments, "--plugin", "acme/tool")
    assert said["rewritten"] == [
        "selector.match_labels.arch: arch=x86_64 is rewritten to arch=amd64",
        "artifacts[0].selector.match_labels.os: os=Linux is rewritten to os=linux",
        "artifacts[1].selector.match_expressions[0].values: os=macos is rewritten to os=darwin",
    ]
    written = json.loads((tree.root / "plugins/acme/tool/releases/1.0.0.json").read_text())
    assert written["selector"] == {"match_labels": {"arch": "amd64"}}
    assert written["artifacts"][0]["selector"] == {"match_labels": {"os": "linux"}}
    assert written["artifacts"][1]["selector"]["match_expressions"][0]["values"] == ["darwin"]
    assert not [warning for warning in warnings(tree.lint()) if "no host" in warning]
    assert call(tree.root, "release", *arguments, "--plugin", "acme/tool") == 0
    assert "is rewritten to os=linux" in capsys.readouterr().err


def test_the_same_release_of_an_older_version_is_still_the_same(tree: Bare, tmp_path: Path) -> None:
    (tmp_path / "tool.zip").write_bytes(zip_of("tool"))
    archives = [parse_archive(f"{tmp_path}/tool.zip:os=linux")]
    first = write_release(tree.root, archives, plugin=TOOL, version="1.0.0")
    text = first.file.read_text()
    first.file.write_text(text.replace('"linux"', '"Linux"'))  # as 0.1.0 wrote it
    before = first.file.read_text()
    again = write_release(tree.root, [parse_archive(f"{tmp_path}/tool.zip:os=Linux")], plugin=TOOL, version="1.0.0")
    assert again.exists
    assert first.file.read_text() == before  # never rewritten


def test_pack_names_what_release_will_rewrite(tree: Bare) -> None:
    tree.write("plugins/acme/tool/src/tool", b"1")
    tree.write(
        "plugins/acme/tool/release.yaml",
        "version: 1.0.0\nartifacts:\n  - {match: '*.zip', selector: {match_labels: {os: win64}}}\n",
    )
    packed = pack_folder(tree.root / "plugins/acme/tool")
    assert packed.warnings == (
        "release.yaml: artifacts[0].selector.match_labels.os: os=win64 is rewritten to os=windows in the release",
    )


def test_a_release_file_that_people_wrote_is_read_as_it_stands_and_warned_about(tree: Bare) -> None:
    tree.release("acme/tool", "1.0.0", artifacts=[url_artifact(selector={"match_labels": {"arch": "x86_64"}})])
    tree.release("acme/tool", "1.1.0", artifacts=[url_artifact(selector={"match_labels": {"os": "beos"}})])
    found = tree.lint()
    assert errors(found) == []
    said = warnings(found)
    assert any("no host reports arch=x86_64: write amd64" in warning for warning in said)
    assert any("no host reports os=beos, unless its configuration does; known are " in warning for warning in said)
    assert tree.load().plugins[TOOL].releases["1.0.0"].artifacts[0].selector.match_labels == {"arch": "x86_64"}


def test_a_key_that_is_nearly_a_hosts_is_named(tree: Bare) -> None:
    selector = {
        "match_labels": {"OS": "linux", "acme.example/OS": "x"},
        "match_expressions": [{"key": "GPU_Memory", "operator": "Gt", "values": ["1"]}],
    }
    tree.release("acme/tool", "1.0.0", artifacts=[url_artifact(selector=selector)])
    found = tree.lint()
    assert errors(found) == []
    gpu, os = [warning.partition("selector.")[2] for warning in warnings(found) if "no host" in warning]
    assert gpu.startswith("match_expressions[0].key: no host reports a label 'GPU_Memory'")
    assert gpu.endswith("write gpu-memory")
    assert os == "match_labels.OS: no host reports a label 'OS', unless its configuration does: write os"


def test_import_writes_what_hosts_report_and_leaves_what_it_wrote_before(tree: Bare, tmp_path: Path) -> None:
    platform = {"uri": "https://x.example/t.zip", "sha256": "a" * 64, "selector": {"matchLabels": {"os": "macos"}}}
    manifest = {
        "apiVersion": "krew.googlecontainertools.github.com/v1alpha2",
        "kind": "Plugin",
        "metadata": {"name": "t"},
        "spec": {"version": "v1.0.0", "shortDescription": "T", "platforms": [platform]},
    }
    file = tmp_path / "history.jsonl"
    file.write_text(json.dumps({"published": "2026-11-21T12:00:00Z", "manifest": manifest}) + "\n")
    history = read_history(file, plugin_type="notify")
    (note,) = history.rewritten
    assert "os=macos is rewritten to os=darwin" in note
    release_ = history.plugins["t"].releases["1.0.0"]
    assert release_.artifacts[0].selector.match_labels == {"os": "darwin"}
    # as 0.1.0 imported it
    old = encode_pretty(release_).replace(b'"darwin"', b'"macos"')
    path = tree.write("plugins/krew/t/releases/1.0.0.json", old)
    tree.plugin("krew/t")
    written = write_import(tree.root, history)
    assert (written.unchanged, written.conflicts) == (1, ())
    assert path.read_bytes() == old


# --- formats ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "data", "command"),
    [
        ("tool.tar.xz", tar(lzma.compress), "xz -dc tool.tar.xz | zstd -o tool.tar.zst"),
        ("tool.txz", tar(lzma.compress), "xz -dc tool.txz | zstd -o tool.tar.zst"),
        ("tool.tar.bz2", tar(bz2.compress), "bzip2 -dc tool.tar.bz2 | zstd -o tool.tar.zst"),
        ("tool.xz", lzma.compress(b"x"), "xz -dc tool.xz > tool"),
        ("tool.bz2", bz2.compress(b"x"), "bzip2 -dc tool.bz2 > tool"),
        ("tool.tar", tar(), "zstd tool.tar -o tool.tar.zst"),
        ("tool-1.0.7z", b"7z\xbc\xaf\x27\x1c", "7z x tool-1.0.7z -otool-1.0 && sealdex-builder pack tool-1.0"),
        ("tool.rar", b"Rar!\x1a\x07\x01\x00", "7z x tool.rar -otool && sealdex-builder pack tool"),
        ("tool.bin", tar(lzma.compress), "xz -dc tool.bin > tool"),  # told by its bytes
        ("tool.tar.gz", tar(bz2.compress), "bzip2 -dc tool.tar.gz | zstd -o tool.tar.zst"),
    ],
)
def test_formats_that_no_client_reads_are_refused_with_what_repacks_them(
    tree: Bare, tmp_path: Path, name: str, data: bytes, command: str
) -> None:
    source = f"plugins/acme/tool/dist/{name}"
    tree.release("acme/tool", "1.0.0", artifacts=[local_artifact(tree.root, source, data)])
    (problem,) = errors(tree.lint())
    assert f"repack it with: {command} " in problem
    (tmp_path / name).write_bytes(data)
    with pytest.raises(ConfigError, match="repack it with"):
        write_release(tree.root, [Archive(tmp_path / name)], plugin=TOOL, version="1.1.0")
    assert not (tree.root / "plugins/acme/tool/releases/1.1.0.json").exists()


def test_an_address_tells_by_its_name_and_who_means_it_says_so(tree: Bare) -> None:
    address = "https://files.example/data.tar.xz"
    tree.release("acme/tool", "1.0.0", artifacts=[url_artifact(source=address)])
    (problem,) = errors(tree.lint())
    assert "clients don't unpack" in problem
    tree.release("acme/tool", "1.0.0", artifacts=[url_artifact(source=address, format="file")])
    assert errors(tree.lint()) == []


@pytest.mark.parametrize("name", ["tool", "tool.whl", "tool.deb", "model.onnx", "BZh.txt", "notes.textile"])
def test_single_files_are_single_files(tree: Bare, name: str) -> None:
    artifact = local_artifact(tree.root, f"plugins/acme/tool/dist/{name}", b"BZh9 is how it begins")
    tree.release("acme/tool", "1.0.0", artifacts=[artifact])
    assert errors(tree.lint()) == []


def test_the_advice_works(tmp_path: Path) -> None:
    for name, kind, data in (("a b.xz", "xz", lzma.compress(b"x")), ("c.bz2", "bzip2", bz2.compress(b"x"))):
        (tmp_path / name).write_bytes(data)
        subprocess.run(repacking(name, kind), shell=True, check=True, cwd=tmp_path)  # noqa: S602  # our own line, as people paste it
    assert (tmp_path / "a b").read_bytes() == (tmp_path / "c").read_bytes() == b"x"
