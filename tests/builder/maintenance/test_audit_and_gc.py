"""verify-published and gc, on a folder and on S3: every file is accounted for, and what readers need stays."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from support.builder_cli import call, document
from support.source_trees import Tree
from support.stock_client import StockClient

from registry_builder.maintenance import gc
from registry_builder.maintenance.audit import audit_realm
from registry_builder.publication.context import Publisher
from registry_builder.publication.publish import open_publisher, publish_realm
from registry_builder.signing.metadata import utc_now
from registry_builder.storage import Body, Storage, headers_for
from registry_builder.storage.listing import inventory_of
from sealdex.errors import SealdexError, VerificationError

Opened = Callable[..., Publisher]

on_a_folder = pytest.mark.parametrize("storage_uri", ["folder"], indirect=True)
"""What doesn't depend on how a storage lists and deletes: the others run on S3 as well."""


@pytest.fixture
def opened(tree: Tree, open_again: Callable[[], Storage]) -> Opened:
    """Open the registry for publishing, ``days`` from now."""

    def open_it(days: float = 0) -> Publisher:
        def clock() -> datetime:
            return (utc_now() + timedelta(days=days)).replace(microsecond=0)

        return open_publisher(tree.load(), "public", storage=open_again(), clock=clock, allow_expired=days > 0)

    return open_it


@pytest.fixture
def live(tree: Tree, opened: Opened) -> Tree:
    """Three publishes, and what a publisher left behind that was killed before it committed."""
    publish_realm(opened())
    for version in ("1.1.0", "1.2.0"):
        tree.release("acme/slack", version)
        publish_realm(opened())
    for key in (
        "plugins/acme/slack/9.9.9/slack.bin",
        "metadata/99.snapshot.json",
        f"targets/index/acme/{'0' * 64}.x.json",
    ):
        opened().storage.put_new(key, Body.of_bytes(b"left behind", headers_for(key)))
    return tree


def keys(publisher: Publisher) -> set[str]:
    return {listed.key for listed in inventory_of(publisher.storage).listed()}


def test_every_file_is_accounted_for(live: Tree, opened: Opened) -> None:
    found = audit_realm(opened(), artifacts=True)
    assert found.problems == ()
    bundle = 1
    assert found.files == found.reached + found.pages + bundle + len(found.unreached)
    kinds = [each.kind for each in found.unreached]
    assert kinds.count("file that a publish left behind") == 1
    assert kinds.count("metadata that a publish left behind") == 1
    # of two publishes: snapshot, catalog and a bin each; index document and shard each, and the one left behind
    assert kinds.count("superseded metadata") == 6
    assert kinds.count("superseded document, or one that a publish left behind") == 5
    assert found.hashed == 4 + 4 + 1  # artifacts, manifests, README


def replace(publisher: Publisher, key: str, data: bytes) -> None:
    publisher.storage.put_mutable(key, Body.of_bytes(data, headers_for(key)))


def one(publisher: Publisher, start: str, end: str) -> str:
    reached = {each.file.key for each in audit_realm(publisher).unreached}
    return next(key for key in sorted(keys(publisher) - reached) if key.startswith(start) and key.endswith(end))


ANYWHERE = [
    ("plugins/acme/slack/1.1.0/", ".bin", True),
    ("plugins/acme/slack/1.1.0/", "manifest.json", False),
    ("plugins/acme/slack/readme/", ".md", False),
    ("targets/index/acme/", ".slack.json", False),
    ("targets/catalog/", ".json", False),
    ("metadata/", ".bin-00.json", False),
]
"""How a file's key starts and ends, and whether only reading the artifacts shows that it has changed."""


@pytest.mark.every_bin
@on_a_folder
def test_one_changed_byte_anywhere_is_found(live: Tree, opened: Opened) -> None:
    """Attack: whoever can write to the store changes a byte of one file, and leaves its size as it is."""
    publisher = opened()
    for start, end, artifacts in ANYWHERE:
        key = one(publisher, start, end)
        data = publisher.storage.get(key, max_bytes=1 << 20).data
        position = data.index(b"20") if end == ".bin-00.json" else len(data) // 2
        replace(publisher, key, data[:position] + bytes([data[position] ^ 1]) + data[position + 1 :])
        try:
            problems = dict(audit_realm(opened(), artifacts=artifacts).problems)
        except VerificationError as error:  # what everything hangs from stops the walk at once
            problems = {error.subject or "": error.message}
        assert list(problems) == [key]
        if artifacts:  # whose size is right: that only reading it shows
            assert audit_realm(opened()).problems == ()
        replace(publisher, key, data)


@on_a_folder
def test_a_missing_or_longer_artifact_is_found_without_reading_it(live: Tree, opened: Opened) -> None:
    publisher = opened()
    gone, longer = "plugins/acme/slack/1.0.0/slack-1.0.0.bin", "plugins/acme/slack/1.1.0/slack-1.1.0.bin"
    inventory_of(publisher.storage).delete(gone)
    replace(publisher, longer, b"x" * 100)
    problems = dict(audit_realm(opened()).problems)
    assert set(problems) == {gone, longer}
    assert "missing" in problems[gone]


@pytest.mark.slow
def test_gc_removes_in_two_phases_and_nothing_that_readers_of_the_last_days_need(live: Tree, opened: Opened) -> None:
    before = keys(opened())

    def run(days_from_now: float, days: int) -> gc.GcPlan:
        publisher = opened(days_from_now)
        plan = gc.plan_gc(publisher, days=days, grace=7)
        gc.apply_gc(publisher, plan)
        return plan

    # everything was written just now: what the last 30 days reached is kept, and what was left behind is marked
    marked = run(0, 30)
    assert marked.removable == ()
    assert {listed.key for listed in marked.marked} == {
        "plugins/acme/slack/9.9.9/slack.bin",
        "metadata/99.snapshot.json",
        f"targets/index/acme/{'0' * 64}.x.json",
    }
    assert run(6, 30).removable == ()  # within the grace period
    assert keys(opened()) == before
    removed = run(8, 30)
    assert len(removed.removable) == 3
    assert keys(opened()) == before - {listed.key for listed in removed.removable}

    # forty days later the older states are nobody's any more: marked, and a grace period later removed
    assert run(40, 30).removable == ()
    assert run(48, 30).removable != ()
    now = audit_realm(opened(), artifacts=True)
    assert now.problems == ()
    assert now.unreached == ()
    client = StockClient(opened().storage, (live.root / "trust/public/1.root.json").read_bytes())
    assert client.versions("acme/slack") == ["1.2.0", "1.1.0", "1.0.0"]


@on_a_folder
def test_gc_stops_when_something_was_published_meanwhile(live: Tree, opened: Opened) -> None:
    publisher = opened(10)
    plan = gc.plan_gc(publisher, days=30, grace=0)
    assert plan.removable
    before = keys(publisher)
    live.release("acme/mail", "0.2.0")
    publish_realm(opened())
    with pytest.raises(SealdexError, match="meanwhile"):
        gc.apply_gc(publisher, plan)
    assert before <= keys(publisher)


@on_a_folder
def test_gc_removes_nothing_from_a_tree_that_does_not_verify(live: Tree, opened: Opened) -> None:
    """Attack: whoever can write to the store breaks an index document, so that its releases seem unreached and the
    publisher's own gc removes them. It refuses, and removes nothing."""
    publisher = opened(10)
    gc.apply_gc(publisher, gc.plan_gc(publisher, days=0, grace=0))
    replace(publisher, one(publisher, "targets/index/acme/", ".slack.json"), b"{}")
    before = keys(publisher)
    with pytest.raises(VerificationError, match="not what was signed"):
        gc.plan_gc(publisher, days=0, grace=0)
    assert keys(publisher) == before


def test_the_commands_say_it_and_exit_4(tree: Tree, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(tree.root, "publish") == 0
    assert document(tree.root, capsys, "verify-published", "--artifacts")["verified"]
    assert document(tree.root, capsys, "gc")["realms"][0]["removable"] == []
    assert call(tree.root, "gc", "--apply") == 0
    (tree.root.parent / "published/public/plugins/acme/mail/0.1.0/mail-0.1.0.bin").write_bytes(b"acme/mail 6.6.6\n")
    assert document(tree.root, capsys, "verify-published")["verified"]
    found = document(tree.root, capsys, "verify-published", "--artifacts", code=4)
    assert [problem["key"] for problem in found["realms"][0]["problems"]] == ["plugins/acme/mail/0.1.0/mail-0.1.0.bin"]
    assert call(tree.root, "verify-published", "--artifacts") == 4
    assert "SECURITY: plugins/acme/mail" in capsys.readouterr().err
