"""verify-published and gc where a team's own key speaks for a namespace: its role is walked, held to it, and kept."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from support.source_trees import Tree
from tuf.api.metadata import Metadata, Targets

from registry_builder.baseline.documents import TamperedError
from registry_builder.ceremony.steps import Wanted, finish_ceremony, sign_ceremony, start_ceremony
from registry_builder.maintenance import gc
from registry_builder.maintenance.audit import Audit, audit_realm
from registry_builder.publication.claim_signing import sign_claim
from registry_builder.publication.context import Publisher
from registry_builder.publication.publish import open_publisher, publish_realm
from registry_builder.signing.key_registration import create_key, register_keys
from registry_builder.signing.metadata import utc_now
from registry_builder.signing.signers import Keyring, load_signer
from registry_builder.source.config import read_config
from registry_builder.storage import Body, headers_for, open_storage
from registry_builder.storage.listing import inventory_of
from sealdex.errors import VerificationError

Opened = Callable[..., Publisher]


@pytest.fixture
def opened(tree: Tree, tmp_path: Path) -> Opened:
    def open_it(days: float = 0) -> Publisher:
        storage = open_storage("folder:published", base=tmp_path)
        return open_publisher(
            tree.load(),
            "public",
            storage=storage,
            clock=lambda: utc_now() + timedelta(days=days),
            allow_expired=days > 0,
        )

    return open_it


@pytest.fixture
def claimed(tree: Tree, opened: Opened) -> Tree:
    """acme is claimed and has signed twice; other/tool is everybody's."""
    tree.plugin("other/tool")
    tree.release("other/tool", "1.0.0")
    publish_realm(opened())
    section, _ = create_key(tree.root, read_config(tree.root), "team-1", kind="ed25519", passphrase=None)
    register_keys(tree.root, {"team-1": section})
    keyring, now = Keyring(read_config(tree.root), tree.root), utc_now()
    start_ceremony(tree.root, "claim", Wanted(claims={"acme": ("team-1",)}), by="kim", now=now)
    sign_ceremony(tree.root, "claim", keyring, by="kim", now=now)
    finish_ceremony(tree.root, "claim", by="kim", now=now)
    for version in ("1.1.0", "1.2.0"):
        tree.release("acme/slack", version)
        sign_claim(opened(), "acme")
        publish_realm(opened())
    return tree


def keys(publisher: Publisher) -> set[str]:
    return {listed.key for listed in inventory_of(publisher.storage).listed()}


def problems(found: Audit) -> list[str]:
    return [key for key, _ in found.problems]


def change(publisher: Publisher, key: str, data: bytes) -> None:
    publisher.storage.put_mutable(key, Body.of_bytes(data, headers_for(key)))


def test_everything_of_a_claimed_namespace_is_reached(claimed: Tree, opened: Opened) -> None:
    found = audit_realm(opened(), artifacts=True)
    assert found.problems == ()
    superseded = {each.file.key for each in found.unreached if each.kind == "superseded metadata"}
    assert "metadata/1.ns-acme.json" in superseded
    newest = max(key for key in keys(opened()) if key.endswith(".ns-acme.json"))
    assert newest not in {each.file.key for each in found.unreached}
    assert found.hashed == 5 + 5 + 1  # artifacts, manifests, README: of both kinds of namespaces


def test_a_changed_document_of_a_claimed_namespace_is_found_and_laid_at_its_teams_door(
    claimed: Tree, opened: Opened
) -> None:
    """Attack: whoever can write to the store changes an index document that the team's key pins."""
    publisher = opened()
    stale = {each.file.key for each in audit_realm(publisher).unreached}
    key = next(k for k in sorted(keys(publisher) - stale) if k.startswith("targets/") and k.endswith(".slack.json"))
    change(publisher, key, publisher.storage.get(key, max_bytes=1 << 20).data.replace(b"1.2.0", b"6.6.6"))
    assert problems(audit_realm(opened())) == [key]
    claimed.release("acme/slack", "1.3.0")
    with pytest.raises(TamperedError) as caught:
        publish_realm(opened())
    assert caught.value.details is not None
    assert "pinned by ns-acme, which 1 of team-1 must sign" in str(caught.value.details["expected"])


def test_a_stolen_online_key_that_signs_for_the_claim_is_found(claimed: Tree, opened: Opened) -> None:
    """Attack: a thief of the online key of packages writes the claim's metadata anew, with that key."""
    publisher = opened()
    key = max(key for key in keys(publisher) if key.endswith(".ns-acme.json"))
    metadata: Metadata[Targets] = Metadata.from_bytes(publisher.storage.get(key, max_bytes=1 << 20).data)
    metadata.signed.expires += timedelta(days=1)
    metadata.sign(load_signer(read_config(claimed.root), claimed.root, "packages"))
    change(publisher, key, metadata.to_bytes())
    with pytest.raises(VerificationError, match="ns-acme"):
        audit_realm(opened())
    with pytest.raises(VerificationError, match="ns-acme"):
        gc.plan_gc(opened(), days=0, grace=0)


def test_gc_keeps_what_a_claim_reaches_and_removes_what_it_reached_once(claimed: Tree, opened: Opened) -> None:
    gc.apply_gc(opened(40), gc.plan_gc(opened(40), days=30, grace=7))
    plan = gc.plan_gc(opened(50), days=30, grace=7)
    removable = {listed.key for listed in plan.removable}
    assert "metadata/1.ns-acme.json" in removable
    assert not any(key.startswith("plugins/") for key in removable)
    gc.apply_gc(opened(50), plan)
    found = audit_realm(opened(), artifacts=True)
    assert (found.problems, found.unreached) == ((), ())
