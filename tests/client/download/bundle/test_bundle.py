"""Bundles: a lock's plugins in one file, installed by a host that asks no registry; and what is refused."""

from __future__ import annotations

import hashlib
import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from support.commands import Run
from support.plugin_registry import PluginRegistry
from support.tree_server import TreeServer

from sealdex.download.bundle import container

Far = Callable[..., tuple[str, ...]]


@pytest.fixture
def root(registry: PluginRegistry, tmp_path: Path) -> Path:
    path = tmp_path / "pinned.json"
    path.write_bytes(registry.root)
    return path


@pytest.fixture
def made(run: Run, want: Callable[[str], None], tmp_path: Path) -> Path:
    """A bundle of acme/slack 1.1.0 and acme/base, which it depends on."""
    want('"acme/slack" = "^1"')
    assert run("lock").code == 0
    done = run("bundle", "create", tmp_path / "robot.bundle", "--lock", tmp_path / "project/sealdex.lock", "--json")
    assert done.code == 0, done.err
    return tmp_path / "robot.bundle"


@pytest.fixture
def far(run: Run, tmp_path: Path) -> Run:
    """Commands on another host, which has neither configuration nor store."""

    def on_far(*words: str | Path) -> object:
        return run(*words, "--config", tmp_path / "far.toml", "--store", tmp_path / "far-store")

    return on_far  # type: ignore[return-value]


def test_a_bundle_is_installed_without_a_request_and_twice_does_nothing(
    far: Run, made: Path, root: Path, server: TreeServer, tmp_path: Path
) -> None:
    asked = len(server.requests)
    done = far("bundle", "install", made, "--root", root, "--json")
    assert done.code == 0, done.err
    told = json.loads(done.out)
    assert {row["plugin"]: row["version"] for row in told["plugins"]} == {"acme/slack": "1.1.0", "acme/base": "1.0.0"}
    assert told["changed"] is True
    assert told["added_registry"] == {"name": "public", "url": server.url + "/"}
    assert told["passed_over"] == {"acme/slack": "2.0.0"}
    assert Path(told["lock"]).read_bytes() == (tmp_path / "project/sealdex.lock").read_bytes()
    again = far("bundle", "install", made, "--json")  # the root is known now
    assert again.code == 0, again.err
    assert json.loads(again.out)["changed"] is False
    assert len(server.requests) == asked
    folder = Path(told["lock"]).parent
    ensured = far("ensure", "--project", folder, "--locked", "--json")
    assert ensured.code == 0, ensured.err
    assert far("verify").code == 0
    assert {row["plugin"] for row in json.loads(far("list", "--json").out)["installed"]} == {"acme/slack", "acme/base"}
    assert len(server.requests) == asked
    assert far("update", "--installed", "--dry-run").code == 0  # from the registry, where the bundle says that it is


def test_further_addresses_of_the_registry_are_not_asked(
    far: Run, made: Path, root: Path, server: TreeServer, tmp_path: Path
) -> None:
    assert far("registry", "add", "public", server.url, f"{server.url}/other/", "--root", root, "--no-check").code == 0
    asked = len(server.requests)
    done = far("bundle", "install", made)
    assert done.code == 0, done.err
    assert server.requests[asked:] == []


def test_the_same_inputs_give_the_same_bytes(run: Run, made: Path, tmp_path: Path) -> None:
    assert run("bundle", "create", tmp_path / "x", "--lock", tmp_path / "project/sealdex.lock").code == 0
    assert (tmp_path / "x").read_bytes() == made.read_bytes()


def test_nothing_that_is_carried_sets_trust(far: Run, made: Path, tmp_path: Path) -> None:
    refused = far("bundle", "install", made)
    assert refused.code == 2
    assert not (tmp_path / "far.toml").exists()
    wrong = far("bundle", "install", made, "--fingerprint", "0" * 64)
    assert wrong.code == 4
    assert not (tmp_path / "far-store/trust/public").exists()


def rewritten(bundle: Path, member: str, change: Callable[[bytes], bytes | None]) -> None:
    """Write a bundle again, with one member changed or, for None, left out."""
    with zipfile.ZipFile(bundle) as archive:
        members = [(name, archive.read(name)) for name in archive.namelist()]
    with zipfile.ZipFile(bundle, "w") as archive:
        for name, data in members:
            new = change(data) if name == member else data
            if new is not None:
                archive.writestr(name, new)


def a_byte_of_slack(data: bytes) -> bytes:
    at = data.index(b"PK\x03\x04", data.index(b"plugins/acme/slack/1.1.0/slack.zip")) + 40
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


def another_digest(data: bytes) -> bytes:
    at = data.index(b'sha256 = "') + len(b'sha256 = "')
    return data[:at] + (b"1" if data[at : at + 1] == b"0" else b"0") + data[at + 1 :]


def with_a_second_lock(path: Path) -> None:
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("sealdex.lokk", archive.read("sealdex.lock"))
    path.write_bytes(path.read_bytes().replace(b"sealdex.lokk", b"sealdex.lock"))


def with_compressed_members(path: Path) -> None:
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)


def with_a_byte_wrong_behind_the_archive(path: Path) -> None:
    rewritten(path, "archives/1.tar", lambda data: data + b"x" * 100_000)
    path.write_bytes(path.read_bytes().replace(b"x" * 100_000, b"x" * 99_999 + b"y"))


DAMAGES: dict[str, Callable[[Path], object]] = {
    "cut off": lambda path: path.write_bytes(path.read_bytes()[:-2000]),
    "not a zip": lambda path: path.write_bytes(b"hello " * 999),
    "a byte of an artifact": lambda path: rewritten(path, "archives/1.tar", a_byte_of_slack),
    "no archive": lambda path: rewritten(path, "archives/1.tar", lambda _: None),
    "no lock": lambda path: rewritten(path, "sealdex.lock", lambda _: None),
    "half an archive": lambda path: rewritten(path, "archives/1.tar", lambda data: data[: len(data) // 2]),
    "a lock that can't be read": lambda path: rewritten(
        path, "sealdex.lock", lambda data: data.replace(b'sha256 = "', b'sha256 = "0', 1)
    ),
    "another digest in the lock": lambda path: rewritten(path, "sealdex.lock", another_digest),
    "a locked version that nobody signed": lambda path: rewritten(
        path, "sealdex.lock", lambda data: data.replace(b'version = "1.1.0"', b'version = "1.1.9"')
    ),
    "a second lock": with_a_second_lock,
    "compressed members, which could be bombs": with_compressed_members,
    "a byte behind an archive, which only the checksum tells": with_a_byte_wrong_behind_the_archive,
    "other plugins than the lock has": lambda path: rewritten(
        path, "sealdex-bundle.json", lambda data: data.replace(b'"acme/base"', b'"acme/base", "acme/mail"')
    ),
    "a platform that hides what is missing": lambda path: rewritten(
        path, "sealdex-bundle.json", lambda data: data.replace(b'"registries"', b'"platforms": ["x"],\n"registries"')
    ),
}


@pytest.mark.parametrize("damage", sorted(DAMAGES))
def test_a_damaged_or_swapped_bundle_changes_nothing(
    far: Run, made: Path, root: Path, tmp_path: Path, damage: str
) -> None:
    """Attack: whoever holds the stick writes to it."""
    DAMAGES[damage](made)
    refused = far("bundle", "install", made, "--root", root)
    assert refused.code == 4, refused.err
    assert not (tmp_path / "far.toml").exists()
    assert not (tmp_path / "far-store/trust/public").exists()
    assert json.loads(far("list", "--json").out)["installed"] == []


def test_a_large_member_is_not_read_into_memory(
    far: Run, made: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Attack: whoever holds the stick makes the lock as large as they like. The limit is lowered here."""
    with zipfile.ZipFile(made) as archive:
        sizes = [archive.getinfo(name).file_size for name in ("sealdex-bundle.json", "sealdex.lock")]
    rewritten(made, "sealdex.lock", lambda data: data + b"#" * max(sizes))
    monkeypatch.setattr(container, "MAX_SMALL_BYTES", max(sizes))
    refused = far("bundle", "install", made, "--root", root)
    assert refused.code == 4, refused.err
    assert json.loads(far("list", "--json").out)["installed"] == []
    monkeypatch.undo()


def of_two_registries(path: Path) -> None:
    """Share the plugins of a bundle out over two registries, of which each has the whole archive."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    head = json.loads(members["sealdex-bundle.json"])
    (one,) = head["registries"]
    head["registries"] = [{**one, "plugins": ["acme/base"]}, {**one, "name": "other", "plugins": ["acme/slack"]}]
    members |= {"sealdex-bundle.json": json.dumps(head).encode(), "archives/2.tar": members["archives/1.tar"]}
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)


def test_one_root_does_not_stand_for_two_registries(far: Run, made: Path, root: Path, tmp_path: Path) -> None:
    """Attack: whoever holds the stick adds a registry, to be trusted by the root that was given for the other."""
    of_two_registries(made)
    refused = far("bundle", "install", made, "--root", root)
    assert refused.code == 2, refused.err
    digest = hashlib.sha256(root.read_bytes()).hexdigest()
    assert far("bundle", "install", made, "--fingerprint", digest).code == 2
    assert not (tmp_path / "far.toml").exists()
    # and where the registry is known, the two would be one
    assert far("registry", "add", "public", "https://plugins.example.org/", "--root", root, "--no-check").code == 0
    refused = far("bundle", "install", made)
    assert refused.code == 4, refused.err
    assert json.loads(far("list", "--json").out)["installed"] == []


def test_a_bundle_of_another_digest_is_not_opened(far: Run, made: Path, root: Path) -> None:
    assert far("bundle", "install", made, "--root", root, "--sha256", "0" * 64).code == 4


def test_an_older_bundle_is_refused(
    run: Run, far: Run, made: Path, root: Path, registry: PluginRegistry, tmp_path: Path
) -> None:
    """Attack: whoever holds the stick puts an older bundle there, validly signed."""
    old = Path(shutil.copy(made, tmp_path / "old.bundle"))
    registry.release("acme/base", "1.0.1")
    registry.publish()
    lock = tmp_path / "project/sealdex.lock"
    assert run("bundle", "create", made, "--lock", lock).code == 0
    assert far("bundle", "install", made, "--root", root).code == 0
    before = json.loads(far("list", "--json").out)
    refused = far("bundle", "install", old, "--root", root)
    assert refused.code == 4
    assert json.loads(far("list", "--json").out) == before
    assert far("bundle", "install", made).code == 0


def test_a_lock_of_older_releases_replaces_nothing(
    run: Run, far: Run, made: Path, root: Path, want: Callable[[str], None], tmp_path: Path
) -> None:
    """Attack: the archive is new, and the lock, which nobody signs, names an older release."""
    assert far("bundle", "install", made, "--root", root).code == 0
    want('"acme/slack" = "=1.0.0"')
    assert run("lock").code == 0
    assert run("bundle", "create", made, "--lock", tmp_path / "project/sealdex.lock").code == 0
    refused = far("bundle", "install", made)
    assert refused.code == 4
    assert "--allow-downgrade" in refused.err
    assert "1.1.0" in far("list").out
    assert (tmp_path / "far-store/trust/public").exists(), "what was known before stays"
    assert far("bundle", "install", made, "--allow-downgrade").code == 0


def test_what_fails_once_all_is_proved_leaves_no_trust(far: Run, made: Path, root: Path, tmp_path: Path) -> None:
    """Attack: whoever holds the stick has a host remember a registry that it never added."""
    (tmp_path / "far-store/plugins").mkdir(parents=True)
    (tmp_path / "far-store/plugins/acme").write_text("in the way")
    assert far("bundle", "install", made, "--root", root).code == 1
    assert not (tmp_path / "far.toml").exists()
    assert not (tmp_path / "far-store/trust/public").exists()


def test_another_root_than_the_configured_one_is_refused(far: Run, made: Path, root: Path) -> None:
    assert far("bundle", "install", made, "--root", root).code == 0
    other = root.with_name("other.json")
    other.write_bytes(root.read_bytes() + b" ")
    assert far("bundle", "install", made, "--root", other).code == 2
