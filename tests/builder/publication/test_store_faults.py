"""Stores and proxies that go wrong in the middle of a publish: it succeeds whole, or nothing of it is visible."""

from __future__ import annotations

import re
import threading
from typing import TYPE_CHECKING

import pytest
from support.fake_time import sleep_in_no_time
from support.s3_proxy import Answer, Passing, S3Proxy, ignore, refusal, refuse, rewrite_tags
from support.s3_registry import S3Registry

from registry_builder.storage import ConditionsIgnoredError
from sealdex.errors import SealdexError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable

TIMESTAMP = "*/metadata/timestamp.json"
OLD, NEW = {"acme/slack": "1.0.0", "acme/mail": "0.1.0"}, {"acme/slack": "1.1.0", "acme/mail": "0.1.0"}


@pytest.fixture(autouse=True)
def without_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    # between attempts, of botocore's too
    sleep_in_no_time(
        monkeypatch, "botocore.endpoint", "registry_builder.publication.publish", "registry_builder.storage.s3"
    )


def check_failed(registry: S3Registry, before: dict[str, str], error: SealdexError) -> None:
    """Nothing of it is visible, and what was there is as it was."""
    assert error.message.count("\n") == 0
    assert registry.reader().catalog() == OLD
    after = registry.objects()
    assert {key: after[key] for key in before} == before


REFUSALS = [
    (301, "PermanentRedirect", "<Endpoint>127.0.0.1:9</Endpoint>", "region=NAME"),
    (409, "ConditionalRequestConflict", "", "publish again"),
    (503, "SlowDown", "", "rate-limiting"),
    (400, "ExpiredToken", "", "log in again"),
    (501, "NotImplemented", "<Header>x-amz-checksum-sha256</Header>", "x-amz-checksum-sha256"),
]


@pytest.mark.slow
def test_a_refusal_in_the_middle_is_said_and_nothing_is_half_visible(s3_published: S3Registry) -> None:
    """One registry for all of them, each of which leaves it as it was; the publish after the last needs no help."""
    before = s3_published.objects()
    for status, code, more, helps in REFUSALS:
        for moment in ("*/plugins/acme/slack/1.1.0/*.bin", TIMESTAMP):
            s3_published.proxy.before[:] = [refuse(moment, status, code, more=more)]
            with pytest.raises(UnavailableError, match=code) as caught:
                s3_published.publish("acme/slack")
            assert helps in (caught.value.hint or "")
            assert s3_published.prefix in caught.value.message
            check_failed(s3_published, before, caught.value)
    s3_published.proxy.before.clear()
    assert s3_published.publish("acme/slack").committed
    assert s3_published.reader().catalog() == NEW


def test_what_passes_is_waited_for(s3_published: S3Registry) -> None:
    for number, (status, code) in enumerate([(409, "ConditionalRequestConflict"), (503, "SlowDown")], 1):
        s3_published.tree.release("acme/slack", f"1.{number}.1")
        moments = (f"*/metadata/{number + 1}.snapshot.json", TIMESTAMP)
        s3_published.proxy.before[:] = [refuse(moment, status, code, times=2) for moment in moments]
        result = s3_published.publish("acme/slack")
        assert (result.attempts, result.warnings) == (1, [])
        assert s3_published.reader().versions("acme/slack")[0] == f"1.{number}.1"


@pytest.mark.parametrize("spell", ["W/{}".format, lambda tag: tag.strip('"')], ids=["weak", "unquoted"])
def test_a_proxy_that_spells_tags_otherwise_costs_nothing(
    s3_published: S3Registry, spell: Callable[[str], str]
) -> None:
    s3_published.proxy.after.append(rewrite_tags(spell))
    result = s3_published.publish("acme/slack")
    assert (result.attempts, result.requests["PUT"], result.warnings) == (1, 12 + 2, [])
    assert s3_published.reader().catalog() == NEW


def test_a_proxy_that_gives_another_tag_each_time_is_named(s3_published: S3Registry) -> None:
    """As one that makes tags of its own: none of them is the store's, so none swaps."""
    before = s3_published.objects()
    s3_published.proxy.after.append(rewrite_tags(lambda _: '"made-by-the-proxy"'))
    with pytest.raises(UnavailableError, match="ETag") as caught:
        s3_published.publish("acme/slack")
    assert sum(key.endswith("timestamp.json") for op, key, _ in s3_published.asked()) == 1
    check_failed(s3_published, before, caught.value)


# --- the answer to the commit is lost ---------------------------------------------------------------------------------


def lose_answers(proxy: S3Proxy, *methods: str) -> None:
    """Let requests about timestamp.json through, and answer 500 whatever came of them, once it was to be swapped."""
    begun: list[bool] = []

    def after(passing: Passing, answer: Answer) -> None:
        if not passing.key.endswith("/metadata/timestamp.json"):
            return
        begun.extend([True] if passing.method == "PUT" else [])
        if begun and passing.method in methods:
            lost = refusal(500, "InternalError")
            answer.status, answer.headers, answer.body = lost.status, lost.headers, lost.body

    proxy.after.append(after)


def test_a_commit_whose_answer_is_lost_is_found_done(s3_published: S3Registry) -> None:
    lose_answers(s3_published.proxy, "PUT")
    result = s3_published.publish("acme/slack")
    assert (result.committed, result.attempts) == (True, 1)
    assert s3_published.reader().catalog() == NEW


def test_a_commit_that_nobody_can_ask_about_is_not_called_undone(s3_published: S3Registry) -> None:
    lose_answers(s3_published.proxy, "PUT", "HEAD")
    with pytest.raises(UnavailableError, match="InternalError") as caught:
        s3_published.publish("acme/slack")
    assert s3_published.reader().catalog() == NEW
    assert "not changed" not in str(caught.value.untouched)
    assert "it isn't known which" in str(caught.value.untouched)
    s3_published.proxy.after.clear()
    assert not s3_published.publish().committed  # it finds out, and writes bundle and pages
    assert "1.1.0" in s3_published.direct().get("acme/slack/index.html", max_bytes=1_000_000).data.decode()


def test_what_fails_past_the_commit_is_a_warning(s3_published: S3Registry) -> None:
    s3_published.proxy.before.append(refuse("*/index.html", 503, "SlowDown"))
    result = s3_published.publish("acme/slack")
    assert result.committed
    assert any("bundle or pages could not be written" in warning for warning in result.warnings)
    assert s3_published.reader().catalog() == NEW


# --- two publishers through a proxy that ignores conditions -----------------------------------------------------------


def test_attack_two_publishers_at_once_never_both_report_success(s3_published: S3Registry) -> None:
    """Before, both did, and one of the plugins was gone."""
    registry = s3_published
    registry.tree.release("acme/mail", "0.2.0")
    registry.proxy.before.append(ignore("if-match", "if-none-match"))
    barrier, outcomes = threading.Barrier(2), dict[str, object]()

    def publish(plugin: str) -> None:
        publisher = registry.publisher(registry.through(), plugin)
        barrier.wait()
        try:
            outcomes[plugin] = registry.publish_as(publisher)
        except SealdexError as error:
            outcomes[plugin] = error

    threads = [threading.Thread(target=publish, args=(plugin,)) for plugin in OLD]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {type(outcome) for outcome in outcomes.values()} == {ConditionsIgnoredError}
    assert registry.reader().catalog() == OLD
    assert not [key for key in registry.objects() if re.search(r"metadata/2\.", key)]


# --- answers that no S3 server gives ----------------------------------------------------------------------------------


def instead(method: str, part: str, body: bytes) -> Callable[[Passing], Answer | None]:
    """Answer 200 in the store's place, without a tag, as a proxy with a login page does."""

    def before(passing: Passing) -> Answer | None:
        if passing.method != method or part not in passing.key:
            return None
        return Answer(200, {"content-type": "text/html", "content-length": str(len(body))}, body)

    return before


def without_tags(method: str, part: str) -> Callable[[Passing, Answer], None]:
    def after(passing: Passing, answer: Answer) -> None:
        if passing.method == method and part in passing.key:
            answer.headers.pop("etag", None)

    return after


@pytest.mark.parametrize("place", [("GET", "timestamp"), ("GET", "snapshot"), ("PUT", "/index/"), ("PUT", "timestamp")])
def test_a_login_page_in_the_stores_place_is_not_the_store(s3_published: S3Registry, place: tuple[str, str]) -> None:
    before = s3_published.objects()
    s3_published.proxy.before[:] = [instead(*place, b"<html>log in</html>")]
    with pytest.raises(UnavailableError, match="without an ETag") as caught:
        s3_published.publish("acme/slack")
    assert "not that of an S3 server" in (caught.value.hint or "")
    check_failed(s3_published, before, caught.value)


def test_a_proxy_that_drops_tags_of_writes_is_asked_what_came_of_them(s3_published: S3Registry) -> None:
    s3_published.proxy.after.append(without_tags("PUT", ""))
    result = s3_published.publish("acme/slack")
    assert (result.committed, result.warnings) == (True, [])
    assert s3_published.reader().catalog() == NEW
