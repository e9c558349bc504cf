"""Mirrors, archives and imports on disks without room: asked for first, and when it ends amid, nothing old is lost."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.commands import Run
from support.mirror_files import keys
from support.plugin_registry import PluginRegistry
from support.small_disk import Filler, small_disk

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="a tmpfs of the tests' own")

MEBIBYTE = 1 << 20


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "disk", "2m") as folder:
        yield folder


def add(registry: PluginRegistry, version: str, size: int) -> None:
    data = random.Random(version).randbytes(size)  # noqa: S311  # bytes that don't compress
    registry.release("acme/base", version, {"data.bin": data})
    registry.publish()


def test_room_is_asked_for_first(run: Run, registry: PluginRegistry, root: Path, disk: Path, tmp_path: Path) -> None:
    assert run("mirror", "create", "public", disk / "mirror").code == 0
    before = keys(disk / "mirror")
    old = (disk / "mirror/metadata/timestamp.json").read_bytes()
    add(registry, "1.1.0", 3 * MEBIBYTE)
    for command in (
        ["create", "public", disk / "mirror"],
        ["create", "public", disk / "out.tar"],
    ):
        refused = run("mirror", *command)
        assert refused.code == 1, refused.err
        assert "are free" in refused.err
    assert run("mirror", "create", "public", tmp_path / "out.tar").code == 0
    refused = run("mirror", "import", tmp_path / "out.tar", disk / "mirror", "--root", root)
    assert refused.code == 1, refused.err
    assert "are free" in refused.err
    assert {key for key in keys(disk / "mirror") - before if key.startswith("plugins/")} == set()
    assert (disk / "mirror/metadata/timestamp.json").read_bytes() == old
    assert not [path for path in disk.iterdir() if path.name != "mirror"]
    assert run("mirror", "verify", disk / "mirror", "--registry", "public").code == 0


@pytest.mark.parametrize("command", ["create", "import"])
def test_a_disk_that_fills_amid_leaves_the_old_mirror(
    run: Run, registry: PluginRegistry, root: Path, disk: Path, tmp_path: Path, command: str
) -> None:
    folder = disk / "mirror"
    assert run("mirror", "create", "public", folder).code == 0
    old = (folder / "metadata/timestamp.json").read_bytes()
    add(registry, "1.1.0", 200_000)
    assert run("mirror", "create", "public", tmp_path / "out.tar").code == 0
    commands = {
        "create": ["mirror", "create", "public", folder],
        "import": ["mirror", "import", tmp_path / "out.tar", folder, "--root", root],
    }
    # what is asked for first is the files alone: metadata and folders take the rest, and fill it
    refusals = 0
    for leave in (210_000, 240_000, 270_000):
        filler = Filler(disk, leave)
        refused = run(*commands[command])
        filler.close()
        if refused.code == 0:
            break
        refusals += 1
        assert refused.code == 1, refused.err
        assert str(folder) in refused.err
        assert "Traceback" not in refused.err
        assert (folder / "metadata/timestamp.json").read_bytes() == old
        assert run("mirror", "verify", folder, "--registry", "public").code == 0
    assert refusals
    done = run(*commands[command])
    assert done.code == 0, done.err
    assert (folder / "metadata/timestamp.json").read_bytes() == registry.files["metadata/timestamp.json"]
    assert run("mirror", "verify", folder, "--registry", "public").code == 0


LIMITED = """
import resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), int(sys.argv[1])))
sys.argv = ["sealdex", *sys.argv[2:]]
from sealdex.cli.main import main
sys.exit(main())
"""


def limited(size: int, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", LIMITED, str(size), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=dict(os.environ))


def test_a_file_that_can_not_be_written_whole_leaves_no_half_archive(
    run: Run, registry: PluginRegistry, root: Path, tmp_path: Path
) -> None:
    add(registry, "1.1.0", 2 * MEBIBYTE)
    near = tmp_path / "near"
    near.mkdir()
    refused = limited(3 * MEBIBYTE // 2, "mirror", "create", "public", near / "out.tar")
    assert refused.returncode == 1, refused.stderr
    assert "Traceback" not in refused.stderr
    assert not list(near.iterdir())
    assert run("mirror", "create", "public", near / "out.tar").code == 0
    refused = limited(3 * MEBIBYTE // 2, "mirror", "import", near / "out.tar", tmp_path / "far", "--root", root)
    assert refused.returncode == 1, refused.stderr
    assert "Traceback" not in refused.stderr
    assert not (tmp_path / "far/metadata/timestamp.json").exists()
    assert run("mirror", "import", near / "out.tar", tmp_path / "far", "--root", root).code == 0


def test_an_archive_takes_its_room_once(run: Run, registry: PluginRegistry, tmp_path: Path) -> None:
    for version in ("1.1.0", "1.2.0", "1.3.0"):
        add(registry, version, 300_000)
    with small_disk(tmp_path / "small", "2m") as disk:  # files of 1 MiB together, and once more the largest
        filler = Filler(disk, 1_500_000)
        made = run("mirror", "create", "public", disk / "out.tar")
        filler.close()
        assert made.code == 0, made.err
        assert (disk / "out.tar").stat().st_size > 900_000
