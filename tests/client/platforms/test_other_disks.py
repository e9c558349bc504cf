"""The commands on the disks of other systems, imitated: Windows' rules about open files, and disks without links."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.command_scene import APP, BASE, make_scene, operations, run
from support.other_disks import WindowsDisk, disk_without_links, windows_disk
from support.store_truth import disagreements

from sealdex import disk
from sealdex.archive.tree_writer import TreeWriter
from sealdex.errors import ConfigError, InstallError
from sealdex.store.installations import current_version_named
from sealdex.store.layout import Store
from sealdex.store.leases import hold, holders
from sealdex.store.staging import remove_stale, staging_folder
from sealdex.transport._files import path_of

COMMANDS = ("install", "ensure", "update", "rollback", "use", "uninstall", "cache-gc")


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("scene")
    with pytest.MonkeyPatch.context() as patch:
        for name in ("SEALDEX_CONFIG", "SEALDEX_STORE"):
            patch.setenv(name, "")  # put back at the end
        make_scene(folder)
        yield folder


@pytest.fixture
def windows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[WindowsDisk]:
    with windows_disk(tmp_path, monkeypatch) as made:
        yield made


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_works_where_open_files_cant_be_removed(
    scene: Path, tmp_path: Path, windows: WindowsDisk, command: str
) -> None:
    store = Store(tmp_path / "store")
    before, then = operations(scene)[command]
    before(store)
    windows.scanner = 3  # something looks into what was just written
    then(store)
    then(store)
    assert windows.scanner == 0 or command == "cache-gc", "nothing was renamed: the imitation met nothing"
    assert disagreements(store) == []
    assert not list(Path(store.staging_folder).glob("*.lock")), "a lock file was left behind"
    assert not [refusal for refusal in windows.refused if not refusal.startswith(("scanned", "symlink"))]


def test_current_is_a_text_file_where_a_link_to_a_folder_cant_be_replaced(
    scene: Path, tmp_path: Path, windows: WindowsDisk
) -> None:
    store = Store(tmp_path / "store")
    for version in ("1.0.0", "2.0.0"):
        assert run(store, "install", f"{APP}@{version}").code == 0
        link = Path(store.current_link(("acme", "app")))
        assert not link.is_symlink()
        assert link.read_text(encoding="ascii") == version + "\n"
        assert run(store, "path", APP).out.strip() == store.version_folder(("acme", "app"), version)
    assert run(store, "verify").code == 0


def test_a_rename_that_stays_refused_fails_and_leaves_what_was_there(
    scene: Path, tmp_path: Path, windows: WindowsDisk
) -> None:
    store = Store(tmp_path / "store")
    assert run(store, "install", f"{APP}@1.0.0").code == 0
    windows.scanner = 10_000
    failed = run(store, "install", f"{APP}@2.0.0")
    assert failed.code == 1
    windows.scanner = 0
    assert current_version_named(store, ("acme", "app")) == "1.0.0"
    assert run(store, "install", f"{APP}@2.0.0").code == 0
    assert disagreements(store) == []


def test_holds_and_staging_folders_leave_no_lock_files(tmp_path: Path, windows: WindowsDisk) -> None:
    store = Store(tmp_path / "store")
    plugin = ("acme", "app")
    held = hold(store, plugin, "1.0.0", "host")
    assert held is not None
    assert len(holders(store, plugin, "1.0.0")) == 1
    held.release()
    assert holders(store, plugin, "1.0.0") == []
    assert not Path(store.holds_folder(plugin, "1.0.0")).exists()

    killed = hold(store, plugin, "1.0.0", "job")
    assert killed is not None
    os.close(killed.fileno())  # as the system does for a process that was killed
    assert holders(store, plugin, "1.0.0") == []
    assert not Path(store.holds_folder(plugin, "1.0.0")).exists()

    with staging_folder(store) as folder:
        name = folder.name
    (Path(store.staging_folder) / name).mkdir()  # as a killed process leaves it
    assert remove_stale(store) == [name]
    assert [path.name for path in Path(store.staging_folder).iterdir() if path.name != "guard"] == []


def test_files_are_flushed_through_a_descriptor_for_writing(tmp_path: Path, windows: WindowsDisk) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"1")
    disk.sync_path(file)
    disk.sync_path(tmp_path)
    assert windows.refused == []
    descriptor = os.open(file, os.O_RDONLY)
    with pytest.raises(OSError, match="as on Windows"):  # the imitation refuses what Windows does
        disk.sync(descriptor)
    os.close(descriptor)


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("file:///C:/mirror/1.root.json", "C:/mirror/1.root.json"),
        ("file:///d:/%E9%95%9C%E5%83%8F/a%20b", "d:/镜像/a b"),
        ("file://localhost/C:/mirror", "C:/mirror"),
    ],
)
def test_addresses_of_files_name_a_drive(monkeypatch: pytest.MonkeyPatch, url: str, path: str) -> None:
    monkeypatch.setattr(disk, "ON_WINDOWS", True)
    assert path_of(url) == path


@pytest.mark.parametrize("url", ["file:///mirror/", "file://server/share/", "file:///CC:/x", "file:///C:x"])
def test_addresses_without_a_drive_are_refused(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setattr(disk, "ON_WINDOWS", True)
    with pytest.raises(ConfigError, match=r"drive|on this host"):
        path_of(url)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_works_on_a_disk_without_links(
    scene: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    store = Store(tmp_path / "store")
    before, then = operations(scene)[command]
    with disk_without_links(tmp_path, monkeypatch):
        before(store)
        then(store)
        then(store)
        assert disagreements(store) == []
        for plugin in (APP, BASE):
            link = Path(store.current_link(tuple(plugin.split("/"))))  # type: ignore[arg-type]
            assert not link.is_symlink()


def test_a_store_moves_between_disks_with_and_without_links(
    scene: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(tmp_path / "store")
    with disk_without_links(tmp_path, monkeypatch):
        assert run(store, "install", f"{APP}@1.0.0").code == 0
    assert run(store, "update").code == 0
    assert Path(store.current_link(("acme", "app"))).is_symlink()
    with disk_without_links(tmp_path, monkeypatch):
        assert run(store, "use", APP, "1.0.0", "--force").code == 0
        assert run(store, "info", APP).code == 0
    assert disagreements(store) == []


def test_links_in_a_release_are_copied_or_named_where_the_disk_has_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = TreeWriter(tmp_path / "tree")
    written = writer.add_file("a", 0o755, [b"content"])
    with disk_without_links(tmp_path, monkeypatch):
        copied = writer.add_hard_link("b", written)
        with pytest.raises(InstallError) as refused:
            writer.add_symlink("c", "a")
    assert (tmp_path / "tree/b").read_bytes() == b"content"
    assert (copied.sha256, copied.mode, (tmp_path / "tree/b").stat().st_nlink) == (written.sha256, 0o755, 1)
    assert "is a symbolic link, which can't be made here" in str(refused.value)
    assert "developer mode" in (refused.value.hint or "")
    assert not (tmp_path / "tree/c").exists()
    with pytest.raises(FileExistsError):  # and what is there stays
        writer.add_hard_link("b", written)
    assert (tmp_path / "tree/b").read_bytes() == b"content"
    writer.add_symlink("c", "a")
    assert (tmp_path / "tree/c").readlink() == Path("a")


def test_links_say_developer_mode_on_windows(tmp_path: Path, windows: WindowsDisk) -> None:
    writer = TreeWriter(tmp_path / "tree")
    with pytest.raises(InstallError, match="is a symbolic link"):
        writer.add_symlink("c", "a")
