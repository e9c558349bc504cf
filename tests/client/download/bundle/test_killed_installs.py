"""An installation of a bundle killed before any rename: what is there is whole, and the next run needs no help."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from support.commands import Run
from support.killed_renames import killed_before, moments, renames_of
from support.plugin_registry import PluginRegistry

pytestmark = [pytest.mark.slow, pytest.mark.skipif(os.name == "nt", reason="there is no SIGKILL")]


def test_an_install(run: Run, registry: PluginRegistry, want: Callable[[str], None], tmp_path: Path) -> None:
    root, bundle = tmp_path / "pinned.json", tmp_path / "robot.bundle"
    root.write_bytes(registry.root)
    want('"acme/slack" = "^1"')
    assert run("lock").code == 0
    assert run("bundle", "create", bundle, "--lock", tmp_path / "project/sealdex.lock").code == 0

    def host(name: str) -> tuple[object, ...]:
        return "--config", tmp_path / f"{name}.toml", "--store", tmp_path / f"{name}-store"

    def install(name: str) -> list[object]:
        return ["bundle", "install", bundle, "--root", root, *host(name)]

    whole = renames_of(install("whole"))
    assert whole > 3
    for rename in moments(whole):
        assert killed_before(rename, install("far"))
        assert run("verify", *host("far")).code == 0  # what is installed is whole
        again = run(*install("far"))
        assert again.code == 0, again.err
        listed = json.loads(run("list", "--json", *host("far")).out)["installed"]
        assert {row["plugin"] for row in listed} == {"acme/slack", "acme/base"}
        assert run("verify", *host("far")).code == 0
        shutil.rmtree(tmp_path / "far-store")
        (tmp_path / "far.toml").unlink()
