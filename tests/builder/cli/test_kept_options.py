"""What a command advises next goes to the same source tree, configuration and store as the command itself."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest
from support.authoring import builder

from sealdex.cli.main import main


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SEALDEX_KEYS", str(tmp_path / "keys"))
    monkeypatch.chdir(tmp_path)
    assert builder("init", "my plugins", "--dev-keys", "--name", "acme") == 0
    return tmp_path / "my plugins"


def test_each_next_command_can_be_run_from_where_the_last_one_was(
    tree: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ["sealdex-builder", "--tree", tree.name, "new", "notify", "acme/slack"]
    ran = []
    while True:
        capsys.readouterr()
        assert builder(*given[1:]) == 0
        ran.append(given[3])
        said = capsys.readouterr().err
        found = re.findall(r"sealdex-builder [^;&]*", said)
        if not found:
            break
        assert all(each.startswith("sealdex-builder --tree 'my plugins' ") for each in found), said
        given = shlex.split(found[-1])
    assert ran == ["new", "pack", "release", "publish"]


def test_the_hint_of_an_error_keeps_it_too(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert builder("--tree", tree.name, "--json", "refresh") == 3  # --json is read from the process's arguments
    assert "sealdex-builder --tree 'my plugins' publish" in "".join(capsys.readouterr())


def test_the_client_keeps_store_and_configuration(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    where = ["--config", str(tmp_path / "config.toml"), "--store", str(tmp_path / "store")]
    assert main(["info", "acme/slack", *where, "--json"]) != 0
    hint = json.loads(capsys.readouterr().out)["error"]["hint"]
    assert f"sealdex registry add --config {where[1]} --store {where[3]} NAME URL" in hint
    assert main(["info", "acme/slack", "--json"]) != 0
    assert "--store" not in json.loads(capsys.readouterr().out)["error"]["hint"]
