"""Preinstalled archives, and commands that make no request."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from support.commands import Run
from support.tree_server import TreeServer

PLUGIN = "plugins/acme/slack/1.1.0"


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
    assert (done.code, "or preinstalled serves" in done.err) == (0, True)
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
