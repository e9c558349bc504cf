"""What `pack` leaves out: held to git itself, and to what it says of it."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import pytest
from support.authoring import Bare, builder

from registry_builder.authoring.pack import list_files, pack
from registry_builder.authoring.payload import pack_folder
from sealdex.errors import ConfigError


def write(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def git(folder: Path, *arguments: str) -> bytes:
    command = ["git", "-c", "user.name=a", "-c", "user.email=a@b", *arguments]
    return subprocess.run(command, cwd=folder, check=True, capture_output=True).stdout


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    folder = tmp_path / "repository"
    folder.mkdir()
    git(folder, "init", "-q")
    return folder


def packed(folder: Path) -> list[str]:
    return [file.name for file in list_files(folder)]


def as_git_sees_it(folder: Path) -> list[str]:
    out = git(folder, "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    names = {name.decode() for name in out.split(b"\0") if name}
    return sorted(name for name in names if name.rpartition("/")[2] != ".gitignore")


def test_what_git_ignores_is_left_out_and_listed(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(
        repository,
        {
            ".gitignore": "node_modules/\n*.pem\n.env\n", "src/main.js": "1", "src/.env": "A=1", "src/deploy.pem": "x",
            "src/node_modules/a/index.js": "1", "src/sub/.gitignore": "*.log\n!keep.log\n", "src/sub/a.log": "1",
            "src/sub/keep.log": "1",
        },
    )  # fmt: skip
    assert packed(repository / "src") == ["main.js", "sub/keep.log"] == as_git_sees_it(repository / "src")
    assert builder("--json", "pack", repository / "src", "-o", repository / "out.zip") == 0
    said = json.loads(capsys.readouterr().out)
    assert said["left_out"] == [".env", "deploy.pem", "node_modules/", "sub/a.log"]
    assert builder("pack", repository / "src", "-o", repository / "out.zip") == 0
    assert "excluded by .gitignore: .env, deploy.pem, node_modules/, sub/a.log" in capsys.readouterr().out


def test_what_git_tracks_is_packed_although_a_pattern_names_it(repository: Path) -> None:
    write(repository, {".gitignore": "build/\n*.so\n", "src/a.so": "1", "src/b.so": "1", "src/build/x": "1"})
    write(repository, {"src/build/deep/y": "1", "src/build/z": "1"})
    git(repository, "add", "-f", "src/a.so", "src/build/deep/y")
    assert packed(repository / "src") == ["a.so", "build/deep/y"] == as_git_sees_it(repository / "src")


def test_the_ignore_file_of_the_folder_stands_for_all_others(repository: Path) -> None:
    write(repository, {".gitignore": "*.so\n", "src/a.so": "1", "src/notes": "1", "src/.sealdexignore": "notes\n"})
    assert packed(repository / "src") == ["a.so"]


def test_settings_of_the_machine_have_no_say(repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(repository, {"src/a.txt": "1", "src/b.log": "1"})
    (tmp_path / "ignore").write_text("*.log\n")
    (tmp_path / "gitconfig").write_text(f"[core]\n\texcludesFile = {tmp_path / 'ignore'}\n")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "gitconfig"))
    (repository / ".git/info").mkdir(exist_ok=True)
    (repository / ".git/info/exclude").write_text("a.txt\n")
    assert as_git_sees_it(repository / "src") == []
    assert packed(repository / "src") == ["a.txt", "b.log"]


def test_a_folder_that_is_ignored_as_a_whole_was_named_on_purpose(repository: Path) -> None:
    write(repository, {".gitignore": "/build/\n*.o\n", "build/linux/tool": "1", "build/linux/tool.o": "1"})
    write(repository, {"build/linux/.gitignore": "*.map\n", "build/linux/tool.map": "1"})
    assert packed(repository / "build/linux") == ["tool", "tool.o"]


@pytest.mark.parametrize("how", ["no git here", "no repository"])
def test_without_git_the_files_alone_decide(repository: Path, monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    write(repository, {"src/.gitignore": "*.so\n", "src/a.so": "1", "src/b": "1"})
    git(repository, "add", "-f", "src/a.so")
    if how == "no git here":
        monkeypatch.setenv("PATH", str(repository / "empty"))
    else:
        shutil.rmtree(repository / ".git")
    assert packed(repository / "src") == ["b"]


@pytest.mark.parametrize("seed", range(12))
def test_the_same_as_git_for_rules_of_any_kind(repository: Path, seed: int) -> None:
    """Random trees and rules, nested and with negations: what is packed is what `git ls-files` would take."""
    chance = random.Random(seed)  # noqa: S311  # no secret
    names = ["a", "b", "c.log", "d.txt", "e f", "ü"]
    files = {"/".join(chance.choices(names, k=chance.randint(1, 4))) for _ in range(40)}
    files = {name for name in files if not any(other.startswith(f"{name}/") for other in files)}
    write(repository, dict.fromkeys((f"src/{name}" for name in files), "x"))
    patterns = [
        "*.log",
        "!c.log",
        "a/",
        "/b",
        "!/b/",
        "a/**/b",
        "**/d.txt",
        "e\\ f",
        "!e f",
        "[ab]",
        "b/*",
        "!b/a",
        "ü",
    ]
    (repository / ".gitignore").write_text("*.log\n!src/a/c.log\n/src/e f/\n")
    folders = [repository / "src", *sorted(p for p in (repository / "src").rglob("*") if p.is_dir())]
    for folder in chance.sample(folders, min(len(folders), 4)):
        (folder / ".gitignore").write_text("\n".join(chance.sample(patterns, 4)) + "\n")
    for name in chance.sample(sorted(files), 5):
        git(repository, "add", "-f", f"src/{name}")
    assert packed(repository / "src") == as_git_sees_it(repository / "src")


def test_an_entry_point_that_is_left_out_is_an_error_that_says_so(repository: Path) -> None:
    tree = Bare(repository / "registry")
    tree.plugin("acme/tool")
    template = {"version": "1.0.0", "entry_point": "tool:Plugin", "runtime": {"kind": "python"}}
    folder = tree.write("plugins/acme/tool/release.yaml", json.dumps(template)).parent
    write(folder / "src", {"tool.py": "Plugin = 1\n", ".gitignore": "tool.py\n", "other.py": "1\n"})
    with pytest.raises(ConfigError, match=r"tool") as caught:
        pack_folder(folder)
    assert ".gitignore excludes tool.py" in str(caught.value.hint)
    assert not (folder / "dist").exists() or not list((folder / "dist").rglob("*.zip"))


def test_a_payload_that_is_a_link_out_of_the_plugin_is_refused(repository: Path) -> None:
    tree = Bare(repository / "registry")
    folder = tree.plugin("acme/tool")
    tree.write("plugins/acme/tool/release.yaml", json.dumps({"version": "1.0.0"}))
    (folder / "src").symlink_to("/etc")
    with pytest.raises(ConfigError, match="leaves the source tree"):
        pack_folder(folder)


def test_version_control_is_never_packed(tmp_path: Path) -> None:
    write(tmp_path / "in", {".git/config": "x", ".GIT/config": "x", "a": "1", ".sealdexignore": "!.git/\n!.git/**\n"})
    assert packed(tmp_path / "in") == ["a"]


def test_a_pointer_of_git_lfs_is_not_packed(tmp_path: Path) -> None:
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'a' * 64}\nsize 5\n"
    write(tmp_path / "in", {"model.bin": pointer, "a": "1"})
    with pytest.raises(ConfigError, match="git lfs pull"):
        pack(tmp_path / "in", tmp_path / "out.zip")
    assert not (tmp_path / "out.zip").exists()


def test_attack_a_link_put_there_while_packing_is_not_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Attacker: writes to the folder while it is packed. Change: a file that was listed becomes a link to a secret.
    Refusal: it isn't followed; no archive is written.
    """
    (tmp_path / "outside").write_text("s3cret")
    folder = write(tmp_path / "in", {"a": "1"})
    real = tempfile.mkstemp

    def swapped(**options: Any) -> tuple[int, str]:
        (folder / "a").unlink()
        (folder / "a").symlink_to("../outside")
        return real(**options)

    monkeypatch.setattr(tempfile, "mkstemp", swapped)
    with pytest.raises(ConfigError, match="leaves"):
        pack(folder, tmp_path / "out.zip")
    assert not (tmp_path / "out.zip").exists()
