"""After a theft: everything online anew from the source tree, and clients recover with no action of theirs.

The attacker has every online key and writes to the bucket, until a ceremony names other keys.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from support.builder_cli import call, document
from support.drill import LATER, Drill
from support.source_trees import Tree
from support.thief import Thief
from support.watched_storage import WatchedStorage
from tuf.api.metadata import Metadata, Targets

from registry_builder.ceremony.steps import Wanted
from registry_builder.maintenance._untrusted_state import HIGHEST_VERSION
from registry_builder.maintenance.audit import audit_realm
from registry_builder.maintenance.recovery import RecoveryResult, edited_releases, recover_realm
from registry_builder.publication.claim_signing import sign_claim
from registry_builder.publication.publish import open_publisher
from sealdex import Client
from sealdex.config.config import Config, ConfigDocument, RegistrySection
from sealdex.errors import ConfigError, SealdexError

pytestmark = pytest.mark.every_bin

ONLINE = ("packages", "catalog", "snapshot", "timestamp")


@pytest.fixture
def drill(tree: Tree) -> Drill:
    return Drill(tree)


def everybody(drill: Drill, plugin: str = "acme/slack", day: float = LATER) -> set[str]:
    """Return what the clients of the drill see, and one that took what the thief had announced."""
    return drill.seen(plugin, day) | {drill.client("robbed", day).versions(plugin)[0]}


def sealdex_client(drill: Drill) -> Client:
    base = drill.root.parent
    root = str(drill.root / "trust/public/1.root.json")
    section = RegistrySection(url=(base / "published/public").as_uri(), root=root)
    return Client(Config(base / "config.toml", base / "store", ConfigDocument(registries={"acme": section})))


def sealdex_sees(drill: Drill, plugin: str = "acme/slack") -> str:
    with sealdex_client(drill) as client:
        return client.info(plugin).document.releases[0].version


def rob(drill: Drill, jump: int) -> Thief:
    """Publish a release 6.6.6 with stolen keys; a client and a sealdex of their own take it."""
    thief = Thief(drill, jump=jump)
    thief.add_to_bin("acme/slack")
    assert drill.client("robbed").versions("acme/slack") == ["6.6.6"]
    assert sealdex_sees(drill) == "6.6.6"
    return thief


def rotate(drill: Drill, *roles: str) -> None:
    drill.new_key("fresh")
    drill.ceremony("after-the-theft", Wanted(keys=dict.fromkeys(roles, ("fresh",))))


def run(drill: Drill, *, apply: bool = True, not_stolen: tuple[str, ...] = ()) -> RecoveryResult:
    return recover_realm(drill.publisher(), apply=apply, not_stolen=not_stolen)


def bucket(drill: Drill) -> dict[str, bytes]:
    folder = drill.root.parent / "published/public"
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("jump", [1, 5_000, 10 * HIGHEST_VERSION])
def test_all_clients_recover_with_no_action(drill: Drill, jump: int) -> None:
    rob(drill, jump)
    rotate(drill, *ONLINE)
    before = bucket(drill)
    looked = run(drill, apply=False)
    assert bucket(drill) == before
    assert "acme/slack 6.6.6: is not in the source tree" in looked.differences
    assert "acme/slack 1.0.0: is in the source tree only" in looked.differences
    assert {"timestamp", "snapshot"} <= set(looked.moved)
    assert not any("acme/mail" in line for line in looked.differences)
    done = run(drill)
    assert done.committed
    assert everybody(drill) == {"1.0.0"}
    assert everybody(drill, "acme/mail") == {"0.1.0"}
    assert sealdex_sees(drill) == "1.0.0"
    if jump < HIGHEST_VERSION:
        assert done.versions["timestamp"] > jump
    else:
        assert done.versions["timestamp"] < HIGHEST_VERSION
    assert not audit_realm(drill.publisher(), artifacts=True).problems
    # life goes on, on the machine that recovered and on one that remembers nothing
    drill.tree.release("acme/slack", "1.1.0")
    assert drill.publish(LATER + 1).committed
    assert everybody(drill, day=LATER + 1) == {"1.1.0"}
    assert not drill.publish(LATER + 1).committed


def test_keys_that_still_count_stop_it(drill: Drill) -> None:
    """Whoever forgets to rotate the key of packages would sign anew what the thief can still change."""
    rob(drill, 1)
    rotate(drill, "snapshot", "timestamp")
    before = bucket(drill)
    with pytest.raises(ConfigError, match=r"catalog, packages are still trusted"):
        run(drill)
    assert bucket(drill) == before
    assert run(drill, not_stolen=("packages", "catalog")).committed
    assert everybody(drill) == {"1.0.0"}


def test_a_store_that_was_only_damaged_needs_no_other_keys(drill: Drill) -> None:
    folder = drill.root.parent / "published/public"
    for path in (folder / "metadata").glob("*.bin-0*.json"):
        path.unlink()
    (folder / "metadata/1.root.json").write_bytes(b"?")
    manifest = folder / "plugins/acme/slack/1.0.0/manifest.json"
    manifest.write_bytes(b"{}")
    artifact = next((folder / "plugins/acme/mail/0.1.0").glob("*.bin"))
    artifact.write_bytes(b"evil")
    done = run(drill, not_stolen=ONLINE)
    assert "plugins/acme/slack/1.0.0/manifest.json" in done.replaced
    assert "metadata/1.root.json" in done.replaced
    assert everybody(drill) == {"1.0.0"}
    assert not audit_realm(drill.publisher(), artifacts=True).problems


def test_an_artifact_that_is_nowhere_but_in_the_store_is_left_and_named(drill: Drill) -> None:
    rotate(drill, *ONLINE)
    next((drill.root / "plugins/acme/slack/dist").iterdir()).unlink()
    done = run(drill)
    assert done.unchecked == ["plugins/acme/slack/1.0.0/slack-1.0.0.bin"]
    assert everybody(drill) == {"1.0.0"}


def test_numbers_and_names_that_the_thief_took_don_t_stop_it(drill: Drill) -> None:
    """Attacker: has put files where the next versions will be, also under the name of the root to come."""
    rob(drill, 1)
    metadata = drill.root.parent / "published/public/metadata"
    newest = max(int(path.name.split(".")[0]) for path in metadata.glob("*.snapshot.json"))
    for number in range(newest + 1, newest + 60):
        (metadata / f"{number}.snapshot.json").write_bytes(b"taken")
    rotate(drill, *ONLINE)
    (metadata / "2.root.json").write_bytes(b"taken")
    done = run(drill)
    assert "metadata/2.root.json" in done.replaced
    assert (metadata / f"{newest + 1}.snapshot.json").read_bytes() == b"taken"
    assert everybody(drill) == {"1.0.0"}


def test_a_timestamp_that_is_gone_or_garbage_doesn_t_stop_it(drill: Drill) -> None:
    rotate(drill, *ONLINE)
    timestamp = drill.root.parent / "published/public/metadata/timestamp.json"
    timestamp.write_bytes(b"garbage")
    assert run(drill).committed
    assert drill.seen() == {"1.0.0"}
    timestamp.unlink()
    assert run(drill, not_stolen=ONLINE).committed
    assert drill.seen() == {"1.0.0"}


def test_a_claimed_namespace_stays_what_its_team_signed(drill: Drill) -> None:
    """Attacker: announces the team's first file again, to hide what the team has released since."""
    drill.new_key("team-1")
    drill.ceremony("claim", Wanted(claims={"acme": ("team-1",)}))
    drill.publish()
    drill.tree.release("acme/slack", "1.1.0")
    drill.publish()
    drill.take_away("team-1")
    thief = Thief(drill)
    thief.announce(ns_acme=1)
    assert drill.client("robbed").versions("acme/slack")[0] == "1.0.0"
    rotate(drill, *ONLINE)
    signed_before = {path.name for path in thief.folder.glob("metadata/*.ns-acme.json")}
    assert run(drill).committed
    # the team was asked for nothing
    assert {path.name for path in thief.folder.glob("metadata/*.ns-acme.json")} == signed_before
    assert everybody(drill) == {"1.1.0"}


def test_what_a_team_has_not_signed_waits_as_ever(drill: Drill) -> None:
    drill.new_key("team-1")
    drill.ceremony("claim", Wanted(claims={"acme": ("team-1",)}))
    sign_claim(drill.publisher(), "acme")
    drill.publish()
    drill.take_away("team-1")
    drill.tree.release("acme/slack", "1.1.0")
    rotate(drill, *ONLINE)
    done = run(drill)
    assert [str(each) for each in done.plan.waiting[0].plugins] == ["acme/slack"]
    assert everybody(drill) == {"1.0.0"}
    # without the team's file there is nothing that readers could take for the namespace
    for folder in (drill.root / "trust/public", drill.root.parent / "published/public/metadata"):
        for path in folder.glob("*.ns-acme.json"):
            path.unlink()
    before = bucket(drill)
    with pytest.raises(SealdexError, match="team-1"):
        run(drill, not_stolen=ONLINE)
    assert bucket(drill) == before


def test_a_claim_that_the_thief_signed_is_not_the_teams(drill: Drill) -> None:
    drill.new_key("team-1")
    drill.ceremony("claim", Wanted(claims={"acme": ("team-1",)}))
    drill.publish()
    drill.take_away("team-1")
    thief = Thief(drill)
    forged: Metadata[Targets] = thief.newest("ns-acme")
    forged.signed.version += 1
    forged.signed.targets["index/acme/slack.json"] = thief.evil_document("acme/slack")
    thief.put(forged, "ns-acme", "packages", "online")
    thief.announce(ns_acme=forged.signed.version)
    rotate(drill, *ONLINE)
    assert run(drill).committed
    assert drill.seen() == {"1.0.0"}


def test_releases_that_were_edited_in_git_are_named(drill: Drill) -> None:
    """Attacker: could commit as well, and wrote another digest into a release file."""

    def git(*args: str) -> None:
        subprocess.run(
            ["git", "-c", "user.name=kim", "-c", "user.email=kim@example.org", "-c", "commit.gpgsign=false", *args],
            cwd=drill.root,
            check=True,
            capture_output=True,
        )

    assert "not in a git repository" in run(drill, apply=False).warnings[0]
    git("init", "-q")
    git("add", "-A")
    git("commit", "-q", "-m", "all")
    assert run(drill, apply=False).edited == []
    slack = drill.root / "plugins/acme/slack/releases/1.0.0.json"
    slack.write_text(slack.read_text().replace("2026-11-21", "2026-11-20"))
    git("commit", "-q", "-a", "-m", "nothing to see")
    assert run(drill, apply=False).edited == ["plugins/acme/slack/releases/1.0.0.json"]
    (drill.root / "plugins/acme/mail/releases/0.1.0.json").unlink()
    assert len(run(drill, apply=False).edited) == 2
    git("checkout", "-q", "plugins/acme/mail")
    # in a merge, of which git's log shows nothing by itself
    git("checkout", "-q", "-b", "other", "HEAD~1")
    git("commit", "-q", "--allow-empty", "-m", "other")
    git("merge", "-q", "--no-commit", "--no-ff", "-s", "ours", "-")
    mail = drill.root / "plugins/acme/mail/releases/0.1.0.json"
    mail.write_text(mail.read_text().replace("2026-11-21", "2026-11-20"))
    git("commit", "-q", "-a", "-m", "merge")
    assert edited_releases(drill.root) == (
        [f"plugins/acme/{n}" for n in (f"mail/releases/{mail.name}", f"slack/releases/{slack.name}")],
        None,
    )


def test_what_a_shallow_clone_cannot_tell_is_said(tmp_path: Path) -> None:
    """Attacker: as above; the check runs in a clone as a workflow makes it, with the newest commit alone."""
    origin, clone = tmp_path / "origin", tmp_path / "clone"
    release = origin / "plugins/acme/slack/releases/1.0.0.json"
    release.parent.mkdir(parents=True)
    git = ["git", "-c", "user.name=kim", "-c", "user.email=kim@example.org", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", "init", "-q", origin], check=True)
    for text in ("{}", "[]"):
        release.write_text(text)
        subprocess.run([*git, "add", "-A"], cwd=origin, check=True)
        subprocess.run([*git, "commit", "-q", "-m", text], cwd=origin, check=True)
    subprocess.run(["git", "clone", "-q", "--depth", "1", origin.as_uri(), clone], check=True)
    edited, unsure = edited_releases(clone)
    assert (edited, "shallow" in (unsure or "")) == ([], True)
    assert edited_releases(origin) == (["plugins/acme/slack/releases/1.0.0.json"], None)


class _Killed(BaseException):
    """Ends a run where it stands, as SIGKILL would."""


@pytest.mark.parametrize("at", ["put_if_match metadata/timestamp.json", "put_new metadata/2.root.json"])
def test_killed_on_its_way_it_is_taken_up(drill: Drill, at: str) -> None:
    rob(drill, 10)
    rotate(drill, *ONLINE)

    def die(what: str) -> None:
        if what == at:
            raise _Killed

    publisher = drill.publisher()
    with pytest.raises(_Killed):
        recover_realm(
            open_publisher(
                publisher.tree, "public", storage=WatchedStorage(publisher.storage, die), clock=publisher.clock
            ),
            apply=True,
        )
    if at.startswith("put_if_match"):
        assert run(drill).committed
    else:
        assert drill.publish().committed  # its metadata is there already, and verifies with the root that comes
    assert everybody(drill) == {"1.0.0"}
    assert sealdex_sees(drill) == "1.0.0"


def test_a_tree_with_errors_is_refused(drill: Drill) -> None:
    (drill.root / "plugins/acme/slack/releases/1.0.0.json").write_text("{")
    before = bucket(drill)
    with pytest.raises(ConfigError, match="is incomplete"):
        run(drill)
    assert bucket(drill) == before


def test_the_command_says_what_the_thief_changed(drill: Drill, capsys: pytest.CaptureFixture[str]) -> None:
    rob(drill, 1)
    rotate(drill, *ONLINE)
    assert call(drill.root, "recover") == 0
    said = capsys.readouterr()
    assert "acme/slack 6.6.6: is not in the source tree" in said.out
    found = document(drill.root, capsys, "recover", "--apply")["realms"][0]
    assert found["committed"]
    assert found["keys_still_count"] == []
    assert drill.seen(day=0) == {"1.0.0"}
    assert call(drill.root, "recover", "--apply") == 1
    assert "--not-stolen timestamp" in capsys.readouterr().err
