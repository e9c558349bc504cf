"""``exclusive = true``: a lock object in front of a store that looks at no conditions."""

from __future__ import annotations

import os
import socket
import time
from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING

import msgspec
import pytest
from support.builder_cli import call, document
from support.s3_proxy import Answer, Passing, ignore
from support.s3_registry import S3Registry
from support.source_trees import Tree

from registry_builder.maintenance.audit import audit_realm
from registry_builder.maintenance.downloads.stats import Counted, publish_stats
from registry_builder.maintenance.gc import plan_gc
from registry_builder.maintenance.recovery import recover_realm
from registry_builder.publication.context import open_publisher
from registry_builder.publication.publish import publish_realm
from registry_builder.source.config import read_config
from registry_builder.storage import Storage, lock_object
from registry_builder.storage.forwarding import ForwardingStorage
from registry_builder.storage.headers import LOCK_KEY
from registry_builder.storage.lock_object import LEASE_S, LockDocument, LockedError, LockObject
from sealdex.errors import ConfigError, SealdexError
from sealdex.model.downloads import STATS_KEY, DownloadStats

if TYPE_CHECKING:
    from collections.abc import Callable


class Place:
    """A store without conditions, with a clock of its own."""

    description = "a store"

    def __init__(self) -> None:
        self.data: bytes | None = None
        self.age = timedelta()
        self.writes = 0

    def read_lock(self) -> tuple[bytes, timedelta] | None:
        return None if self.data is None else (self.data, self.age)

    def write_lock(self, data: bytes) -> None:
        self.data, self.age = data, timedelta()
        self.writes += 1

    def lock(self, holder: str, meanwhile: Callable[[], None] = lambda: None) -> LockObject:
        return LockObject(self, holder=holder, sleep=lambda _: meanwhile())


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock_object, "_SETTLE_S", 0)


@pytest.fixture
def exclusive(s3_registry: S3Registry) -> S3Registry:
    """A registry on a store that ignores conditions."""
    s3_registry.proxy.before.append(ignore("if-none-match", "if-match"))
    s3_registry.exclusive = True
    return s3_registry


# --- the lock itself --------------------------------------------------------------------------------------------------


def test_who_holds_it_is_named_with_time_and_with_what_frees_it() -> None:
    place = Place()
    place.lock("build-7, process 311").acquire()
    place.age = timedelta(seconds=100)
    with pytest.raises(LockedError, match="build-7, process 311 since 20") as caught:
        place.lock("build-8").acquire()
    held = msgspec.json.decode(place.data or b"", type=LockDocument)
    assert caught.value.exit_code == 1
    assert caught.value.untouched == "nothing was written"
    assert f"sealdex-builder unlock {held.id}" in (caught.value.hint or "")
    assert f"{LEASE_S - 100} s" in (caught.value.hint or "")


def test_it_is_free_once_given_back_and_when_its_time_is_over() -> None:
    place = Place()
    first = place.lock("first")
    first.acquire()
    first.release()
    second = place.lock("second")
    second.acquire()  # and is killed
    place.age = timedelta(seconds=LEASE_S)
    place.lock("third").acquire()
    with pytest.raises(LockedError, match="third"):
        second.check(now=True)
    second.release()  # not what it holds any more: it stays
    assert b"third" in (place.data or b"")


def test_of_two_that_write_it_at_once_one_goes_on() -> None:
    place = Place()
    second = place.lock("second")
    first = place.lock("first", meanwhile=lambda: second._write(LockDocument(id="0000abcd", holder="second")))
    with pytest.raises(LockedError, match="second"):
        first.acquire()
    with pytest.raises(AssertionError):
        first.check(now=False)


def test_it_is_renewed_while_a_long_publish_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    place, now = Place(), 1000.0
    clock = SimpleNamespace(monotonic=lambda: now, sleep=time.sleep)
    monkeypatch.setattr("registry_builder.storage.lock_object.time", clock)
    lock = place.lock("first")
    lock.acquire()
    lock.check(now=False)
    assert place.writes == 1
    now += LEASE_S / 2
    lock.check(now=False)
    assert place.writes == 2


def test_breaking_frees_the_one_that_was_seen_and_no_other() -> None:
    place = Place()
    place.lock("first").acquire()
    held = msgspec.json.decode(place.data or b"", type=LockDocument)
    with pytest.raises(SealdexError, match="locked by first"):
        place.lock("me").break_("00000000")
    assert place.lock("me").break_(held.id).holder == "first"
    with pytest.raises(SealdexError, match="not locked"):
        place.lock("me").break_(held.id)
    place.lock("second").acquire()


def test_a_lock_that_was_freed_under_its_publisher_is_said_so() -> None:
    place = Place()
    lock = place.lock("first")
    lock.acquire()
    place.lock("me").break_(msgspec.json.decode(place.data or b"", type=LockDocument).id)
    with pytest.raises(LockedError, match="was freed, or written over") as caught:
        lock.check(now=True)
    assert caught.value.untouched == "what is published was not changed"
    assert "unnamed" not in str(caught.value)


@pytest.mark.parametrize(("seconds", "is_held"), [(1 << 62, True), (-(1 << 62), False)])
def test_attack_a_lock_for_ever_is_over_after_a_day(seconds: int, is_held: bool) -> None:
    place = Place()
    place.data = msgspec.json.encode(LockDocument(id="0000abcd", holder="somebody", seconds=seconds))
    if is_held:
        with pytest.raises(LockedError, match="somebody"):
            place.lock("first").acquire()
    place.age = timedelta(days=1)
    place.lock("first").acquire()


def test_the_lock_names_no_host(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever reads the registry reads the lock, too."""
    for name in ("GITHUB_REPOSITORY", "GITHUB_RUN_ID"):
        monkeypatch.delenv(name, raising=False)
    place = Place()
    LockObject(place, sleep=lambda _: None).acquire()
    assert place.data is not None
    assert f'"holder":"process {os.getpid()}"'.encode() in place.data
    assert socket.gethostname().encode() not in place.data


def test_what_is_not_a_lock_locks_nothing() -> None:
    place = Place()
    place.data = b"<html>"
    place.lock("first").acquire()
    assert b"first" in place.data


# --- publishing -------------------------------------------------------------------------------------------------------


def test_a_store_without_conditions_is_published_to_under_the_lock(exclusive: S3Registry) -> None:
    exclusive.publish()
    exclusive.tree.release("acme/slack", "1.1.0")
    exclusive.proxy.seen.clear()
    assert exclusive.publish("acme/slack").committed
    assert exclusive.reader().versions("acme/slack") == ["1.1.0", "1.0.0"]
    asked = exclusive.asked()
    assert {condition for _, _, condition in asked} == {""}
    assert asked[0][1] == LOCK_KEY
    keys = [key for _, key, _ in asked]
    assert keys.count(LOCK_KEY) == 2  # taken, and given back
    assert len(keys) == 12 + 2
    exclusive.proxy.seen.clear()
    assert not exclusive.publish("acme/slack").committed
    assert exclusive.asked() == []


def test_attack_a_second_publisher_gets_nothing_through(exclusive: S3Registry) -> None:
    """Both through the store that ignores conditions: one reports success, the other that it is locked."""
    exclusive.publish()
    exclusive.tree.release("acme/slack", "1.1.0")
    exclusive.tree.release("acme/mail", "0.2.0")
    refused: list[str] = []

    def overtake(passing: Passing) -> Answer | None:
        if passing.method == "PUT" and passing.key.endswith("/timestamp.json") and not refused:
            refused.append("")
            with pytest.raises(LockedError) as caught:
                exclusive.publish("acme/mail")
            refused[0] = caught.value.message
        return None

    exclusive.proxy.before.append(overtake)
    assert exclusive.publish("acme/slack").committed
    assert "is locked by" in refused[0]
    assert exclusive.reader().catalog() == {"acme/slack": "1.1.0", "acme/mail": "0.1.0"}
    assert exclusive.publish("acme/mail").committed
    assert exclusive.reader().catalog() == {"acme/slack": "1.1.0", "acme/mail": "0.2.0"}


def test_a_publish_that_lost_the_lock_does_not_commit(exclusive: S3Registry) -> None:
    exclusive.publish()
    exclusive.tree.release("acme/slack", "1.1.0")
    taken: list[str] = []

    def take(passing: Passing) -> Answer | None:
        if passing.method == "PUT" and passing.key.endswith(".snapshot.json") and not taken:
            taken.append(passing.key)
            lock = exclusive.through().lock
            assert lock is not None
            lock._write(LockDocument(id="0000abcd", holder="another"))
        return None

    exclusive.proxy.before.append(take)
    with pytest.raises(LockedError, match="another"):
        exclusive.publish("acme/slack")
    assert exclusive.reader().versions("acme/slack") == ["1.0.0"]


def test_what_was_published_before_the_lock_was_taken_is_built_on(exclusive: S3Registry) -> None:
    exclusive.publish()
    exclusive.tree.release("acme/slack", "1.1.0")
    exclusive.tree.release("acme/mail", "0.2.0")
    overtaken: list[str] = []

    def overtake(passing: Passing) -> Answer | None:
        if passing.method == "GET" and passing.key.endswith(LOCK_KEY) and not overtaken:
            overtaken.append(passing.key)
            exclusive.publish("acme/mail")
        return None

    exclusive.proxy.before.append(overtake)
    assert exclusive.publish("acme/slack").attempts == 2
    assert exclusive.reader().catalog() == {"acme/slack": "1.1.0", "acme/mail": "0.2.0"}


def test_download_numbers_are_put_under_the_lock_too(exclusive: S3Registry) -> None:
    exclusive.publish()
    publisher = exclusive.publisher(exclusive.through())
    new = DownloadStats(1, "", "2026-11-20", "2026-11-20", {"acme/slack": {"1.0.0": {"2026-11-20": 3}}})
    counted = Counted(new, 1, 3, 0, 0, 0, (), frozenset({"acme/slack"}))
    exclusive.proxy.seen.clear()
    assert publish_stats(publisher, counted, days=30).plugins == new.plugins
    assert [key for _, key, _ in exclusive.asked()] == [LOCK_KEY, STATS_KEY, LOCK_KEY]
    lock = exclusive.through().lock
    assert lock is not None
    with lock.held(), pytest.raises(LockedError):
        publish_stats(publisher, counted, days=30)


def test_the_lock_is_no_stray_file(exclusive: S3Registry) -> None:
    exclusive.publish()
    publisher = exclusive.publisher(exclusive.through())
    assert audit_realm(publisher).unreached == ()
    plan = plan_gc(publisher, days=0, grace=0)
    assert {*plan.removable, *plan.marked} == set()


# --- the command ------------------------------------------------------------------------------------------------------


def write_exclusive(tree: Tree, uri: str) -> None:
    config = tree.root / "registry.toml"
    text = config.read_text()
    start = text.index("[realms.public]")
    end = text.index("\n", text.index("storage", start))
    config.write_text(f'{text[:start]}[realms.public]\nstorage = "{uri}"\nexclusive = true{text[end:]}')


def test_a_killed_publish_leaves_a_lock_that_a_person_can_break(
    exclusive: S3Registry, capsys: pytest.CaptureFixture[str]
) -> None:
    tree = exclusive.tree
    write_exclusive(tree, exclusive.proxy.uri(exclusive.bucket, exclusive.prefix))
    lock = open_publisher(tree.load(), "public").storage.lock
    assert lock is not None
    lock.acquire()  # and nobody gives it back
    assert call(tree.root, "publish") == 1
    said = capsys.readouterr().err
    assert "is locked by" in said
    found = document(tree.root, capsys, "unlock")["locks"]
    assert [each["held"] for each in found] == [True]
    assert f"unlock {found[0]['id']}\n" in said
    assert call(tree.root, "unlock", "00000000") == 2
    assert call(tree.root, "unlock", found[0]["id"]) == 0
    capsys.readouterr()
    assert document(tree.root, capsys, "unlock") == {"locks": []}
    assert call(tree.root, "publish") == 0
    assert exclusive.reader().versions("acme/slack") == ["1.0.0"]


def test_a_folder_has_a_lock_of_its_own(tree: Tree, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(tree.root, "unlock") == 2
    assert "exclusive" in capsys.readouterr().err
    write_exclusive(tree, "folder:../published/public")
    with pytest.raises(ConfigError, match=r"realms\.public\.exclusive"):
        read_config(tree.root)


class Locked(ForwardingStorage):
    """A storage with a lock of the test's own."""

    def __init__(self, storage: Storage, lock: LockObject) -> None:
        super().__init__(storage)
        self._own = lock

    @property
    def lock(self) -> LockObject:
        return self._own


def test_a_recovery_writes_nothing_while_somebody_else_publishes(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    publish_realm(open_publisher(tree.load(), "public"))
    place = Place()
    place.lock("build-7").acquire()
    tried: list[object] = []
    monkeypatch.setattr("registry_builder.maintenance.recovery.check_break_glass", tried.append)
    publisher = open_publisher(tree.load(), "public")
    locked = replace(publisher, storage=Locked(publisher.storage, place.lock("recovery")))
    with pytest.raises(LockedError, match="build-7"):
        recover_realm(locked, apply=True, not_stolen=("timestamp", "snapshot", "packages", "catalog"))
    assert tried == []
