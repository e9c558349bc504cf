"""What can't be undone: versions and file names that some disk can't tell apart or hold, refused before publishing."""

from __future__ import annotations

import hashlib
import io
import json
import unicodedata
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from support.authoring import Bare, errors, local_artifact, warnings
from support.builder_cli import call
from support.source_trees import Tree

from registry_builder.authoring.pack import UnpackableError, list_files, pack
from registry_builder.authoring.payload import pack_folder
from registry_builder.authoring.release import Archive, write_release
from registry_builder.compile.manifest import manifest_bytes, pin
from registry_builder.publication.checks import InvalidReleasesError
from registry_builder.publication.publish import open_publisher, publish_realm
from registry_builder.source.file_list import file_list_bytes
from sealdex import disk
from sealdex.archive.entries import RefusedArchiveError
from sealdex.archive.unpack import unpack
from sealdex.archive.windows_names import windows_problem
from sealdex.download._delta_plan import plan_listed, read_file_list
from sealdex.errors import ConfigError
from sealdex.model.ids import PluginId
from sealdex.model.index import ArtifactEntry, FilePin, IndexDocument, MappedFile, ReleaseEntry

SLACK = PluginId("acme", "slack")
UNHOLDABLE = ["what?.txt", "run.exe::$DATA", "ab:c", "a<b", "a>b", 'say "hi"', "a|b", "lib/*.so"]
UNIX = {"match_expressions": [{"key": "os", "operator": "In", "values": ["linux", "darwin"]}]}


@pytest.fixture
def tree(tmp_path: Path) -> Bare:
    made = Bare(tmp_path / "registry")
    made.plugin("acme/slack")
    return made


def zipped(files: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in files.items():
            archive.writestr(zipfile.ZipInfo(name), data)
    return buffer.getvalue()


def add_release(tree: Bare, version: str, data: bytes, **fields: Any) -> None:
    source = f"plugins/acme/slack/dist/{version}/slack.zip"
    tree.release("acme/slack", version, artifacts=[local_artifact(tree.root, source, data, **fields)])


def published(tree: Bare, *versions: str) -> dict[PluginId, IndexDocument]:
    loaded = tree.load().plugins[SLACK].releases
    entries = tuple(ReleaseEntry(v, pin(manifest_bytes(SLACK, loaded[v]))) for v in versions)
    return {SLACK: IndexDocument(1, "acme", "slack", "notify", "Says something", entries)}


# --- versions --------------------------------------------------------------------------------------------------------


def test_versions_that_differ_in_case_alone_are_refused_while_one_can_be_taken_back(tree: Bare) -> None:
    tree.release("acme/slack", "1.0.0-RC1")
    tree.release("acme/slack", "1.0.0-rc1")
    (problem,) = errors(tree.lint())
    assert "'1.0.0-rc1' differs from '1.0.0-RC1' only in case" in problem
    # what is published stays, and what comes to it is refused, whichever of the two it is
    (problem,) = errors(tree.lint(published=published(tree, "1.0.0-rc1")))
    assert problem.startswith("plugins/acme/slack/releases/1.0.0-RC1.json")
    both = tree.lint(published=published(tree, "1.0.0-rc1", "1.0.0-RC1"))
    assert errors(both) == []
    assert any("only in case" in warning for warning in warnings(both))


def test_a_version_that_is_published_and_gone_from_the_tree_counts(tree: Bare) -> None:
    tree.release("acme/slack", "1.0.0-RC1")
    before = published(tree, "1.0.0-RC1")
    (tree.root / "plugins/acme/slack/releases/1.0.0-RC1.json").unlink()
    tree.release("acme/slack", "1.0.0-rc1")
    assert any("only in case" in problem for problem in errors(tree.lint(published=before)))


def test_release_refuses_a_version_that_differs_in_case_alone(tree: Bare, tmp_path: Path) -> None:
    archive = tmp_path / "slack.zip"
    archive.write_bytes(zipped({"a": b"1"}))
    write_release(tree.root, [Archive(archive)], plugin=SLACK, version="1.0.0-RC1")
    with pytest.raises(ConfigError, match="only in case"):
        write_release(tree.root, [Archive(archive)], plugin=SLACK, version="1.0.0-rc1")
    assert [f.name for f in (tree.root / "plugins/acme/slack/releases").iterdir()] == ["1.0.0-RC1.json"]


def test_publish_refuses_what_nobody_validated_and_no_registry_is_locked_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEALDEX_KEYS", str(tmp_path / "keys"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    tree = Tree.make(tmp_path / "source")
    tree.plugin("acme/slack")
    tree.release("acme/slack", "1.0.0-RC1")
    publish_realm(open_publisher(tree.load(), "public"))
    clash = tree.release("acme/slack", "1.0.0-rc1")
    with pytest.raises(InvalidReleasesError, match="only in case"):
        publish_realm(open_publisher(tree.load(), "public"))
    assert not (tmp_path / "published/public/plugins/acme/slack/1.0.0-rc1").exists()
    clash.unlink()
    tree.release("acme/slack", "1.0.0")
    publish_realm(open_publisher(tree.load(), "public"))
    assert (tmp_path / "published/public/plugins/acme/slack/1.0.0").is_dir()


# --- names in archives -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", UNHOLDABLE)
def test_names_that_windows_cannot_hold_are_refused_everywhere(tree: Bare, tmp_path: Path, name: str) -> None:
    data = zipped({name: b"1", "fine.txt": b"2"})
    add_release(tree, "1.0.0", data)
    (problem,) = errors(tree.lint())
    assert ascii(name) in problem
    assert "Windows" in problem
    archive = tmp_path / "other.zip"
    archive.write_bytes(data)
    with pytest.raises(ConfigError, match="Windows"):
        write_release(tree.root, [Archive(archive)], plugin=SLACK, version="1.1.0")
    assert not (tree.root / "plugins/acme/slack/dist/1.1.0").exists()
    folder = tmp_path / "in"
    (folder / name).parent.mkdir(parents=True)
    (folder / name).write_bytes(b"1")
    with pytest.raises(UnpackableError, match="Windows"):
        pack(folder, tmp_path / "out.zip")
    assert not (tmp_path / "out.zip").exists()


def test_an_artifact_that_never_comes_to_windows_may_hold_them_with_a_warning(tree: Bare, tmp_path: Path) -> None:
    data = zipped({"man/Foo::Bar.3pm": b"1"})
    add_release(tree, "1.0.0", data, selector=UNIX)
    found = tree.lint()
    assert errors(found) == []
    assert any("'man/Foo::Bar.3pm' contains ':'" in warning for warning in warnings(found))
    add_release(tree, "1.0.1", data, selector={"match_labels": {"arch": "amd64"}})
    assert len(errors(tree.lint())) == 1
    # the release's own selector counts as well
    path = tree.root / "plugins/acme/slack/releases/1.0.1.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "selector": UNIX}))
    assert errors(tree.lint()) == []
    # and pack reads both from release.yaml
    tree.write("plugins/acme/slack/src/Foo::Bar.3pm", b"1")
    tree.write("plugins/acme/slack/release.yaml", "version: 2.0.0\nselector: {match_labels: {os: linux}}\n")
    assert pack_folder(tree.root / "plugins/acme/slack").files == ("Foo::Bar.3pm",)
    tree.write("plugins/acme/slack/release.yaml", "version: 2.0.0\nselector: {match_labels: {arch: arm64}}\n")
    with pytest.raises(UnpackableError):
        pack_folder(tree.root / "plugins/acme/slack")


def test_pack_is_told_what_a_folder_of_no_plugin_is_for(
    tree: Bare, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "linux"
    folder.mkdir()
    (folder / "Foo::Bar.3pm").write_bytes(b"1")
    output = tmp_path / "x.zip"
    for labels in ([], ["--for", "arch=amd64"], ["--for", "os=Windows"], ["--for", "os=linux|windows"]):
        assert call(tree.root, "pack", folder, "-o", output, *labels) == 1
        assert "--for os=linux" in capsys.readouterr().err
    for labels in (["--for", "os=linux"], ["--for", "os=linux|darwin,arch=amd64"]):
        assert call(tree.root, "pack", folder, "-o", output, *labels) == 0
    assert call(tree.root, "pack", folder, "-o", output, "--for", "os") == 2


def test_published_releases_keep_what_they_hold(tree: Bare) -> None:
    add_release(tree, "1.0.0", zipped({"what?.txt": b"1"}))
    assert errors(tree.lint(published=published(tree, "1.0.0"))) == []


def test_what_works_on_some_hosts_alone_is_warned_about(tree: Bare, tmp_path: Path) -> None:
    link = zipfile.ZipInfo("tool")
    link.create_system, link.external_attr = 3, 0o120777 << 16
    long = "x/" + "y" * 200
    decomposed = unicodedata.normalize("NFD", "ä.txt")
    buffer = io.BytesIO(zipped({long: b"1", decomposed: b"2", "bin": b"3"}))
    with zipfile.ZipFile(buffer, "a") as archive:
        archive.writestr(link, "bin")
    add_release(tree, "1.0.0", buffer.getvalue())
    assert errors(tree.lint()) == []
    said = "\n".join(warnings(tree.lint()))
    for words in ("'tool' is a symbolic link", "is too long for Windows", "'a\\u0308.txt' is in decomposed"):
        assert words in said
    add_release(tree, "1.0.0", buffer.getvalue(), selector=UNIX)
    said = "\n".join(warnings(tree.lint()))
    assert "symbolic link" not in said
    assert "too long" not in said
    assert "decomposed" in said


def test_pack_and_release_show_the_warnings(
    tree: Bare, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    tree.write("plugins/acme/slack/src/tool", b"1")
    (tree.root / "plugins/acme/slack/src/link").symlink_to("tool")
    tree.write("plugins/acme/slack/release.yaml", "version: 1.0.0\n")
    assert call(tree.root, "pack", tree.root / "plugins/acme/slack") == 0
    assert "'link' is a symbolic link" in capsys.readouterr().err
    assert call(tree.root, "release", tree.root / "plugins/acme/slack/dist/1.0.0/slack-1.0.0.zip") == 0
    assert "'link' is a symbolic link" in capsys.readouterr().err


# --- on a Windows host -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("windows", [True, False])
def test_attack_a_stream_name_is_not_written_on_windows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, windows: bool
) -> None:
    """Attacker: wrote a release that 0.1.0 let through. Change: ``run.exe::$DATA``, another name for ``run.exe``.
    Refusal: before anything is written, since no rule of the archive's sees two names for one file there.
    """
    monkeypatch.setattr(disk, "ON_WINDOWS", windows)
    path = tmp_path / "x.zip"
    path.write_bytes(data := zipped({"run.exe": b"good", "run.exe::$DATA": b"evil"}))
    artifact = ArtifactEntry(
        "x.zip", hashlib.sha256(data).hexdigest(), "zip", len(data), file_list=FilePin(1, "0" * 64)
    )
    listed = read_file_list(file_list_bytes(path), artifact)
    assert listed is not None
    if windows:
        with pytest.raises(RefusedArchiveError, match="stream"):
            unpack(path, "zip", tmp_path / "out")
        with pytest.raises(RefusedArchiveError, match="stream"):
            plan_listed(listed, artifact)
        assert not (tmp_path / "out").exists()
    else:
        assert len(unpack(path, "zip", tmp_path / "out")) == len(plan_listed(listed, artifact).files) == 2


def test_what_a_mapping_leaves_out_harms_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disk, "ON_WINDOWS", True)
    path = tmp_path / "x.zip"
    path.write_bytes(zipped({"lib/what?": b"1", "bin/run.exe": b"2"}))
    assert [f.path for f in unpack(path, "zip", tmp_path / "out", files=[MappedFile("bin/*")])] == ["run.exe"]


@pytest.mark.parametrize("name", UNHOLDABLE)
def test_each_name_is_named(name: str) -> None:
    assert windows_problem(name) is not None


@pytest.mark.parametrize(
    "name", ["a b.txt", "ä.txt", "a'b", "a;b", "a=b", "a+b", "a,b", "#a", "%TEMP%", "~1", "a$b", "日本"]
)
def test_names_that_windows_can_hold(tmp_path: Path, name: str) -> None:
    assert windows_problem(name) is None
    (tmp_path / name).write_bytes(b"1")
    assert [file.name for file in list_files(tmp_path)] == [name]
