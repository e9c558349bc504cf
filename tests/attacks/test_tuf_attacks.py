"""Attacks on what a registry publishes. Each names what the attacker holds, what they change, what is refused.

``refused`` holds for every story: exit code 4, the reason, no byte of the attacker's in the trust folder, and the next
honest run works.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta, timezone, tzinfo
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from support.refusals import Changes, refused, refused_bytes, release
from support.tree_server import Endless
from support.trust_scene import OTHER, SLACK, Scene, hasty_transport, scene_in
from support.tuf_repository import (
    LONG,
    TufRepository,
    document,
    edited,
    in_future,
    in_past,
    signed_bytes,
)

from sealdex.errors import VerificationError
from sealdex.model.catalog import CatalogRow, CatalogShard, shard_of, shard_target
from sealdex.model.decode import encode_json
from sealdex.model.index import index_target
from sealdex.trust import all_rows, fetch_root_by_fingerprint, fingerprint

TIMESTAMP = "metadata/timestamp.json"
DOCUMENT = index_target(SLACK)


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    with scene_in(tmp_path) as scene:
        yield scene


# --- the store is in the attacker's hand, no key is ------------------------------------------------------------------


def test_an_edited_index_document_is_refused(scene: Scene) -> None:
    """Holds the bucket. Changes a version inside the document, same length. Its digest is signed."""
    key = scene.repository.target_key(DOCUMENT)
    evil = scene.repository.files[key].replace(b"1.0.0", b"6.6.6")
    refused_bytes(scene, {key: evil}, "index/acme/slack.json is not the file that was signed")
    assert scene.newest() == "1.0.0"


def test_swapped_index_documents_are_refused(scene: Scene) -> None:
    """Holds the bucket. Serves each plugin's document at the other's address."""
    files, here, there = (
        scene.repository.files,
        scene.repository.target_key(DOCUMENT),
        scene.repository.target_key(index_target(OTHER)),
    )
    refused_bytes(scene, {here: files[there], there: files[here]}, "slack.json is not the file that was signed")
    assert scene.newest() == "1.0.0"


@pytest.mark.parametrize("change", [-1, 1], ids=["one byte short", "one byte long"])
def test_an_index_document_of_wrong_length_is_refused(scene: Scene, change: int) -> None:
    """Holds the bucket. Cuts the last byte off, or adds one."""
    key = scene.repository.target_key(DOCUMENT)
    data = scene.repository.files[key]
    refused_bytes(scene, {key: data[:-1] if change < 0 else data + b" "}, "is not the file that was signed")
    assert scene.newest() == "1.0.0"


def test_a_rolled_back_timestamp_is_refused(scene: Scene) -> None:
    """Holds the network. Serves the whole registry as it was before the client's last visit."""
    old = dict(scene.repository.files)
    release(scene)
    assert scene.newest() == "2.0.0"
    before = scene.kept()
    refused_bytes(scene, {TIMESTAMP: old[TIMESTAMP]}, r"timestamp\.json .*rolled back.*version 1 must be >= 2")
    assert scene.kept() == before
    assert scene.newest() == "2.0.0"


@pytest.mark.parametrize("role", ["snapshot", "targets", "packages", "bin"])
def test_an_old_file_in_the_place_of_a_new_one_is_refused(scene: Scene, role: str) -> None:
    """Holds the bucket. Mix and match: an older, honestly signed file under the newer one's name."""
    repository = scene.repository
    role = repository.bin_of(SLACK) if role == "bin" else role
    old = repository.files[repository.key(role)]
    repository.touch("targets", "packages")
    release(scene)
    new = repository.key(role)
    changes: Changes = {new: old, "metadata/recent.bundle": 404}
    refused_bytes(scene, changes, f"{new.removeprefix('metadata/')} has an unexpected version")
    assert scene.newest() == "2.0.0"


def test_an_old_index_document_in_the_place_of_a_new_one_is_refused(scene: Scene) -> None:
    """Holds the bucket. Mix and match of a new bin with the old document that lacks a fix."""
    old = scene.repository.files[scene.repository.target_key(DOCUMENT)]
    release(scene)
    refused_bytes(scene, {scene.repository.target_key(DOCUMENT): old}, "is not the file that was signed")
    assert scene.newest() == "2.0.0"


def test_a_role_in_the_place_of_another_is_refused(scene: Scene) -> None:
    """Holds the bucket. Serves the snapshot, well signed, where targets is asked for."""
    del_marks(scene)
    files = scene.repository.files
    evil = files[scene.repository.key("snapshot")]
    changes: Changes = {scene.repository.key("targets"): evil, "metadata/recent.bundle": 404}
    with scene.serving(changes):
        refused(scene, "Expected 'targets', got 'snapshot'")
    assert not (scene.folder / "metadata" / "targets.json").exists()
    assert scene.newest() == "1.0.0"


def del_marks(scene: Scene) -> None:
    """Publish as a builder would that doesn't mark roles, to see what TUF's own checks refuse."""
    repository = scene.repository
    for signed in (*repository.top_roles.values(), *repository.roles.values()):
        signed.unrecognized_fields.clear()
    repository.files["metadata/1.root.json"] = signed_bytes(repository.root, repository.keys["root"])
    repository.touch(*repository.roles)
    repository.publish()


@pytest.mark.parametrize("unchanged", [True, False])
def test_a_bin_in_the_place_of_another_of_the_same_version_is_refused(scene: Scene, unchanged: bool) -> None:
    """Holds the bucket. Hides a plugin: serves a bin that doesn't list it. One key signs all bins, TUF sees no harm."""
    repository = scene.repository
    mine = repository.bin_of(SLACK)
    other = next(b for b in repository.bins if b != mine)
    if not unchanged:  # the client knows the plugin, and its fix is hidden
        scene.index()
        repository.touch(other)
        release(scene)
    before = scene.kept()
    changes = {repository.key(mine): repository.files[repository.key(other)]}
    refused_bytes(scene, changes, f"it was signed as '{other}', not as '{mine}'")
    assert scene.kept().get(f"metadata/{mine}.json") == before.get(f"metadata/{mine}.json")
    assert scene.newest() == ("1.0.0" if unchanged else "2.0.0")


def test_a_timestamp_of_another_realm_is_refused_and_not_remembered(scene: Scene) -> None:
    """Holds the bucket. Two realms share their keys: serves the other realm's newer timestamp."""
    repository = scene.repository
    release(scene)
    assert scene.newest() == "2.0.0"
    before = scene.kept()
    other = TufRepository(realm="test/private")
    other.timestamp.version = 50
    other.keys["timestamp"] = repository.keys["timestamp"]
    other.sign_timestamp()
    refused_bytes(scene, {TIMESTAMP: other.files[TIMESTAMP]}, "for the realm 'test/private', not for 'test/public'")
    assert scene.kept() == before  # above all the timestamp that later ones must not be older than
    assert scene.newest() == "2.0.0"


def test_a_root_of_another_realm_is_refused(scene: Scene) -> None:
    """Holds the bucket. Two realms share their root keys: serves the other realm's second root as this one's."""
    other = TufRepository(realm="test/private")
    other.keys["root"] = scene.repository.keys["root"]
    other.root.version = 2
    other.root.keys, other.root.roles = scene.repository.root.keys, scene.repository.root.roles
    evil = signed_bytes(other.root, other.keys["root"])
    refused_bytes(scene, {"metadata/2.root.json": evil}, "for the realm 'test/private'")
    assert scene.newest() == "1.0.0"


@pytest.mark.parametrize("role", ["timestamp", "snapshot", "targets", "packages", "bin"])
def test_an_edited_metadata_file_is_refused(scene: Scene, role: str) -> None:
    """Holds the bucket. Adds a field to a signed file and keeps its signatures."""
    repository = scene.repository
    name = repository.key(repository.bin_of(SLACK) if role == "bin" else role)
    evil = edited(repository.files[name], lambda values: values["signed"].update({"x": 1}))
    refused_bytes(scene, {name: evil, "metadata/recent.bundle": 404}, "not signed by enough")
    assert scene.newest() == "1.0.0"


@pytest.mark.parametrize("role", ["root", "timestamp", "snapshot", "targets", "packages", "bin", "document"])
def test_endless_data_is_cut_off(scene: Scene, role: str) -> None:
    """Holds the network. Answers with a body that never ends; memory and disk of the client are the target."""
    repository = scene.repository
    names = {"root": "metadata/2.root.json", "document": repository.target_key(DOCUMENT)}
    name = names.get(role) or repository.key(repository.bin_of(SLACK) if role == "bin" else role)
    limit = {
        "root": 512_000,
        "timestamp": 16_384,
        "snapshot": 2_000_000,
        "document": len(repository.files[repository.target_key(DOCUMENT)]),
    }.get(role, 5_000_000)
    refused_bytes(scene, {name: Endless(), "metadata/recent.bundle": 404}, f"is longer than the {limit} bytes allowed")
    assert scene.newest() == "1.0.0"


@pytest.mark.parametrize(
    "page", [b"<!doctype html><title>Welcome to our Wi-Fi</title>", b"", b"[" * 100_000, b"\xff\xfe{}", b'{"signed":1}']
)
def test_a_page_instead_of_a_missing_root_stops_the_client(scene: Scene, page: bytes) -> None:
    """Holds a captive portal or a CDN that never says 404. No root may be assumed to be the newest then."""
    scene.index()
    before = scene.kept()
    refused_bytes(scene, {"metadata/2.root.json": page}, r"2\.root\.json with something that is not TUF metadata")
    assert scene.kept() == before
    assert scene.newest() == "1.0.0"


# --- frozen: everything is honest, and old ---------------------------------------------------------------------------


@pytest.mark.parametrize("role", ["timestamp", "snapshot", "targets", "packages", "bin"])
def test_expired_metadata_is_refused_and_says_what_expired_when(scene: Scene, role: str) -> None:
    """Holds the network. Keeps serving a state that is honestly signed and over."""
    repository = scene.repository
    role = repository.bin_of(SLACK) if role == "bin" else role
    signed: Any = {"timestamp": repository.timestamp, "snapshot": repository.snapshot, **repository.roles}[role]
    signed.expires = in_past()
    repository.touch(*(repository.roles if role in repository.roles else ()))
    repository.publish()
    error = refused(scene, f"the {role} metadata expired on {signed.expires:%Y-%m-%d at %H:%M} UTC")
    assert "clock" in (error.hint or "")
    signed.expires = in_future()
    repository.touch(*repository.roles)
    release(scene)
    assert scene.newest() == "2.0.0"


def test_an_expired_root_is_refused_until_a_new_one_is_published(scene: Scene) -> None:
    """Holds the network. Hides that the root, and with it possibly the keys, were replaced."""
    repository = scene.repository
    repository.root.expires = in_past()
    repository.rotate_root()
    refused(scene, "the root metadata expired on")
    repository.root.expires = in_future()
    repository.rotate_root()
    assert scene.newest() == "1.0.0"


@pytest.mark.parametrize("offline", [False, True])
def test_a_state_frozen_in_the_cache_is_refused_once_it_is_over(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, offline: bool
) -> None:
    """Holds the network. Serves the client forever what it saw last; or the client is offline for too long."""
    scene.index()

    class Later(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Later:
            return super().now(tz) + LONG - timedelta(days=1)

    def clock_of(kind: type[datetime]) -> None:
        module = "tuf.ngclient._internal.trusted_metadata_set.datetime"
        monkeypatch.setattr(module, SimpleNamespace(datetime=kind, timezone=timezone))
        monkeypatch.setattr("sealdex.trust.errors.datetime", kind)

    scene.repository.timestamp.expires = in_future(LONG - timedelta(days=2))
    scene.repository.publish()
    scene.index()
    before = scene.kept()
    clock_of(Later)
    with pytest.raises(VerificationError, match="the timestamp metadata expired on"):
        scene.index(offline=offline)
    assert scene.kept() == before
    clock_of(datetime)
    assert scene.newest(offline=offline) == "1.0.0"


# --- documents that say what they must not ---------------------------------------------------------------------------


def test_a_document_signed_under_another_plugins_name_is_refused(scene: Scene) -> None:
    """Holds the key of the bins: signs its own plugin's document as acme/slack."""
    repository = scene.repository
    repository.add_target(DOCUMENT, encode_json(document(OTHER, "6.6.6")), repository.bin_of(SLACK))
    repository.publish()
    with pytest.raises(VerificationError, match=r"index/acme/slack\.json is the document of other/tool"):
        scene.index()
    release(scene)
    assert scene.newest() == "2.0.0"


def test_a_target_without_a_sha256_is_refused(scene: Scene) -> None:
    """Holds the key of the bins: signs a digest that can be forged."""
    repository = scene.repository
    info = repository.roles[repository.bin_of(SLACK)].targets[DOCUMENT]
    repository.touch(repository.bin_of(SLACK))
    info.hashes = {"md5": "0" * 32}
    repository.publish()
    refused(scene, "is signed without a SHA-256 or SHA-512 digest")


def test_an_enormous_document_is_refused_before_it_is_asked_for(scene: Scene) -> None:
    """Holds the key of the bins: signs a length that no client can hold."""
    repository = scene.repository
    bin_name = repository.bin_of(SLACK)
    repository.roles[bin_name].targets[DOCUMENT].length = 10**15
    repository.touch(bin_name)
    key = next(k for k in repository.files if k.endswith(".slack.json"))
    repository.publish()
    refused(scene, r"slack\.json has 1000000000000000 bytes; at most")
    assert key not in scene.server.requests


@pytest.mark.parametrize("how", ["stranger", "number", "count", "missing"])
def test_a_catalogue_that_is_mixed_up_is_refused(scene: Scene, how: str) -> None:
    """Holds the catalogue's key: rows in a shard they don't belong to, a shard twice, another count, one left out."""
    repository = scene.repository
    rows = [CatalogRow("acme", f"plugin-{n}", "notify", "text") for n in range(20)]
    repository.set_catalogue(rows, 2)
    ones = tuple(r for r in rows if shard_of(r.id, 2) == 1)
    if how == "missing":
        del repository.roles["catalog"].targets[shard_target(1)]
    else:
        evil = {
            "stranger": CatalogShard(1, 1, 2, tuple(rows)),
            "number": CatalogShard(1, 0, 2, ones),
            "count": CatalogShard(1, 1, 1, ()),
        }[how]
        repository.add_target(shard_target(1), encode_json(evil), "catalog")
    repository.publish()
    reason = "which belongs to another shard" if how == "stranger" else "is missing, or another shard"
    with pytest.raises(VerificationError, match=f"catalog/001.json .*{reason}"):
        all_rows(scene.registry())
    repository.set_catalogue(rows, 2)
    repository.publish()
    assert len(all_rows(scene.registry())) == len(rows)


# --- the first meeting -----------------------------------------------------------------------------------------------


def test_only_the_root_with_the_fingerprint_is_taken(scene: Scene) -> None:
    """Holds the network when the registry is added: serves a registry of their own."""
    told = fingerprint(scene.repository.pinned_root)
    evil = TufRepository().pinned_root
    with scene.serving({"metadata/1.root.json": evil}), pytest.raises(VerificationError, match="no root published"):
        fetch_root_by_fingerprint(scene.server.url, told, hasty_transport())
    assert fetch_root_by_fingerprint(scene.server.url, told, hasty_transport()) == scene.repository.pinned_root


def test_a_file_with_the_fingerprint_that_is_no_root_is_refused(scene: Scene) -> None:
    """Talks the user into the fingerprint of a file that is no root."""
    page = b"<html>"
    with scene.serving({"metadata/1.root.json": page}), pytest.raises(VerificationError, match="not root metadata"):
        fetch_root_by_fingerprint(scene.server.url, fingerprint(page), hasty_transport())
