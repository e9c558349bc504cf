"""Each publish proves that the store refuses what it must: what that costs, and what happens where it doesn't."""

from __future__ import annotations

import secrets
from collections import Counter
from typing import TYPE_CHECKING

import pytest
from support.s3_proxy import Answer, Passing, S3Proxy, ignore, refuse
from support.source_trees import Tree
from support.stock_client import StockClient

from registry_builder.publication.context import Publisher, open_publisher
from registry_builder.publication.publish import PublishResult, publish_realm
from registry_builder.publication.refresh import refresh_realm
from registry_builder.storage import ConditionsIgnoredError, Storage, open_storage
from registry_builder.storage import s3 as s3_module
from registry_builder.storage.listing import inventory_of
from sealdex.errors import UnavailableError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.s3_server import S3Server

BUNDLE = "metadata/recent.bundle"
CONDITIONS = {"If-None-Match": "if-none-match", "If-Match": "if-match"}


class Registry:
    """A source tree, and its place in S3 as the server has it and as it looks through a proxy."""

    def __init__(self, tree: Tree, server: S3Server, bucket: str, proxy: S3Proxy) -> None:
        self.tree, self.proxy, self._server, self._bucket = tree, proxy, server, bucket
        self._prefix = secrets.token_hex(4)

    def direct(self) -> Storage:
        endpoint = f"?endpoint_url={self._server.endpoint}&region=us-east-1"
        return open_storage(f"s3://{self._bucket}/{self._prefix}{endpoint}", base=self.tree.root)

    def through(self) -> Storage:
        return open_storage(self.proxy.uri(self._bucket, self._prefix), base=self.tree.root)

    def publisher(self, storage: Storage, *only: str) -> Publisher:
        return open_publisher(self.tree.load(*only), "public", storage=storage, workers=1)

    def publish(self, *only: str, direct: bool = False) -> PublishResult:
        return publish_realm(self.publisher(self.direct() if direct else self.through(), *only))

    def reader(self) -> StockClient:
        return StockClient(self.direct(), (self.tree.root / "trust/public/1.root.json").read_bytes())

    def objects(self) -> dict[str, str]:
        """Return the key and the ETag of everything that is stored."""
        found = self._server.client().list_objects_v2(Bucket=self._bucket, Prefix=f"{self._prefix}/")
        return {each["Key"].partition("/")[2]: each["ETag"] for each in found.get("Contents", [])}

    def asked(self) -> list[tuple[str, str, str]]:
        """Return operation, key and condition of every write that came to the proxy."""
        return [
            (p.operation, p.key.partition("/")[2], next((n for n, h in CONDITIONS.items() if h in p.headers), ""))
            for p in self.proxy.seen
            if p.method not in {"GET", "HEAD"}
        ]


@pytest.fixture
def registry(tree: Tree, s3_server: S3Server, s3_bucket: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Registry]:
    for name, value in s3_server.environment.items():
        monkeypatch.setenv(name, value)
    with S3Proxy(s3_server) as proxy:
        yield Registry(tree, s3_server, s3_bucket, proxy)


@pytest.fixture
def published(registry: Registry) -> Registry:
    registry.publish(direct=True)
    registry.tree.release("acme/slack", "1.1.0")
    return registry


def test_a_publish_proves_it_by_two_puts_that_are_refused(published: Registry) -> None:
    before = published.objects()
    result = published.publish("acme/slack")
    asked = published.asked()
    # the two are first: what fails them has written nothing
    assert asked[:2] == [("PutObject", "metadata/1.snapshot.json", "If-None-Match"), ("PutObject", BUNDLE, "If-Match")]
    assert result.requests["PUT"] == 12 + 2
    assert len(asked) == 12 + 2
    assert published.objects().items() >= {k: v for k, v in before.items() if ".snapshot." in k}.items()
    assert published.reader().versions("acme/slack") == ["1.1.0", "1.0.0"]


def test_a_publish_without_changes_tries_nothing(published: Registry) -> None:
    published.publish("acme/slack")
    published.proxy.seen.clear()
    assert not published.publish("acme/slack").committed
    assert published.asked() == []
    assert publish_realm(published.publisher(published.through()), dry_run=True).requests["PUT"] == 0


def test_a_first_publish_proves_it_on_a_bundle_that_it_creates(registry: Registry) -> None:
    registry.publish()
    once, again, match, *others = registry.asked()
    assert once == again == ("PutObject", BUNDLE, "If-None-Match")
    assert match == ("PutObject", BUNDLE, "If-Match")
    assert others[-1][1] != BUNDLE
    # twice more past that: nothing there was left behind of what was tried
    assert Counter(key for _, key, _ in others)[BUNDLE] == 1
    assert registry.reader().versions("acme/slack") == ["1.0.0"]


def test_a_bundle_that_is_not_there_proves_it_too(published: Registry) -> None:
    """As a publish that died right after its commit leaves it: S3 answers 404 to a swap with nothing."""
    inventory_of(published.direct()).delete(BUNDLE)
    assert published.publish("acme/slack").committed
    assert ("PutObject", BUNDLE, "If-Match") in published.asked()


@pytest.mark.parametrize("condition", list(CONDITIONS))
@pytest.mark.parametrize("first", [True, False], ids=["first publish", "update"])
def test_attack_a_store_that_ignores_a_condition(registry: Registry, condition: str, first: bool) -> None:
    """Attack: none is needed. Of two publishers at once both would report success, and one would be undone."""
    if not first:
        registry.publish(direct=True)
        registry.tree.release("acme/slack", "1.1.0")
    before = registry.objects()
    registry.proxy.before.append(ignore(CONDITIONS[condition]))
    with pytest.raises(ConditionsIgnoredError, match=f"ignores {condition}:") as caught:
        registry.publish()
    assert caught.value.exit_code == 5
    assert "conditional writes" in (caught.value.hint or "")
    after = registry.objects()
    if first:
        assert set(after) == {BUNDLE}  # no reader finds a registry there
    else:
        assert after == before
        assert registry.reader().versions("acme/slack") == ["1.0.0"]


def test_attack_the_same_while_a_refresh_runs(published: Registry) -> None:
    before = published.objects()
    published.proxy.before.append(ignore("if-match"))
    publisher = published.publisher(published.through())
    late = publisher.clock().replace(year=publisher.clock().year + 1)
    publisher.clock = lambda: late
    publisher.allow_expired = True
    with pytest.raises(ConditionsIgnoredError):
        refresh_realm(publisher, online_only=True)
    assert published.objects() == before
    published.proxy.before.clear()
    published.proxy.seen.clear()
    refreshed = refresh_realm(publisher, online_only=True)
    assert refreshed.committed
    assert published.asked()[:2] == [
        ("PutObject", "metadata/1.snapshot.json", "If-None-Match"),
        ("PutObject", BUNDLE, "If-Match"),
    ]


def test_another_write_under_way_is_waited_for(published: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    """409 says that another writes the same object just now: neither that the condition holds nor that it doesn't."""
    monkeypatch.setattr(s3_module, "_CONFLICT_DELAY_S", 0)
    published.proxy.before.append(refuse(f"*/{BUNDLE}", 409, "ConditionalRequestConflict", times=3))
    assert published.publish("acme/slack").committed
    assert published.asked()[1:5] == [("PutObject", BUNDLE, "If-Match")] * 4
    assert published.reader().versions("acme/slack") == ["1.1.0", "1.0.0"]


@pytest.mark.parametrize(
    ("status", "code", "helps"),
    [(403, "AccessDenied", "s3:PutObject"), (409, "ConditionalRequestConflict", "publish again"),
     (501, "NotImplemented", "conditional writes")],
)  # fmt: skip
def test_what_proves_nothing_is_said_as_what_it_is(
    published: Registry, monkeypatch: pytest.MonkeyPatch, status: int, code: str, helps: str
) -> None:
    monkeypatch.setattr(s3_module, "_CONFLICT_DELAY_S", 0)
    before = published.objects()
    published.proxy.before.append(refuse(f"*/{BUNDLE}", status, code))
    with pytest.raises(UnavailableError, match=code) as caught:
        published.publish("acme/slack")
    assert not isinstance(caught.value, ConditionsIgnoredError)
    assert helps in (caught.value.hint or "")
    assert published.objects() == before


def test_it_is_proved_once_however_many_races_are_lost(published: Registry) -> None:
    lost: list[str] = []

    def beaten(passing: Passing) -> Answer | None:
        if passing.operation == "PutObject" and passing.key.endswith("/timestamp.json") and not lost:
            lost.append(passing.key)
            published.tree.release("acme/mail", "0.2.0")
            published.publish("acme/mail", direct=True)
        return None

    published.proxy.before.append(beaten)
    result = published.publish("acme/slack")
    assert result.attempts == 2
    keys = Counter((key, condition) for _, key, condition in published.asked())
    assert keys[BUNDLE, "If-Match"] == 1
    assert keys["metadata/1.snapshot.json", "If-None-Match"] == 1
    assert published.reader().catalog() == {"acme/slack": "1.1.0", "acme/mail": "0.2.0"}


def test_a_folder_is_not_tried(tree: Tree) -> None:
    publish_realm(open_publisher(tree.load(), "public"))
    tree.release("acme/slack", "1.1.0")
    assert publish_realm(open_publisher(tree.load("acme/slack"), "public")).requests["PUT"] == 12
