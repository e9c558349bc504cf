"""Attacks with keys in the wrong hands. A key in the attacker's hand is played by signing with it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from securesystemslib.signer import Key
from support.refusals import refused, refused_bytes, refused_role, release
from support.trust_scene import SLACK, Scene, scene_in
from support.tuf_repository import edited, in_future, new_key, signed_bytes
from tuf.api.metadata import Metadata, MetaFile, Root, Timestamp

TIMESTAMP = "metadata/timestamp.json"


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    with scene_in(tmp_path) as scene:
        yield scene


@pytest.mark.parametrize(
    ("role", "thief"),
    [
        ("timestamp", "snapshot"),
        ("snapshot", "timestamp"),
        ("targets", "packages"),
        ("packages", "bins"),
        ("bin", "catalog"),
        ("bin", "packages"),
        ("packages", "nobody"),
    ],
)
def test_the_key_of_another_role_is_not_enough(scene: Scene, role: str, thief: str) -> None:
    """Holds one online key, the bucket, and signs a role that isn't this key's."""
    repository = scene.repository
    role = repository.bin_of(SLACK) if role == "bin" else role
    owner = "bins" if role in repository.bins else role
    honest = repository.keys[owner]
    repository.keys[owner] = [new_key()] if thief == "nobody" else repository.keys[thief]
    repository.touch(*({role} & set(repository.roles)))
    release(scene, "6.6.6")
    refused_role(scene, role, "not signed by enough of the keys authorized to sign it")
    repository.keys[owner] = honest
    repository.touch("targets", "packages")
    release(scene)
    assert scene.newest() == "2.0.0"


def test_one_signature_where_two_are_needed_is_refused(scene: Scene) -> None:
    """Holds all online keys and one of the two targets keys: delegates everything to a key of their own."""
    repository = scene.repository
    both = repository.keys["targets"]
    repository.keys["targets"] = both[:1]
    repository.touch("targets")
    release(scene, "6.6.6")
    refused_role(scene, "targets", r"targets\.json is not signed by enough of the keys")
    repository.keys["targets"] = both
    repository.touch("targets")
    release(scene)
    assert scene.newest() == "2.0.0"


def test_a_root_signed_by_one_of_two_is_refused(scene: Scene) -> None:
    """Holds one of the two root keys: publishes a root in which both keys are theirs."""
    repository = scene.repository
    evil = Metadata[Root].from_bytes(repository.pinned_root).signed
    evil.version = 2  # and the marks stay: they are no secret
    mine = repository.keys["root"][0]
    evil.revoke_key(repository.keys["root"][1].public_key.keyid, "root")
    evil.roles["root"].threshold = 1
    refused_bytes(scene, {"metadata/2.root.json": signed_bytes(evil, [mine])}, "root was signed by 1/2 keys")
    assert scene.newest() == "1.0.0"


@pytest.mark.parametrize("how", ["repeated", "under the other's key id", "under an invented key id"])
def test_one_signature_counts_once(scene: Scene, how: str) -> None:
    """Holds all online keys and one targets key: repeats its signature to reach two."""
    repository = scene.repository
    first, second = repository.keys["targets"]
    keyid = {"repeated": first.public_key.keyid, "under the other's key id": second.public_key.keyid}.get(how, "0" * 64)
    repository.touch("targets")
    release(scene, "6.6.6")
    data = signed_bytes(repository.roles["targets"], [first])
    evil = edited(data, lambda values: values["signatures"].append({**values["signatures"][0], "keyid": keyid}))
    repository.files["metadata/2.targets.json"] = evil
    with scene.serving({"metadata/recent.bundle": 404}):
        refused_role(
            scene,
            "targets",
            "not TUF metadata" if how == "repeated" else r"targets\.json is not signed by enough of the keys",
        )
    repository.touch("targets")
    release(scene)
    assert scene.newest() == "2.0.0"


def test_one_key_under_two_key_ids_does_not_make_two(scene: Scene) -> None:
    """Holds one targets key: states in the targets file itself that it also has another name."""
    repository = scene.repository
    first, _ = repository.keys["targets"]
    alias = Key.from_dict("a" * 64, first.public_key.to_dict())
    targets = repository.roles["targets"]
    assert targets.delegations is not None
    targets.delegations.keys[alias.keyid] = alias
    repository.touch("targets")
    release(scene, "6.6.6")
    data = signed_bytes(targets, [first])
    evil = edited(data, lambda values: values["signatures"].append({**values["signatures"][0], "keyid": alias.keyid}))
    repository.files["metadata/2.targets.json"] = evil
    with scene.serving({"metadata/recent.bundle": 404}):
        refused_role(scene, "targets", r"targets\.json is not signed by enough of the keys")
    del targets.delegations.keys[alias.keyid]
    repository.touch("targets")
    release(scene)
    assert scene.newest() == "2.0.0"


def test_the_timestamp_key_can_not_roll_back_the_snapshot(scene: Scene) -> None:
    """Holds the timestamp key and the bucket: a new timestamp that points to the old snapshot."""
    release(scene)
    assert scene.newest() == "2.0.0"
    before = scene.kept()
    repository = scene.repository
    marks = dict(repository.timestamp.unrecognized_fields)
    evil = Timestamp(version=3, expires=in_future(), snapshot_meta=MetaFile(1), unrecognized_fields=marks)
    changes = {TIMESTAMP: signed_bytes(evil, repository.keys["timestamp"])}
    refused_bytes(scene, changes, r"timestamp\.json .*rolled back.*New snapshot version must be >= 2")
    assert scene.kept() == before
    assert scene.newest() == "2.0.0"


@pytest.mark.parametrize("how", ["older", "removed"])
def test_timestamp_and_snapshot_keys_can_not_roll_back_a_bin(scene: Scene, how: str) -> None:
    """Holds both keys and the bucket: a new snapshot in which one bin is older, or is gone."""
    repository = scene.repository
    release(scene)
    assert scene.newest() == "2.0.0"
    entry = f"{repository.bin_of(SLACK)}.json"
    honest = repository.snapshot.meta[entry]
    if how == "older":
        repository.snapshot.meta[entry] = MetaFile(1)
    else:
        del repository.snapshot.meta[entry]
    repository.publish()
    refused_role(scene, "snapshot", "rolled back" if how == "older" else "fails verification")
    repository.snapshot.meta[entry] = honest
    release(scene, "3.0.0")
    assert scene.newest() == "3.0.0"


def test_fast_forward_is_undone_by_rotating_the_keys(scene: Scene) -> None:
    """Held the timestamp and snapshot keys: drove the versions up, so that honest ones look rolled back."""
    repository = scene.repository
    repository.timestamp.version = repository.snapshot.version = 2**31
    release(scene)
    assert scene.newest() == "2.0.0"
    repository.timestamp.version = repository.snapshot.version = 2
    release(scene, "3.0.0")
    refused(scene, "rolled back")
    repository.rotate_root("timestamp", "snapshot")
    repository.publish()
    assert scene.newest() == "3.0.0"
