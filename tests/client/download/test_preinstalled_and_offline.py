"""Preinstalled archives, and commands that make no request."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec.structs import replace
from support.commands import Run
from support.plugin_registry import PluginRegistry
from support.tree_server import TreeServer

from sealdex.lockfile.lock_file import LockDocument, lock_text, read_lock
from sealdex.model.index import ArtifactEntry

PLUGIN = "plugins/acme/slack/1.1.0"
IMAGE = ArtifactEntry("image", "ab" * 32, "oci", url=f"registry.example/base@sha256:{'ab' * 32}")


@pytest.fixture
def image(run: Run, want: Callable[[str], None], tmp_path: Path) -> Path:
    """A folder made by lock --export, on a host that has nothing else."""
    want('"acme/slack" = "^1"')
    exported = run("lock", "--export", tmp_path / "image", "--json")
    assert exported.code == 0, exported.out
    for folder in ("cache", "trust", "host-id"):
        path = tmp_path / "store" / folder
        if path.exists():
            path.rename(tmp_path / f"away-{folder}")
    config = tmp_path / "config/config.toml"
    config.write_text(config.read_text() + '\n[install]\nbuiltin = "../image"\n')
    return tmp_path / "image"


def test_what_is_exported(image: Path) -> None:
    files = sorted(str(path.relative_to(image)) for path in image.rglob("*") if path.is_file())
    assert files == [
        "plugins/acme/base/1.0.0/base.zip",
        "plugins/acme/base/1.0.0/manifest.json",
        "plugins/acme/slack/1.1.0/manifest.json",
        "plugins/acme/slack/1.1.0/slack.zip",
        "sealdex.lock",
    ]


def test_preinstalled_archives_are_used_before_the_network(run: Run, image: Path, server: TreeServer) -> None:
    server.requests.clear()
    done = run("install", "acme/slack@1.1.0")
    assert done.out.endswith("installed acme/slack 1.1.0 · signed by packages, root v1\n")
    assert [path for path in server.requests if path.startswith("plugins/")] == []


def test_a_wrong_preinstalled_archive_is_as_good_as_none(run: Run, image: Path, server: TreeServer) -> None:
    """Power: who can write to the folder. Change: another archive. It isn't used: its digest is not the signed one."""
    (image / PLUGIN / "slack.zip").write_bytes(b"something else")
    server.requests.clear()
    assert run("install", "acme/slack@1.1.0").code == 0
    assert f"{PLUGIN}/slack.zip" in server.requests
    assert run("verify").code == 0


def test_without_a_registry_its_lock_decides(run: Run, image: Path, server: TreeServer) -> None:
    server.instead = dict.fromkeys(server.files, 503)
    done = run("install", "acme/slack@^1")
    assert (done.code, "or preinstalled is used" in done.err) == (0, True)
    assert "installed acme/slack 1.1.0 · pinned by builtin" in done.out
    assert run("install", "acme/slack@2.0.0").code == 5
    assert run("install", "acme/mail").code == 5
    run("rollback")
    assert run("install", "acme/slack", "--no-fallback").code == 5


def test_without_a_registry_a_wrong_archive_is_not_installed(run: Run, image: Path, server: TreeServer) -> None:
    """Power: who can write to the archives of the folder, not to its lock. Nothing is installed."""
    (image / PLUGIN / "slack.zip").write_bytes(b"something else")
    server.instead = dict.fromkeys(server.files, 503)
    assert run("install", "acme/slack").code == 5
    assert run("list", "--json").document["installed"] == []


def test_what_the_folder_lacks_is_not_fetched_unsigned(run: Run, image: Path, server: TreeServer) -> None:
    """Power: the registry's server. It answers 503 for metadata and serves artifacts: those stay where they are."""
    (image / PLUGIN / "slack.zip").unlink()
    server.instead = {path: 503 for path in server.files if not path.startswith("plugins/")}
    server.requests.clear()
    refused = run("install", "acme/slack")
    assert (refused.code, "slack.zip of acme/slack 1.1.0 is neither in the cache" in refused.err) == (5, True)
    assert [path for path in server.requests if path.startswith("plugins/")] == []
    assert run("list", "--json").document["installed"] == []


def test_a_preinstalled_lock_vouches_for_an_image(run: Run, image: Path, server: TreeServer) -> None:
    """Nothing of an image lies in the folder; who made the folder says by its lock which one is meant."""
    for path in (image / "sealdex.lock", Path("sealdex.lock")):
        lock = read_lock(path)
        blocks = [replace(block, artifact=(IMAGE,)) if block.name == "acme/base" else block for block in lock.plugin]
        path.write_text(lock_text(LockDocument(plugin=tuple(blocks))))
    server.instead = dict.fromkeys(server.files, 503)
    done = run("ensure", "--frozen", "--json")
    assert (done.code, [each.get("image") for each in done.document["ensured"]]) == (0, [IMAGE.url, None])


def test_ensure_offline_from_a_folder(run: Run, image: Path, server: TreeServer) -> None:
    server.requests.clear()
    done = run("ensure", "--offline", "--locked")
    assert (done.code, server.requests) == (0, [])
    assert "installed acme/slack 1.1.0 · pinned by sealdex.lock" in done.out


def test_looking_offline(run: Run, server: TreeServer, tmp_path: Path) -> None:
    assert run("search", "slack").code == 0
    assert run("info", "acme/slack").code == 0
    server.requests.clear()
    assert run("search", "slack", "--offline").code == 0
    assert "acme/slack" in run("info", "acme/slack", "--offline").out
    assert run("info", "acme/mail", "--offline").code == 5
    assert server.requests == []


@pytest.fixture
def alone(image: Path, bare: Run, server: TreeServer, tmp_path: Path) -> Run:
    """A host that has preinstalled archives and knows of no registry."""
    (tmp_path / "config/config.toml").write_text('[install]\nbuiltin = "../image"\n')
    server.requests.clear()
    return bare


def test_preinstalled_archives_alone_do(alone: Run, server: TreeServer) -> None:
    done = alone("install", "acme/slack@^1")
    assert (done.code, "no registry could be reached" in done.err) == (0, True), done.err
    assert "installed acme/slack 1.1.0 · pinned by builtin" in done.out
    assert "installed acme/base 1.0.0 · pinned by builtin" in done.out
    assert alone("verify").code == 0
    again = alone("install", "acme/slack", "--json").document["installed"]
    assert [(each["action"], each["unreachable"]) for each in again] == [("fallback", "no registry is configured")]
    assert server.requests == []


def test_ensure_from_preinstalled_archives_alone(alone: Run, server: TreeServer) -> None:
    for options in (["--locked"], ["--frozen"]):
        done = alone("ensure", *options)
        assert done.code == 0, done.err
        assert "installed acme/slack 1.1.0 · pinned by sealdex.lock" in done.out
        assert "what was installed was verified by the lock alone: no registry is configured" in done.err
        assert alone("rollback").code == 0
    assert server.requests == []


def test_a_namespace_without_a_registry_is_served_by_what_is_preinstalled(
    alone: Run, server: TreeServer, registry: PluginRegistry, tmp_path: Path
) -> None:
    """What is preinstalled needs no registry; one that others belong to isn't asked for it."""
    config, root = tmp_path / "config/config.toml", tmp_path / "config/root.json"
    root.write_bytes(registry.root)
    other = f'[registries.other]\nurl = "{server.url}"\nroot = "root.json"\nnamespaces = ["else"]\n'
    config.write_text(config.read_text() + other)
    assert "pinned by builtin" in alone("install", "acme/slack").out
    assert server.requests == []


def test_alone_what_is_not_preinstalled_is_not_found(alone: Run, image: Path) -> None:
    for args in (["acme/mail"], ["acme/slack@^2"], ["acme/slack", "--no-fallback"]):
        refused = alone("install", *args)
        assert (refused.code, "no registry is configured" in refused.err) == (3, True)
        assert "registry add" in refused.err
    (image / "sealdex.lock").unlink()
    assert alone("install", "acme/slack").code == 3
    (image / PLUGIN / "slack.zip").write_bytes(b"something else")
    assert alone("ensure", "--locked").code == 3
    assert alone("list", "--json").document["installed"] == []
