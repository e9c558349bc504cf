"""The drills of keys/README.md, played: keys come, go, leak and are lost; clients notice nothing and need no action.

Each is seen by a client that was up to date, one that was a year behind, and one that starts today.
"""

from __future__ import annotations

import shutil
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from support.drill import LATER, START, Drill
from support.source_trees import Tree
from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import Metadata, Targets, Timestamp

from registry_builder.authoring.lifecycle import yank
from registry_builder.ceremony.steps import Wanted, finish_ceremony, sign_ceremony, start_ceremony
from registry_builder.compile.removed_events import EventsRemovedError
from registry_builder.maintenance.status import realm_status
from registry_builder.publication.claim_signing import sign_claim
from registry_builder.publication.refresh import refresh_realm
from registry_builder.signing.key_registration import KeyKind
from registry_builder.source.config import read_config
from registry_builder.source.load import load_tree
from sealdex.errors import ConfigError
from sealdex.model.ids import PluginId


@pytest.fixture
def drill(tree: Tree) -> Drill:
    return Drill(tree)


@pytest.mark.parametrize(
    ("role", "kind"),
    [
        ("root", "ed25519"),
        ("targets", "ecdsa-p256"),
        ("packages", "rsa-pss"),
        ("catalog", "ed25519"),
        ("snapshot", "ecdsa-p256"),
        ("timestamp", "rsa-pss"),
    ],
)
def test_rotation_of_each_roles_key(drill: Drill, role: str, kind: KeyKind) -> None:
    drill.new_key("new", kind)
    before = read_config(drill.root).roles[role].keys
    drill.ceremony("rotate", Wanted(keys={role: (*before[1:], "new")}))
    drill.tree.release("acme/slack", "1.1.0")
    assert drill.publish().committed
    assert drill.seen() == {"1.1.0"}
    gone = before[0]
    if gone not in {key for section in read_config(drill.root).roles.values() for key in section.keys}:
        drill.take_away(gone)  # nobody needs it any more
    drill.tree.release("acme/slack", "1.2.0")
    drill.publish(LATER + 1)
    assert drill.seen(day=LATER + 1) == {"1.2.0"}


def test_revocation_of_a_compromised_online_key(drill: Drill) -> None:
    """Attacker: has the key of snapshot and timestamp. Until the next root they may announce states; then nothing."""
    stolen = drill.keyring().signer("online")
    drill.new_key("online-2")
    drill.ceremony("revoke", Wanted(keys={"snapshot": ("online-2",), "timestamp": ("online-2",)}))
    drill.publish()
    assert drill.seen() == {"1.0.0"}
    path = drill.root.parent / "published/public/metadata/timestamp.json"
    honest = path.read_bytes()
    metadata = Metadata[Timestamp].from_bytes(honest)
    metadata.signed.version += 1
    metadata.sign(stolen)
    path.write_bytes(metadata.to_bytes())
    for name in ("up-to-date", "behind", "new"):
        with pytest.raises(RepositoryError):
            drill.client(name).versions("acme/slack")
    path.write_bytes(honest)
    drill.tree.release("acme/slack", "1.1.0")
    drill.publish()
    assert drill.seen() == {"1.1.0"}


def test_loss_of_one_root_key(drill: Drill) -> None:
    drill.new_key("root-3")
    drill.ceremony("three", Wanted(keys={"root": ("root-1", "root-2", "root-3")}))
    (drill.keys / "root-2.pem").unlink()
    drill.new_key("root-4")
    drill.ceremony("replace", Wanted(keys={"root": ("root-1", "root-3", "root-4")}))
    drill.tree.release("acme/slack", "1.1.0")
    drill.publish()
    assert drill.seen() == {"1.1.0"}


def test_without_enough_root_keys_nothing_is_finished(drill: Drill) -> None:
    """The bound of the drill above: two of two lost one, and no root can follow."""
    (drill.keys / "root-2.pem").unlink()
    drill.new_key("root-3")
    now = START + timedelta(days=LATER)
    start_ceremony(drill.root, "replace", Wanted(keys={"root": ("root-1", "root-3")}), by="kim", now=now)
    sign_ceremony(drill.root, "replace", drill.keyring(), by="kim", now=now)
    with pytest.raises(ConfigError, match="1 more signature"):
        finish_ceremony(drill.root, "replace", by="kim", now=now)


# --- claimed namespaces -----------------------------------------------------------------------------------------------


@pytest.fixture
def claimed(drill: Drill) -> Drill:
    """Namespace acme is its team's, whose key is elsewhere; other/tool is nobody's."""
    drill.tree.plugin("other/tool")
    drill.tree.release("other/tool", "1.0.0")
    drill.publish()
    drill.new_key("team-1")
    drill.ceremony("claim", Wanted(claims={"acme": ("team-1",)}))
    sign_claim(drill.publisher(), "acme")
    drill.take_away("team-1")
    drill.publish()
    return drill


def signer_of(drill: Drill, plugin: str) -> str:
    client = drill.client("new")
    client.updater.get_targetinfo(f"index/{plugin}.json")
    path = f"index/{plugin}.json"
    trusted = client.updater._trusted_set._trusted_set
    return next(role for role, signed in trusted.items() if isinstance(signed, Targets) and path in signed.targets)


def test_claim_and_hand_over_of_a_namespace(claimed: Drill) -> None:
    assert signer_of(claimed, "acme/slack") == "ns-acme"
    assert signer_of(claimed, "other/tool").startswith("bin-")
    assert claimed.seen() == {"1.0.0"}
    assert claimed.seen("acme/mail") == {"0.1.0"}
    # what the team releases waits, everything else goes on
    claimed.tree.release("acme/slack", "1.1.0")
    claimed.tree.release("other/tool", "1.1.0")
    result = claimed.publish()
    assert [str(each) for each in result.plan.waiting[0].plugins] == ["acme/slack"]
    assert result.plan.waiting[0].missing == ("team-1",)
    assert "team-1" in result.warnings[0]
    assert claimed.seen() == {"1.0.0"}
    assert claimed.seen("other/tool") == {"1.1.0"}
    assert claimed.client("new").catalog()["acme/slack"] == "1.0.0"
    assert not claimed.publish().committed
    # the team signs on its own machine and commits the file
    claimed.bring_back("team-1")
    signed = sign_claim(claimed.publisher(), "acme")
    claimed.take_away("team-1")
    assert (signed.signed, signed.threshold) == (1, 1)
    result = claimed.publish()
    assert result.plan.waiting == ()
    assert claimed.seen() == {"1.1.0"}
    assert claimed.client("new").catalog()["acme/slack"] == "1.1.0"
    # handed over to another team
    claimed.new_key("team-2")
    claimed.ceremony("hand-over", Wanted(claims={"acme": ("team-2",)}))
    sign_claim(claimed.publisher(), "acme")
    claimed.take_away("team-2")
    claimed.publish()
    assert claimed.seen() == {"1.1.0"}


def test_a_team_does_not_sign_an_older_checkout(claimed: Drill) -> None:
    """Hazard: whoever signs for the team hasn't pulled, and the signature would take back a yank."""
    claimed.bring_back("team-1")
    older = Path(shutil.copytree(claimed.root, claimed.root.parent / "older"))
    yank(claimed.root, PluginId("acme", "slack"), "1.0.0", by="kim")
    claimed.publish()
    behind = replace(claimed.publisher(), tree=load_tree(older))
    with pytest.raises(EventsRemovedError, match=r"acme/slack: yank 1\.0\.0 by kim") as refused:
        sign_claim(behind, "acme")
    assert refused.value.hint is not None
    assert "namespace sign acme --accept-removed acme/slack" in refused.value.hint
    assert not list((older / "trust/public").glob("3.ns-acme.json"))
    signed = sign_claim(behind, "acme", accept_removed=[PluginId("acme", "slack")])
    assert signed.plugins == (PluginId("acme", "slack"),)


def test_with_its_key_at_hand_a_claimed_namespace_is_published_at_once(claimed: Drill) -> None:
    claimed.bring_back("team-1")
    claimed.tree.release("acme/slack", "1.1.0")
    assert claimed.publish().plan.waiting == ()
    assert claimed.seen() == {"1.1.0"}
    assert signer_of(claimed, "acme/slack") == "ns-acme"


def test_a_claim_begins_only_once_its_team_has_signed(drill: Drill) -> None:
    drill.new_key("team-1")
    drill.ceremony("claim", Wanted(claims={"acme": ("team-1",)}))
    drill.take_away("team-1")
    drill.tree.release("acme/slack", "1.1.0")
    result = drill.publish()
    assert result.versions["targets"] == 1
    assert any("team-1" in warning for warning in result.warnings)
    assert drill.seen() == {"1.1.0"}
    drill.bring_back("team-1")
    assert drill.publish().versions["targets"] == 2
    assert signer_of(drill, "acme/slack") == "ns-acme"


def test_a_threshold_of_two_takes_two_of_the_team(drill: Drill) -> None:
    for key in ("team-1", "team-2"):
        drill.new_key(key)
    drill.ceremony("claim", Wanted(claims={"acme": ("team-1", "team-2")}, claim_thresholds={"acme": 2}))
    drill.take_away("team-2")
    first = sign_claim(drill.publisher(), "acme")
    drill.take_away("team-1")
    drill.bring_back("team-2")
    assert drill.publish().versions["targets"] == 1
    second = sign_claim(drill.publisher(), "acme")
    drill.take_away("team-2")
    assert (first.path, first.signed) == (second.path, 1)
    assert second.signed == 2
    assert drill.publish().versions["targets"] == 2
    assert drill.seen() == {"1.0.0"}


def test_a_teams_key_is_lost(claimed: Drill) -> None:
    """The holders of targets name another key; the team's releases are read all the while."""
    (claimed.keys.parent / "away/team-1.pem").unlink()
    claimed.new_key("team-2")
    claimed.tree.release("acme/slack", "1.1.0")
    assert claimed.publish().plan.waiting
    claimed.ceremony("new-team-key", Wanted(claims={"acme": ("team-2",)}))
    claimed.take_away("team-2")
    claimed.publish()  # the new delegation waits, or nobody could read acme
    assert claimed.seen() == {"1.0.0"}
    claimed.bring_back("team-2")
    claimed.publish()
    assert claimed.seen() == {"1.1.0"}


def test_a_claim_that_ends_goes_back_to_packages(claimed: Drill) -> None:
    claimed.ceremony("end", Wanted(release=("acme",)))
    claimed.publish()
    assert claimed.seen() == {"1.0.0"}
    assert signer_of(claimed, "acme/slack").startswith("bin-")
    assert "acme" not in read_config(claimed.root).namespaces


def test_status_names_the_claim_and_refresh_says_when_its_signature_is_due(claimed: Drill) -> None:
    status = realm_status(claimed.publisher())
    role = next(each for each in status.roles if each.role == "ns-acme")
    assert (role.version, role.can_sign) == (1, False)
    assert status.plugins == 3
    late = claimed.publisher(LATER + 310, allow_expired=True)
    warnings = refresh_realm(late, online_only=True).warnings
    assert any("team-1" in warning and "signing window" in warning for warning in warnings)
