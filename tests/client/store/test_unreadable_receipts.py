"""What can't be read is damaged: a receipt that nobody can read must not hide what was done to an installation."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from support.commands import Run, captured
from support.plugin_store import PluginStore

from sealdex.config.config import load_config
from sealdex.doctor import examine
from sealdex.store.layout import Store


@pytest.fixture
def host(tmp_path: Path) -> PluginStore:
    made = PluginStore(tmp_path)
    made.install("acme/tool", "1.0.0", {"a.txt": "hello"})
    made.install("acme/whole", "1.0.0", {"a.txt": "hello"})
    return made


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], host: PluginStore, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    monkeypatch.setenv("SEALDEX_STORE", host.store.root)
    monkeypatch.setenv("SEALDEX_CONFIG", str(tmp_path / "config.toml"))
    return captured(capsys)


def folder_of(host: PluginStore) -> Path:
    return Path(host.store.version_folder(("acme", "tool"), "1.0.0"))


def receipt_of(host: PluginStore) -> Path:
    return folder_of(host) / ".sealdex/installation.json"


def replaced(path: Path, data: bytes) -> None:
    path.unlink()
    path.write_bytes(data)


def edited(path: Path, **values: object) -> None:
    replaced(path, json.dumps({**json.loads(path.read_bytes()), **values}).encode())


def moved_behind_a_link(path: Path) -> None:
    version = path.parent.parent
    elsewhere = version.parent.parent.parent.parent / "elsewhere"
    version.rename(elsewhere)
    version.symlink_to(elsewhere)


def as_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


@pytest.mark.parametrize(
    "harm",
    [
        lambda path: replaced(path, b"{"),
        lambda path: replaced(path, b"[" * 100_000),
        lambda path: replaced(path, b'{"name": "\xff"}'),
        lambda path: replaced(path, b"[]"),
        lambda path: edited(path, version="2.0.0"),
        lambda path: edited(path, artifact_size="5"),
        lambda path: path.unlink(),
        lambda path: shutil.rmtree(path.parent),
        moved_behind_a_link,
        as_pipe,
    ],
    ids=["cut", "nested", "bytes", "list", "another's", "types", "gone", "folder gone", "link", "pipe"],
)
def test_what_cannot_be_read_is_damaged(host: PluginStore, run: Run, harm: Callable[[Path], None]) -> None:
    """Power: writing to the store. The plugin's file is changed, and its receipt made unreadable."""
    replaced(folder_of(host) / "a.txt", b"evil")
    harm(receipt_of(host))
    for asked in ([], ["acme/tool"], ["acme/tool@1.0.0"]):
        verified = run("verify", *asked, "--json")
        whole = {each["plugin"]: each["whole"] for each in verified.document["error"]["details"]["verified"]}
        assert (verified.code, whole["acme/tool"]) == (4, False)
        assert whole.get("acme/whole", True) is True
    listed = run("list", "--json").document
    assert [each["plugin"] for each in listed["installed"]] == ["acme/whole"]
    assert [(each["name"], each["version"]) for each in listed["damaged"]] == [("tool", "1.0.0")]
    assert "DAMAGED" in run("list").out
    findings = [f for f in examine(lambda: load_config(store=host.store.root)) if f.state == "problem"]
    assert [(f.check, f.subject, f.exit_code) for f in findings] == [("store", str(folder_of(host)), 4)]


def test_the_manifest_beside_the_receipt_is_compared_as_well(host: PluginStore, run: Run) -> None:
    """Power: writing to the store. Which program a plugin starts stands in its manifest."""
    manifest = folder_of(host) / ".sealdex/manifest.json"
    replaced(manifest, manifest.read_bytes().replace(b'"1.0.0"', b'"1.0.0","entry_point":"evil"'))
    assert run("verify").code == 4


def test_a_list_of_files_that_cannot_be_read_is_damage(host: PluginStore, run: Run) -> None:
    """Power: writing to the store, the receipt included: its digest is that of a list that is none."""
    for data in (b"{}", b"[" * 100_000, b'["\xff"]'):
        replaced(folder_of(host) / ".sealdex/files.json", data)
        edited(receipt_of(host), files_sha256=hashlib.sha256(data).hexdigest())
        assert run("verify").code == 4


def test_a_store_copied_with_links_followed(host: PluginStore, run: Run, tmp_path: Path) -> None:
    host.install("acme/tool", "2.0.0", {"a.txt": "hello"}, make_current=False)
    copied = Store(tmp_path / "copied")
    shutil.copytree(host.store.root, copied.root, symlinks=False)
    link = Path(copied.current_link(("acme", "tool")))
    assert link.is_dir()
    assert not link.is_symlink()
    shown = run("path", "acme/tool", "--store", copied.root, "--json").document
    assert (shown["version"], shown["current"]) == ("1.0.0", True)
    assert run("verify", "--store", copied.root).code == 0
    assert run("use", "acme/tool", "2.0.0", "--store", copied.root).code == 0
    assert link.is_symlink()
    assert run("path", "acme/tool", "--store", copied.root).out.rstrip().endswith("2.0.0")
