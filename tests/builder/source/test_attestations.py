"""Sigstore bundles: held to registry.toml when they are attached and published, and by clients to their own word.

The bundles are signed by a private Sigstore (`support.private_sigstore`); the real library verifies them.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.builder_cli import call, document
from support.private_sigstore import GITHUB, PrivateSigstore, statement, workflow
from support.source_trees import Tree

from registry_builder.authoring.lifecycle import attest
from registry_builder.publication.checks import InvalidReleasesError
from registry_builder.publication.publish import open_publisher, publish_realm
from registry_builder.source.lint.tree import lint_tree
from sealdex.cli.main import main
from sealdex.config.attestation_policy import AcceptedIdentity, AttestationPolicy, policy_problems
from sealdex.config.config import parse_config
from sealdex.errors import ConfigError, VerificationError
from sealdex.model.ids import PluginId
from sealdex.trust.sigstore_bundles import BundleVerifier

SLACK = PluginId("acme", "slack")
BY = "kim"
ACME, EVIL = workflow("acme/slack"), workflow("evil/slack")
POLICY = """
[attestations]
trusted_root = "trusted_root.json"
{required}
[[attestations.accept]]
namespaces = ["acme"]
identity = "https://github.com/acme/*"
issuer = "https://token.actions.githubusercontent.com"
"""


@pytest.fixture(scope="module")
def sigstore() -> PrivateSigstore:
    return PrivateSigstore()


@pytest.fixture
def judged(tree: Tree, sigstore: PrivateSigstore) -> Tree:
    """A tree whose registry.toml accepts the workflows of acme for acme."""
    write_policy(tree, sigstore)
    return tree


def write_policy(tree: Tree, sigstore: PrivateSigstore, required: str = "") -> None:
    sigstore.trusted_root(tree.root / "trusted_root.json")
    path = tree.root / "registry.toml"
    own = path.read_text().partition("\n[attestations]")[0]
    path.write_text(own + POLICY.format(required=required))


def artifact(tree: Tree, plugin: str = "acme/slack", version: str = "1.0.0") -> bytes:
    name = plugin.split("/")[1]
    return (tree.root / "plugins" / plugin / "dist" / f"{name}-{version}.bin").read_bytes()


def digest_of(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def bundle_file(tree: Tree, data: bytes, name: str = "slack.sigstore.json") -> Path:
    path = tree.root.parent / name
    path.write_bytes(data)
    return path


def attach(tree: Tree, data: bytes, name: str = "slack.sigstore.json") -> None:
    assert attest(tree.root, SLACK, "1.0.0", bundle_file(tree, data, name), by=BY).event is not None


def smuggle(tree: Tree, data: bytes) -> None:
    """Attach as a pull request would that doesn't use `attest`: the file, and an event that states it."""
    folder = tree.root / "plugins/acme/slack/attachments/1.0.0"
    folder.mkdir(parents=True)
    (folder / "b.sigstore.json").write_bytes(data)
    event = {
        "action": "attest", "at": "2026-11-21T12:00:00Z", "by": BY, "version": "1.0.0", "kind": "sigstore-bundle",
        "name": "b.sigstore.json", "sha256": digest_of(data), "size": len(data),
    }  # fmt: skip
    tree.status("acme/slack", event)


def errors_of(tree: Tree) -> list[str]:
    return [str(problem) for problem in lint_tree(tree.load()) if problem.severity == "error"]


def tampered(bundle: bytes, change: Callable[[dict[str, Any]], None]) -> bytes:
    document = json.loads(bundle)
    change(document)
    return json.dumps(document).encode()


def _other_statement(document: dict[str, Any]) -> None:
    document["dsseEnvelope"]["payload"] = base64.b64encode(statement("0" * 64)).decode()


def _other_time(document: dict[str, Any]) -> None:
    document["verificationMaterial"]["tlogEntries"][0]["integratedTime"] = "1700000000"


def _other_log_entry(document: dict[str, Any]) -> None:
    entry = document["verificationMaterial"]["tlogEntries"][0]
    body = json.loads(base64.b64decode(entry["canonicalizedBody"]))
    body["spec"]["payloadHash"]["value"] = "0" * 64
    entry["canonicalizedBody"] = base64.b64encode(json.dumps(body).encode()).decode()


# --- the registry ---------------------------------------------------------------------------------------------------


def test_a_bundle_of_an_accepted_workflow_is_attached_and_published(judged: Tree, sigstore: PrivateSigstore) -> None:
    attach(judged, sigstore.attest(ACME, statement(digest_of(artifact(judged)))))
    assert errors_of(judged) == []
    assert publish_realm(open_publisher(judged.load(), "public")).committed


def test_a_signature_over_the_file_itself_does_as_well(judged: Tree, sigstore: PrivateSigstore) -> None:
    attach(judged, sigstore.sign(ACME, artifact(judged)))
    assert publish_realm(open_publisher(judged.load(), "public")).committed


def refused(tree: Tree, sigstore: PrivateSigstore, kind: str) -> tuple[bytes, str]:
    """Return a bundle of an attacker, and what is said of it."""
    data, good = artifact(tree), statement(digest_of(artifact(tree)))
    if kind == "another identity":
        return sigstore.attest(EVIL, good), "signed by https://github.com/evil/slack"
    if kind == "a name that begins alike":
        return sigstore.attest(workflow("acme-evil/slack"), good), "which is not accepted"
    if kind == "another issuer":
        return sigstore.attest(ACME, good, issuer="https://accounts.example.org"), "which is not accepted"
    if kind == "another file":
        return sigstore.attest(ACME, statement("0" * 64)), "an artifact of this release"
    if kind == "a signature over another file":
        return sigstore.sign(ACME, b"other"), "an artifact of this release"
    if kind == "another Sigstore":
        return PrivateSigstore().attest(ACME, good), "doesn't verify"
    if kind == "another artifact's signature":
        theirs = json.loads(sigstore.sign(ACME, b"other"))
        theirs["messageSignature"]["messageDigest"]["digest"] = base64.b64encode(hashlib.sha256(data).digest()).decode()
        return json.dumps(theirs).encode(), "doesn't verify"
    changes = {"statement": _other_statement, "time": _other_time, "log entry": _other_log_entry}
    change = changes[kind]
    base = sigstore.attest(ACME, statement("1" * 64) if kind == "statement" else good)
    if kind == "statement":

        def change(document: dict[str, Any]) -> None:
            document["dsseEnvelope"]["payload"] = base64.b64encode(good).decode()

    return tampered(base, change), "doesn't verify"


ATTACKS = [
    "another identity", "a name that begins alike", "another issuer", "another file", "a signature over another file",
    "another Sigstore", "another artifact's signature", "statement", "time", "log entry",
]  # fmt: skip


@pytest.mark.parametrize("kind", ATTACKS)
def test_what_does_not_verify_is_neither_attached_nor_published(
    judged: Tree, sigstore: PrivateSigstore, kind: str
) -> None:
    """Attacker: a pull request with a bundle that others signed, or that was changed."""
    data, said = refused(judged, sigstore, kind)
    status = judged.root / "plugins/acme/slack/status.json"
    with pytest.raises((VerificationError, ConfigError), match=said):
        attach(judged, data)
    assert not status.exists()
    assert not (judged.root / "plugins/acme/slack/attachments").exists()
    smuggle(judged, data)
    if kind not in {"another file", "a signature over another file"}:
        assert any(said in error for error in errors_of(judged))
    with pytest.raises(InvalidReleasesError):
        publish_realm(open_publisher(judged.load(), "public"))
    assert not (judged.root.parent / "published").exists()


def test_a_bundle_attached_to_a_published_release_is_verified_too(judged: Tree, sigstore: PrivateSigstore) -> None:
    publish_realm(open_publisher(judged.load(), "public"))
    smuggle(judged, sigstore.attest(EVIL, statement(digest_of(artifact(judged)))))
    with pytest.raises(InvalidReleasesError, match="evil"):
        publish_realm(open_publisher(judged.load(), "public"))


def test_a_namespace_that_must_have_bundles_publishes_nothing_without(judged: Tree, sigstore: PrivateSigstore) -> None:
    write_policy(judged, sigstore, 'required = ["acme"]')
    assert sum("has no accepted Sigstore bundle" in error for error in errors_of(judged)) == 2
    with pytest.raises(InvalidReleasesError, match=r"sealdex-builder attest acme/(mail|slack)@"):
        publish_realm(open_publisher(judged.load(), "public"))
    attach(judged, sigstore.attest(ACME, statement(digest_of(artifact(judged)))))
    mail = bundle_file(judged, sigstore.sign(ACME, artifact(judged, "acme/mail", "0.1.0")), "mail.json")
    attest(judged.root, PluginId("acme", "mail"), "0.1.0", mail, by=BY)
    assert errors_of(judged) == []
    assert publish_realm(open_publisher(judged.load(), "public")).committed
    # what was published before the rule, or under it, needs no other word
    assert not publish_realm(open_publisher(judged.load(), "public")).committed


def test_one_bundle_does_not_vouch_for_the_release_of_another(judged: Tree, sigstore: PrivateSigstore) -> None:
    write_policy(judged, sigstore, 'required = ["acme"]')
    attach(judged, sigstore.attest(ACME, statement(digest_of(artifact(judged)))))
    judged.release("acme/slack", "1.1.0")
    assert sum("slack-1.1.0.bin has no accepted Sigstore bundle" in error for error in errors_of(judged)) == 1


def test_where_nobody_is_accepted_a_bundle_is_not_judged_and_that_is_said(
    tree: Tree, sigstore: PrivateSigstore
) -> None:
    attach(tree, sigstore.attest(EVIL, statement(digest_of(artifact(tree)))))
    warnings = [str(problem) for problem in lint_tree(tree.load())]
    assert any("is not verified: registry.toml accepts no Sigstore identity" in warning for warning in warnings)
    assert publish_realm(open_publisher(tree.load(), "public")).committed


def test_without_the_extra_it_says_what_to_install(
    judged: Tree, sigstore: PrivateSigstore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "sigstore.models", None)
    with pytest.raises(VerificationError) as caught:
        attach(judged, sigstore.attest(ACME, statement(digest_of(artifact(judged)))))
    assert caught.value.hint == "pip install 'sealdex-builder[sigstore]'"


def test_the_public_trust_root_is_the_librarys_own_and_refuses_a_private_one(sigstore: PrivateSigstore) -> None:
    accepted = [AcceptedIdentity(identity="https://github.com/acme/*", issuer=GITHUB)]
    with pytest.raises(VerificationError, match="doesn't verify"):
        BundleVerifier().verify(sigstore.attest(ACME, statement("0" * 64)), ["0" * 64], accepted)


@pytest.mark.parametrize(
    "identity",
    ["*", "https://*", "https://github.com/*", "https://github.com/acme*", "https://*.org/a/b", "*@*", "kim*"],
)
def test_patterns_that_strangers_fit_are_refused(identity: str) -> None:
    policy = AttestationPolicy(accept=(AcceptedIdentity(identity=identity, issuer=GITHUB),))
    assert [str(problem) for problem in policy_problems(policy) if "strangers" in str(problem)]


@pytest.mark.parametrize("identity", ["https://github.com/acme/*", "*@example.org", "kim@example.org", ACME])
def test_patterns_that_name_somebody_are_accepted(identity: str) -> None:
    accepted = AcceptedIdentity(identity=identity, issuer=GITHUB)
    assert list(policy_problems(AttestationPolicy(accept=(accepted,), required=("acme", "*")))) == []


def test_what_nobody_can_meet_is_not_required() -> None:
    policy = AttestationPolicy(required=("acme",))
    assert [str(problem) for problem in policy_problems(policy)]
    with pytest.raises(ConfigError, match="no identity is accepted"):
        parse_config('[attestations]\nrequired = ["acme"]\n')


# --- the client -----------------------------------------------------------------------------------------------------


class Host:
    """A client's configuration and store, on the registry that a tree publishes."""

    def __init__(self, tree: Tree, sigstore: PrivateSigstore, *, policy: str = POLICY.format(required="")) -> None:
        self.base = tree.root.parent / "host"
        self.base.mkdir(exist_ok=True)
        sigstore.trusted_root(self.base / "trusted_root.json")
        url = (tree.root.parent / "published/public").as_uri()
        root = tree.root / "trust/public/1.root.json"
        self.config = self.base / "config.toml"
        self.config.write_text(f'[registries.acme]\nurl = "{url}"\nroot = "{root}"\n{policy}')

    def call(self, *args: str) -> int:
        return main([*args, "--config", str(self.config), "--store", str(self.base / "store")])


@pytest.fixture
def installable(tree: Tree) -> Tree:
    """acme/slack 1.0.0 with an archive that installs."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("main.py", "print('hello')\n")
    folder = tree.root / "plugins/acme/slack"
    (folder / "dist/slack-1.0.0.zip").write_bytes(buffer.getvalue())
    sha256, size = digest_of(buffer.getvalue()), len(buffer.getvalue())
    manifest = {
        "version": "1.0.0",
        "released_at": "2026-11-21T12:00:00Z",
        "artifacts": [{"source": "plugins/acme/slack/dist/slack-1.0.0.zip", "sha256": sha256, "size": size}],
    }
    (folder / "releases/1.0.0.json").write_text(json.dumps(manifest))
    return tree


def archive_digest(tree: Tree) -> str:
    return digest_of((tree.root / "plugins/acme/slack/dist/slack-1.0.0.zip").read_bytes())


def publish_with(tree: Tree, data: bytes | None) -> None:
    if data is not None:
        smuggle(tree, data)
    publish_realm(open_publisher(tree.load(), "public"))


def test_a_client_is_told_who_vouches(
    installable: Tree, sigstore: PrivateSigstore, capsys: pytest.CaptureFixture[str]
) -> None:
    publish_with(installable, sigstore.attest(ACME, statement(archive_digest(installable))))
    host = Host(installable, sigstore)
    assert host.call("install", "acme/slack", "--require-attestation") == 0
    capsys.readouterr()
    assert host.call("verify", "acme/slack", "--attestations", "--json") == 0
    said = json.loads(capsys.readouterr().out)["verified"][0]["attestation"]
    assert said == {"error": None, "bundle": "b.sigstore.json", "identity": ACME, "issuer": GITHUB}
    assert host.call("verify", "acme/slack@1.0.0", "--attestations") == 0
    assert f"attested by {ACME}" in capsys.readouterr().out


@pytest.mark.parametrize("kind", ["identity", "file", "tampered", "none", "no extra"])
def test_what_nobody_who_counts_vouches_for_is_refused(
    installable: Tree,
    sigstore: PrivateSigstore,
    kind: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Attacker: publishes to the registry, which judges no bundle, but isn't whom this host trusts."""
    good = statement(archive_digest(installable))
    other = statement("1" * 64)
    data = {
        "identity": sigstore.attest(EVIL, good),
        "file": sigstore.attest(ACME, other),
        "tampered": tampered(sigstore.attest(ACME, good), _other_time),
        "none": None,
        "no extra": sigstore.attest(ACME, good),
    }[kind]
    publish_with(installable, data)
    if kind == "no extra":
        monkeypatch.setitem(sys.modules, "sigstore.models", None)
    host = Host(installable, sigstore)
    assert host.call("install", "acme/slack", "--require-attestation") == 4
    assert not (host.base / "store/plugins/acme").exists()
    assert host.call("install", "acme/slack") == 0
    capsys.readouterr()
    assert host.call("verify", "acme/slack") == 0
    assert host.call("verify", "acme/slack", "--attestations") == 4
    said = " ".join(capsys.readouterr().err.split())
    expected = {
        "identity": "signed by https://github.com/evil/slack",
        "file": "is for other files",
        "tampered": "doesn't verify",
        "none": "has no Sigstore bundle",
        "no extra": "pip install 'sealdex[sigstore]'",
    }[kind]
    assert "SECURITY" in said
    assert expected in said


def test_a_host_may_require_it_of_a_namespace_always(
    installable: Tree, sigstore: PrivateSigstore, capsys: pytest.CaptureFixture[str]
) -> None:
    publish_with(installable, sigstore.attest(EVIL, statement(archive_digest(installable))))
    required = POLICY.format(required='required = ["acme"]')
    host = Host(installable, sigstore, policy=required)
    assert host.call("install", "acme/slack") == 4
    assert "evil" in capsys.readouterr().err
    assert not (host.base / "store/plugins/acme").exists()
    # a file of this host has nobody's word either
    host.config.write_text(host.config.read_text() + "\n[install]\nrequire_signed = false\n")
    archive = str(installable.root / "plugins/acme/slack/dist/slack-1.0.0.zip")
    assert host.call("install", archive, "--as", "acme/slack@1.0.0", "--allow-unsigned") == 4
    assert not (host.base / "store/plugins/acme").exists()


def test_what_its_registry_never_had_is_not_vouched_for(
    installable: Tree, sigstore: PrivateSigstore, capsys: pytest.CaptureFixture[str]
) -> None:
    """Attacker: put another build of acme's under a version that the registry has; the bundle is true of both."""
    archive = installable.root.parent / "mine.zip"
    with zipfile.ZipFile(archive, "w") as made:
        made.writestr("main.py", "print('another build')\n")
    digests = archive_digest(installable), digest_of(archive.read_bytes())
    publish_with(installable, sigstore.attest(ACME, statement(*digests)))
    host = Host(installable, sigstore)
    host.config.write_text(host.config.read_text() + "\n[install]\nrequire_signed = false\n")
    assert host.call("install", str(archive), "--as", "acme/slack@1.0.0", "--allow-unsigned") == 0
    assert host.call("verify", "acme/slack", "--attestations") == 4
    assert "not one of the artifacts in its registry" in " ".join(capsys.readouterr().err.split())


def test_a_second_bundle_may_vouch_where_the_first_does_not(installable: Tree, sigstore: PrivateSigstore) -> None:
    good = statement(archive_digest(installable))
    attach(installable, sigstore.attest(EVIL, good), "evil.json")
    attach(installable, sigstore.attest(ACME, good), "good.json")
    publish_realm(open_publisher(installable.load(), "public"))
    assert Host(installable, sigstore).call("install", "acme/slack", "--require-attestation") == 0


def test_without_a_word_of_its_own_a_host_can_not_ask(
    installable: Tree, sigstore: PrivateSigstore, capsys: pytest.CaptureFixture[str]
) -> None:
    publish_with(installable, sigstore.attest(ACME, statement(archive_digest(installable))))
    host = Host(installable, sigstore, policy="")
    assert host.call("install", "acme/slack", "--require-attestation") == 1
    assert "[[attestations.accept]]" in capsys.readouterr().err


def test_the_command_attaches_and_refuses(
    judged: Tree, sigstore: PrivateSigstore, capsys: pytest.CaptureFixture[str]
) -> None:
    digest = digest_of(artifact(judged))
    evil = bundle_file(judged, sigstore.attest(EVIL, statement(digest)), "evil.json")
    assert call(judged.root, "attest", "acme/slack@1.0.0", evil, "--by", BY) == 4
    assert "SECURITY" in capsys.readouterr().err
    good = bundle_file(judged, sigstore.attest(ACME, statement(digest)))
    assert document(judged.root, capsys, "attest", "acme/slack@1.0.0", good, "--by", BY)["written"]
