"""docs/journeys.md: its table is counted from its blocks, and Sealdex's own blocks are run as they stand."""

from __future__ import annotations

import hashlib
import os
import re
import shlex
import sys
from pathlib import Path

import pytest
from support.authoring import builder
from support.places import REPOSITORY
from support.workflows import git

from registry_builder.site.preview.server import running_server
from sealdex import Client
from sealdex.cli.main import main

PAGE = (REPOSITORY / "docs" / "journeys.md").read_text(encoding="utf-8")
TOOLS = ("Sealdex", "cargo", "npm", "brew", "krew")
GH = REPOSITORY / "tests" / "support" / "gh_program.py"


def blocks() -> dict[str, dict[str, list[str]]]:
    """Return the lines of each tool's block, by journey."""
    found: dict[str, dict[str, list[str]]] = {}
    for journey in PAGE.split("\n## ")[1:]:
        title, _, rest = journey.partition("\n")
        parts = [part.partition("\n") for part in rest.split("\n### ")[1:]]
        found[title] = {
            name: "".join(re.findall(r"```console\n(.*?)```", text, re.DOTALL)).splitlines() for name, _, text in parts
        }
    return found


def cell(lines: list[str]) -> str:
    commands = [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]
    edits = sum(line.startswith("edit ") for line in lines)
    assert len(commands) + edits == len(lines), lines
    keys = sum(len(command) + 1 for command in commands)
    return f"{len(commands)} · {keys}" + (f", {edits} edit" if edits else "") if lines else "none of its own"


def test_the_table_is_what_the_blocks_hold() -> None:
    journeys = blocks()
    assert len(journeys) == 5
    assert all(tuple(tools) == TOOLS for tools in journeys.values())
    rows = [f"| {title} | {' | '.join(cell(lines) for lines in tools.values())} |" for title, tools in journeys.items()]
    shown = re.findall(r"^\| (?!journey|---).*\|$", PAGE.partition("\n## ")[0], re.MULTILINE)
    assert shown == rows, "\n".join(["the table should be:", *rows])


def test_the_others_say_where_that_is_from() -> None:
    for journey in PAGE.split("\n## ")[1:]:
        for part in journey.split("\n### ")[2:]:
            name, _, text = part.partition("\n")
            assert text.strip().partition("```")[0].strip(), f"{name} has no source"


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A registry on a git server, nothing released, and a person with gh and a fork."""
    for name, value in {
        "SEALDEX_KEYS": tmp_path / "keys",
        "SEALDEX_CONFIG": tmp_path / "host/config.toml",
        "SEALDEX_STORE": tmp_path / "host/store",
        "XDG_STATE_HOME": tmp_path / "state",
        "GH_STATE": tmp_path / "gh.json",
        "GH_TOKEN": "fork:kim",
        "PATH": f"{tmp_path}/bin{os.pathsep}{os.environ['PATH']}",
    }.items():
        monkeypatch.setenv(name, str(value))
    for role in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{role}_NAME", "Kim")
        monkeypatch.setenv(f"GIT_{role}_EMAIL", "kim@example.org")
    program = tmp_path / "bin" / "gh"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {sys.executable} {GH} "$@"\n')
    program.chmod(0o755)
    tree = tmp_path / "operator"
    assert builder("init", tree, "--name", "acme", "--dev-keys", "--storage", f"folder:{tmp_path / 'published'}") == 0
    git(tmp_path, "init", "--quiet", "--bare", "--initial-branch=main", "remotes/acme/plugins")
    git(tree, "init", "--quiet", "--initial-branch=main")
    git(tree, "remote", "add", "origin", str(tmp_path / "remotes/acme/plugins"))
    merge(tmp_path, None)
    return tmp_path


def merge(place: Path, branch: str | None) -> None:
    """Do what the operator does: merge the pull request, and publish what was merged."""
    tree = place / "operator"
    if branch is not None:
        git(tree, "pull", "--quiet", "--no-rebase", "--no-edit", str(place / "remotes/kim/plugins"), branch)
    git(tree, "add", "--all")
    git(tree, "commit", "--quiet", "--allow-empty", "--message", "Merge")
    git(tree, "push", "--quiet", "origin", "main")
    assert builder("--tree", tree, "publish", "--no-site") == 0


def run(place: Path, journey: str, replaced: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Run Sealdex's block of a journey in the current folder."""
    for line in blocks()[journey]["Sealdex"]:
        if line.startswith("edit "):
            path = Path(line.removeprefix("edit "))
            path.write_text(path.read_text().replace("version: 0.1.0", "version: 0.2.0"))
            continue
        words = [replaced.get(word, word) for word in shlex.split(line.removeprefix("$ "))]
        if words[0] == "cd":
            monkeypatch.chdir(words[1])
        elif words[0] == "git":
            git(Path.cwd(), *words[1:])
        else:
            assert {"sealdex": main, "sealdex-builder": lambda args: builder(*args)}[words[0]](words[1:]) == 0, line


@pytest.mark.slow
def test_sealdex_s_own_journeys_are_walked_as_they_stand(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, following, install, back, mirror = blocks()
    monkeypatch.chdir(place)
    run(place, first, {"https://github.com/acme/plugins": str(place / "remotes/acme/plugins")}, monkeypatch)
    merge(place, "release/acme/slack/0.1.0")
    root = place / "operator/trust/public/1.root.json"
    with running_server(place / "published") as url:
        digits = hashlib.sha256(root.read_bytes()).hexdigest()
        addresses = {"https://plugins.example.org/": url, "0123456789abcdef" * 4: digits}
        run(place, install, addresses, monkeypatch)
        run(place, following, {}, monkeypatch)
        merge(place, "release/acme/slack/0.2.0")
        with Client() as client:
            client.install("acme/slack")
            assert [each.version for each in client.list()] == ["0.1.0", "0.2.0"]
        run(place, back, {}, monkeypatch)
        with Client() as client:
            current = client.current("acme/slack")
            assert current is not None
            assert current.version == "0.1.0"
        run(place, mirror, {}, monkeypatch)
        assert (Path.cwd() / "mirror/metadata/timestamp.json").is_file()
