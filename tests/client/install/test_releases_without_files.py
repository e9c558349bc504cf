"""A release without artifacts (an application suite) is recorded on the host: listed, updated, kept, uninstalled."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.commands import Run
from support.plugin_registry import PluginRegistry
from support.released import Released, unpack_release
from support.tree_server import TreeServer


@pytest.fixture
def suite(run: Run, registry: PluginRegistry) -> Run:
    """The registry has a suite of nothing but what it needs."""
    registry.plugin("acme/suite")
    for version in ("1.0.0", "1.1.0"):
        registry.release("acme/suite", version, artifacts=(), dependencies={"acme/slack": "^1"})
    registry.publish()
    return run


def listed(run: Run) -> dict[str, str]:
    found: list[dict[str, Any]] = json.loads(run("list", "--json").out)["installed"]
    return {f"{each['namespace']}/{each['name']}": each["version"] for each in found if each["current"]}


def test_it_is_listed_verified_and_found(suite: Run, tmp_path: Path) -> None:
    done = suite("install", "acme/suite@1.0.0")
    assert done.code == 0
    assert "has no files of its own" in done.out
    assert listed(suite) == {"acme/suite": "1.0.0", "acme/slack": "1.1.0", "acme/base": "1.0.0"}
    folder = Path(suite("path", "acme/suite").out.strip())
    assert [path.name for path in folder.iterdir()] == [".sealdex"]
    assert json.loads((folder / ".sealdex/manifest.json").read_text())["version"] == "1.0.0"
    for command in ("verify", "doctor"):
        assert suite(command).code == 0
    (folder / "put-there").write_text("x")
    assert "'put-there' was not installed with the plugin" in suite("verify").out
    again = suite("install", "acme/suite@1.0.0")
    assert "is already installed" in again.out


def test_it_is_updated_rolled_back_and_uninstalled(suite: Run) -> None:
    suite("install", "acme/suite@1.0.0")
    outdated = json.loads(suite("list", "--outdated", "--json").out)
    assert [(each["plugin"], each["newest"]) for each in outdated["outdated"]] == [("acme/suite", "1.1.0")]
    assert suite("update").code == 0
    assert listed(suite)["acme/suite"] == "1.1.0"
    assert suite("rollback").code == 0
    assert listed(suite)["acme/suite"] == "1.0.0"
    # what it needs is held by it
    refused = suite("uninstall", "acme/slack")
    assert refused.code == 1
    assert "acme/suite 1.0.0 needs acme/slack" in refused.err
    assert suite("uninstall", "acme/suite").code == 0
    assert "acme/suite" not in listed(suite)
    assert suite("rollback").code == 0  # without any file of it in the cache
    assert listed(suite)["acme/suite"] == "1.0.0"
    assert suite("verify").code == 0


def test_ensure_finds_it_in_place_without_a_request(
    suite: Run, want: Callable[[str], None], server: TreeServer
) -> None:
    want('"acme/suite" = "=1.0.0"')
    first = suite("ensure", "--json")
    rows = {each["plugin"]: each["action"] for each in json.loads(first.out)["ensured"]}
    assert rows["acme/suite"] == "nothing"
    server.requests.clear()
    second = suite("ensure", "--json")
    assert {each["plugin"]: each["action"] for each in json.loads(second.out)["ensured"]} == dict.fromkeys(rows, "keep")
    assert server.requests == []
    assert suite("ensure", "--frozen", "--offline").code == 0
    # gone from the store, it is put back
    assert suite("uninstall", "acme/suite").code == 0
    assert suite("ensure").code == 0
    assert listed(suite)["acme/suite"] == "1.0.0"


def test_installed_it_serves_when_the_registry_is_away(suite: Run, server: TreeServer) -> None:
    suite("install", "acme/suite@1.0.0")
    server.instead.update(dict.fromkeys(server.files, 503))
    done = suite("install", "acme/suite")
    assert done.code == 0
    assert "is installed and used" in done.out
    assert suite("install", "acme/suite", "--no-fallback").code == 5


def test_0_1_0_reads_such_a_store(suite: Run, tmp_path: Path) -> None:
    suite("install", "acme/suite@1.0.0")
    old: Released = unpack_release("0.1.0", tmp_path / "released")
    found = json.loads(old.run("sealdex", "list", "--json", cwd=tmp_path).stdout)["installed"]
    assert {each["name"] for each in found} == {"suite", "slack", "base"}
    for command in (("verify",), ("path", "acme/suite"), ("update",), ("uninstall", "acme/suite")):
        old.run("sealdex", *command, cwd=tmp_path)
