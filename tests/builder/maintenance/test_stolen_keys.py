"""What a stolen online key can't do: speak for a claimed namespace, change root or targets, roll back.

The attacker writes to the bucket and has every online key; the team's and the offline keys are elsewhere.
"""

from __future__ import annotations

import pytest
from support.drill import LATER, Drill
from support.source_trees import Tree
from support.thief import Thief
from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import Metadata, Root, Targets, Timestamp

from registry_builder.ceremony.steps import Wanted
from registry_builder.publication.claim_signing import sign_claim
from sealdex.errors import VerificationError

pytestmark = pytest.mark.every_bin


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
