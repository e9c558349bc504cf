"""``keys check``: each key of an online role signs, or is named with the reason, where publishing runs."""

from __future__ import annotations

from pathlib import Path

import pytest
from securesystemslib.signer import Signature
from support.builder_cli import call, document
from support.source_trees import Tree

from registry_builder.cli.markdown import keys_markdown
from registry_builder.signing.key_check import RoleKeys, why_it_cannot_sign
from registry_builder.signing.key_registration import create_key, register_keys
from registry_builder.signing.signers import Keyring
from registry_builder.source.config import read_config


def test_offline_keys_are_no_part_of_it(tree: Tree, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for path in (tmp_path / "keys").glob("root-*.pem"):
        path.unlink()
    summary = tmp_path / "missing.md"
    said = document(tree.root, capsys, "keys", "check", "--summary", summary)
    assert said["complete"] is True
    assert {role["role"]: role["able"] for role in said["roles"]} == {
        "packages": ["packages"],
        "catalog": ["catalog"],
        "snapshot": ["online"],
        "timestamp": ["online"],
    }
    assert not summary.exists()


def test_a_missing_key_is_named_with_each_role_that_lacks_it(
    tree: Tree, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "keys" / "online.pem").unlink()
    summary = tmp_path / "missing.md"
    said = document(tree.root, capsys, "keys", "check", "--summary", summary, code=1)
    lacking = {role["role"]: role["missing"] for role in said["roles"] if not role["can_sign"]}
    assert set(lacking) == {"snapshot", "timestamp"}
    assert "key 'online' can't sign here" in lacking["snapshot"]["online"]
    text = summary.read_text()
    assert "## Keys that are missing where publishing runs" in text
    assert "- realm public, `timestamp` needs 1 key(s), 0 can sign: `online`:" in text
    assert "packages" not in text


def test_other_realms_are_left_out_on_request(tree: Tree, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A job of the public realm names no private one, not even in the summary of a failure."""
    assert call(tree.root, "realm", "add", "team", "--storage", f"folder:{tmp_path / 'team'}") == 0
    assert {role["realm"] for role in document(tree.root, capsys, "keys", "check")["roles"]} == {"public", "team"}
    (tmp_path / "keys" / "online.pem").unlink()
    summary = tmp_path / "missing.md"
    said = document(tree.root, capsys, "keys", "check", "--realm", "public", "--summary", summary, code=1)
    assert {role["realm"] for role in said["roles"]} == {"public"}
    assert "team" not in summary.read_text()
    assert call(tree.root, "keys", "check", "--realm", "nobody") == 2


def test_a_passphrase_that_is_missing_or_wrong_is_told_before_it_is_needed(
    tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    section, _ = create_key(tree.root, read_config(tree.root), "locked", passphrase=b"right")
    register_keys(tree.root, {"locked": section})

    def why() -> str:
        return why_it_cannot_sign(Keyring(read_config(tree.root), tree.root), section.keyid)

    assert "passphrase" in why()
    monkeypatch.setenv("SEALDEX_KEY_PASSPHRASE", "wrong")
    assert "the passphrase is wrong" in why()
    monkeypatch.setenv("SEALDEX_KEY_PASSPHRASE", "right")
    assert why() == ""
    assert "is not in registry.toml" in why_it_cannot_sign(Keyring(read_config(tree.root), tree.root), "0" * 64)


def test_a_reason_is_text_in_the_issue() -> None:
    lacking = RoleKeys("public", "packages", 1, (), {"kms": "<img src=x> ![x](http://evil) @everyone"})
    able = RoleKeys("public", "catalog", 1, ("catalog",), {"other": "it isn't here"})
    text = keys_markdown([lacking, able])
    assert "`packages` needs 1 key(s), 0 can sign: `kms`:" in text
    assert "catalog" not in text
    for part in ("<img", "![x]", "@everyone"):
        assert part not in text


class _Stranger:
    """A signer as a key service may be: it answers, with another key's signature or not at all."""

    def __init__(self, keyring: Keyring, answers: str) -> None:
        self._other, self._answers = keyring.signer("catalog"), answers
        self.public_key = keyring.signer("packages").public_key

    def sign(self, payload: bytes) -> Signature:
        if self._answers == "denied":
            raise OSError("AccessDenied: kms:Sign")
        return Signature(self.public_key.keyid, self._other.sign(payload).signature)


@pytest.mark.parametrize(("answers", "reason"), [("denied", "AccessDenied: kms:Sign"), ("wrong", "it failed to sign")])
def test_a_service_that_answers_but_does_not_sign_is_no_key(
    tree: Tree, monkeypatch: pytest.MonkeyPatch, answers: str, reason: str
) -> None:
    keyring = Keyring(read_config(tree.root), tree.root)
    stranger = _Stranger(keyring, answers)
    monkeypatch.setattr(keyring, "signer_for", lambda _keyid: stranger)
    assert reason in why_it_cannot_sign(keyring, stranger.public_key.keyid)


def test_the_table_says_which_role_lacks_keys(tree: Tree, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "keys" / "packages.pem").unlink()
    capsys.readouterr()
    assert call(tree.root, "keys", "check") == 1
    shown = capsys.readouterr()
    assert [line.split()[1] for line in shown.out.splitlines() if "LACKS KEYS" in line] == ["packages"]
    assert "warning: packages:" in shown.err
