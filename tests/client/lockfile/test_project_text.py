"""Files of a project as editors, shells and merges leave them: conflict marks, byte order marks, other encodings."""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from support.commands import Run
from support.tree_server import TreeServer

from sealdex.config.toml_reader import read_toml_text, sides_of_merge
from sealdex.errors import ConfigError
from sealdex.lockfile.lock_file import read_lock


def git(folder: Path, *args: str) -> int:
    who = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false"]
    return subprocess.run(["git", *who, *args], cwd=folder, check=False, capture_output=True).returncode


@pytest.fixture
def merged(run: Run, want: Callable[[str], None], tmp_path: Path) -> Path:
    """A project in which two branches locked other plugins, merged with conflicts."""
    project = tmp_path / "project"
    git(project, "init", "-b", "main")

    def commit(wanted: str) -> None:
        want(wanted)
        assert run("lock").code == 0
        git(project, "add", ".")
        assert git(project, "commit", "-m", "x") == 0

    commit('"acme/base" = "*"')
    git(project, "checkout", "-b", "other")
    commit('"acme/base" = "*"\n"acme/slack" = "=1.0.0"')
    git(project, "checkout", "main")
    commit('"acme/base" = "*"\n"acme/mail" = "*"')
    assert git(project, "merge", "other") == 1
    want('"acme/base" = "*"\n"acme/slack" = "^1"\n"acme/mail" = "*"')
    assert "<<<<<<<" in (project / "sealdex.lock").read_text()
    return project


def versions(project: Path) -> dict[str, str]:
    return {str(plugin): block.version for plugin, block in read_lock(project / "sealdex.lock").by_id.items()}


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_a_lock_with_conflict_marks_is_made_again_as_the_message_says(run: Run, merged: Path, line_end: str) -> None:
    lock = merged / "sealdex.lock"
    lock.write_bytes(lock.read_text().replace("\n", line_end).encode())
    line = lock.read_text().splitlines().index("<<<<<<< HEAD") + 1
    for command in (["ensure"], ["ensure", "--locked"], ["ensure", "--frozen"]):
        refused = run(*command)
        assert (refused.code, f"line {line} has the markers of an unfinished merge" in refused.err) == (1, True)
        assert "to re-create it: sealdex lock" in refused.err
    assert run("lock", "--dry-run").code == 0
    assert "<<<<<<<" in lock.read_text()
    made = run("lock")
    assert (made.code, "could not be read and was re-created" in made.err) == (0, True)
    assert versions(merged) == {"acme/base": "1.0.0", "acme/mail": "1.0.0", "acme/slack": "1.0.0"}  # not 1.1.0
    assert run("ensure", "--locked").code == 0
    assert run("lock").err.count("made again") == 0


def test_a_lock_of_which_nothing_can_be_read_is_made_again(run: Run, merged: Path) -> None:
    lock = merged / "sealdex.lock"
    for data in (b"\xff\xfe", b"x", b"version = 1\n[[plugin]]\n", b"a = " + b"[" * 100_000, b"a = " + b"9" * 10_000):
        lock.write_bytes(data)
        assert run("ensure", "--frozen").code == 1
        assert run("lock").code == 0
        assert versions(merged)["acme/slack"] == "1.1.0"
    lock.write_text("version = 2\n")
    assert run("lock").code == 1
    assert lock.read_text() == "version = 2\n"  # a newer sealdex's is left alone


def test_conflict_marks_in_sealdex_toml_are_named(run: Run, want: Callable[[str], None]) -> None:
    want('<<<<<<< HEAD\n"acme/base" = "*"\n=======\n"acme/mail" = "*"\n>>>>>>> other')
    refused = run("lock")
    assert (refused.code, "line 2 has the markers of an unfinished merge" in refused.err) == (1, True)


def test_a_byte_order_mark_says_nothing(
    run: Run, want: Callable[[str], None], server: TreeServer, tmp_path: Path
) -> None:
    want('"acme/base" = "*"')
    assert run("lock").code == 0
    config = tmp_path / "config/config.toml"
    for path in (config, tmp_path / "project/sealdex.toml", tmp_path / "project/sealdex.lock"):
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert run("ensure", "--locked").code == 0
    root = tmp_path / "given-root.json"
    assert run("registry", "add", "more", server.url, "--root", root, "--namespace", "x").code == 0
    assert run("registry", "remove", "public").code == 0
    job = tmp_path / "job.toml"
    job.write_bytes(b'\xef\xbb\xbfjob_id = "1"\ncommands = ["true"]\n')
    assert run("job", "run", job).code == 0


@pytest.mark.parametrize("encoding", ["utf-16", "latin-1"])
@pytest.mark.parametrize("name", ["config/config.toml", "project/sealdex.toml", "project/sealdex.lock"])
def test_other_encodings_are_named(
    run: Run, want: Callable[[str], None], tmp_path: Path, name: str, encoding: str
) -> None:
    want('"acme/base" = "*"')
    assert run("lock").code == 0
    path = tmp_path / name
    path.write_bytes(f"# größe\n{path.read_text()}".encode(encoding))
    refused = run("ensure", "--locked")
    assert (refused.code, "the file is not in UTF-8" in refused.err, str(path) in refused.err) == (1, True, True)


def test_both_sides_of_a_merge() -> None:
    text = "a\n<<<<<<< HEAD\nb\n||||||| base\nc\n=======\nd\n>>>>>>> x\ne"
    assert sides_of_merge(text) == ("a\nb\ne", "a\nd\ne")
    for broken in ("a", "<<<<<<< a", "=======\n", "<<<<<<< a\n>>>>>>> b", "<<<<<<< a\n=======\n<<<<<<< b\n>>>>>>> c"):
        assert sides_of_merge(broken) is None


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="a system without named pipes")
@pytest.mark.parametrize("name", ["sealdex.lock", "sealdex.toml"])
def test_a_pipe_that_nobody_writes_to_is_not_waited_for(
    run: Run, want: Callable[[str], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr("sealdex.config.toml_reader._PIPE_PATIENCE_S", 0.01)
    want('"acme/slack" = "^1"')
    assert run("lock").code == 0
    assert run("ensure").code == 0  # from now on it is compared with what was there
    path = tmp_path / "project" / name
    path.unlink()
    os.mkfifo(path)
    for command in ("ensure", "lock", "update"):
        ran = run(command)
        assert ran.code == 1, (command, ran.err)
        assert "pipe" in ran.err, command
        assert path.is_fifo(), command


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="a system without named pipes")
def test_what_a_program_writes_to_a_pipe_is_read(tmp_path: Path) -> None:
    """``<(command)`` of a shell, wherever a file of TOML may be named."""
    path = tmp_path / "config.toml"
    os.mkfifo(path)
    text = "# a\n" * 40_000  # more than a pipe takes at once
    writing = threading.Thread(target=lambda: path.write_text(text))
    writing.start()
    assert read_toml_text(path) == text
    writing.join()


def test_a_file_without_end_is_refused() -> None:
    with pytest.raises(ConfigError, match="more than 64 MiB"):
        read_toml_text(Path("/dev/zero"))
    assert read_toml_text(Path("/dev/null")) == ""
