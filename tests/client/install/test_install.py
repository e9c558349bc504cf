"""Installing: whole or not at all, whoever is killed, full, damaged, or at it at the same time."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from support.archives import make_archive, tree
from support.installing import FILES, PLUGIN, make_release, request_for, state, whole
from support.killing import kills_of
from support.small_disk import small_disk

from sealdex.archive.unpack import RefusedArchiveError
from sealdex.errors import InstallError, VerificationError
from sealdex.install.install import install, needs_archive
from sealdex.model.index import MappedFile
from sealdex.store.installations import find_installation
from sealdex.store.layout import Store
from sealdex.store.verify import verify_installation


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


@pytest.fixture
def archives(tmp_path: Path) -> Path:
    return tmp_path / "archives"


def test_install_upgrade_and_stay(store: Store, archives: Path) -> None:
    one, two = make_release(archives, "1.0.0"), make_release(archives, "2.0.0")
    first = install(store, one[1], one[0])
    assert (first.action, first.previous, first.is_current) == ("unpack", None, True)
    assert needs_archive(store, two[1])
    second = install(store, two[1], two[0])
    assert second.previous == first.installation
    assert state(store) == whole(["1.0.0", "2.0.0"], "2.0.0")
    assert os.access(Path(store.current_link(PLUGIN)) / "bin/tool", os.X_OK)
    assert not needs_archive(store, two[1])
    again = install(store, two[1], None)
    assert (again.action, again.previous, again.is_current) == ("keep", second.installation, True)
    back = install(store, one[1], None)
    assert (back.action, back.is_current) == ("keep", True)
    assert state(store)["current"] == "1.0.0"


def test_install_without_making_it_current(store: Store, archives: Path) -> None:
    one, two = make_release(archives, "1.0.0"), make_release(archives, "2.0.0")
    install(store, one[1], one[0])
    assert not install(store, two[1], two[0], make_current=False).is_current
    assert state(store)["current"] == "1.0.0"


def test_installing_beside_settles_what_a_killed_removal_left(store: Store, archives: Path) -> None:
    for version in ("1.0.0", "2.0.0"):
        archive, request = make_release(archives, version)
        install(store, request, archive)
    Path(store.version_folder(PLUGIN, "2.0.0")).rename(archives / "gone")
    assert state(store) == {**whole(["1.0.0"], "1.0.0"), "named": "2.0.0"}
    archive, request = make_release(archives, "0.9.0")
    install(store, request, archive, make_current=False)
    assert state(store) == whole(["0.9.0", "1.0.0"], "1.0.0")


def test_a_size_that_is_not_known_is_learnt(store: Store, archives: Path) -> None:
    archive, request = make_release(archives, "1.0.0")
    unsized = msgspec.structs.replace(request, artifact=msgspec.structs.replace(request.artifact, size=None))
    assert install(store, unsized, archive).installation.artifact_size == archive.stat().st_size


def test_mapping_and_program_are_those_of_the_index(store: Store, tmp_path: Path) -> None:
    archive = make_archive(tmp_path / "a.tgz", "tar.gz", {"pkg-1.0/tool": b"x", "pkg-1.0/LICENSE": b"l", "junk": b"j"})
    request = request_for(archive, "1.0.0", "tar.gz", bin="tool", files=(MappedFile("pkg-*/*", "."),))
    found = install(store, request, archive).installation
    assert {p for p in tree(Path(found.path)) if not p.startswith(".sealdex")} == {"tool", "LICENSE"}
    assert os.access(Path(found.path) / "tool", os.X_OK)


# --- refusals -------------------------------------------------------------------------------------------------------


def test_a_file_that_is_not_the_pinned_one(store: Store, archives: Path) -> None:
    """Power: the cache. Change: another archive under the right name. Nothing of it is looked at."""
    (_, request), (other, _) = make_release(archives, "1.0.0"), make_release(archives, "1.0.1")
    with pytest.raises(VerificationError, match="is not the file that main pins"):
        install(store, request, other)
    assert state(store) == whole([], None)


def test_a_signed_size_that_is_not_the_size(store: Store, archives: Path) -> None:
    """Power: the index document. Change: the digest is right and the size isn't; one of the two is a lie."""
    archive, request = make_release(archives, "1.0.0")
    artifact = msgspec.structs.replace(request.artifact, size=archive.stat().st_size + 1)
    with pytest.raises(VerificationError, match="is not the file that main pins"):
        install(store, msgspec.structs.replace(request, artifact=artifact), archive)
    assert state(store) == whole([], None)


def test_the_same_version_from_elsewhere(store: Store, archives: Path) -> None:
    """Power: another registry with the same name and version. What is installed stays."""
    archive, request = make_release(archives, "1.0.0")
    install(store, request, archive)
    other = make_archive(archives / "other.zip", "zip", {"bin/tool": b"evil"})
    with pytest.raises(InstallError, match=r"is installed from another file \(registry main"):
        install(store, request_for(other, "1.0.0", registry="evil"), other)
    with pytest.raises(InstallError, match="another file"):
        needs_archive(store, request_for(other, "1.0.0", registry="evil"))
    assert state(store) == whole(["1.0.0"], "1.0.0")


def test_an_unsafe_archive_leaves_the_old_version(store: Store, archives: Path) -> None:
    archive, request = make_release(archives, "1.0.0")
    install(store, request, archive)
    bad = make_archive(archives / "bad.zip", "zip", {"../../../current": b"", "bin/tool": b""})
    with pytest.raises(RefusedArchiveError):
        install(store, request_for(bad, "2.0.0"), bad)
    assert state(store) == whole(["1.0.0"], "1.0.0")


def test_no_room_is_said_before_anything_is_written(
    store: Store, archives: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive, request = make_release(archives, "1.0.0")
    usage = type("usage", (), {"free": 1000})
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage)
    with pytest.raises(InstallError, match=r"needs \d+ bytes on the disk of .*, 1000 are free"):
        install(store, request, archive)
    assert not Path(store.plugins_folder).exists()
    assert not Path(store.staging_folder).exists()


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "disk", "24m") as folder:
        yield folder


def test_a_disk_that_fills_up_meanwhile(disk: Path, archives: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The check at the start found room, then another program took it."""
    store = Store(disk / "store")
    one = make_release(archives, "1.0.0")
    install(store, one[1], one[0])
    two = make_release(archives, "2.0.0", {**FILES, "lib/big": os.urandom(30 * 2**20)})
    with pytest.raises(InstallError, match="are free"):
        install(store, two[1], two[0])
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("usage", (), {"free": 2**40}))
    with pytest.raises(InstallError, match="No space left") as caught:
        install(store, two[1], two[0])
    assert caught.value.hint is not None
    assert "free some space" in caught.value.hint
    assert state(store) == whole(["1.0.0"], "1.0.0")


def test_a_disk_that_refuses_at_the_end(store: Store, archives: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive, request = make_release(archives, "1.0.0")

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("sealdex.install.install.rename_into", full)
    with pytest.raises(InstallError, match=r"the disk of .* is full"):
        install(store, request, archive)
    assert state(store) == whole([], None)


# --- damage ---------------------------------------------------------------------------------------------------------


def damage(place: Path, how: str) -> None:
    file = place / "lib/a"
    if how == "missing":
        file.unlink()
    elif how == "shorter":
        file.write_bytes(b"a")
    elif how == "same size":
        file.write_bytes(b"b" * 3000)
    elif how == "mode":
        (place / "bin/tool").chmod(0o644)
    elif how == "link":
        file.unlink()
        file.symlink_to("b")
    elif how == "folder":
        file.unlink()
        file.mkdir()
    elif how == "files.json":
        (place / ".sealdex/files.json").write_bytes(b"[]")
    elif how == "no files.json":
        (place / ".sealdex/files.json").unlink()
    elif how == "receipt":
        (place / ".sealdex/installation.json").unlink()


@pytest.mark.parametrize(
    ("how", "kind", "needs_full"),
    [
        ("missing", "missing", False), ("shorter", "changed", False), ("same size", "changed", True),
        ("mode", "mode", False), ("link", "changed", False), ("folder", "missing", False),
        ("files.json", "changed", False), ("no files.json", "missing", False), ("receipt", None, False),
    ],
)  # fmt: skip
def test_damage_is_found_and_repaired(
    store: Store, archives: Path, how: str, kind: str | None, needs_full: bool
) -> None:
    archive, request = make_release(archives, "1.0.0")
    place = Path(install(store, request, archive).installation.path)
    damage(place, how)
    found = find_installation(store, PLUGIN, "1.0.0")
    if kind is None:
        assert found is None
    else:
        assert found is not None
        assert [finding.kind for finding in verify_installation(found)] == [kind]
    assert needs_archive(store, request) != needs_full
    assert needs_archive(store, request, full_check=True)
    assert install(store, request, archive, full_check=True).action == "repair"
    assert state(store) == whole(["1.0.0"], "1.0.0")


def test_a_file_too_many_is_told_and_kept(store: Store, archives: Path) -> None:
    archive, request = make_release(archives, "1.0.0")
    found = install(store, request, archive).installation
    (Path(found.path) / "lib/cache.bin").write_bytes(b"made by the plugin")
    assert [str(finding) for finding in verify_installation(found)] == [
        "'lib/cache.bin' was not installed with the plugin"
    ]
    assert install(store, request, None).action == "keep"
    assert (Path(found.path) / "lib/cache.bin").exists()


# --- killed ---------------------------------------------------------------------------------------------------------

WHOLE: dict[str, list[str]] = {"findings": [], "staging": []}
OLD_AND_NEW: dict[str, tuple[list[dict[str, Any]], dict[str, Any]]] = {
    "first": (
        [{"installed": [], "current": None}, {"installed": ["1.0.0"], "current": None}],
        {"installed": ["1.0.0"], "current": "1.0.0"},
    ),
    "upgrade": (
        [{"installed": ["1.0.0"], "current": "1.0.0"}, {"installed": ["1.0.0", "2.0.0"], "current": "1.0.0"}],
        {"installed": ["1.0.0", "2.0.0"], "current": "2.0.0"},
    ),
    # the damaged one, then for an instant none, then the whole one
    "repair": (
        [{"installed": ["1.0.0"], "current": "1.0.0"}, {"installed": [], "current": None}],
        {"installed": ["1.0.0"], "current": "1.0.0"},
    ),
    "switch": (
        [{"installed": ["1.0.0", "2.0.0"], "current": "2.0.0"}],
        {"installed": ["1.0.0", "2.0.0"], "current": "1.0.0"},
    ),
    "remove-current": (
        [{"installed": ["1.0.0", "2.0.0"], "current": "2.0.0"}],
        {"installed": ["1.0.0"], "current": "1.0.0"},
    ),
    "remove-other": (
        [{"installed": ["1.0.0", "2.0.0"], "current": "2.0.0"}],
        {"installed": ["2.0.0"], "current": "2.0.0"},
    ),
    "remove-last": ([{"installed": ["1.0.0"], "current": "1.0.0"}], {"installed": [], "current": None}),
}  # fmt: skip


@pytest.mark.skipif(not hasattr(os, "fork"), reason="kills are steps of a forked child")
@pytest.mark.parametrize("scenario", OLD_AND_NEW)
def test_killed_before_each_step(tmp_path: Path, scenario: str) -> None:
    """Whenever it dies: the old state or the new one, and the next run ends in the new one with nothing left over."""
    old, new = OLD_AND_NEW[scenario]
    kills = kills_of(scenario, tmp_path)
    assert len(kills) > 8
    seen = []
    for kill in kills:
        after = {"installed": kill["after"]["installed"], "current": kill["after"]["current"]}
        assert after in [*old, new], kill
        seen.append(after)
        # the link on the disk as well: others follow it
        assert kill["again"] == {**new, **WHOLE, "named": new["current"]}, kill
        if scenario != "repair":
            assert kill["after"]["findings"] == [], kill
    assert seen[0] == old[0]
    assert seen[-1] == new
    assert {json.dumps(s) for s in [*old, new]} == {json.dumps(s) for s in seen}, "a state that no kill reached"
    assert any(kill["after"]["staging"] for kill in kills), "no kill left anything to clean"


# --- at the same time -----------------------------------------------------------------------------------------------

CONCURRENT = """
import sys
from pathlib import Path
from support.installing import request_for
from sealdex.install.install import install
from sealdex.store.layout import Store
store, archive, version = Store(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
request = request_for(archive, version)
print("ready", flush=True)
sys.stdin.readline()
print(install(store, request, archive).action)
"""


def at_once(store: Store, jobs: list[tuple[Path, str]]) -> list[str]:
    """Install each (archive, version) in a process of its own, all let go together; return what each did."""
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    processes = [
        subprocess.Popen([sys.executable, "-c", CONCURRENT, store.root, archive, version], stdin=subprocess.PIPE,
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env)
        for archive, version in jobs
    ]  # fmt: skip
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    answers = [process.communicate() for process in processes]
    assert [process.returncode for process in processes] == [0] * len(jobs), answers
    return [out.strip() for out, _ in answers]


def test_two_processes_install_the_same(store: Store, archives: Path) -> None:
    archive, _ = make_release(archives, "1.0.0", {**FILES, "lib/big": os.urandom(5 * 2**20)})
    assert sorted(at_once(store, [(archive, "1.0.0")] * 3)) == ["keep", "keep", "unpack"]
    assert state(store) == whole(["1.0.0"], "1.0.0")


def test_processes_install_several_versions(store: Store, archives: Path) -> None:
    versions = ["1.0.0", "1.1.0", "2.0.0"]
    jobs = [(make_release(archives, version)[0], version) for version in versions]
    assert at_once(store, jobs) == ["unpack"] * 3
    found = state(store)
    assert found["current"] in versions
    assert (found["installed"], found["findings"], found["staging"]) == (versions, [], [])


def test_a_version_that_differs_in_case_alone_replaces_nothing(store: Store, archives: Path) -> None:
    """A link stands in for the disk of Windows or macOS, on which both names lead to one folder."""
    early, other = make_release(archives, "1.0.0-RC1"), make_release(archives, "1.0.0-rc1")
    install(store, early[1], early[0])
    Path(store.version_folder(PLUGIN, "1.0.0-rc1")).symlink_to("1.0.0-RC1")
    with pytest.raises(InstallError, match="differ only in case") as caught:
        install(store, other[1], other[0])
    assert "uninstall acme/tool@1.0.0-RC1" in (caught.value.hint or "")
    assert state(store)["installed"] == ["1.0.0-RC1"]
    assert state(store)["findings"] == []
