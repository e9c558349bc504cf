"""Mirrors killed before any rename: readers see the old or the new state, and the next run needs no help."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from support.commands import Run
from support.killed_renames import killed_before, moments, renames_of
from support.plugin_registry import PluginRegistry


def state(folder: Path) -> bytes | None:
    path = folder / "metadata/timestamp.json"
    return path.read_bytes() if path.exists() else None


@pytest.mark.skipif(os.name == "nt", reason="there is no SIGKILL")
def test_an_update_of_a_mirror(run: Run, registry: PluginRegistry, tmp_path: Path) -> None:
    def mirror(folder: Path) -> list[object]:
        return ["mirror", "create", "public", folder]

    assert run(*mirror(tmp_path / "whole")).code == 0
    old_tree = dict(registry.files)
    registry.release("acme/base", "1.1.0")
    registry.release("acme/extra", "1.0.0")
    registry.publish()
    new_tree = dict(registry.files)
    whole = renames_of(mirror(tmp_path / "whole"))
    assert whole > 5
    old, new = old_tree["metadata/timestamp.json"], new_tree["metadata/timestamp.json"]
    for rename in moments(whole):
        folder = tmp_path / f"killed-{rename}"
        registry.files.clear()
        registry.files.update(old_tree)
        assert run(*mirror(folder)).code == 0
        registry.files.update(new_tree)
        assert killed_before(rename, mirror(folder))
        assert state(folder) in {old, new}
        seen = run("mirror", "verify", folder, "--registry", "public")
        assert seen.code == 0, seen.err
        again = run(*mirror(folder))
        assert again.code == 0, again.err
        assert state(folder) == new
        assert run("mirror", "verify", folder, "--registry", "public").code == 0


@pytest.mark.skipif(os.name == "nt", reason="there is no SIGKILL")
def test_an_import(run: Run, registry: PluginRegistry, tmp_path: Path) -> None:
    root = tmp_path / "given-root.json"
    assert run("mirror", "create", "public", tmp_path / "out.tar").code == 0
    arguments = ["mirror", "import", tmp_path / "out.tar"]
    whole = renames_of([*arguments, tmp_path / "whole", "--root", root])
    for rename in moments(whole):
        folder = tmp_path / f"killed-{rename}"
        assert killed_before(rename, [*arguments, folder, "--root", root])
        assert state(folder) in {None, registry.files["metadata/timestamp.json"]}
        again = run(*arguments, folder, "--root", root)
        assert again.code == 0, again.err
        assert run("mirror", "verify", folder, "--root", root).code == 0
        assert not (folder / ".sealdex-mirror/import").exists()
