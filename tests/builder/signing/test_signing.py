"""Keys stay outside the tree, keep their passphrases, and sign only what they may."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path

import click
import pytest
from support.source_trees import REGISTRY, Tree
from tuf.api.metadata import Metadata, Root, SuccinctRoles, Targets

from registry_builder.cli.main import group
from registry_builder.signing.dev_keys import make_dev_trust
from registry_builder.signing.key_registration import KEY_KINDS, KeyKind, create_key, register_keys
from registry_builder.signing.metadata import (
    bin_bits,
    bin_of,
    build_packages,
    build_timestamp,
    is_due,
    realm_marker,
    shard_count,
)
from registry_builder.signing.offline_metadata import load_trust
from registry_builder.signing.role_signing import Authority, authority_of, sign_role
from registry_builder.signing.signers import Keyring, load_signer
from registry_builder.source.config import read_config
from sealdex.errors import ConfigError, UsageError, VerificationError

NOW = datetime(2026, 11, 21, 12, tzinfo=timezone.utc)


@pytest.mark.parametrize("kind", KEY_KINDS)
@pytest.mark.parametrize("passphrase", [None, b"correct horse"])
def test_a_key_signs_after_it_was_made_registered_and_loaded_again(
    tree: Tree, monkeypatch: pytest.MonkeyPatch, kind: KeyKind, passphrase: bytes | None
) -> None:
    section, path = create_key(tree.root, read_config(tree.root), "extra", kind=kind, passphrase=passphrase)
    register_keys(tree.root, {"extra": section})
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert (b"ENCRYPTED" in path.read_bytes()) == (passphrase is not None)
    if passphrase is not None:
        monkeypatch.setenv("SEALDEX_KEY_PASSPHRASE", passphrase.decode())
    config = read_config(tree.root)
    signer = load_signer(config, tree.root, "extra")
    signer.public_key.verify_signature(signer.sign(b"x"), b"x")


def test_registering_a_key_keeps_every_comment(tree: Tree) -> None:
    before = (tree.root / "registry.toml").read_text()
    section, _ = create_key(tree.root, read_config(tree.root), "extra", kind="rsa-pss", passphrase=None)
    register_keys(tree.root, {"extra": section})
    after = (tree.root / "registry.toml").read_text()
    assert after.startswith(before.rstrip("\n"))
    assert "# kept by every command" in after
    assert "# the shortest-lived" in after
    assert read_config(tree.root).keys["extra"].public == section.public


def test_a_key_folder_inside_the_source_tree_is_refused(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    # Attack by accident: a private key in the tree is public with the next push.
    monkeypatch.setenv("SEALDEX_KEYS", str(tree.root / "keys"))
    with pytest.raises(ConfigError, match="inside the source tree"):
        create_key(tree.root, read_config(tree.root), "extra", passphrase=None)
    assert not (tree.root / "keys").exists()


def test_a_link_into_the_source_tree_is_refused_too(
    tree: Tree, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tree.root / "hidden").mkdir()
    (tmp_path / "elsewhere").symlink_to(tree.root / "hidden")
    monkeypatch.setenv("SEALDEX_KEYS", str(tmp_path / "elsewhere"))
    with pytest.raises(ConfigError, match="inside the source tree"):
        create_key(tree.root, read_config(tree.root), "extra", passphrase=None)
    assert list((tree.root / "hidden").iterdir()) == []


def test_an_existing_private_key_is_never_overwritten(tree: Tree) -> None:
    config = read_config(tree.root)
    _, path = create_key(tree.root, config, "extra", passphrase=None)
    before = path.read_bytes()
    with pytest.raises(ConfigError, match="already"):
        create_key(tree.root, config, "extra", passphrase=None)
    with pytest.raises(ConfigError, match="already"):
        create_key(tree.root, config, "root-1", passphrase=None)
    assert path.read_bytes() == before


@pytest.mark.parametrize("name", ["../root", "a/b", "", "Root", "a..b"])
def test_a_key_name_that_is_a_path_is_refused(tree: Tree, name: str) -> None:
    with pytest.raises(UsageError):
        create_key(tree.root, read_config(tree.root), name, passphrase=None)


def test_passphrases_come_from_variable_file_or_prompt(
    tree: Tree, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    section, _ = create_key(tree.root, read_config(tree.root), "extra", passphrase=b"secret")
    register_keys(tree.root, {"extra": section})
    config = read_config(tree.root)
    with pytest.raises(ConfigError, match="can't be asked for"):
        load_signer(config, tree.root, "extra")
    questions: list[str] = []

    def prompt(question: str) -> str:
        questions.append(question)
        return "secret"

    keyring = Keyring(config, tree.root, prompt=prompt)
    keyring.signer("extra")
    keyring.signer("extra")
    assert questions == ["Passphrase of key extra"]
    (tmp_path / "pass").write_text("secret\n")
    monkeypatch.setenv("SEALDEX_KEY_PASSPHRASE_FILE", str(tmp_path / "pass"))
    load_signer(config, tree.root, "extra")
    monkeypatch.setenv("SEALDEX_KEY_PASSPHRASE", "wrong")
    with pytest.raises(ConfigError, match="the passphrase is wrong"):
        load_signer(config, tree.root, "extra")


def test_a_private_key_that_is_not_the_registered_one_does_not_sign(tree: Tree, tmp_path: Path) -> None:
    # Attack: who can write to the key folder swaps the file for a key of their own.
    keys = tmp_path / "keys"
    (keys / "online.pem").write_bytes((keys / "packages.pem").read_bytes())
    with pytest.raises(ConfigError, match="not the private half of key 'online'"):
        load_signer(read_config(tree.root), tree.root, "online")


def test_a_role_is_not_signed_with_a_key_that_its_delegator_does_not_trust(tree: Tree) -> None:
    # Attack: registry.toml is changed to name another key for the timestamp; the signed root doesn't know it.
    config = read_config(tree.root)
    trust = load_trust(tree.root, "public", realm_marker(config, "public"))
    keyring = Keyring(config, tree.root)
    timestamp = build_timestamp(config, "public", 1, version=1, now=NOW)
    with pytest.raises(ConfigError, match="would not be trusted"):
        sign_role(timestamp, "timestamp", Authority(trust.root, (keyring.signer("packages"),)))


def test_a_threshold_that_cannot_be_met_here_names_every_missing_key(tree: Tree, tmp_path: Path) -> None:
    (tmp_path / "keys" / "root-2.pem").unlink()
    config = read_config(tree.root)
    trust = load_trust(tree.root, "public", realm_marker(config, "public"))
    with pytest.raises(ConfigError, match=r"needs 2 signature.*1 can be made here.*root-2"):
        authority_of(trust.root, "root", Keyring(config, tree.root))


def test_development_trust_has_two_offline_keys_each_and_a_realm_of_its_own(tmp_path: Path) -> None:
    tree = Tree.make(tmp_path / "two", realms=("public", "team"))
    config = read_config(tree.root)
    for realm in ("public", "team"):
        trust = load_trust(tree.root, realm, realm_marker(config, realm))
        assert trust.root.roles["root"].threshold == 2
        assert trust.root.roles["targets"].threshold == 2
        assert trust.root.consistent_snapshot
        delegations = trust.targets_role.delegations
        assert delegations is not None
        assert delegations.roles is not None
        assert [(r.name, r.paths, r.terminating) for r in delegations.roles.values()] == [
            ("packages", ["index/*/*"], True),
            ("catalog", ["catalog/*"], True),
        ]
    with pytest.raises(VerificationError, match="signed for the realm"):
        load_trust(tree.root, "team", realm_marker(config, "public"))
    with pytest.raises(ConfigError, match="already has keys"):
        make_dev_trust(tree.root)


def test_dev_trust_is_not_made_inside_the_tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tmp_path / "inside"
    root.mkdir()
    realm = '[realms.public]\nstorage = "folder:published"\n'
    (root / "registry.toml").write_text(REGISTRY.format(registry="", realms=realm))
    monkeypatch.setenv("SEALDEX_KEYS", str(root / ".keys"))
    with pytest.raises(ConfigError, match="inside the source tree"):
        make_dev_trust(root)
    assert [path.name for path in root.iterdir()] == ["registry.toml"]


@pytest.mark.parametrize("role", ["root", "targets"])
def test_offline_metadata_with_one_signature_where_two_are_needed_is_refused(tree: Tree, role: str) -> None:
    # Attack: one offline key was stolen; its holder writes to the source tree.
    path = tree.root / "trust" / "public" / f"1.{role}.json"
    metadata: Metadata[Root] | Metadata[Targets] = Metadata.from_bytes(path.read_bytes())
    metadata.signatures.popitem()
    path.write_bytes(metadata.to_bytes())
    config = read_config(tree.root)
    with pytest.raises(VerificationError, match="1/2 keys"):
        load_trust(tree.root, "public", realm_marker(config, "public"))


@pytest.mark.every_bin
@pytest.mark.parametrize(
    ("plugins", "bits"), [(0, 6), (1_000, 6), (1_001, 8), (16_000, 8), (16_001, 10), (250_000, 10), (250_001, 11)]
)
def test_bins_follow_the_number_of_plugins(plugins: int, bits: int) -> None:
    assert bin_bits(plugins) == bits
    assert shard_count(bits) == {6: 4, 8: 16, 10: 64, 11: 128}[bits]


@pytest.mark.parametrize("bits", [6, 8, 10, 11])
def test_bins_are_those_of_tap_15(tree: Tree, bits: int) -> None:
    packages = build_packages(read_config(tree.root), "public", bits=bits, version=1, now=NOW)
    assert packages.delegations is not None
    succinct = packages.delegations.succinct_roles
    assert isinstance(succinct, SuccinctRoles)
    for number in range(500):
        target = f"index/acme/plugin-{number}.json"
        assert bin_of(target, bits) == succinct.get_role_for_target(target)


def test_the_signing_window_opens_before_expiry(tree: Tree) -> None:
    role = read_config(tree.root).roles["timestamp"]
    assert not is_due(NOW + timedelta(days=3, seconds=1), role, NOW)
    assert is_due(NOW + timedelta(days=3), role, NOW)
    assert is_due(NOW - timedelta(days=1), role, NOW)


def test_no_command_takes_a_secret_as_an_argument() -> None:
    """What stands on a command line, everybody on the machine reads, and the shell's history keeps."""

    def options(command: click.Command, context: click.Context) -> Iterator[str]:
        yield from (f"{context.command_path} {param.name}" for param in command.params)
        if isinstance(command, click.Group):
            for name in command.list_commands(context):
                below = command.get_command(context, name)
                assert below is not None
                yield from options(below, click.Context(below, parent=context, info_name=name))

    found = list(options(group, click.Context(group, info_name="sealdex-builder")))
    assert any("keys create" in option for option in found)
    words = {"pass", "passphrase", "password", "pin", "secret", "token"}
    assert [option for option in found if words & set(option.rpartition(" ")[2].split("_"))] == []
