"""Each publish proves that the store refuses what it must: what that costs, and what happens where it doesn't."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest
from support.s3_proxy import Answer, Passing, ignore, refuse
from support.s3_registry import CONDITIONS, S3Registry
from support.source_trees import Tree

from registry_builder.publication.context import open_publisher
from registry_builder.publication.publish import publish_realm
from registry_builder.publication.refresh import refresh_realm
from registry_builder.storage import ConditionsIgnoredError
from registry_builder.storage import s3 as s3_module
from registry_builder.storage.listing import inventory_of
from sealdex.errors import UnavailableError

if TYPE_CHECKING:
    pass

BUNDLE = "metadata/recent.bundle"


def test_a_publish_proves_it_by_two_puts_that_are_refused(s3_published: S3Registry) -> None:
    before = s3_published.objects()
    result = s3_published.publish("acme/slack")
    asked = s3_published.asked()
    # the two are first: what fails them has written nothing
    assert asked[:2] == [("PutObject", "metadata/1.snapshot.json", "If-None-Match"), ("PutObject", BUNDLE, "If-Match")]
    assert result.requests["PUT"] == 12 + 2
    assert len(asked) == 12 + 2
    assert s3_published.objects().items() >= {k: v for k, v in before.items() if ".snapshot." in k}.items()
    assert s3_published.reader().versions("acme/slack") == ["1.1.0", "1.0.0"]


def test_a_publish_without_changes_tries_nothing(s3_published: S3Registry) -> None:
    s3_published.publish("acme/slack")
    s3_published.proxy.seen.clear()
    assert not s3_published.publish("acme/slack").committed
    assert s3_published.asked() == []
    assert publish_realm(s3_published.publisher(s3_published.through()), dry_run=True).requests["PUT"] == 0


def test_a_first_publish_proves_it_on_a_bundle_that_it_creates(s3_registry: S3Registry) -> None:
    s3_registry.publish()
    once, again, match, *others = s3_registry.asked()
    assert once == again == ("PutObject", BUNDLE, "If-None-Match")
    assert match == ("PutObject", BUNDLE, "If-Match")
    assert others[-1][1] != BUNDLE
    # twice more past that: nothing there was left behind of what was tried
    assert Counter(key for _, key, _ in others)[BUNDLE] == 1
    assert s3_registry.reader().versions("acme/slack") == ["1.0.0"]


def test_a_bundle_that_is_not_there_proves_it_too(s3_published: S3Registry) -> None:
    """As a publish that died right after its commit leaves it: S3 answers 404 to a swap with nothing."""
    inventory_of(s3_published.direct()).delete(BUNDLE)
    assert s3_published.publish("acme/slack").committed
    assert ("PutObject", BUNDLE, "If-Match") in s3_published.asked()


@pytest.mark.parametrize("condition", list(CONDITIONS))
@pytest.mark.parametrize("first", [True, False], ids=["first publish", "update"])
def test_attack_a_store_that_ignores_a_condition(s3_registry: S3Registry, condition: str, first: bool) -> None:
    """Attack: none is needed. Of two publishers at once both would report success, and one would be undone."""
    if not first:
        s3_registry.publish(direct=True)
        s3_registry.tree.release("acme/slack", "1.1.0")
    before = s3_registry.objects()
    s3_registry.proxy.before.append(ignore(CONDITIONS[condition]))
    with pytest.raises(ConditionsIgnoredError, match=f"ignores {condition}:") as caught:
        s3_registry.publish()
    assert caught.value.exit_code == 5
    assert "conditional writes" in (caught.value.hint or "")
    after = s3_registry.objects()
    if first:
        assert set(after) == {BUNDLE}  # no reader finds a registry there
    else:
        assert after == before
        assert s3_registry.reader().versions("acme/slack") == ["1.0.0"]


def test_attack_the_same_while_a_refresh_runs(s3_published: S3Registry) -> None:
    before = s3_published.objects()
    s3_published.proxy.before.append(ignore("if-match"))
    publisher = s3_published.publisher(s3_published.through())
    late = publisher.clock().replace(year=publisher.clock().year + 1)
    publisher.clock = lambda: late
    publisher.allow_expired = True
    with pytest.raises(ConditionsIgnoredError):
        refresh_realm(publisher, online_only=True)
    assert s3_published.objects() == before
    s3_published.proxy.before.clear()
    s3_published.proxy.seen.clear()
    refreshed = refresh_realm(publisher, online_only=True)
    assert refreshed.committed
    assert s3_published.asked()[:2] == [
        ("PutObject", "metadata/1.snapshot.json", "If-None-Match"),
        ("PutObject", BUNDLE, "If-Match"),
    ]


def test_another_write_under_way_is_waited_for(s3_published: S3Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    """409 says that another writes the same object just now: neither that the condition holds nor that it doesn't."""
    monkeypatch.setattr(s3_module, "_CONFLICT_DELAY_S", 0)
    s3_published.proxy.before.append(refuse(f"*/{BUNDLE}", 409, "ConditionalRequestConflict", times=3))
    assert s3_published.publish("acme/slack").committed
    assert s3_published.asked()[1:5] == [("PutObject", BUNDLE, "If-Match")] * 4
    assert s3_published.reader().versions("acme/slack") == ["1.1.0", "1.0.0"]


def test_what_proves_nothing_is_said_as_what_it_is(s3_published: S3Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(s3_module, "_CONFLICT_DELAY_S", 0)
    before = s3_published.objects()
    for status, code, helps in [
        (403, "AccessDenied", "s3:PutObject"),
        (409, "ConditionalRequestConflict", "publish again"),
        (501, "NotImplemented", "conditional writes"),
    ]:
        s3_published.proxy.before[:] = [refuse(f"*/{BUNDLE}", status, code)]
        with pytest.raises(UnavailableError, match=code) as caught:
            s3_published.publish("acme/slack")
        assert not isinstance(caught.value, ConditionsIgnoredError)
        assert helps in (caught.value.hint or "")
        assert s3_published.objects() == before


def test_it_is_proved_once_however_many_races_are_lost(s3_published: S3Registry) -> None:
    lost: list[str] = []

    def beaten(passing: Passing) -> Answer | None:
        if passing.operation == "PutObject" and passing.key.endswith("/timestamp.json") and not lost:
            lost.append(passing.key)
            s3_published.tree.release("acme/mail", "0.2.0")
            s3_published.publish("acme/mail", direct=True)
        return None

    s3_published.proxy.before.append(beaten)
    result = s3_published.publish("acme/slack")
    assert result.attempts == 2
    keys = Counter((key, condition) for _, key, condition in s3_published.asked())
    assert keys[BUNDLE, "If-Match"] == 1
    assert keys["metadata/1.snapshot.json", "If-None-Match"] == 1
    assert s3_published.reader().catalog() == {"acme/slack": "1.1.0", "acme/mail": "0.2.0"}


def test_a_folder_is_not_tried(tree: Tree) -> None:
    publish_realm(open_publisher(tree.load(), "public"))
    tree.release("acme/slack", "1.1.0")
    assert publish_realm(open_publisher(tree.load("acme/slack"), "public")).requests["PUT"] == 12
