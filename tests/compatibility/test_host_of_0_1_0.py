"""A host of 0.1.0: its registry, store and lock are read by this checkout's client, and what that leaves by 0.1.0's.

Each test runs twice: on what 0.1.0 makes now, and on what it made once, kept as bytes in `tests/fixtures`.
"""

from __future__ import annotations

import json
import re
import shutil
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from support.builder_cli import call
from support.commands import Ran, Run, captured
from support.made_once import made_once
from support.released import WHEELS, Released
from support.released_client import HOST, configure, make_host, unpack_host, variables
from support.source_trees import Tree

LOCKED = {"acme/base": "1.1.0", "acme/slack": "1.1.0", "acme/tool": "0.9.0+build.3"}


@dataclass(frozen=True)
class Host:
    """One host, with two clients: this checkout's, and the released one."""

    folder: Path
    released: Released
    new: Run

    @property
    def project(self) -> Path:
        return self.folder / "project"

    def ran(self, *words: str | Path, code: int = 0) -> Ran:
        """Run this checkout's client."""
        ran = self.new(*words)
        assert ran.code == code, (words, ran.out, ran.err)
        return ran

    def old(self, *words: str | Path, code: int = 0) -> Any:
        """Run 0.1.0's client; return what it answers."""
        done = self.released.run("sealdex", *words, "--json", cwd=self.project, env=variables(self.folder), expect=code)
        return json.loads(done.stdout)

    def versions(self) -> dict[str, str]:
        """Return what is in use, as both clients say."""
        shown = [
            {each["plugin"]: each["version"] for each in listed["installed"] if each["current"]}
            for listed in (self.ran("list", "--json").document, self.old("list"))
        ]
        assert shown[0] == shown[1]
        return shown[0]


@pytest.fixture(scope="session")
def made(v0_1_0: Released, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What 0.1.0 makes now."""
    return made_once(tmp_path_factory, "host-of-0.1.0", lambda folder: make_host(v0_1_0, folder / "made")) / "made"


@pytest.fixture(params=["made now", "kept"])
def host(
    request: pytest.FixtureRequest,
    v0_1_0: Released,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Host:
    folder = tmp_path / "host"
    if request.param == "kept":
        unpack_host("0.1.0", folder)
    else:
        made = request.getfixturevalue("made")
        for name in ("published", "project", "store"):
            shutil.copytree(made / name, folder / name, symlinks=True)
        shutil.copyfile(made / "root.json", folder / "root.json")
        configure(folder)
    for name, value in variables(folder).items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(folder / "project")
    return Host(folder, v0_1_0, captured(capsys))


def test_what_is_kept_holds_no_key() -> None:
    with tarfile.open(WHEELS / "0.1.0" / HOST) as archive:
        files = [archive.extractfile(member) for member in archive.getmembers() if member.isfile()]
        texts = [file.read() for file in files if file is not None]
    assert len(texts) > 100
    assert not [text for text in texts if b"PRIVATE" in text]


def test_its_store_is_read(host: Host) -> None:
    old, new = host.old("list")["installed"], host.ran("list", "--json").document
    known = [{key: each.get(key) for key in old[0]} for each in new["installed"]]
    assert known == old
    assert "damaged" not in new
    assert host.versions() == LOCKED
    assert {each["whole"] for each in host.ran("verify", "--json").document["verified"]} == {True}
    for plugin in LOCKED:
        assert host.ran("path", plugin).out.strip() == host.old("path", plugin)["path"]
    assert len(host.ran("history", "--json").document["changes"]) == len(host.old("history")["changes"]) == 5
    assert "pinned" in host.ran("list").out
    assert "disabled" in host.ran("list").out


def test_nothing_is_wrong_with_its_host_but_what_was_yanked(host: Host) -> None:
    findings = host.new("doctor", "--deep", "--json").document["findings"]
    problems = [(each["check"], each["subject"]) for each in findings if each["state"] == "problem"]
    assert problems == [("yanked", "acme/slack@1.0.0")]


@pytest.mark.parametrize("options", [["--locked"], ["--frozen"], ["--frozen", "--offline"], []], ids=" ".join)
def test_its_lock_is_in_place(host: Host, options: list[str]) -> None:
    lock = (host.project / "sealdex.lock").read_bytes()
    ensured = host.ran("ensure", *options, "--json").document["ensured"]
    assert {each["plugin"]: (each["version"], each["action"]) for each in ensured} == {
        plugin: (version, "keep") for plugin, version in LOCKED.items()
    }
    assert (host.project / "sealdex.lock").read_bytes() == lock


def test_its_lock_is_installed_from_its_registry(host: Host) -> None:
    shutil.rmtree(host.folder / "store")
    ran = host.ran("ensure", "--locked")
    assert ran.out.count("signed by packages, root v1") == len(LOCKED)
    assert host.versions() == LOCKED
    host.ran("verify")
    assert {each["whole"] for each in host.old("verify")["verified"]} == {True}
    assert {each["action"] for each in host.old("ensure", "--locked")["ensured"]} == {"keep"}


def test_its_lock_alone_is_installed_from_its_cache(host: Host) -> None:
    """No registry can be asked, and none was ever verified: the digests in the lock serve as they always did."""
    for name in ("trust", "plugins", "state.db"):
        path = host.folder / "store" / name
        path.rename(host.folder / name)
    (host.folder / "published").rename(host.folder / "away")
    ran = host.ran("ensure", "--frozen")
    assert (ran.out.count("pinned by sealdex.lock"), "verified by the lock alone" in ran.err) == (len(LOCKED), True)
    assert host.versions() == LOCKED


def test_a_lock_of_this_checkout_is_the_same(host: Host) -> None:
    path = host.project / "sealdex.lock"
    lock = path.read_bytes()
    path.unlink()
    host.ran("lock")
    assert path.read_bytes() == lock
    assert {each["action"] for each in host.old("ensure", "--locked")["ensured"]} == {"keep"}


def test_its_registry_answers_every_question(host: Host) -> None:
    shutil.rmtree(host.folder / "store")
    for words in (["search", "slack"], ["info", "acme/slack"], ["info", "acme/base"]):
        old, new = host.old(*words), host.ran(*words, "--json").document
        assert sorted(set(old) - set(new)) == []
    releases = {each["version"]: each for each in host.ran("info", "acme/slack", "--json").document["releases"]}
    assert releases["1.0.0"]["yanked"]["why"] == "leaks"
    host.ran("install", "acme/slack@2.0.0-rc.1", "--channel", "beta", "--pre")
    host.ran("fetch", "acme/gone", "--to", host.folder / "fetched")
    assert host.versions()["acme/slack"] == "2.0.0-rc.1"


def test_both_change_one_store_in_turn(host: Host) -> None:
    host.ran("enable", "acme/base")
    host.ran("use", "acme/slack", "1.0.0")
    assert host.versions()["acme/slack"] == "1.0.0"
    host.old("use", "acme/slack", "1.1.0")
    host.ran("rollback")
    assert host.versions()["acme/slack"] == "1.0.0"
    host.ran("install", "acme/gone")
    host.old("uninstall", "acme/gone")
    host.ran("rollback")
    assert host.versions()["acme/gone"] == "1.0.0"
    host.old("rollback", "--to", "1")
    assert host.versions() == {"acme/slack": "1.0.0", "acme/base": host.versions()["acme/base"], "acme/gone": "1.0.0"}
    for verified in (host.ran("verify", "--json").document, host.old("verify")):
        assert {each["whole"] for each in verified["verified"]} == {True}


def test_what_is_kept_is_valid_for_years() -> None:
    with tarfile.open(WHEELS / "0.1.0" / HOST) as archive:
        members = [m for m in archive.getmembers() if re.fullmatch(r"published/metadata/.+\.json", m.name)]
        files = [archive.extractfile(member) for member in members]
        signed = [json.load(file)["signed"] for file in files if file is not None]
    assert len(signed) > 60
    assert min(each["expires"] for each in signed) > "2036"


def test_its_client_reads_a_registry_of_this_checkout(
    v0_1_0: Released, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in variables(tmp_path).items():
        monkeypatch.setenv(name, value)
    tree = Tree.make(tmp_path / "source")
    tree.plugin("acme/base")
    tree.plugin("acme/slack", readme="# slack\n")
    tree.release("acme/base", "1.0.0")
    for version in ("1.0.0", "1.1.0"):
        tree.release("acme/slack", version, dependencies={"acme/base": "^1"})
    assert call(tree.root, "publish") == 0
    shutil.copytree(tmp_path / "published/public", tmp_path / "host/published")
    shutil.copyfile(tree.root / "trust/public/1.root.json", tmp_path / "host/root.json")
    configure(tmp_path / "host")
    (tmp_path / "host/project").mkdir()
    (tmp_path / "host/project/sealdex.toml").write_text('[plugins]\n"acme/slack" = "^1"\n')
    host = Host(tmp_path / "host", v0_1_0, captured(capsys))
    for name, value in variables(host.folder).items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(host.project)
    assert [each["name"] for each in host.old("search", "slack")["plugins"]] == ["slack"]
    assert [each["version"] for each in host.old("info", "acme/slack")["releases"]] == ["1.1.0", "1.0.0"]
    host.old("lock")
    host.old("ensure", "--locked")
    assert host.versions() == {"acme/base": "1.0.0", "acme/slack": "1.1.0"}
    assert {each["whole"] for each in host.old("verify")["verified"]} == {True}
    host.ran("ensure", "--locked")
