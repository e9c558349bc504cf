"""Whole commands on a disk that is full, or becomes full at any moment: a clear error, nothing half done, then room.

The disk is a real one of a few MiB. It is filled up to so many bytes, so that each command fails a little later than
with fewer; the check of the room beforehand is switched off, as if another program took it just after.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.command_scene import APP, BASE, make_scene, operations, run, with_both
from support.small_disk import Filler, small_disk
from support.store_truth import disagreements, left_over

from sealdex.store.installations import current_version_named, installations
from sealdex.store.layout import Store
from sealdex.store.verify import verify_installation

LEAVE = (0, 4096, 16384, 65536, 300_000, 1_000_000)
"""Bytes that are left free; each command fails with the first, and goes through with the last."""


@pytest.fixture
def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("SEALDEX_CONFIG", "SEALDEX_STORE"):
        monkeypatch.setenv(name, "")  # so that what the scene sets ends with the test
    make_scene(tmp_path / "scene")
    return tmp_path / "scene"


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "disk", "32m") as folder:
        yield folder


def seen(store: Store) -> dict[str, Any]:
    """What others see: versions in use and installed, and what is damaged."""
    found = installations(store)
    return {
        "in-use": [current_version_named(store, tuple(plugin.split("/"))) for plugin in (APP, BASE)],  # type: ignore[arg-type]  # two parts
        "installed": [f"{i.name} {i.version}" for i in found],
        "damaged": [str(finding) for i in found for finding in verify_installation(i)],
    }


def drafts(store: Store) -> list[str]:
    """What was begun to be written and is of no use: what isn't found again by its name."""
    paths = (path.relative_to(store.root) for path in Path(store.root).rglob("*") if path.is_file())
    named = {".json", ".lock", ".uses", ".db", ".zip", ""}
    return [str(p) for p in paths if p.suffix not in named and p.parts[0] not in {"plugins", "staging"}]


@pytest.mark.parametrize("name", ["install", "ensure", "update", "rollback", "use", "uninstall", "cache-gc"])
def test_full_at_any_moment(
    name: str, scene: Path, disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare, act = operations(scene)[name]
    template, store = Store(tmp_path / "template"), Store(disk / "store")
    prepare(template)
    before = seen(template)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: type("usage", (), {"free": 2**40}))
    outcomes = []
    for leave in LEAVE:
        shutil.copytree(template.root, store.root, symlinks=True)
        filler = Filler(disk, leave)
        try:
            act(store)
            outcomes.append("done")
        except AssertionError as error:  # the command's, with its exit code and what it said
            said = str(error)
            assert ": exit 1\n" in said
            assert "full" in said or "No space left" in said, said
            assert "cache gc" in said, said
            assert seen(store) == before
            assert drafts(store) == left_over(store) == []
            outcomes.append("full")
        for question in (["list"], ["history"], ["verify"], ["cache", "list"], ["doctor"]):
            ran = run(store, *question)
            assert "unexpected" not in ran.err, ran.err
            assert ran.code == 0 or question == ["doctor"] or not before["installed"], ran.err
        filler.close()
        act(store)
        assert disagreements(store) == []
        shutil.rmtree(store.root)
    if name == "cache-gc":  # it is what helps, so it must need no room
        assert set(outcomes) == {"done"}
    else:
        assert (outcomes[0], outcomes[-1]) == ("full", "done"), outcomes
        assert outcomes == sorted(outcomes, reverse=True), outcomes


def test_the_cache_gives_its_room_back_when_asked(scene: Path, disk: Path) -> None:
    """What the errors advise, on a disk without one free block: then the command goes through."""
    store = Store(disk / "store")
    with_both(store)
    Filler(disk, 0)
    assert run(store, "use", BASE, "1.0.0", "--force").code == 1
    assert run(store, "cache", "gc", "--max-bytes", "0").code == 0
    assert run(store, "use", BASE, "1.0.0", "--force").code == 0
    assert disagreements(store) == []
