"""A source tree and a registry that 0.1.0 made: this builder goes on with them, and 0.1.0's client with what it made.

Nothing is refused that was published, nothing that is published changes, and 0.1.0's own builder refuses what it would
overlook.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from support.builder_cli import call, document
from support.made_once import made_once
from support.released import Released
from support.source_trees import Tree

from sealdex.cli.main import main as sealdex

BY = ("--by", "Kim <kim@example.org>")
IMMUTABLE = ("metadata", "targets", "plugins")
REPLACED = {"metadata/timestamp.json", "metadata/recent.bundle"}


@dataclass(frozen=True)
class Old:
    """What 0.1.0 made: a source tree by its own commands, its registry, and a client of it."""

    released: Released
    tree: Tree
    folder: Path

    @property
    def published(self) -> Path:
        return self.tree.root / "published"

    def builder(self, *arguments: str | Path, expect: int | None = 0) -> str:
        done = self.released.run("sealdex-builder", *arguments, cwd=self.tree.root, expect=expect)
        return done.stdout + done.stderr

    def client(self, *arguments: str | Path, expect: int | None = 0) -> Any:
        done = self.released.run("sealdex", *arguments, "--json", cwd=self.folder, expect=expect)
        return json.loads(done.stdout)

    def installed(self, plugin: str) -> str:
        path = self.released.run("sealdex", "path", plugin, cwd=self.folder).stdout.strip()
        return Path(path).name

    def files(self) -> dict[str, str]:
        """Return the digest of every published file that never changes."""
        every = (file for top in IMMUTABLE for file in (self.published / top).rglob("*") if file.is_file())
        found = {file.relative_to(self.published).as_posix(): file for file in every}
        return {
            name: hashlib.sha256(file.read_bytes()).hexdigest() for name, file in found.items() if name not in REPLACED
        }


def _surroundings(folder: Path, patch: pytest.MonkeyPatch) -> None:
    for name, value in (
        ("SEALDEX_KEYS", "keys"),
        ("XDG_STATE_HOME", "state"),
        ("SEALDEX_STORE", "store"),
        ("SEALDEX_CONFIG", "config.toml"),
    ):
        patch.setenv(name, str(folder / value))


@pytest.fixture(scope="session")
def made_by_it(v0_1_0: Released, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a source tree, keys, and two publishes, made by 0.1.0's commands alone: it takes two dozen."""

    def make(folder: Path) -> None:
        with pytest.MonkeyPatch.context() as patch:
            _surroundings(folder, patch)
            _make(v0_1_0, folder)

    return made_once(tmp_path_factory, "registry-of-0.1.0", make)


def _make(v0_1_0: Released, folder: Path) -> None:
    root = folder / "registry"
    v0_1_0.run("sealdex-builder", "init", root, "--dev-keys", cwd=folder)
    made = Old(v0_1_0, Tree(root), folder)
    made.builder("new", "notify", "acme/chat")
    made.builder("pack", "plugins/acme/chat")
    made.builder("release", "plugins/acme/chat/dist/0.1.0/chat-0.1.0.zip")
    tree = made.tree
    tree.plugin("acme/slack", readme="# Slack\n", owners=[{"name": "Kim"}])
    for version, channel in (("1.0.0", "stable"), ("1.1.0", "stable"), ("1.2.0-rc.1", "beta")):
        tree.release("acme/slack", version, channel=channel)
    tree.plugin("acme/mail")
    tree.release("acme/mail", "0.1.0")
    report = folder / "report.json"
    report.write_text(json.dumps({"metrics": {"top1": 0.83}}))
    bill = folder / "slack.cdx.json"
    bill.write_text(json.dumps({"bomFormat": "CycloneDX", "specVersion": "1.6", "version": 1, "components": []}))
    made.builder("yank", "acme/slack@1.0.0", "--why", "leaks", *BY)
    made.builder("yank", "acme/slack@1.1.0", *BY)
    made.builder("promote", "acme/slack@1.2.0-rc.1", "--channel", "edge", *BY)
    made.builder("evaluate", "acme/slack@1.1.0", report, *BY)
    made.builder("attest", "acme/slack@1.1.0", bill, *BY)
    made.builder("publish")
    made.builder("unyank", "acme/slack@1.1.0", *BY)
    made.builder("promote", "acme/slack@1.1.0", "--channel", "edge", *BY)
    made.builder("demote", "acme/slack@1.1.0", "--channel", "edge", *BY)
    made.builder("deprecate", "acme/mail", "--use", "acme/chat", *BY)
    made.builder("publish")
    assert not list(root.glob("plugins/*/*/status"))


@pytest.fixture
def old(v0_1_0: Released, made_by_it: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Old:
    _surroundings(tmp_path, monkeypatch)
    shutil.copytree(made_by_it, tmp_path, dirs_exist_ok=True, ignore=shutil.ignore_patterns("state"))
    made = Old(v0_1_0, Tree(tmp_path / "registry"), tmp_path)
    root = made.tree.root / "trust/public/1.root.json"
    made.client("registry", "add", "acme", made.published.as_uri(), "--root", root)
    made.client("install", "acme/slack", "acme/chat")
    assert made.installed("acme/slack") == "1.1.0"
    return made


def test_this_checkout_reads_it_and_finds_it_up_to_date(old: Old, capsys: pytest.CaptureFixture[str]) -> None:
    before = old.files()
    told = document(old.tree.root, capsys, "validate")
    assert [p for p in told["problems"] if p["severity"] == "error"] == []
    assert told["compared_with"] == ["public"]
    (planned,) = document(old.tree.root, capsys, "diff")["realms"]
    assert not planned["changes"]
    assert planned["held"] == planned["waiting"] == planned["new_releases"] == planned["changed_plugins"] == []
    (published,) = document(old.tree.root, capsys, "publish", "--require-all")["realms"]
    assert not published["committed"]
    for command in ("refresh", "gc", "verify-published"):
        assert call(old.tree.root, command) == 0, capsys.readouterr()
    assert old.files() == before


def test_this_checkout_publishes_onto_it_and_its_client_follows(
    old: Old, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    before, root = old.files(), old.tree.root
    old.tree.release("acme/slack", "1.3.0")
    old.tree.release("acme/slack", "1.4.0")
    old.tree.release("acme/slack", "2.0.0-rc.1", channel="beta")
    for command in (
        ("yank", "acme/slack@1.4.0", "--why", "crashes"),
        ("promote", "acme/slack@1.3.0", "--channel", "lts"),
        ("deprecate", "acme/chat", "--use", "acme/slack", "--why", "one is enough"),
        ("undeprecate", "acme/mail"),
        ("evaluate", "acme/slack@1.3.0", tmp_path / "report.json"),
        ("attest", "acme/slack@1.3.0", tmp_path / "slack.cdx.json"),
    ):
        assert call(root, *command, *BY) == 0
    assert call(root, "validate") == 0
    assert call(root, "publish") == 0
    after = old.files()
    assert {name: after.get(name) for name in before} == before
    assert set(after) > set(before)
    # its client, which has what it published itself
    old.client("update")
    assert old.installed("acme/slack") == "1.3.0"
    old.client("verify")
    shown = {each["version"]: each for each in old.client("info", "acme/slack")["releases"]}
    assert shown["1.4.0"]["yanked"]["why"] == "crashes"
    assert shown["1.0.0"]["yanked"]["why"] == "leaks"
    assert "yanked" not in shown["1.1.0"]
    assert shown["1.3.0"]["channels"] == ["stable", "lts"]
    assert shown["1.2.0-rc.1"]["channels"] == ["beta", "edge"]
    assert old.client("info", "acme/chat")["deprecated"]["use"] == "acme/slack"
    assert old.client("info", "acme/mail").get("deprecated") is None
    old.client("install", "acme/slack", "--channel", "beta", "--pre")
    assert old.installed("acme/slack") == "2.0.0-rc.1"
    old.client("verify")


def test_its_builder_refuses_a_tree_with_event_files(old: Old, capsys: pytest.CaptureFixture[str]) -> None:
    """Hazard: a workflow that is pinned to 0.1.0 would overlook the new event, and publish on without it."""
    assert call(old.tree.root, "yank", "acme/slack@1.1.0", "--why", "crashes", *BY) == 0
    assert call(old.tree.root, "yank", "acme/mail@0.1.0", *BY) == 0
    assert call(old.tree.root, "publish") == 0
    before = old.files()
    timestamp = (old.published / "metadata/timestamp.json").read_bytes()
    for command in ("validate", "diff", "publish"):
        assert "events_in" in old.builder(command, expect=1)
    assert "events_in" in old.builder("publish", "--only", "acme/mail", expect=1)
    assert old.files() == before
    assert (old.published / "metadata/timestamp.json").read_bytes() == timestamp
    assert call(old.tree.root, "publish") == 0


def test_its_builder_goes_on_where_there_are_no_event_files(old: Old, capsys: pytest.CaptureFixture[str]) -> None:
    """Two checkouts, one with each version, publish in turn."""
    old.tree.release("acme/slack", "1.3.0")
    assert call(old.tree.root, "publish") == 0
    before = old.files()
    old.builder("verify-published")
    old.tree.release("acme/slack", "1.4.0")
    old.builder("publish")
    assert {name: old.files().get(name) for name in before} == before
    assert call(old.tree.root, "publish") == 0
    assert call(old.tree.root, "verify-published") == 0
    old.client("update")
    assert old.installed("acme/slack") == "1.4.0"


def test_an_older_checkout_of_it_takes_nothing_back(old: Old, capsys: pytest.CaptureFixture[str]) -> None:
    status = old.tree.root / "plugins/acme/slack/status.json"
    events = json.loads(status.read_bytes())["events"]
    status.write_text(json.dumps({"events": [event for event in events if event["version"] != "1.0.0"]}))
    assert call(old.tree.root, "publish") == 1
    assert "yank 1.0.0 by Kim" in capsys.readouterr().err
    assert "1.0.0" not in {
        each["version"] for each in old.client("info", "acme/slack")["releases"] if "yanked" not in each
    }


def test_what_it_published_with_a_newer_format_locks_nobody_out(old: Old, capsys: pytest.CaptureFixture[str]) -> None:
    """0.1.0 didn't look at the field, so a release may say so, and it never changes."""
    path = old.tree.release("acme/mail", "0.2.0")
    path.write_text(json.dumps({**json.loads(path.read_bytes()), "format": 2}))
    old.builder("publish")
    assert call(old.tree.root, "validate") == 0
    old.tree.release("acme/mail", "0.3.0")
    assert call(old.tree.root, "publish") == 0


def test_a_mirror_of_its_registry_serves_both_clients(
    old: Old, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = old.tree.root / "trust/public/1.root.json"
    mirror = tmp_path / "mirror"
    for arguments in (
        ["mirror", "create", str(old.published), str(mirror), "--root", str(root)],
        ["mirror", "verify", str(mirror), "--root", str(root)],
        ["uninstall", "acme/slack", "acme/chat"],
        ["registry", "remove", "acme"],
        ["registry", "add", "far", str(mirror), "--root", str(root)],
    ):
        assert sealdex(arguments) == 0, capsys.readouterr().err
    old.client("install", "acme/chat")
    assert old.installed("acme/chat") == "0.1.0"
    assert sealdex(["install", "acme/slack"]) == 0, capsys.readouterr().err
