"""What a stolen online key can't do: speak for a claimed namespace, change root or targets, roll back.

The attacker writes to the bucket and has every online key; the team's and the offline keys are elsewhere.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from support.drill import LATER, Drill
from support.source_trees import Tree
from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import Metadata, Root, Snapshot, TargetFile, Targets, Timestamp

from registry_builder.claim_signing import sign_claim
from registry_builder.signing.ceremony_steps import Wanted
from registry_builder.signing.roles import bin_of
from sealdex.errors import VerificationError


@pytest.fixture
def live(tree: Tree) -> Drill:
    drill = Drill(tree)
    drill.new_key("team-1")
    drill.ceremony("claim", Wanted(claims={"acme": ("team-1",)}))
    sign_claim(drill.publisher(), "acme")
    drill.take_away("team-1")
    drill.publish()
    assert drill.seen() == {"1.0.0"}
    return drill


class Thief:
    """Rewrites metadata in the bucket with stolen online keys, up to a timestamp that clients accept."""

    def __init__(self, drill: Drill) -> None:
        self.folder: Path = drill.root.parent / "published/public"
        self.keyring = drill.keyring()

    def read(self, name: str) -> Metadata[Any]:
        return Metadata[Any].from_bytes((self.folder / "metadata" / name).read_bytes())

    def newest(self, role: str) -> Metadata[Any]:
        paths = (self.folder / "metadata").glob(f"*.{role}.json")
        return self.read(max(paths, key=lambda path: int(path.name.split(".")[0])).name)

    def put(self, metadata: Metadata[Any], role: str, *keys: str) -> None:
        metadata.signatures.clear()
        for key in keys:
            metadata.sign(self.keyring.signer(key), append=True)
        name = "timestamp.json" if role == "timestamp" else f"{metadata.signed.version}.{role}.json"
        (self.folder / "metadata" / name).write_bytes(metadata.to_bytes())

    def announce(self, **versions: int) -> None:
        """Sign a snapshot with these versions of roles, and a timestamp that names it."""
        snapshot: Metadata[Snapshot] = self.newest("snapshot")
        snapshot.signed.version += 1
        for role, version in versions.items():
            snapshot.signed.meta[f"{role.replace('_', '-')}.json"].version = version
        self.put(snapshot, "snapshot", "online")
        timestamp: Metadata[Timestamp] = self.read("timestamp.json")
        timestamp.signed.version += 1
        timestamp.signed.snapshot_meta.version = snapshot.signed.version
        self.put(timestamp, "timestamp", "online")

    def evil_document(self, plugin: str, like: str | None = None) -> TargetFile:
        """Put an index document with a release 6.6.6 into the bucket, and return its pin."""
        namespace, name = plugin.split("/")
        folder = self.folder / "targets/index" / namespace
        model = (like or plugin).split("/")[1]
        document = json.loads(next(iter(folder.glob(f"*.{model}.json"))).read_bytes())
        document["name"] = name
        document["releases"][0]["version"] = "6.6.6"
        data = json.dumps(document).encode()
        digest = hashlib.sha256(data).hexdigest()
        (folder / f"{digest}.{name}.json").write_bytes(data)
        return TargetFile(len(data), {"sha256": digest}, f"index/{plugin}.json")

    def add_to_bin(self, plugin: str, like: str | None = None) -> None:
        target = f"index/{plugin}.json"
        role = bin_of(target, 6)
        metadata: Metadata[Targets] = self.newest(role)
        metadata.signed.version += 1
        metadata.signed.targets[target] = self.evil_document(plugin, like)
        self.put(metadata, role, "packages")
        self.announce(**{role.replace("-", "_"): metadata.signed.version})


def test_a_stolen_packages_key_speaks_for_what_nobody_claimed(live: Drill) -> None:
    """The control of the next one: the thief's way works where no claim stands in it, so what stops it is the claim."""
    live.tree.plugin("other/tool")
    live.tree.release("other/tool", "1.0.0")
    live.publish()
    Thief(live).add_to_bin("other/tool")
    assert live.seen("other/tool") == {"6.6.6"}


def test_a_stolen_online_key_can_not_speak_for_a_claimed_namespace(live: Drill) -> None:
    Thief(live).add_to_bin("acme/slack")
    assert live.seen() == {"1.0.0"}


def test_nor_for_a_name_in_it_that_its_team_never_signed(live: Drill) -> None:
    """What makes a plugin of a good namespace out of nothing would be as bad as a changed one."""
    Thief(live).add_to_bin("acme/brand-new", like="acme/slack")
    for name in ("up-to-date", "behind", "new"):
        assert live.client(name).index("acme/brand-new") is None


def test_nor_can_it_sign_the_claimed_namespaces_own_role(live: Drill) -> None:
    thief = Thief(live)
    metadata: Metadata[Targets] = thief.newest("ns-acme")
    metadata.signed.version += 1
    metadata.signed.targets["index/acme/slack.json"] = thief.evil_document("acme/slack")
    thief.put(metadata, "ns-acme", "packages", "catalog", "online")
    thief.announce(ns_acme=metadata.signed.version)
    for name in ("up-to-date", "behind", "new"):
        with pytest.raises(RepositoryError, match="ns-acme"):
            live.client(name).versions("acme/slack")
    with pytest.raises(VerificationError):
        live.publish()


def test_a_forged_signature_file_in_the_tree_is_not_taken(live: Drill) -> None:
    """Attacker: a pull request that brings a file for the claimed namespace, signed with another key."""
    live.tree.release("acme/slack", "1.1.0")
    live.bring_back("team-1")
    signed = sign_claim(live.publisher(), "acme")
    live.take_away("team-1")
    assert signed.path is not None
    metadata = Metadata[Targets].from_bytes(signed.path.read_bytes())
    keyid = next(iter(metadata.signatures))
    forged = live.keyring().signer("packages").sign(metadata.signed_bytes)
    metadata.signatures[keyid].signature = forged.signature
    signed.path.write_bytes(metadata.to_bytes())
    assert [str(plugin) for plugin in live.publish().plan.waiting[0].plugins] == ["acme/slack"]
    assert live.seen() == {"1.0.0"}


def test_a_teams_own_file_can_not_bring_other_documents(live: Drill) -> None:
    """Attacker: has the team's key and no commit right: nothing is published that the tree doesn't say."""
    live.tree.release("acme/slack", "1.1.0")
    live.bring_back("team-1")
    signed = sign_claim(live.publisher(), "acme")
    assert signed.path is not None
    metadata = Metadata[Targets].from_bytes(signed.path.read_bytes())
    metadata.signed.targets["index/acme/slack.json"] = Thief(live).evil_document("acme/slack")
    metadata.sign(live.keyring().signer("team-1"))
    signed.path.write_bytes(metadata.to_bytes())
    live.take_away("team-1")
    assert live.publish().plan.waiting
    assert live.seen() == {"1.0.0"}


def test_a_stolen_online_key_can_not_change_root(live: Drill) -> None:
    thief = Thief(live)
    root: Metadata[Root] = thief.newest("root")
    root.signed.version += 1
    root.signed.roles["targets"].keyids = list(root.signed.roles["timestamp"].keyids)
    root.signed.roles["targets"].threshold = 1
    thief.put(root, "root", "online", "packages", "catalog")
    for name in ("up-to-date", "behind", "new"):
        with pytest.raises(RepositoryError, match="root"):
            live.client(name).versions("acme/slack")
    with pytest.raises(VerificationError):
        live.publish()


def test_a_stolen_online_key_can_not_change_targets(live: Drill) -> None:
    thief = Thief(live)
    targets: Metadata[Targets] = thief.newest("targets")
    targets.signed.version += 1
    assert targets.signed.delegations is not None
    assert targets.signed.delegations.roles is not None
    del targets.signed.delegations.roles["ns-acme"]
    thief.put(targets, "targets", "online", "packages", "catalog")
    thief.announce(targets=targets.signed.version)
    for name in ("up-to-date", "behind", "new"):
        with pytest.raises(RepositoryError, match="targets"):
            live.client(name).versions("acme/slack")
    with pytest.raises(VerificationError):
        live.publish()


@pytest.mark.parametrize("role", ["ns-acme", "snapshot", "timestamp"])
def test_a_stolen_online_key_can_not_roll_back(live: Drill, role: str) -> None:
    live.bring_back("team-1")
    live.tree.release("acme/slack", "1.1.0")
    live.publish(LATER + 1)
    assert live.seen(day=LATER + 1) == {"1.1.0"}
    thief = Thief(live)
    if role == "ns-acme":
        thief.announce(ns_acme=1)
    else:
        timestamp: Metadata[Timestamp] = thief.read("timestamp.json")
        if role == "timestamp":
            timestamp.signed.version -= 1
        else:
            timestamp.signed.version += 1
        timestamp.signed.snapshot_meta.version -= 1
        thief.put(timestamp, "timestamp", "online")
    for name in ("up-to-date", "behind"):
        with pytest.raises(RepositoryError):
            live.client(name, LATER + 1).versions("acme/slack")
    with pytest.raises(VerificationError):
        live.publish(LATER + 1)
