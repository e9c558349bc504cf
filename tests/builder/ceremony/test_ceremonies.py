"""Ceremonies: planned, read in plain words, signed on different machines, finished at the threshold and not before."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from support.builder_cli import call, document
from support.source_trees import Tree
from tuf.api.metadata import Root

from registry_builder.ceremony.ceremony import load_ceremony
from registry_builder.ceremony.steps import (
    Wanted,
    abort_ceremony,
    finish_ceremony,
    sign_ceremony,
    start_ceremony,
)
from registry_builder.signing.key_registration import KeyKind, create_key, register_keys
from registry_builder.signing.metadata import realm_marker
from registry_builder.signing.offline_metadata import load_trust
from registry_builder.signing.signers import Keyring
from registry_builder.source.config import read_config
from sealdex.errors import ConfigError, SealdexError, UsageError, VerificationError

BY = "kim"


def new_key(tree: Tree, name: str, kind: KeyKind = "ed25519") -> None:
    section, _ = create_key(tree.root, read_config(tree.root), name, kind=kind, passphrase=None)
    register_keys(tree.root, {name: section})


def keyring(tree: Tree) -> Keyring:
    return Keyring(read_config(tree.root), tree.root)


def sign(tree: Tree, name: str, *keys: str) -> None:
    sign_ceremony(tree.root, name, keyring(tree), by=BY, keys=keys)


def files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def settled(tree: Tree) -> dict[str, bytes]:
    """What only a finished ceremony may change."""
    return {**files(tree.root / "trust"), "registry.toml": (tree.root / "registry.toml").read_bytes()}


def newest_root(tree: Tree) -> Root:
    return load_trust(tree.root, "public", realm_marker(read_config(tree.root), "public")).root


@pytest.fixture
def rotating(tree: Tree) -> Tree:
    """A ceremony that replaces root-2 by root-3, unsigned."""
    new_key(tree, "root-3")
    start_ceremony(tree.root, "swap", Wanted(keys={"root": ("root-1", "root-3")}), by=BY, why="kai leaves")
    return tree


def test_a_root_needs_the_old_and_the_new_threshold(rotating: Tree) -> None:
    before = settled(rotating)
    for key, complete in (("root-1", False), ("root-3", False), ("root-2", True)):
        with pytest.raises(ConfigError, match="can't be finished yet") as caught:
            finish_ceremony(rotating.root, "swap", by=BY)
        assert key in caught.value.message
        assert settled(rotating) == before
        sign(rotating, "swap", key)
        assert load_ceremony(rotating.root, "swap").is_complete is complete
    written = finish_ceremony(rotating.root, "swap", by=BY)
    assert rotating.root / "trust/public/2.root.json" in written
    assert newest_root(rotating).version == 2
    config = read_config(rotating.root)
    assert config.roles["root"].keys == ("root-1", "root-3")
    assert set(newest_root(rotating).roles["root"].keyids) == {config.keys[k].keyid for k in ("root-1", "root-3")}
    assert "# kept by every command" in (rotating.root / "registry.toml").read_text()


def test_signers_on_two_machines_bring_their_files_together(
    rotating: Tree, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = tmp_path / "keys"
    for machine, own in (("one", ("root-1",)), ("two", ("root-2", "root-3"))):
        folder = tmp_path / machine / "keys"
        folder.mkdir(parents=True)
        for key in own:
            shutil.copy(keys / f"{key}.pem", folder)
        shutil.copytree(rotating.root, tmp_path / machine / "tree")
        monkeypatch.setenv("SEALDEX_KEYS", str(folder))
        elsewhere = Tree(tmp_path / machine / "tree")
        result = sign_ceremony(elsewhere.root, "swap", keyring(elsewhere), by=machine)
        assert len(result.written) == len(own)
        assert len(result.missing) == 3 - len(own)
    for machine in ("one", "two"):
        shutil.copytree(tmp_path / machine / "tree/ceremonies", rotating.root / "ceremonies", dirs_exist_ok=True)
    finish_ceremony(rotating.root, "swap", by=BY)
    assert newest_root(rotating).version == 2


def test_what_a_signer_reads_says_what_changes(rotating: Tree, capsys: pytest.CaptureFixture[str]) -> None:
    shown = document(rotating.root, capsys, "ceremony", "show", "swap")["documents"][0]
    said = "\n".join(shown["changes"])
    assert "role root no longer trusts root-2 (" in said
    assert "role root trusts root-3 (" in said
    assert "root 2 replaces root 1" in said
    assert [quorum["threshold"] for quorum in shown["quorums"]] == [2, 2]
    assert call(rotating.root, "ceremony", "show", "swap") == 0
    assert "kai leaves" in capsys.readouterr().out


def test_what_a_signer_reads_is_the_metadata_and_not_the_plan(rotating: Tree) -> None:
    """Attacker: edits the unsigned root after the start, so that it trusts their own key; plan.json stays harmless."""
    new_key(rotating, "evil")
    path = rotating.root / "ceremonies/swap/public/2.root.json"
    metadata = json.loads(path.read_bytes())
    section = read_config(rotating.root).keys["evil"]
    metadata["signed"]["keys"][section.keyid] = {
        "keytype": section.keytype,
        "scheme": section.scheme,
        "keyval": {"public": section.public},
    }
    metadata["signed"]["roles"]["timestamp"]["keyids"] = [section.keyid]
    path.write_text(json.dumps(metadata))
    said = "\n".join(load_ceremony(rotating.root, "swap").documents[0].changes)
    assert "role timestamp trusts evil" in said
    # and even with everyone's signature the plan would have to say so too
    sign(rotating, "swap")
    before = settled(rotating)
    with pytest.raises(VerificationError, match=r"plan\.json"):
        finish_ceremony(rotating.root, "swap", by=BY)
    assert settled(rotating) == before


def test_signatures_over_what_was_changed_afterwards_do_not_count(rotating: Tree) -> None:
    """Attacker: waits until two have signed, then changes what they signed."""
    sign(rotating, "swap", "root-1", "root-2")
    path = rotating.root / "ceremonies/swap/public/2.root.json"
    metadata = json.loads(path.read_bytes())
    metadata["signed"]["roles"]["root"]["threshold"] = 1
    path.write_text(json.dumps(metadata))
    changed = load_ceremony(rotating.root, "swap").documents[0]
    assert not any(quorum.signed for quorum in changed.quorums)
    assert [line.endswith("it signs other bytes") for line in changed.ignored] == [True, True]
    with pytest.raises(SealdexError):
        finish_ceremony(rotating.root, "swap", by=BY)


def test_a_signature_by_a_key_that_nobody_named_does_not_count(rotating: Tree) -> None:
    """Attacker: has a key of the registry that root doesn't trust, and files its signatures under other keys' ids."""
    for own, wanted in (("targets-1", "root-1"), ("targets-2", "root-2")):
        config = read_config(rotating.root)
        folder = rotating.root / "ceremonies/swap/public/signatures"
        payload = load_ceremony(rotating.root, "swap").documents[0].payload
        signature = keyring(rotating).signer(own).sign(payload)
        sign(rotating, "swap", "root-3")
        honest = json.loads((folder / f"root.{config.keys['root-3'].keyid}.json").read_bytes())
        forged = {**honest, "keyid": config.keys[wanted].keyid, "sig": signature.signature}
        (folder / f"root.{config.keys[wanted].keyid}.json").write_text(json.dumps(forged))
    found = load_ceremony(rotating.root, "swap").documents[0]
    assert [len(quorum.signed) for quorum in found.quorums] == [0, 1]
    assert len(found.ignored) == 2
    with pytest.raises(ConfigError, match="can't be finished yet"):
        finish_ceremony(rotating.root, "swap", by=BY)


def test_aborted_keeps_what_was_signed_and_ends_it(rotating: Tree) -> None:
    sign(rotating, "swap", "root-1")
    before = files(rotating.root / "ceremonies/swap")
    abort_ceremony(rotating.root, "swap", by=BY, why="wrong key")
    after = files(rotating.root / "ceremonies/swap")
    assert {name: after[name] for name in before} == before
    for step in (
        lambda: sign(rotating, "swap", "root-2"),
        lambda: finish_ceremony(rotating.root, "swap", by=BY),
        lambda: abort_ceremony(rotating.root, "swap", by=BY),
    ):
        with pytest.raises(ConfigError, match="was aborted by kim"):
            step()


def test_a_second_ceremony_that_was_overtaken_is_refused(rotating: Tree) -> None:
    start_ceremony(rotating.root, "other", Wanted(renew=("root",)), by=BY)
    sign(rotating, "other")
    finish_ceremony(rotating.root, "other", by=BY)
    with pytest.raises(ConfigError, match="is the newest"):
        sign(rotating, "swap", "root-1")


def test_an_interrupted_finish_goes_on(rotating: Tree) -> None:
    sign(rotating, "swap")
    finish_ceremony(rotating.root, "swap", by=BY)
    done = settled(rotating)
    (rotating.root / "ceremonies/swap/closed.json").unlink()
    finish_ceremony(rotating.root, "swap", by=BY)
    assert settled(rotating) == done


def test_signing_again_is_nothing_new(rotating: Tree) -> None:
    sign(rotating, "swap", "root-1")
    before = files(rotating.root / "ceremonies")
    result = sign_ceremony(rotating.root, "swap", keyring(rotating), by="another", keys=["root-1"])
    assert (result.written, result.already) == ((), ("root-1",))
    assert files(rotating.root / "ceremonies") == before


def test_new_targets_keys_sign_targets_anew_with_the_root(tree: Tree) -> None:
    new_key(tree, "targets-3", kind="ecdsa-p256")
    started = start_ceremony(tree.root, "targets", Wanted(keys={"targets": ("targets-2", "targets-3")}), by=BY)
    assert [d.name for d in started.documents] == ["2.root.json", "2.targets.json"]
    sign(tree, "targets")
    finish_ceremony(tree.root, "targets", by=BY)
    assert newest_root(tree).version == 2


def test_every_realm_has_its_own_metadata_of_one_ceremony(tmp_path: Path) -> None:
    tree = Tree.make(tmp_path / "source", realms=("public", "team"))
    started = start_ceremony(tree.root, "yearly", Wanted(renew=("root", "targets")), by=BY)
    assert len(started.documents) == 4
    sign(tree, "yearly")
    finish_ceremony(tree.root, "yearly", by=BY)
    for realm in ("public", "team"):
        trust = load_trust(tree.root, realm, realm_marker(read_config(tree.root), realm))
        assert (trust.root.version, trust.targets_role.version) == (2, 2)


@pytest.mark.parametrize(
    ("wanted", "error", "says"),
    [
        (Wanted(), UsageError, "nothing would change"),
        (Wanted(keys={"roots": ("root-1",)}), UsageError, "is not a role"),
        (Wanted(keys={"root": ("root-1", "nobody")}), ConfigError, "nobody"),
        (Wanted(thresholds={"root": 1}), ConfigError, "at least 2"),
        (Wanted(thresholds={"root": 3}), ConfigError, "only 2"),
        (Wanted(renew=("timestamp",)), UsageError, "refresh"),
        (Wanted(release=("acme",)), UsageError, "not claimed"),
        (Wanted(claims={"acme": ("nobody",)}), ConfigError, "nobody"),
    ],
)
def test_what_can_not_be_is_not_started(tree: Tree, wanted: Wanted, error: type, says: str) -> None:
    with pytest.raises(error, match=says):
        start_ceremony(tree.root, "wrong", wanted, by=BY)
    assert not (tree.root / "ceremonies").exists()


def test_the_commands_from_start_to_finish(tree: Tree, capsys: pytest.CaptureFixture[str]) -> None:
    root = tree.root
    new_key(tree, "root-3")
    args = ("ceremony", "start", "swap", "--keys", "root=root-1,root-2,root-3", "--threshold", "root=3", "--by", BY)
    assert call(root, *args) == 0
    assert call(root, *args) == 1
    assert call(root, "ceremony", "sign", "swap", "--by", BY) == 2  # nobody at a terminal has said yes
    assert "--yes" in capsys.readouterr().err
    done: Any = document(root, capsys, "ceremony", "sign", "swap", "--yes", "--by", BY)
    assert (done["complete"], len(done["written"])) == (True, 3)
    assert call(root, "ceremony", "finish", "swap", "--by", BY) == 0
    assert document(root, capsys, "ceremony", "show")["ceremonies"][0]["state"] == "finished"
    assert read_config(root).roles["root"].threshold == 3
    assert call(root, "ceremony", "show", "none") == 3
    assert call(root, "ceremony", "start", "x", "--keys", "root", "--by", BY) == 2


@pytest.mark.parametrize("place", ["ceremonies/swap/public/signatures", "ceremonies/swap", "trust/public"])
def test_attack_nothing_is_signed_or_finished_through_a_link(rotating: Tree, tmp_path: Path, place: str) -> None:
    """Attacker: author of a pull request. Change: a folder of a ceremony is a link. Refusal: nothing is written."""
    folder, elsewhere = rotating.root / place, tmp_path / "elsewhere"
    if folder.is_dir():
        folder.rename(elsewhere)
    else:
        elsewhere.mkdir()
    folder.symlink_to(elsewhere)
    before = files(elsewhere)
    for act in (
        lambda: sign(rotating, "swap", "root-1"),
        lambda: finish_ceremony(rotating.root, "swap", by=BY),
        lambda: abort_ceremony(rotating.root, "swap", by=BY) if place == "ceremonies/swap" else sign(rotating, "swap"),
    ):
        with pytest.raises(SealdexError):
            act()
    assert files(elsewhere) == before
