"""The one file of the client (`make onefile`), run by a Python that has no packages."""

from __future__ import annotations

import json
import os
import runpy
import shutil
import subprocess
import sys
import time
import venv
import zipfile
from pathlib import Path
from typing import Any

import pytest
from support.components import missing
from support.distributions import DIST, built_release
from support.made_once import made_once
from support.places import REPOSITORY
from support.plugin_store import PluginStore

from sealdex.cli.command_table import COMMANDS

ONE_FILE: dict[str, Any] = runpy.run_path(str(REPOSITORY / "scripts" / "onefile.py"))
pytestmark = pytest.mark.slow
WORKER = "import time\nprint('working', flush=True)\nwhile True: time.sleep(0.05)"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file, made from pinned wheels without a network, twice and the same."""
    wheels = Path(sys.prefix, "wheels")
    if not wheels.is_dir():
        missing("the folder of pinned wheels", "scripts/setup.sh test")

    def make(folder: Path) -> None:
        client = built_release(tmp_path_factory) / f"sealdex-{DIST['version']()}-py3-none-any.whl"
        files: list[Path] = []
        for name in ("first", "second"):
            (folder / name).mkdir()
            files.append(ONE_FILE["make"](folder / name, client, wheels))
        assert files[0].name == files[1].name
        assert files[0].read_bytes() == files[1].read_bytes()

    (file,) = (made_once(tmp_path_factory, "one-file", make) / "first").iterdir()
    return file


class Host:
    """A host with a bare Python, and nothing else of this checkout."""

    def __init__(self, folder: Path, file: Path) -> None:
        venv.create(folder / "bare", with_pip=False, symlinks=True)
        self.file = file
        self.cache = folder / "cache"
        self.python = folder / "bare" / "bin" / "python"
        self.variables = {
            "PATH": "/usr/bin:/bin",
            "HOME": str(folder / "home"),
            "XDG_CACHE_HOME": str(self.cache),
            "SEALDEX_CONFIG": str(folder / "config.toml"),
            "SEALDEX_STORE": str(folder / "store"),
        }

    def __call__(self, *words: str, code: int = 0) -> str:
        done = subprocess.run(
            [str(self.python), str(self.file), *words], env=self.variables, capture_output=True, text=True, check=False
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr


@pytest.fixture
def host(made: Path, tmp_path: Path) -> Host:
    return Host(tmp_path, made)


def test_commands_of_every_module_are_found(host: Host) -> None:
    bare = [str(host.python), "-c", "import sealdex"]
    assert subprocess.run(bare, env=host.variables, check=False, capture_output=True).returncode == 1
    assert host("--version") == f"sealdex {DIST['version']()}\n"
    assert json.loads(host("list", "--json"))["installed"] == []
    one_a_module = {entry.address.partition(":")[0]: command for command, entry in COMMANDS.items()}
    assert len(one_a_module) > 8
    for command in one_a_module.values():
        assert "Usage: sealdex" in host(command, "--help")
    (unpacked,) = (host.cache / "sealdex-one-file").iterdir()  # once, and nothing was left beside it
    assert (unpacked / "sealdex" / "client.py").is_file()


def test_a_service_runs_in_the_background(host: Host, tmp_path: Path) -> None:
    service = {"command": [sys.executable, "work.py"]}
    PluginStore(tmp_path).install("speech/echo", "1.0.0", {"work.py": WORKER}, service=service)
    started = json.loads(host("run", "speech/echo", "--detach", "--json"))
    try:
        assert started["state"] == "running"
        command = Path(f"/proc/{started['supervisor']}/cmdline").read_bytes().split(b"\0")
        assert os.fsencode(host.file) in command
        while "working" not in host("logs", "speech/echo"):
            time.sleep(0.05)  # it runs as soon as it is started, and says so a little later
    finally:
        host("stop", "speech/echo")
    (state,) = json.loads(host("ps", "--json"))["services"]
    assert state["state"] == "stopped"


def test_another_python_is_told(host: Host, tmp_path: Path) -> None:
    other = tmp_path / "other.pyz"
    with zipfile.ZipFile(host.file) as archive, zipfile.ZipFile(other, "w") as changed:
        for name in archive.namelist():
            content = archive.read(name)
            if name == "__main__.py":
                here = f'"{sys.version_info[0]}.{sys.version_info[1]}"'.encode()
                assert here in content
                content = content.replace(here, b'"3.9"')
            changed.writestr(name, content)
    host.file = other
    assert "this file is for Python 3.9 on linux" in host("--version", code=1)
    assert not host.cache.exists()


def test_what_was_broken_off_while_unpacking_is_unpacked_again(host: Host) -> None:
    host("--version")
    (unpacked,) = (host.cache / "sealdex-one-file").iterdir()
    left = unpacked.with_name(f"{unpacked.name[:12]}-left")
    left.mkdir()
    shutil.rmtree(unpacked)
    host("--version")
    assert unpacked.is_dir()


def test_an_installation_of_the_host_answers_for_nothing(host: Host, tmp_path: Path) -> None:
    """Attack: a package of the same name, in a folder that the environment names."""
    evil = tmp_path / "evil" / "sealdex"
    evil.mkdir(parents=True)
    (evil / "__init__.py").write_text("raise SystemExit('evil')\n")
    host.variables["PYTHONPATH"] = str(evil.parent)
    assert host("--version") == f"sealdex {DIST['version']()}\n"
