"""Hosts that aren't like the developer's: no home, a store that can't be written, odd bytes in paths, no stdout."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from support.commands import Run
from support.plugin_registry import PluginRegistry
from support.read_only import read_only, run_without_power

from sealdex.errors import ConfigError
from sealdex.paths import config_file, store_folder


@pytest.fixture
def ensured(bare: Run, registry: PluginRegistry, want: Callable[[str], None], tmp_path: Path) -> Run:
    """A project in place, from a registry in a folder."""
    (tmp_path / "root.json").write_bytes(registry.root)
    url = registry.write(tmp_path / "published")
    assert bare("registry", "add", "public", url, "--root", tmp_path / "root.json").code == 0
    want('"acme/base" = "*"')
    assert bare("ensure").code == 0
    assert bare("search", "base").code == 0
    return bare


# --- no home ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("home", [{}, {"HOME": ""}, {"HOME": "~"}, {"HOME": "here"}])
def test_without_a_home_nothing_is_read_or_made_in_the_current_folder(
    home: dict[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Power: a repository that somebody clones, with a folder ``~`` in it that configures a registry."""

    def unknown(_: int) -> object:
        raise KeyError

    monkeypatch.setattr(pwd, "getpwuid", unknown)  # as for the user of a container
    for place in (config_file, store_folder):
        with pytest.raises(ConfigError) as caught:
            place(home)
        assert "SEALDEX_STORE" in (caught.value.hint or "")
    theirs = tmp_path / "~/.config/sealdex"
    theirs.mkdir(parents=True)
    (theirs / "config.toml").write_text('[registries.evil]\nurl = "https://evil.example/"\nroot = "root.json"\n')
    stranger = "import os, pwd, sys\ndef unknown(_):\n    raise KeyError\npwd.getpwuid = unknown\n"
    program = stranger + "from sealdex.cli.main import main\nsys.exit(main(sys.argv[1:]))"
    variables = {"PATH": os.environ["PATH"], **home}
    for command in (["list"], ["registry", "list"], ["doctor"], ["search", "x"]):
        done = subprocess.run(
            [sys.executable, "-c", program, *command],
            cwd=tmp_path,
            env=variables,
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, "evil" in done.stdout + done.stderr) == (1, False), done.stderr
        assert "Traceback" not in done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["~"]


def test_the_system_knows_a_home_too(monkeypatch: pytest.MonkeyPatch) -> None:
    known = pwd.getpwuid(os.getuid()).pw_dir
    assert store_folder({}) == store_folder({"HOME": known})


# --- a store that can't be written -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "command",
    [
        ["ensure", "--frozen", "--offline"],
        ["ensure", "--locked"],
        ["ensure"],
        ["install", "acme/base"],
        ["info", "acme/base"],
        ["info", "acme/base", "--offline"],
        ["search", "base"],
        ["search", "base", "--offline"],
        ["list"],
        ["list", "--outdated"],
        ["verify"],
        ["path", "acme/base"],
    ],
    ids=" ".join,
)
def test_what_is_in_place_serves_from_a_store_that_cannot_be_written(
    ensured: Run, tmp_path: Path, command: list[str]
) -> None:
    shutil.rmtree(tmp_path / "store/ensured")  # so that `ensure` looks for itself
    with read_only(tmp_path / "store", tmp_path / "project"):
        done = run_without_power(*command, cwd=tmp_path / "project", env={"TMPDIR": str(tmp_path)})
    assert done.returncode == 0, done.stderr
    assert [path for path in tmp_path.iterdir() if path.name.startswith("sealdex-")] == []


def test_what_would_have_to_be_changed_there_is_refused(ensured: Run, tmp_path: Path) -> None:
    with read_only(tmp_path / "store", tmp_path / "project"):
        for command in (["install", "acme/mail"], ["uninstall", "acme/base"], ["install", "acme/base", "--pin"]):
            done = run_without_power(*command, cwd=tmp_path / "project")
            assert (done.returncode, "Traceback" in done.stderr) == (1, False), (command, done.stderr)


def test_a_copy_of_what_is_trusted_is_verified_like_the_original(
    ensured: Run, registry: PluginRegistry, tmp_path: Path
) -> None:
    """Power: writing to a store that this user only reads. The pinned root is the anchor here as well."""
    theirs = PluginRegistry()
    theirs.release("acme/base", "6.6.6")
    theirs.publish()
    (tmp_path / "theirs.json").write_bytes(theirs.root)
    config = tmp_path / "config/config.toml"
    ours = config.read_text()
    config.write_text(ours.replace(registry.write(tmp_path / "published"), theirs.write(tmp_path / "evil")))
    (root,) = tmp_path.glob("config/roots/*")
    kept = root.read_bytes()
    root.write_bytes(theirs.root)
    shutil.rmtree(tmp_path / "store/trust")
    assert ensured("info", "acme/base").code == 0
    root.write_bytes(kept)
    config.write_text(ours)
    with read_only(tmp_path / "store"):
        done = run_without_power("info", "acme/base", "--offline", cwd=tmp_path / "project")
    assert (done.returncode, "SECURITY" in done.stderr, "6.6.6" in done.stdout) == (4, True, False), done.stderr


# --- odd bytes in paths ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [b"caf\xe9", b"a\tb", b"a\x1b[31mb", "a\u202eb".encode(), "größe".encode()])
@pytest.mark.parametrize("encoding", ["utf-8", "ascii", "latin-1"])
def test_a_path_is_printed_as_it_is(ensured: Run, tmp_path: Path, name: bytes, encoding: str) -> None:
    store = os.fsencode(tmp_path) + b"/" + name
    shutil.copytree(tmp_path / "store", os.fsdecode(store), symlinks=True)
    env = {**os.environ, "SEALDEX_STORE": os.fsdecode(store), "PYTHONIOENCODING": encoding}
    for command, expected in (
        (["path", "acme/base"], store + b"/plugins/acme/base/1.0.0\n"),
        (["list", "-q"], b"acme/base\t1.0.0\t" + store + b"/plugins/acme/base/1.0.0\n"),
    ):
        done = subprocess.run([sys.executable, "-m", "sealdex", *command], env=env, capture_output=True, check=True)
        assert done.stdout == expected
    answered = subprocess.run(
        [sys.executable, "-m", "sealdex", "path", "acme/base", "--json"], env=env, capture_output=True, check=True
    )
    assert os.fsencode(json.loads(answered.stdout)["path"]) == store + b"/plugins/acme/base/1.0.0"


# --- closed streams --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-", "<&- >&- 2>&-"])
@pytest.mark.parametrize("command", ["install acme/mail", "list", "list --json", "env"])
def test_a_stream_that_the_caller_has_closed(ensured: Run, tmp_path: Path, command: str, closed: str) -> None:
    line = f"exec {sys.executable} -m sealdex {command} {closed}"
    done = subprocess.run(["sh", "-c", line], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, "Traceback" in done.stderr) == (0, False), done.stderr
    assert ensured("verify").code == 0
    assert ensured("history").code == 0  # nothing was written into what would have taken the number of stdout


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux has it")
@pytest.mark.parametrize("mode", ["", "--json"])
def test_an_answer_that_cannot_be_written(ensured: Run, tmp_path: Path, mode: str) -> None:
    line = f"exec {sys.executable} -m sealdex install acme/mail {mode} >/dev/full"
    done = subprocess.run(["sh", "-c", line], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.splitlines()[0].startswith("error: the answer can't be written to stdout")
    assert "the command did its work" in done.stderr
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr
    assert ensured("path", "acme/mail").code == 0


# --- pipes where files are expected ----------------------------------------------------------------------------------


def test_a_pipe_in_the_place_of_a_file_is_refused_and_not_waited_for(
    ensured: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each would wait for ever for somebody to write to it; none is read, replaced or removed."""
    monkeypatch.setattr("sealdex.config.toml_reader._PIPE_PATIENCE_S", 0.01)
    pipe, out = tmp_path / "pipe.zip", tmp_path / "out"
    out.mkdir()
    artifact = out / "base.zip"
    for path in (pipe, artifact):
        os.mkfifo(path)
    for command, code in (
        (("install", pipe, "--as", "me/tool@1.0.0", "--allow-unsigned"), 1),
        (("mirror", "import", pipe, tmp_path / "mirror", "--registry", "public"), 1),
        (("fetch", "acme/base", "--to", out), 1),
        (("registry", "add", "other", "https://plugins.example/", "--root", pipe, "--namespace", "x"), 2),
    ):
        ran = ensured(*command)
        assert ran.code == code, (command, ran.err)
        assert "pipe" in ran.err, (command, ran.err)
        assert "Traceback" not in ran.err
        assert pipe.is_fifo()
        assert artifact.is_fifo()


def test_a_log_that_is_a_pipe_without_a_reader_is_not_waited_for(
    ensured: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.mkfifo(tmp_path / "log")
    monkeypatch.setenv("SEALDEX_LOG_FILE", str(tmp_path / "log"))
    ran = ensured("list")
    assert ran.code == 0
    assert "can't be opened" in ran.err
    reader = os.open(tmp_path / "log", os.O_RDONLY | os.O_NONBLOCK)
    try:
        assert ensured("install", "acme/base").code == 0
        assert os.read(reader, 1 << 16)
    finally:
        os.close(reader)


def test_what_is_not_a_folder_is_said_to_be_none(ensured: Run, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"mine")
    for command in (("fetch", "acme/base", "--to"), ("mirror", "create", "public")):
        ran = ensured(*command, tmp_path / "file")
        assert ran.code != 0
        assert "folder" in ran.err or "Directory" in ran.err
        assert (tmp_path / "file").read_bytes() == b"mine"
