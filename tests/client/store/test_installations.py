"""The store: paths that stay inside, receipts, what is current, switching and removing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from semver import Version
from support.installing import FILES, PLUGIN, make_release, state, whole

from sealdex.errors import InstallError, NotFoundError
from sealdex.install.install import install
from sealdex.model.ids import PluginId
from sealdex.model.precedence import version_sort_key
from sealdex.store.activation import plugin_lock, remove, switch
from sealdex.store.installations import (
    current,
    find_installation,
    installations,
    installed_versions,
    look_over,
)
from sealdex.store.layout import Store
from sealdex.store.staging import remove_stale, staging_folder
from sealdex.store.verify import verify_installation


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def put(store: Store, *versions: str) -> None:
    for version in versions:
        archive, request = make_release(Path(store.root).parent / "archives", version)
        install(store, request, archive)


@pytest.mark.parametrize(
    "bad", ["", ".", "..", "a/b", "/etc", "a\\b", "C:", "a\0", "-x", ".hidden", "a.", "a" * 129, "a b", "a\n", "\u00e9"]
)
def test_no_identifier_or_version_leads_out_of_the_store(store: Store, bad: str) -> None:
    calls: list[Callable[[], str]] = [
        lambda: store.plugin_folder((bad, "name")),
        lambda: store.plugin_folder(("ns", bad)),
        lambda: store.version_folder(("ns", "name"), bad),
        lambda: store.current_link((bad, "name")),
        lambda: store.lock_file(("ns", bad)),
        lambda: store.trust_folder(bad),
    ]
    for call in calls:
        with pytest.raises(ValueError, match="can't be the name"):
            call()


def test_current_is_no_version(store: Store) -> None:
    with pytest.raises(ValueError, match="not a valid version"):
        store.version_folder(PLUGIN, "current")


def test_a_receipt_tells_what_was_installed(store: Store) -> None:
    archive, request = make_release(Path(store.root).parent / "archives", "1.2.0")
    result = install(store, request, archive)
    (found,) = installations(store)
    assert found == result.installation == find_installation(store, PLUGIN, "1.2.0")
    assert (found.id, found.version, found.registry) == (PLUGIN, "1.2.0", "main")
    assert (found.artifact_sha256, found.artifact_size) == (request.artifact.sha256, archive.stat().st_size)
    assert (found.signed_by, found.root_version, found.bin) == ("packages", 1, "bin/tool")
    assert (found.file_count, found.unpacked_bytes) == (len(FILES) + 1, sum(map(len, FILES.values())) + 5)
    assert os.fspath(found) == str(found.path) == store.version_folder(PLUGIN, "1.2.0")
    assert verify_installation(found) == []


def test_several_versions_in_order_of_precedence(store: Store) -> None:
    put(store, "1.10.0", "1.9.0", "2.0.0-rc.1", "1.9.0-beta")
    versions = ["1.9.0-beta", "1.9.0", "1.10.0", "2.0.0-rc.1"]
    assert [i.version for i in installations(store)] == versions
    assert [i.version for i in installed_versions(store, PLUGIN)] == versions


VERSIONS = st.builds(
    lambda core, pre: ".".join(map(str, core)) + (f"-{'.'.join(pre)}" if pre else ""),
    st.tuples(*[st.integers(0, 12)] * 3),
    st.lists(st.sampled_from(["0", "1", "2", "10", "alpha", "rc", "rc-1", "A", "1a"]), max_size=3),
)


@given(VERSIONS, VERSIONS)
def test_our_order_is_that_of_the_semver_library(a: str, b: str) -> None:
    ours = (version_sort_key(a) > version_sort_key(b)) - (version_sort_key(a) < version_sort_key(b))
    assert ours == Version.parse(a).compare(b)


@pytest.mark.parametrize(
    "receipt",
    [b"", b"{", b"[]", b"\xff", b"null", b'{"format": 1}', "other plugin", "number as text", "no such field"],
)
def test_a_damaged_receipt_is_left_out_and_named(store: Store, receipt: bytes | str) -> None:
    put(store, "1.0.0", "2.0.0")
    path = Path(store.version_folder(PLUGIN, "2.0.0")) / ".sealdex/installation.json"
    values = json.loads(path.read_bytes())
    if receipt == "other plugin":
        values["name"] = "other"
    elif receipt == "number as text":
        values["artifact_size"] = "1"
    elif receipt == "no such field":
        del values["registry"]
    path.write_bytes(receipt if isinstance(receipt, bytes) else json.dumps(values).encode())
    assert [i.version for i in installations(store)] == ["1.0.0"]
    assert [each.path for each in look_over(store)[1]] == [store.version_folder(PLUGIN, "2.0.0")]
    assert find_installation(store, PLUGIN, "2.0.0") is None


def test_a_receipt_of_a_newer_sealdex_is_still_read(store: Store) -> None:
    put(store, "1.0.0")
    path = Path(store.version_folder(PLUGIN, "1.0.0")) / ".sealdex/installation.json"
    path.write_bytes(json.dumps({**json.loads(path.read_bytes()), "new_field": [1]}).encode())
    assert [i.version for i in installations(store)] == ["1.0.0"]


def test_an_empty_store_has_nothing(store: Store) -> None:
    assert installations(store) == []
    assert [each.path for each in look_over(store)[1]] == []
    assert current(store, PLUGIN) is None
    assert remove_stale(store) == []
    assert not Path(store.root).exists()


def test_current_is_a_relative_link(store: Store) -> None:
    put(store, "1.0.0", "2.0.0")
    assert os.readlink(store.current_link(PLUGIN)) == "2.0.0"  # noqa: PTH115  # the raw text is what matters
    moved = Path(store.root).rename(Path(store.root).with_name("moved"))
    assert (moved / "plugins/acme/tool/current/VERSION").read_bytes() == b"2.0.0"


def test_switch(store: Store) -> None:
    put(store, "1.0.0", "2.0.0")
    before = switch(store, PLUGIN, "1.0.0")
    assert before is not None
    assert before.version == "2.0.0"
    assert state(store) == whole(["1.0.0", "2.0.0"], "1.0.0")
    with pytest.raises(NotFoundError, match=r"acme/tool 3\.0\.0 is not installed; installed: 1\.0\.0, 2\.0\.0"):
        switch(store, PLUGIN, "3.0.0")
    with pytest.raises(NotFoundError):
        switch(store, PluginId("acme", "other"), "1.0.0")


def test_where_links_cannot_be_made_a_text_file_names_the_current(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_links(*_: object, **__: object) -> None:
        raise OSError(1, "Operation not permitted")

    put(store, "1.0.0")
    monkeypatch.setattr(Path, "symlink_to", no_links)
    put(store, "2.0.0")
    assert Path(store.current_link(PLUGIN)).read_text(encoding="ascii") == "2.0.0\n"
    assert state(store)["current"] == "2.0.0"
    switch(store, PLUGIN, "1.0.0")
    assert state(store)["current"] == "1.0.0"
    monkeypatch.undo()
    switch(store, PLUGIN, "2.0.0")
    assert Path(store.current_link(PLUGIN)).is_symlink()


@pytest.mark.parametrize("target", ["../../other/thing/1.0.0", "/etc", "..", "current", ""])
def test_a_current_that_leads_elsewhere_names_nothing(store: Store, target: str) -> None:
    put(store, "1.0.0")
    link = Path(store.current_link(PLUGIN))
    link.unlink()
    if target:
        link.symlink_to(target)
    else:
        link.write_text("../../x")
    assert current(store, PLUGIN) is None


@pytest.mark.parametrize(
    ("removed", "installed", "in_use"),
    [("1.0.0", ["2.0.0", "3.0.0"], "3.0.0"), ("3.0.0", ["1.0.0", "2.0.0"], "2.0.0")],
)
def test_remove_leaves_the_newest_current(store: Store, removed: str, installed: list[str], in_use: str) -> None:
    put(store, "1.0.0", "2.0.0", "3.0.0")
    now = remove(store, PLUGIN, removed)
    assert now is not None
    assert now.version == in_use
    assert state(store) == whole(installed, in_use)
    assert os.readlink(store.current_link(PLUGIN)) == in_use  # noqa: PTH115  # the raw text


def test_removing_the_last_leaves_no_folder(store: Store) -> None:
    put(store, "1.0.0")
    assert remove(store, PLUGIN, "1.0.0") is None
    assert list(Path(store.plugins_folder).iterdir()) == []
    with pytest.raises(NotFoundError):
        remove(store, PLUGIN, "1.0.0")


def test_a_damaged_version_can_be_removed(store: Store) -> None:
    put(store, "1.0.0", "2.0.0")
    (Path(store.version_folder(PLUGIN, "2.0.0")) / ".sealdex/installation.json").unlink()
    remove(store, PLUGIN, "2.0.0")
    assert state(store) == whole(["1.0.0"], "1.0.0")
    assert [each.path for each in look_over(store)[1]] == []


def test_a_held_plugin_is_waited_for_and_then_given_up(store: Store) -> None:
    put(store, "1.0.0")
    with plugin_lock(store, PLUGIN):
        with pytest.raises(InstallError, match="another sealdex has been changing acme/tool"):
            remove(store, PLUGIN, "1.0.0", timeout_s=0)
        with plugin_lock(store, ("acme", "other"), timeout_s=0):
            pass  # other plugins are free
    assert state(store)["installed"] == ["1.0.0"]


def test_staging_in_use_is_left_alone_and_stale_staging_goes(store: Store) -> None:
    with staging_folder(store) as folder:
        (folder / "half").write_bytes(b"x")
        stale = folder.with_name("0123456789abcdef")
        (stale / "deep").mkdir(parents=True)
        (stale / "deep/file").write_bytes(b"x")
        assert remove_stale(store) == ["0123456789abcdef"]
        assert (folder / "half").exists()
    assert state(store)["staging"] == []


def test_listing_imports_next_to_nothing() -> None:
    """`sealdex list` has three times the start of `python -c pass`; each of these takes a third of that or more."""
    script = "import sys; import sealdex.store.installations; print(*sorted(sys.modules))"
    output = subprocess.run([sys.executable, "-S", "-c", script], capture_output=True, text=True, check=True,
                            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}).stdout  # fmt: skip
    heavy = {
        "typing",
        "msgspec",
        "pathlib",
        "dataclasses",
        "sqlite3",
        "tuf",
        "urllib3",
        "filelock",
        "semver",
        "hashlib",
    }
    assert heavy.isdisjoint(output.split())
