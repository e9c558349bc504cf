"""Archives across a gap: increments, volumes in any order, and imports that are refused or go on."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.commands import Run
from support.mirror_files import keys
from support.plugin_registry import PluginRegistry
from support.tree_server import TreeServer

from sealdex.download.mirror import transfer
from sealdex.download.mirror.volumes import cut, parse_volume_size
from sealdex.errors import UsageError
from sealdex.store.hashing import hash_of_regular


def test_a_registry_goes_across_in_one_archive_and_then_by_what_is_new(
    run: Run, registry: PluginRegistry, server: TreeServer, root: Path, tmp_path: Path
) -> None:
    near, far = tmp_path / "near", tmp_path / "far"
    near.mkdir()
    made = run("mirror", "create", "public", near / "all.tar", "--json")
    assert made.code == 0, made.err
    assert json.loads(made.out)["number"] == 1
    assert {path.name for path in near.iterdir()} == {"all.tar", "all.tar.state.jsonl.gz"}
    asked = len(server.requests)
    done = run("mirror", "import", near / "all.tar", far, "--root", root)
    assert done.code == 0, done.err
    assert len(server.requests) == asked
    assert run("mirror", "verify", far, "--root", root).code == 0
    assert json.loads((far / "mirror.json").read_bytes())["source"] == server.url + "/"

    registry.release("acme/base", "1.1.0")
    registry.publish()
    state = tmp_path / "far.state.jsonl.gz"
    assert run("mirror", "state", far, "-o", state).code == 0
    made = run("mirror", "create", "public", near / "more.tar", "--base", state, "--json")
    assert made.code == 0, made.err
    told = json.loads(made.out)
    assert (told["number"], told["base"], told["files"]) == (2, 1, 2)
    assert (near / "more.tar").stat().st_size < (near / "all.tar").stat().st_size
    before = keys(far)
    done = run("mirror", "import", near / "more.tar", far, "--root", root)
    assert done.code == 0, done.err
    assert {key for key in keys(far) - before if key.startswith("plugins/")} == {
        "plugins/acme/base/1.1.0/base.zip",
        "plugins/acme/base/1.1.0/manifest.json",
    }
    assert run("mirror", "verify", far, "--root", root).code == 0
    # the same once more is a success that does nothing
    again = run("mirror", "import", near / "more.tar", far, "--root", root, "--json")
    assert again.code == 0, again.err
    assert json.loads(again.out)["changed"] is False


def test_a_diode_goes_on_from_the_sender_s_own_record(
    run: Run, registry: PluginRegistry, root: Path, tmp_path: Path
) -> None:
    for number in (1, 2, 3):
        base = ["--base", tmp_path / f"{number - 1}.tar.state.jsonl.gz"] if number > 1 else []
        registry.release("acme/base", f"1.{number}.0")
        registry.publish()
        assert run("mirror", "create", "public", tmp_path / f"{number}.tar", *base).code == 0
    far = tmp_path / "far"
    assert run("mirror", "import", tmp_path / "1.tar", far, "--root", root).code == 0
    before = keys(far)
    refused = run("mirror", "import", tmp_path / "3.tar", far, "--root", root)
    assert refused.code == 3
    assert "archive 2" in refused.err
    assert keys(far) == before
    for number in (2, 3):
        assert run("mirror", "import", tmp_path / f"{number}.tar", far, "--root", root).code == 0
    assert run("mirror", "verify", far, "--root", root).code == 0
    # an older one, once more, rolls nothing back
    assert run("mirror", "import", tmp_path / "2.tar", far, "--root", root).code == 4
    assert run("mirror", "verify", far, "--root", root).code == 0


def test_a_lost_archive_is_made_again_without_a_full_export(
    run: Run, registry: PluginRegistry, root: Path, tmp_path: Path
) -> None:
    for number in (1, 2, 3):
        base = ["--base", tmp_path / "update.tar.state.jsonl.gz"] if number > 1 else []
        registry.release("acme/base", f"1.{number}.0")
        registry.publish()
        assert run("mirror", "create", "public", tmp_path / "update.tar", *base).code == 0
        (tmp_path / "update.tar").rename(tmp_path / f"{number}.tar")
    far = tmp_path / "far"
    assert run("mirror", "import", tmp_path / "1.tar", far, "--root", root).code == 0
    refused = run("mirror", "import", tmp_path / "3.tar", far, "--root", root)
    assert refused.code == 3
    assert "--resend 2" in refused.err
    made = run("mirror", "create", "public", tmp_path / "again.tar", "--resend", "2", "--json")
    assert made.code == 0, made.err
    told = json.loads(made.out)
    assert (told["number"], told["base"], told["files"]) == (3, 1, 4)  # two releases, no more
    assert run("mirror", "import", tmp_path / "again.tar", far, "--root", root).code == 0
    assert run("mirror", "verify", far, "--root", root).code == 0
    again = run("mirror", "import", tmp_path / "3.tar", far, "--root", root, "--json")
    assert json.loads(again.out)["changed"] is False  # it stood in for that one
    first = run("mirror", "create", "public", tmp_path / "first.tar", "--resend", "1", "--json")
    assert json.loads(first.out)["base"] == 0


def test_what_was_never_sent_is_not_sent_again(run: Run, tmp_path: Path) -> None:
    assert run("mirror", "create", "public", tmp_path / "1.tar").code == 0
    refused = run("mirror", "create", "public", tmp_path / "again.tar", "--resend", "2")
    assert refused.code == 3
    assert "archive 2" in refused.err
    both = run("mirror", "create", "public", tmp_path / "again.tar", "--resend", "1", "--base", tmp_path / "1.tar")
    assert both.code in {1, 2}
    assert run("mirror", "create", "public", tmp_path / "folder", "--resend", "1").code == 2
    assert not (tmp_path / "again.tar").exists()


def large(registry: PluginRegistry) -> None:
    seed = b"".join(number.to_bytes(4, "big") for number in range(700_000))
    registry.release("acme/big", "1.0.0", {"data.bin": seed, "again.bin": seed[::-1]})
    registry.publish()


def test_volumes_come_in_any_order_and_a_large_file_is_cut(
    run: Run, registry: PluginRegistry, root: Path, tmp_path: Path
) -> None:
    large(registry)
    made = run("mirror", "create", "public", tmp_path / "out.tar", "--volume-size", "1M", "--json")
    assert made.code == 0, made.err
    paths = [Path(path) for path in json.loads(made.out)["volumes"]]
    assert len(paths) > 2
    assert [path.name for path in paths] == [f"out.{n:03}-of-{len(paths):03}.tar" for n in range(1, len(paths) + 1)]
    assert max(path.stat().st_size for path in paths) <= 1 << 20
    missing = run("mirror", "import", *paths[:1], *paths[2:], tmp_path / "far", "--root", root)
    assert missing.code == 3
    assert "volume 2" in missing.err
    assert not (tmp_path / "far/metadata").exists()
    done = run("mirror", "import", *reversed(paths), tmp_path / "far", "--root", root)
    assert done.code == 0, done.err
    assert run("mirror", "verify", tmp_path / "far", "--root", root).code == 0


def test_a_stale_volume_of_an_earlier_run_is_refused(
    run: Run, registry: PluginRegistry, root: Path, tmp_path: Path
) -> None:
    large(registry)
    assert run("mirror", "create", "public", tmp_path / "out.tar", "--volume-size", "1M").code == 0
    stale = sorted(tmp_path.glob("out.0*.tar"))
    old = [path.rename(path.with_name(f"old-{path.name}")) for path in stale]
    registry.release("acme/base", "1.1.0")
    registry.publish()
    assert run("mirror", "create", "public", tmp_path / "out.tar", "--volume-size", "1M").code == 0
    new = sorted(tmp_path.glob("out.0*.tar"))
    refused = run("mirror", "import", *new[:-1], old[-1], tmp_path / "far", "--root", root)
    assert refused.code == 2, refused.err
    assert str(old[-1]) in refused.err or str(new[0]) in refused.err
    assert not (tmp_path / "far/metadata").exists()


@pytest.mark.parametrize("damage", ["cut off", "a byte", "not a tar", "empty"])
def test_a_damaged_volume_changes_nothing(run: Run, root: Path, tmp_path: Path, damage: str) -> None:
    assert run("mirror", "create", "public", tmp_path / "out.tar").code == 0
    data = bytearray((tmp_path / "out.tar").read_bytes())
    at = data.index(b"plugins/acme/slack/1.1.0/slack.zip")
    if damage == "cut off":
        data = data[: at - at % 512]
    elif damage == "a byte":
        start = data.index(b"PK\x03\x04", at)
        data[start + 40] ^= 1
    elif damage == "not a tar":
        data = bytearray(b"hello " * 1000)
    else:
        data = bytearray()
    (tmp_path / "bad.tar").write_bytes(data)
    refused = run("mirror", "import", tmp_path / "bad.tar", tmp_path / "far", "--root", root)
    assert refused.code == (4 if damage == "a byte" else 1), refused.err
    assert keys(tmp_path / "far") <= {key for key in keys(tmp_path / "far") if not key.startswith("metadata/timestamp")}
    assert not (tmp_path / "far/metadata/timestamp.json").exists()
    # and what was refused doesn't stand in the way of the right one
    assert run("mirror", "import", tmp_path / "out.tar", tmp_path / "far", "--root", root).code == 0
    assert run("mirror", "verify", tmp_path / "far", "--root", root).code == 0


def test_an_archive_that_another_tool_packed_again_is_read(run: Run, root: Path, tmp_path: Path) -> None:
    assert run("mirror", "create", "public", tmp_path / "out.tar").code == 0
    (tmp_path / "x").mkdir()
    names = ["sealdex-mirror.json", "files", "sealdex-mirror-end.json"]
    subprocess.run(["tar", "xf", tmp_path / "out.tar", "-C", tmp_path / "x"], check=True)
    subprocess.run(["tar", "cf", tmp_path / "again.tar", "-C", tmp_path / "x", *names], check=True)
    done = run("mirror", "import", tmp_path / "again.tar", tmp_path / "far", "--root", root)
    assert done.code == 0, done.err
    assert run("mirror", "verify", tmp_path / "far", "--root", root).code == 0


@pytest.mark.parametrize("kind", ["a part that begins far behind", "a sparse file"])
def test_attack_a_hole_is_neither_written_nor_hashed(
    run: Run, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """Attack: who can write to the medium makes a file large that takes no room there, and hours here."""
    archive, far = tmp_path / "all.tar", tmp_path / "far"
    assert run("mirror", "create", "public", archive).code == 0
    with tarfile.open(archive) as had, tarfile.open(tmp_path / "evil.tar", "w", format=tarfile.PAX_FORMAT) as evil:
        for member in had.getmembers():
            source = had.extractfile(member)
            if member.name.endswith("base.zip") and kind == "a sparse file":
                sparse = {"GNU.sparse.map": f"0,{member.size}", "GNU.sparse.size": str(1 << 24)}
                member.pax_headers = {**member.pax_headers, **sparse}
            elif member.name.endswith("base.zip"):
                member.name = member.name.replace("files/", f"parts/{1 << 40}/", 1)
            evil.addfile(member, source)

    def hashed(path: Path) -> str | None:
        assert path.stat().st_size < 1 << 20
        return hash_of_regular(path)

    monkeypatch.setattr(transfer, "hash_of_regular", hashed)
    refused = run("mirror", "import", tmp_path / "evil.tar", far, "--root", root)
    assert refused.code == 4, refused.err
    assert "base.zip', which no archive of a mirror has" in refused.err
    assert not (far / "metadata/timestamp.json").exists()
    assert not (far / ".sealdex-mirror/import").exists()


def test_a_read_only_medium_is_read_and_left_as_it_is(run: Run, root: Path, tmp_path: Path) -> None:
    medium = tmp_path / "dvd"
    medium.mkdir()
    assert run("mirror", "create", "public", medium / "out.tar").code == 0
    before = (medium / "out.tar").stat()
    medium.chmod(0o555)
    try:
        done = run("mirror", "import", medium / "out.tar", tmp_path / "far", "--root", root)
    finally:
        medium.chmod(0o755)
    assert done.code == 0, done.err
    after = (medium / "out.tar").stat()
    assert (after.st_mtime_ns, after.st_size) == (before.st_mtime_ns, before.st_size)


def test_another_selection_is_taken_over_on_request_only(run: Run, root: Path, tmp_path: Path) -> None:
    far = tmp_path / "far"
    assert run("mirror", "create", "public", tmp_path / "all.tar").code == 0
    assert run("mirror", "create", "public", tmp_path / "some.tar", "--plugin", "acme/base").code == 0
    assert run("mirror", "import", tmp_path / "all.tar", far, "--root", root).code == 0
    refused = run("mirror", "import", tmp_path / "some.tar", far, "--root", root)
    assert refused.code == 2
    assert "--new-selection" in refused.err
    assert run("mirror", "import", tmp_path / "some.tar", far, "--root", root, "--new-selection").code == 0
    assert json.loads((far / "mirror.json").read_bytes())["selection"] == {"plugins": ["acme/base"]}


def test_everything_is_taken_over_where_a_part_was(run: Run, root: Path, tmp_path: Path) -> None:
    far = tmp_path / "far"
    assert run("mirror", "create", "public", tmp_path / "part.tar", "--latest", "1").code == 0
    assert run("mirror", "create", "public", tmp_path / "all.tar").code == 0
    assert run("mirror", "import", tmp_path / "part.tar", far, "--root", root).code == 0
    assert run("mirror", "import", tmp_path / "all.tar", far, "--root", root, "--new-selection").code == 0
    assert json.loads((far / "mirror.json").read_bytes())["selection"] == {}
    assert run("mirror", "create", "public", tmp_path / "whole").code == 0
    assert {key for key in keys(far) if key.startswith("plugins/")} == {
        key for key in keys(tmp_path / "whole") if key.startswith("plugins/")
    }


def test_base_of_another_selection_is_refused(run: Run, tmp_path: Path) -> None:
    assert run("mirror", "create", "public", tmp_path / "mirror", "--plugin", "acme/base").code == 0
    state = tmp_path / "s.state.jsonl.gz"
    assert run("mirror", "state", tmp_path / "mirror", "-o", state).code == 0
    refused = run("mirror", "create", "public", tmp_path / "x.tar", "--base", state, "--plugin", "acme/mail")
    assert refused.code == 2
    assert not (tmp_path / "x.tar").exists()
    state.write_bytes(b"\x1f\x8b nonsense")
    assert run("mirror", "create", "public", tmp_path / "x.tar", "--base", state).code == 1


def test_what_an_archive_can_not_hold_is_not_left_behind(run: Run, root: Path, tmp_path: Path) -> None:
    assert run("mirror", "create", "public", tmp_path / "out.tar").code == 0
    shutil.rmtree(tmp_path / "far", ignore_errors=True)
    assert run("mirror", "import", tmp_path / "out.tar", tmp_path / "far", "--root", root).code == 0
    own = {path.name for path in (tmp_path / "far/.sealdex-mirror").iterdir()}
    assert not own & {"import", "staging", "cache"}
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".out")]


@given(st.lists(st.integers(0, 5 << 20), max_size=20), st.integers(1 << 20, 8 << 20))
def test_no_volume_is_larger_than_it_may_be_and_nothing_is_lost(sizes: list[int], most: int) -> None:
    files = [(f"plugins/a/b/{number}", size) for number, size in enumerate(sizes)]
    shared = list(cut(files, most, 2000))
    numbers = [number for number, _ in shared]
    assert sorted(set(numbers)) == list(range(1, len(set(numbers)) + 1))
    assert numbers == sorted(numbers)
    volumes = [[piece for each, piece in shared if each == number] for number in dict.fromkeys(numbers)]
    for volume in volumes:
        assert sum(2048 + -(-piece.size // 512) * 512 for piece in volume) <= most
    for key, size in files:
        pieces = [piece for volume in volumes for piece in volume if piece.key == key]
        assert sum(piece.size for piece in pieces) == size
        offsets = [(piece.offset or 0, piece.size) for piece in pieces]
        assert offsets == sorted(offsets)
        assert all(start + length == offsets[i + 1][0] for i, (start, length) in enumerate(offsets[:-1]))


@pytest.mark.parametrize(
    ("text", "size"), [("fat32", (4 << 30) - 1), ("8G", 8 << 30), ("500MiB", 500 << 20), ("dvd", 4_700_000_000)]
)
def test_sizes_of_media(text: str, size: int) -> None:
    assert parse_volume_size(text) == size


@pytest.mark.parametrize("text", ["", "1K", "-5G", "many", "1e999G", "nanM"])
def test_sizes_that_are_not_valid(text: str) -> None:
    with pytest.raises(UsageError):
        parse_volume_size(text)


def test_an_archive_that_could_not_be_written_leaves_the_earlier_one(
    run: Run, registry: PluginRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "update.tar"
    assert run("mirror", "create", "public", out).code == 0
    before = out.read_bytes()
    registry.release("acme/base", "1.1.0")
    registry.publish()

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("sealdex.download.mirror.volumes._add", full)
    ran = run("mirror", "create", "public", out)
    assert ran.code == 1, ran.err
    assert "No space left" in ran.err
    assert out.read_bytes() == before
    assert {each.name for each in tmp_path.glob("*update.tar*")} == {"update.tar", "update.tar.state.jsonl.gz"}
