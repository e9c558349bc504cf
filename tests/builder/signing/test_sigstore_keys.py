"""Sigstore identities among the keys of a role: added by their URI, named in metadata, verified offline by clients.

A login can't be had in a test: what signs stands in for it with a private Sigstore, and the real library verifies with
that one's trust root in the place of the public one. `SigstoreSigner.sign` itself is never run here.
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from securesystemslib.signer import Key, Signature
from sigstore.models import TrustedRoot
from sigstore.verify import Verifier
from support.builder_cli import call, document
from support.drill import Drill
from support.private_sigstore import PrivateSigstore, statement
from support.source_trees import Tree

from registry_builder.ceremony.steps import Wanted, finish_ceremony, sign_ceremony, start_ceremony
from registry_builder.signing.key_registration import import_key, register_keys
from registry_builder.signing.signers import Keyring, public_key
from registry_builder.source.config import read_config
from sealdex import Client
from sealdex.config.config import Config, ConfigDocument, RegistrySection
from sealdex.errors import ConfigError, UsageError, VerificationError
from sealdex.trust.sigstore_key import SigstoreIdentityKey

KIM, ISSUER = "kim@example.org", "https://accounts.example.org"
URI = f"sigstore:?identity={KIM}&issuer={ISSUER}"


@pytest.fixture
def sigstore(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PrivateSigstore:
    """A private Sigstore whose trust root stands in the place of the public one."""
    made = PrivateSigstore()
    root = made.trusted_root(tmp_path / "trusted_root.json")

    def production(*, offline: bool) -> Verifier:
        assert offline  # a client asks nobody but its registry
        return Verifier(trusted_root=TrustedRoot.from_file(str(root)))

    monkeypatch.setattr(Verifier, "production", production)
    monkeypatch.setattr(SigstoreIdentityKey, "was_left_out", False)
    return made


class Login:
    """Stands in for `SigstoreSigner` past its login."""

    def __init__(self, sigstore: PrivateSigstore, public: Key, identity: str = KIM, issuer: str = ISSUER) -> None:
        self._sigstore = sigstore
        self.public_key = public
        self._who = identity, issuer

    def bundle(self, payload: bytes) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self._sigstore.sign(self._who[0], payload, issuer=self._who[1]))
        return found

    def sign(self, payload: bytes) -> Signature:
        bundle = self.bundle(payload)
        return Signature(self.public_key.keyid, bundle["messageSignature"]["signature"], {"bundle": bundle})


@pytest.fixture
def drill(tree: Tree) -> Drill:
    made = Drill(tree)
    register_keys(tree.root, {"kim": import_key(read_config(tree.root), "kim", URI)})
    return made


def kims_key(drill: Drill) -> Key:
    return public_key(read_config(drill.root).keys["kim"])


def hold(drill: Drill, name: str, wanted: Wanted, login: Login) -> None:
    """Hold a ceremony in which Kim logs in and everybody else has a file."""
    start_ceremony(drill.root, name, wanted, by="kim")
    keyring = drill.keyring()
    keyring._signers["kim"] = login  # type: ignore[assignment]  # it has what a signer needs
    sign_ceremony(drill.root, name, keyring, by="kim")
    finish_ceremony(drill.root, name, by="kim")


def client(drill: Drill) -> Client:
    base = drill.root.parent
    root = str(drill.root / "trust/public/1.root.json")
    section = RegistrySection(url=(base / "published/public").as_uri(), root=root)
    return Client(Config(base / "config.toml", base / "store", ConfigDocument(registries={"acme": section})))


def test_it_is_added_by_its_uri(tree: Tree, capsys: pytest.CaptureFixture[str]) -> None:
    added = document(tree.root, capsys, "keys", "add", "kim", f"{URI}&ambient=false")
    assert (added["uri"], added["keytype"]) == ("sigstore:?ambient=false", "sigstore-oidc")
    assert (added["identity"], added["issuer"]) == (KIM, ISSUER)
    assert isinstance(public_key(read_config(tree.root).keys["kim"]), SigstoreIdentityKey)
    shown = document(tree.root, capsys, "keys", "show", "kim")
    assert (shown["here"], shown["reason"]) == (True, f"{KIM}: a login is needed")
    assert call(tree.root, "status") == 0  # nobody was asked to log in


@pytest.mark.parametrize(
    "uri", ["sigstore:", f"sigstore:?identity=*@example.org&issuer={ISSUER}", "sigstore:?identity=a"]
)
def test_a_uri_that_names_no_one_identity_is_refused(tree: Tree, uri: str) -> None:
    with pytest.raises(UsageError, match="no identity and issuer"):
        import_key(read_config(tree.root), "kim", uri)


def test_root_is_signed_by_an_identity_and_read_by_clients(drill: Drill, sigstore: PrivateSigstore) -> None:
    hold(drill, "kim-comes", Wanted(keys={"root": ("root-1", "kim")}), Login(sigstore, kims_key(drill)))
    drill.tree.release("acme/slack", "1.1.0")
    drill.publish()
    assert drill.seen() == {"1.1.0"}
    with client(drill) as reader:
        assert reader.info("acme/slack").document.releases[0].version == "1.1.0"


@pytest.mark.parametrize(
    "attack", ["another identity", "another issuer", "another Sigstore", "a statement", "other bytes"]
)
def test_only_that_identity_over_that_metadata_counts(drill: Drill, sigstore: PrivateSigstore, attack: str) -> None:
    """Attacker: wants to be the second signature of a new root."""
    key = kims_key(drill)
    login = {
        "another identity": Login(sigstore, key, identity="eve@example.org"),
        "another issuer": Login(sigstore, key, issuer="https://evil.example"),
        "another Sigstore": Login(PrivateSigstore(), key),
        "a statement": _Statement(sigstore, key),
        "other bytes": _Other(sigstore, key),
    }[attack]
    with pytest.raises(ConfigError, match="1 more signature"):
        hold(drill, "kim-comes", Wanted(keys={"root": ("root-1", "kim")}), login)
    assert not (drill.root / "trust/public/2.root.json").exists()


class _Statement(Login):
    """A true statement of Kim's about a file of these bytes, which says nothing of wanting them as root."""

    def bundle(self, payload: bytes) -> dict[str, Any]:
        made: dict[str, Any] = json.loads(
            self._sigstore.attest(KIM, statement(hashlib.sha256(payload).hexdigest()), issuer=ISSUER)
        )
        return made

    def sign(self, payload: bytes) -> Signature:
        return Signature(self.public_key.keyid, "", {"bundle": self.bundle(payload)})


class _Other(Login):
    """Kim's signature over something else."""

    def bundle(self, payload: bytes) -> dict[str, Any]:
        return super().bundle(payload + b" ")


def test_without_the_extra_a_client_says_what_to_install(
    drill: Drill, sigstore: PrivateSigstore, monkeypatch: pytest.MonkeyPatch
) -> None:
    hold(drill, "kim-comes", Wanted(keys={"root": ("root-1", "kim")}), Login(sigstore, kims_key(drill)))
    drill.publish()
    monkeypatch.setitem(sys.modules, "sigstore.models", None)
    with client(drill) as reader, pytest.raises(VerificationError) as caught:
        reader.info("acme/slack")
    assert caught.value.hint is not None
    assert "sealdex[sigstore]" in caught.value.hint
    reach = Keyring(read_config(drill.root), drill.root).reach("kim")
    assert not reach.here
    assert "sealdex-builder[sigstore]" in reach.reason


def test_without_the_extra_the_other_keys_of_the_role_do(
    drill: Drill, sigstore: PrivateSigstore, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = ("root-1", "root-2", "kim")
    hold(drill, "kim-comes", Wanted(keys={"root": keys}), Login(sigstore, kims_key(drill)))
    drill.publish()
    monkeypatch.setitem(sys.modules, "sigstore.models", None)
    with client(drill) as reader:
        assert reader.info("acme/slack").document.releases[0].version == "1.0.0"
