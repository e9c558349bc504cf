"""What a release names is in its archives: entry points, commands, models, icons; told without running anything."""

from __future__ import annotations

import io
import json
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from support.archives import FORMATS, make_archive
from support.authoring import Bare, errors, local_artifact

from registry_builder.authoring.payload import pack_folder
from registry_builder.authoring.release import Archive, write_release
from registry_builder.compile.manifest import manifest_bytes, pin
from sealdex.errors import ConfigError
from sealdex.model.ids import PluginId
from sealdex.model.index import IndexDocument, ReleaseEntry

TOOL = PluginId("acme", "tool")
PROCESS = {"kind": "process"}
PYTHON = {"kind": "python"}


@pytest.fixture
def tree(tmp_path: Path) -> Bare:
    made = Bare(tmp_path / "registry")
    made.plugin("acme/tool")
    return made


def zipped(files: Mapping[str, bytes], executable: tuple[str, ...] = ()) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in files.items():
            info = zipfile.ZipInfo(name)
            info.create_system, info.external_attr = 3, (0o100755 if name in executable else 0o100644) << 16
            archive.writestr(info, data)
    return buffer.getvalue()


def found(tree: Bare, files: Mapping[str, bytes], executable: tuple[str, ...] = (), **fields: Any) -> list[str]:
    selector = {"selector": fields.pop("of")} if "of" in fields else {}
    artifact = local_artifact(tree.root, "plugins/acme/tool/dist/t.zip", zipped(files, executable), **selector)
    tree.release("acme/tool", "1.0.0", artifacts=[artifact], **fields)
    return [problem.partition("releases/1.0.0.json: ")[2] for problem in errors(tree.lint())]


SOURCE = b"""
import os
from helper import imported as renamed
VALUE: int = 1
first, (second, *rest) = 1, (2, 3)
class Plugin:
    inner = 1
async def run(): pass
if os.name == "nt":
    def windows(): pass
else:
    try:
        import fast
    except ImportError:
        fallback = None
with open("x") as handle: pass
def outer():
    global made
    local = made = 1
"""


@pytest.mark.parametrize(
    "attribute",
    ["VALUE", "first", "second", "rest", "Plugin", "Plugin.inner", "Plugin.later", "run", "windows", "fast", "fallback",
     "renamed", "handle", "made", "os"],
)  # fmt: skip
def test_an_attribute_that_the_module_defines_somehow_is_there(tree: Bare, attribute: str) -> None:
    assert found(tree, {"tool.py": SOURCE}, entry_point=f"tool:{attribute}") == []


@pytest.mark.parametrize("attribute", ["Plugim", "local", "imported", "helper", "inner"])
def test_an_attribute_that_the_module_lacks_is_named(tree: Bare, attribute: str) -> None:
    (problem,) = found(tree, {"tool.py": SOURCE}, entry_point=f"tool:{attribute}")
    assert problem.startswith(f"entry_point: 'tool:{attribute}': tool.py defines no '{attribute}'")
    assert ("did you mean 'Plugin'?" in problem) == (attribute == "Plugim")


@pytest.mark.parametrize(
    "source",
    [b"from other import *", b"def __getattr__(name): ...", b"globals()['Plugin'] = 1", b"exec('Plugin = 1')",
     b"match = case = 1; this is newer Python", b"\x00", b"# coding: no-such-coding\n"],
)  # fmt: skip
def test_what_only_running_it_would_tell_is_let_through(tree: Bare, source: bytes) -> None:
    assert found(tree, {"tool.py": source}, entry_point="tool:Plugin") == []


def test_nothing_is_run(tree: Bare, tmp_path: Path) -> None:
    source = f"open({str(tmp_path / 'PWNED')!r}, 'w')\nPlugin = 1\n".encode()
    assert found(tree, {"tool.py": source}, entry_point="tool:Plugin") == []
    assert not (tmp_path / "PWNED").exists()


@pytest.mark.parametrize(
    ("entry_point", "files", "words"),
    [
        ("slack:Plugin", {"src/slack.py": b""}, "there is no module 'slack'"),
        ("slack:Plugin", {"src/slack.py": b""}, "there is src/slack.py"),
        ("a.b:Plugin", {"a/__init__.py": b""}, "neither a/b.py nor a/b/__init__.py"),
        ("a:Plugin", {"a/b.py": b""}, "the folder has no __init__.py"),
        ("slack.py:Plugin", {"slack.py": b"Plugin = 1"}, "write slack:Plugin"),
        ("src/slack:Plugin", {"src/slack.py": b"Plugin = 1"}, "write src.slack:Plugin"),
        (":Plugin", {"slack.py": b""}, "write module:attribute"),
        ("train.py", {"src/train.py": b""}, "'train.py' is not in the archive; there is src/train.py"),
    ],
)
def test_python_entry_points_that_are_not_there(
    tree: Bare, entry_point: str, files: Mapping[str, bytes], words: str
) -> None:
    (problem,) = found(tree, files, entry_point=entry_point)
    assert words in problem
    assert "'plugins/acme/tool/dist/t.zip'" in problem


@pytest.mark.parametrize(
    ("entry_point", "name"),
    [
        ("a:P", "a.cpython-311-x86_64-linux-gnu.so"), ("a:P", "a.abi3.so"), ("a.b:P", "a/b.pyd"), ("a:P", "a.pyc"),
        ("a:P", "a/__init__.so"), ("train.py", "train.py"), ("train.py --fast", "train.py"), ("train", "train.py"),
    ],
)  # fmt: skip
def test_compiled_modules_and_scripts_count(tree: Bare, entry_point: str, name: str) -> None:
    assert found(tree, {name: b""}, entry_point=entry_point) == []


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("bin/tol", "program 'bin/tol' is not in the archive; there is bin/tool"),
        ("./bin/nothing --x", "program './bin/nothing' is not in the archive"),
        ("python3 main.py", "'main.py', which python3 should run, is not in the archive"),
        ("bin/plain", "is not executable in the archive: chmod +x it"),
        ("plain.sh", "is not executable"),
        ("'unclosed", "can't be read as a command"),
    ],
)
def test_process_entry_points_and_service_commands(tree: Bare, command: str, words: str) -> None:
    files = {"bin/tool": b"x", "bin/plain": b"x", "plain.sh": b"x"}
    (problem,) = found(tree, files, ("bin/tool",), entry_point=command, runtime=PROCESS)
    assert problem.startswith("entry_point: ")
    assert words in problem
    if "'" not in command:
        service = {"command": command.split()}
        (problem,) = found(tree, files, ("bin/tool",), service=service)
        assert problem.startswith("service.command: ")
        assert words in problem


@pytest.mark.parametrize(
    "command",
    ["bin/tool", "./bin/tool --x", "sh", "ffmpeg -i x", "/usr/bin/env python3", "python3 -m http.server", "sh -c x",
     "python3 bin/tool", "${SERVICE_DIR}/bin/tool", "${TOOL}", "python3 ${SERVICE_DIR}/bin/tool", "sh $X", "../x"],
)  # fmt: skip
def test_programs_of_the_host_and_of_the_package_are_let_through(tree: Bare, command: str) -> None:
    files = {"bin/tool": b"x"}
    assert found(tree, files, ("bin/tool",), entry_point=command, runtime=PROCESS) == []
    assert found(tree, files, ("bin/tool",), service={"command": command.split()}) == []


def test_windows_needs_no_executable_bit(tree: Bare) -> None:
    only = {"match_labels": {"os": "windows"}}
    assert found(tree, {"tool.exe": b"x"}, entry_point="tool.exe", runtime=PROCESS, of=only) == []
    assert len(found(tree, {"tool.exe": b"x"}, entry_point="tool.exe", runtime=PROCESS)) == 1


def test_models_and_icons(tree: Bare) -> None:
    models = [{"model_id": "a", "path": "models/tts"}, {"model_id": "b", "path": "models/asr"}]
    problems = found(tree, {"models/tts/w.bin": b"x", "icon.png": b"x"}, models=models, icon="icons/icon.png")
    assert problems[0].startswith("icon: 'icons/icon.png' is not in the archive; there is icon.png")
    assert problems[1].startswith("models[1].path: 'models/asr' is not in the archive")
    assert found(tree, {"models/tts/w.bin": b"x"}, models=models[:1], icon="https://x.example/icon.png") == []


@pytest.mark.parametrize("kind", ["rust", "native", "container"])
def test_runtimes_that_others_load_are_not_judged(tree: Bare, kind: str) -> None:
    assert found(tree, {"a": b"x"}, entry_point="libtool:create", runtime={"kind": kind}) == []


@pytest.mark.parametrize("archive_format", FORMATS)
def test_every_format_and_mapping_is_looked_into(tree: Bare, tmp_path: Path, archive_format: str) -> None:
    path = tmp_path / f"t.{archive_format}"
    make_archive(path, archive_format, {"tool-1.0/a/__init__.py": b"class Plugin: pass\n"})
    source = f"plugins/acme/tool/dist/{path.name}"
    for entry_point, mapped, right in (
        ("a:Plugin", [{"from": "tool-1.0/*", "to": "."}], True),
        ("a:Other", [{"from": "tool-1.0/*", "to": "."}], False),
        ("a:Plugin", [], False),
    ):
        artifact = local_artifact(tree.root, source, path.read_bytes(), files=mapped)
        tree.release("acme/tool", "1.0.0", artifacts=[artifact], entry_point=entry_point)
        assert (errors(tree.lint()) == []) == right, entry_point


def test_links_lead_to_what_is_there(tree: Bare) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, target in (("bin/tool", "../lib/tool"), ("bin/gone", "../lib/gone")):
            link = tarfile.TarInfo(name)
            link.type, link.linkname = tarfile.SYMTYPE, target
            archive.addfile(link)
        program = tarfile.TarInfo("lib/tool")
        program.mode = 0o755
        archive.addfile(program)
    artifact = local_artifact(tree.root, "plugins/acme/tool/dist/t.tar.gz", buffer.getvalue())
    for entry_point, right in (("bin/tool", True), ("bin/gone", False)):
        tree.release("acme/tool", "1.0.0", artifacts=[artifact], entry_point=entry_point, runtime=PROCESS)
        assert (errors(tree.lint()) == []) == right


def test_each_platform_s_archive_is_held_to_it(tree: Bare) -> None:
    def artifact(name: str, module: str) -> dict[str, Any]:
        data = zipped({f"{module}.py": b"Plugin = 1"})
        selector = {"match_labels": {"os": name}}
        return local_artifact(tree.root, f"plugins/acme/tool/dist/{name}.zip", data, selector=selector)

    tree.release(
        "acme/tool", "1.0.0", artifacts=[artifact("linux", "a"), artifact("darwin", "b")], entry_point="a:Plugin"
    )
    (problem,) = errors(tree.lint())
    assert "darwin.zip" in problem


def test_a_single_file_that_may_hold_anything_is_not_judged(tree: Bare) -> None:
    artifact = local_artifact(tree.root, "plugins/acme/tool/dist/tool-1.0-py3-none-any.whl", b"x")
    tree.release("acme/tool", "1.0.0", artifacts=[artifact], entry_point="tool:Plugin")
    assert errors(tree.lint()) == []
    artifact = local_artifact(tree.root, "plugins/acme/tool/dist/tool.py", b"x = 1")
    tree.release("acme/tool", "1.0.0", artifacts=[artifact], entry_point="tool:Plugin")
    assert len(errors(tree.lint())) == 1


def test_release_and_pack_refuse_it_and_what_is_published_stays(tree: Bare, tmp_path: Path) -> None:
    assert len(found(tree, {"a.py": b""}, entry_point="b:Plugin")) == 1
    loaded = tree.load().plugins[TOOL].releases["1.0.0"]
    entry = ReleaseEntry("1.0.0", pin(manifest_bytes(TOOL, loaded)))
    document = IndexDocument(1, "acme", "tool", "notify", "Says something", (entry,))
    assert errors(tree.lint(published={TOOL: document})) == []
    tree.write("plugins/acme/tool/src/tool.py", b"Plugin = 1")
    template = {"version": "2.0.0", "entry_point": "tool:Plugim", "runtime": PYTHON}
    tree.write("plugins/acme/tool/release.yaml", json.dumps(template))
    with pytest.raises(ConfigError, match="did you mean 'Plugin'"):
        pack_folder(tree.root / "plugins/acme/tool")
    assert not list((tree.root / "plugins/acme/tool/dist").rglob("*2.0.0*.zip"))
    (tmp_path / "tool.zip").write_bytes(zipped({"tool.py": b"Plugin = 1"}))
    with pytest.raises(ConfigError, match="did you mean 'Plugin'"):
        write_release(tree.root, [Archive(tmp_path / "tool.zip")], plugin=TOOL)
    tree.write("plugins/acme/tool/release.yaml", json.dumps({**template, "entry_point": "tool:Plugin"}))
    assert pack_folder(tree.root / "plugins/acme/tool").files == ("tool.py",)
