"""Attacks with the bundle, and with the cache: what isn't trusted must not be able to do more than cost a request.

The attacker of the bundle may write ``metadata/recent.bundle`` and nothing else; the attacker of the cache may write
the client's trust folder between two runs. Neither may change an answer.
"""

from __future__ import annotations

import struct
import tracemalloc
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.tree_server import Endless
from support.trust_scene import OTHER, SLACK, Scene, scene_in
from support.tuf_repository import BUNDLE, TufRepository, document, new_key, signed_bytes, zipped
from tuf.api.metadata import Metadata, Root

from sealdex.errors import SealdexError, VerificationError
from sealdex.model.index import index_target
from sealdex.trust.metadata_bundle import MAX_BUNDLE_BYTES, Bundle

TIMESTAMP = "metadata/timestamp.json"


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    with scene_in(tmp_path) as scene:
        yield scene


def evil_repository(like: TufRepository) -> TufRepository:
    """A registry with the same names and realm, and keys of the attacker's own, in which acme/slack is 6.6.6."""
    evil = TufRepository(realm=like.realm)
    evil.add(SLACK, "6.6.6")
    evil.add(OTHER, "6.6.6")
    evil.publish()
    return evil


# --- the bundle ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("role", ["root", "snapshot", "targets", "packages", "bin", "all"])
def test_forged_metadata_in_the_bundle_changes_nothing(scene: Scene, role: str) -> None:
    """Signs metadata with keys of their own and puts it into the bundle under the right names."""
    repository = scene.repository
    evil = evil_repository(repository)
    bin_name = repository.bin_of(SLACK)
    roles = ["snapshot", "targets", "packages", bin_name] if role == "all" else [bin_name if role == "bin" else role]
    forged = {f"1.{name}.json": evil.files[f"metadata/1.{name}.json"] for name in roles if name != "root"}
    if role in {"root", "all"}:
        evil.rotate_root()
        forged["2.root.json"] = evil.files["metadata/2.root.json"]
    with scene.serving({BUNDLE: repository.bundle(forged)}):
        assert scene.newest() == "1.0.0"
    assert not set(forged.values()) & set(scene.kept().values())


def test_metadata_forged_in_the_bundle_and_in_the_store_is_refused(scene: Scene) -> None:
    """Holds the bucket as well: going on without the bundle must not mean going on without verification."""
    repository = scene.repository
    evil = evil_repository(repository).files["metadata/1.targets.json"]
    with (
        scene.serving({BUNDLE: repository.bundle({"1.targets.json": evil}), "metadata/1.targets.json": evil}),
        pytest.raises(VerificationError, match=r"1\.targets\.json is not signed by enough of the keys"),
    ):
        scene.index()
    assert evil not in scene.kept().values()
    assert scene.newest() == "1.0.0"


def test_an_old_bundle_does_not_hold_a_client_back(scene: Scene) -> None:
    """Serves yesterday's bundle, with yesterday's timestamp in it, to freeze cold clients."""
    repository = scene.repository
    old = repository.bundle({"timestamp.json": repository.files[TIMESTAMP], "1.timestamp.json": b"{}"})
    repository.add(SLACK, "2.0.0")
    repository.rotate_root("timestamp")
    repository.publish()
    with scene.serving({BUNDLE: old}):
        assert scene.newest() == "2.0.0"
    assert TIMESTAMP in scene.server.requests
    assert repository.key("snapshot") in scene.server.requests


def test_an_old_timestamp_is_never_read_from_the_bundle(scene: Scene) -> None:
    """The name that matters most is not looked up at all, even if the address of the timestamp fails."""
    repository = scene.repository
    packed = repository.bundle({"timestamp.json": repository.files[TIMESTAMP]})
    with scene.serving({BUNDLE: packed, TIMESTAMP: 404}), pytest.raises(SealdexError, match="answered 404"):
        scene.index()


MEMBERS = {"1.snapshot.json": b"{}", "1.targets.json": b"{}"}


@pytest.mark.parametrize(
    "packed",
    [
        b"",
        b"<html>not here</html>",
        zipped(MEMBERS)[:-30],
        zipped(MEMBERS)[30:],
        zipped({}),
        zipped({"1.snapshot.json": b" " * 60_000_000}),
        zipped({"1.snapshot.json": b"{}"}, zipfile.ZIP_BZIP2),
        zipped({"../../1.snapshot.json": b"{}", "/1.targets.json": b"{}", "..\\1.packages.json": b"{}"}),
        zipped({f"{n}.x.json": b"" for n in range(5000)}),
        zipped({"1.snapshot.json": b"\xff" * 100, "1.targets.json": b"[" * 200_000}),
        404,
        403,
        503,
        Endless(),
        b"PK\x05\x06" + b"\0" * (MAX_BUNDLE_BYTES + 1),
    ],
    ids=[
        "empty",
        "page",
        "cut at its end",
        "cut at its start",
        "no members",
        "bomb",
        "other compression",
        "paths",
        "many members",
        "garbage inside",
        "missing",
        "forbidden",
        "failing",
        "endless",
        "too large",
    ],
)
def test_a_broken_bundle_costs_requests_and_nothing_else(
    scene: Scene, packed: bytes | int | Endless, tmp_path: Path
) -> None:
    """Writes anything whatever as the bundle."""
    outside = {p for p in tmp_path.rglob("*") if not p.is_relative_to(scene.folder)}
    with scene.serving({BUNDLE: packed}):
        assert scene.newest() == "1.0.0"
    assert "metadata/1.snapshot.json" in scene.server.requests
    assert {p for p in tmp_path.rglob("*") if not p.is_relative_to(scene.folder)} == outside
    assert all(data in scene.repository.files.values() for data in scene.kept().values())


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
@pytest.mark.parametrize("lies", [False, True])
def test_a_bomb_is_not_inflated_into_memory(method: int, lies: bool) -> None:
    """Puts 30 MB of blanks into a member; or says in the zip's directory that it has 2 bytes."""
    packed = zipped({"1.snapshot.json": b" " * 30_000_000}, method)
    for name, field_offset in ((b"PK\x01\x02", 24), (b"PK\x03\x04", 22)) if lies else ():
        at = packed.index(name) + field_offset
        packed = packed[:at] + struct.pack("<I", 2) + packed[at + 4 :]
    tracemalloc.start()
    try:
        member = Bundle(packed).member("1.snapshot.json", 1000)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert member is None or len(member) <= 1000
    assert peak < 5_000_000


@pytest.mark.parametrize(
    "name",
    ["timestamp.json", "../1.snapshot.json", "1.a/b.json", "/1.a.json", "0.a.json", "1.a", "1.a.json\n", "1..json", ""],
)
def test_only_versioned_file_names_are_read_from_a_bundle(name: str) -> None:
    assert Bundle(zipped({name or "x": b"{}"})).member(name, 1000) is None


def test_a_member_may_be_exactly_as_long_as_allowed() -> None:
    bundle = Bundle(zipped({"1.bin-0a.json": b"1234", "2.%2Fteam.json": b"5"}))
    assert bundle.member("1.bin-0a.json", 4) == b"1234"
    assert bundle.member("1.bin-0a.json", 3) is None
    assert bundle.member("2.%2Fteam.json", 4) == b"5"
    assert bundle.member("2.bin-0a.json", 4) is None


@given(st.data())
def test_no_bytes_make_the_bundle_reader_fail(data: st.DataObject) -> None:
    packed = bytearray(zipped(MEMBERS, data.draw(st.sampled_from([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED]))))
    for _ in range(data.draw(st.integers(0, 6))):
        packed[data.draw(st.integers(0, len(packed) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(packed)))
    bundle = Bundle(bytes(packed[:cut] if data.draw(st.booleans()) else packed))
    for name in MEMBERS:
        member = bundle.member(name, 10)
        assert member is None or len(member) <= 10


# --- the client's cache ----------------------------------------------------------------------------------------------


def plant(scene: Scene, evil: TufRepository) -> dict[str, bytes]:
    """Write the attacker's registry over the client's cache, complete and consistent; return what was written."""
    metadata = scene.folder / "metadata"
    bin_name = evil.bin_of(SLACK)
    planted = {"root.json": evil.pinned_root, "root_history/1.root.json": evil.pinned_root}
    planted |= {
        f"{role}.json": evil.files[evil.key(role)]
        for role in ("timestamp", "snapshot", "targets", "packages", bin_name)
    }
    for name, data in planted.items():
        (metadata / name).unlink()
        (metadata / name).write_bytes(data)
    data = evil.files[evil.target_key(index_target(SLACK))]
    (scene.folder / "documents" / "index%2Facme%2Fslack.json").write_bytes(data)
    return {**planted, "document": data}


def test_a_cache_full_of_another_registry_is_replaced_by_the_true_one(scene: Scene) -> None:
    """Plants a whole registry with its root; the store is honest. The pinned root decides."""
    scene.index()
    planted = plant(scene, evil_repository(scene.repository))
    assert scene.newest() == "1.0.0"
    assert not set(planted.values()) & set(scene.kept().values())


def test_a_planted_registry_is_refused_even_if_the_network_serves_it_too(scene: Scene) -> None:
    """Plants a whole registry and controls the network: everything agrees, except the pinned root."""
    scene.index()
    evil = evil_repository(scene.repository)
    plant(scene, evil)
    before = scene.kept()
    with (
        scene.serving(dict(evil.files)),
        pytest.raises(VerificationError, match=r"timestamp\.json is not signed by enough of the keys"),
    ):
        scene.index()
    assert set(scene.kept().values()) <= {*before.values(), scene.repository.pinned_root}
    assert scene.newest() == "1.0.0"


def test_a_planted_registry_is_refused_offline(scene: Scene) -> None:
    """Plants a whole registry on a host that is offline."""
    scene.index()
    plant(scene, evil_repository(scene.repository))
    scene.server.expect_rounds()
    with pytest.raises(VerificationError, match=r"timestamp\.json is not signed by enough of the keys"):
        scene.index(offline=True)
    assert scene.server.requests == []


def test_planted_later_roots_are_not_followed(scene: Scene) -> None:
    """Plants a second root, signed by keys of their own, to be found when the client counts up its cached roots."""
    scene.index()
    evil = Metadata[Root].from_bytes(scene.repository.pinned_root).signed
    evil.version = 2
    (scene.folder / "metadata" / "root_history" / "2.root.json").write_bytes(signed_bytes(evil, [new_key()]))
    state = scene.registry().refresh()
    assert state.root_version == 1
    assert scene.newest() == "1.0.0"


@pytest.mark.parametrize("role", ["timestamp", "snapshot", "targets", "packages", "bin"])
@pytest.mark.parametrize("with_what", ["garbage", "forged"])
def test_a_poisoned_cache_file_is_fetched_again(scene: Scene, role: str, with_what: str) -> None:
    """Replaces one cached metadata file, by garbage or by one that is signed with a key of their own."""
    scene.index()
    role = scene.repository.bin_of(SLACK) if role == "bin" else role
    evil = evil_repository(scene.repository)
    data = b"garbage" if with_what == "garbage" else evil.files[evil.key(role)]
    (scene.folder / "metadata" / f"{role}.json").write_bytes(data)
    assert scene.newest() == "1.0.0"
    assert data not in scene.kept().values()


@pytest.mark.parametrize("offline", [False, True])
def test_a_poisoned_document_is_never_returned(scene: Scene, offline: bool) -> None:
    """Replaces the cached index document by one of the same length."""
    scene.index()
    file = scene.folder / "documents" / "index%2Facme%2Fslack.json"
    file.write_bytes(file.read_bytes().replace(b"1.0.0", b"6.6.6"))
    if offline:
        with pytest.raises(SealdexError, match="is not cached"):
            scene.index(offline=True)
    assert scene.newest() == "1.0.0"
    assert b"6.6.6" not in file.read_bytes()


def test_a_bin_planted_in_the_place_of_another_is_refused_and_then_gone(scene: Scene) -> None:
    """Hides a plugin: copies the cached file of another bin, of the same version, over the right one."""
    scene.index()
    repository = scene.repository
    mine = repository.bin_of(SLACK)
    other = next(b for b in repository.bins if b != mine)
    (scene.folder / "metadata" / f"{mine}.json").write_bytes(repository.files[repository.key(other)])
    registry = scene.registry()
    with pytest.raises(VerificationError, match=f"{mine}.json in the trust folder is out of place"):
        registry.index(SLACK)
    assert registry.index(SLACK) == document(SLACK, "1.0.0")


def test_a_planted_snapshot_can_not_lower_what_the_registry_signs(scene: Scene) -> None:
    """Replaces the cached snapshot by an older one, well signed; the registry's own is asked for."""
    old = scene.repository.files[scene.repository.key("snapshot")]
    scene.repository.add(SLACK, "2.0.0")
    scene.repository.publish()
    assert scene.newest() == "2.0.0"
    (scene.folder / "metadata" / "snapshot.json").write_bytes(old)
    assert scene.newest() == "2.0.0"
