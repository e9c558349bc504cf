"""What git and editors do to texts: line ends, byte order marks, encodings, conflict markers, pointers of Git LFS."""

from __future__ import annotations

import codecs
import hashlib
import json
import subprocess
from pathlib import Path

import pytest
from support.authoring import Bare, errors, local_artifact, warnings
from support.source_trees import Tree

from registry_builder.publication.context import open_publisher
from registry_builder.publication.publish import publish_realm
from registry_builder.site._readme_html import render_readme
from registry_builder.source.config import read_config
from registry_builder.source.release_template import read_template
from registry_builder.source.text import other_encoding, text_problem, with_plain_lines
from sealdex.errors import ConfigError, SealdexError

POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"a" * 64 + b"\nsize 12345\n"
CONFLICT = "<<<<<<< HEAD\n{ours}\n=======\n{theirs}\n>>>>>>> topic\n"
CHINESE = "# 消息插件\n\n把消息发送到聊天室。支持多个频道并且可以重试。\n"


@pytest.fixture
def bare(tmp_path: Path) -> Bare:
    return Bare(tmp_path / "tree")


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tree:
    monkeypatch.setenv("SEALDEX_KEYS", str(tmp_path / "keys"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return Tree.make(tmp_path / "source")


def published_readmes(tree: Tree) -> list[bytes]:
    folder = tree.root.parent / "published/public/plugins/acme/slack/readme"
    return [path.read_bytes() for path in folder.iterdir()]


# --- READMEs ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "raw", [b"# A\r\n\r\nb\r\n", codecs.BOM_UTF8 + b"# A\n\nb\n", codecs.BOM_UTF8 + b"# A\r\n\r\nb\r\n"]
)
def test_a_readme_is_published_without_mark_and_with_plain_lines(tree: Tree, raw: bytes) -> None:
    folder = tree.plugin("acme/slack")
    tree.release("acme/slack", "1.0.0")
    (folder / "README.md").write_bytes(raw)
    publish_realm(open_publisher(tree.load(), "public"))
    assert published_readmes(tree) == [b"# A\n\nb\n"]
    (folder / "README.md").write_bytes(b"# A\n\nb\n")  # as another checkout has it
    assert not publish_realm(open_publisher(tree.load(), "public")).committed


def test_what_is_published_with_other_line_ends_stays(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    """A README that an earlier version published with CRLF is not published again for that."""
    folder = tree.plugin("acme/slack")
    tree.release("acme/slack", "1.0.0")
    (folder / "README.md").write_bytes(b"# A\r\n")
    with monkeypatch.context() as earlier:
        earlier.setattr("registry_builder.source.readme_file.with_plain_lines", lambda data: data)
        publish_realm(open_publisher(tree.load(), "public"))
    assert published_readmes(tree) == [b"# A\r\n"]
    assert not publish_realm(open_publisher(tree.load(), "public")).committed
    tree.release("acme/slack", "1.1.0")
    publish_realm(open_publisher(tree.load(), "public"))
    assert published_readmes(tree) == [b"# A\r\n"]


@pytest.mark.parametrize(
    ("data", "encoding"),
    [
        (CHINESE.encode("gbk"), "GB18030"),
        (CHINESE.encode("utf-16"), "UTF-16"),
        (CHINESE.encode("utf-16-le"), "UTF-16LE"),
        ("# Überblick\n\nGrüße aus Köln, für alle.\n".encode("latin-1"), "ISO-8859-1"),
        ("# \u201cQuoted\u201d naïve café\n".encode("cp1252"), "WINDOWS-1252"),
        ("# メッセージ\n\nチャットにメッセージを送る。\n".encode("shift_jis"), "SHIFT_JIS"),
        ("# 메시지\n\n채팅방에 메시지를 보냅니다.\n".encode("euc-kr"), "EUC-KR"),
        ("# 訊息\n\n把訊息傳送到聊天室。\n".encode("big5"), "BIG5"),
    ],
    ids=["gbk", "utf-16", "utf-16-le", "latin-1", "cp1252", "shift_jis", "euc-kr", "big5"],
)
def test_a_readme_in_another_encoding_is_refused_with_the_command_that_converts_it(
    tree: Tree, data: bytes, encoding: str
) -> None:
    folder = tree.plugin("acme/slack")
    tree.release("acme/slack", "1.0.0")
    (folder / "README.md").write_bytes(data)
    with pytest.raises(SealdexError, match="is not in UTF-8"):
        publish_realm(open_publisher(tree.load(), "public"))
    problem = text_problem(data, "README.md")
    assert problem is not None
    assert f"iconv -f {encoding} -t UTF-8 README.md" in problem
    command = problem.partition("convert it with: ")[2]
    subprocess.run(["sh", "-c", command], cwd=folder, check=True)
    assert text_problem((folder / "README.md").read_bytes(), "README.md") is None


def test_a_published_readme_in_another_encoding_is_a_warning(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tree.plugin("acme/slack")
    tree.release("acme/slack", "1.0.0")
    (folder / "README.md").write_bytes(CHINESE.encode("gbk"))
    with monkeypatch.context() as earlier:
        earlier.setattr("registry_builder.publication.publish.check_readmes", lambda _tree, _plan: None)
        publish_realm(open_publisher(tree.load(), "public"))
    tree.release("acme/slack", "1.1.0")
    assert publish_realm(open_publisher(tree.load(), "public")).committed


@pytest.mark.parametrize("text", [CHINESE, "# Überblick\n", "# Заметки\n", "# 日本語\n", "plain\n", "", "# emoji 🎉\n"])
def test_utf_8_is_never_taken_for_another_encoding(text: str) -> None:
    assert other_encoding(text.encode()) is None
    assert with_plain_lines(text.encode()) == text.encode()


def test_a_mark_before_a_heading_is_no_text() -> None:
    assert "<h3" in render_readme(codecs.BOM_UTF8 + b"# Title\n", "x")


# --- documents --------------------------------------------------------------------------------------------------------

EDITED = {
    "plugins/acme/slack/plugin.yaml": ("summary: ours", "summary: theirs"),
    "plugins/acme/slack/status.json": ('{"events": []}', '{"events": []}'),
    "plugins/acme/slack/releases/1.0.0.json": ('"version": "1.0.0"', '"version": "1.0.1"'),
    "plugins/acme/slack/README.md": ("# Ours", "# Theirs"),
}


@pytest.mark.parametrize("name", EDITED)
def test_conflict_markers_are_named_in_every_file_that_people_edit(bare: Bare, name: str) -> None:
    bare.plugin("acme/slack")
    bare.release("acme/slack", "1.0.0")
    if name.endswith("plugin.yaml"):
        (bare.root / "plugins/acme/slack/plugin.json").unlink()
    ours, theirs = EDITED[name]
    bare.write(name, f"first line\n{CONFLICT.format(ours=ours, theirs=theirs)}")
    found = [error for error in errors(bare.lint()) if error.startswith(name)]
    assert len(found) == 1, found
    assert "conflict markers of an unfinished merge, from line 2 on" in found[0]


def test_conflict_markers_in_registry_toml_and_release_yaml(bare: Bare) -> None:
    template = bare.write("plugins/acme/slack/release.yaml", CONFLICT.format(ours="version: 1", theirs="version: 2"))
    with pytest.raises(ConfigError, match="conflict markers"):
        read_template(template)
    config = bare.root / "registry.toml"
    config.write_text(CONFLICT.format(ours="a = 1", theirs="a = 2") + config.read_text())
    with pytest.raises(ConfigError, match="conflict markers"):
        read_config(bare.root)


def test_a_heading_underlined_with_seven_signs_is_no_conflict() -> None:
    assert text_problem(b"Heading\n=======\n\n> quoted\n", "README.md") is None
    assert text_problem(b"    <<<<<<< HEAD\n    =======\n    >>>>>>> x\n", "README.md") is None  # shown as code


def test_documents_with_a_byte_order_mark_are_read(bare: Bare) -> None:
    folder = bare.plugin("acme/slack")
    release = bare.release("acme/slack", "1.0.0")
    for path in (folder / "plugin.json", release, bare.root / "registry.toml"):
        path.write_bytes(codecs.BOM_UTF8 + path.read_bytes())
    assert errors(bare.lint()) == []


# --- what a digest pins -----------------------------------------------------------------------------------------------


def test_a_pointer_of_git_lfs_is_refused_with_the_command_that_fetches(bare: Bare) -> None:
    bare.plugin("acme/slack")
    artifact = local_artifact(bare.root, "plugins/acme/slack/dist/1.0.0/x.zip", b"not the pointer")
    (bare.root / str(artifact["source"])).write_bytes(POINTER)
    bare.release("acme/slack", "1.0.0", artifacts=[artifact])
    found = errors(bare.lint())
    assert len(found) == 1
    assert "Git LFS pointer" in found[0]
    assert "git lfs pull" in found[0]
    assert "remove this release" not in found[0]


def test_a_pointer_that_was_released_as_if_it_were_the_file_is_refused(bare: Bare) -> None:
    bare.plugin("acme/slack")
    bare.release(
        "acme/slack", "1.0.0", artifacts=[local_artifact(bare.root, "plugins/acme/slack/dist/1.0.0/x.bin", POINTER)]
    )
    assert ["git lfs pull" in error for error in errors(bare.lint())] == [True]


@pytest.mark.parametrize(("pinned", "here"), [(b"a\nb\n", b"a\r\nb\r\n"), (b"a\r\nb\r\n", b"a\nb\n")])
def test_line_ends_that_git_changed_are_named(bare: Bare, pinned: bytes, here: bytes) -> None:
    bare.plugin("acme/slack")
    source = "plugins/acme/slack/dist/1.0.0/run.sh"
    artifact = local_artifact(bare.root, source, pinned)
    (bare.root / source).write_bytes(here)
    bare.release("acme/slack", "1.0.0", artifacts=[artifact])
    found = errors(bare.lint())
    assert len(found) == 1
    assert "line ends" in found[0]
    assert f"'{source} -text' into .gitattributes" in found[0]
    assert "remove this release" not in found[0]


def test_line_ends_of_an_attachment_are_named(bare: Bare) -> None:
    bare.plugin("acme/slack")
    bare.release("acme/slack", "1.0.0")
    event = {
        "action": "evaluate", "version": "1.0.0", "at": "2026-11-21T12:00:00Z", "by": "a", "name": "report.txt",
        "sha256": hashlib.sha256(b"a\nb\n").hexdigest(), "size": 4,
    }  # fmt: skip
    bare.write("plugins/acme/slack/status.json", json.dumps({"events": [event]}))
    bare.write("plugins/acme/slack/attachments/1.0.0/report.txt", b"a\r\nb\r\n")
    assert any("line ends" in error and ".gitattributes" in error for error in errors(bare.lint()))


def test_a_new_registry_keeps_git_from_changing_what_is_pinned(tmp_path: Path) -> None:
    """Real git, with the setting that Windows' installer makes: artifacts come out as they went in, texts with LF."""
    tree = Bare(tmp_path / "tree")
    tree.plugin("acme/slack")
    source = "plugins/acme/slack/dist/1.0.0/run.bat"
    tree.release("acme/slack", "1.0.0", artifacts=[local_artifact(tree.root, source, b"@echo off\r\n")])

    def git(*arguments: str, where: Path = tree.root) -> None:
        name = ("-c", "user.name=a", "-c", "user.email=a@b", "-c", "core.autocrlf=true", "-c", "core.safecrlf=false")
        subprocess.run(["git", *name, *arguments], cwd=where, check=True, capture_output=True)

    git("init", "-q")
    git("add", ".")
    git("commit", "-qm", "x")
    git("clone", "-q", "--config", "core.autocrlf=true", str(tree.root), str(tmp_path / "clone"), where=tmp_path)
    clone = tmp_path / "clone"
    assert (clone / source).read_bytes() == b"@echo off\r\n"
    assert b"\r\n" not in (clone / "plugins/acme/slack/README.md").read_bytes()
    assert errors(tree.lint()) == []
    assert not [each for each in warnings(tree.lint()) if "gitattributes" in each]
