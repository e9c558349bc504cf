"""What publishing relies on, held to by both storages: a real folder and a real S3 server."""

from __future__ import annotations

import hashlib
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from registry_builder.storage import (
    Body,
    FileChangedError,
    LostRaceError,
    ObjectConflictError,
    ObjectMissingError,
    ObjectTooLargeError,
    PutOutcome,
    headers_for,
)
from sealdex.errors import NotFoundError, UsageError, VerificationError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from registry_builder.storage import Storage

KEY = "targets/index/acme/aa.slack.json"
SWAPPED = "metadata/timestamp.json"
CONTENDERS = 16


def body(data: bytes, key: str = KEY) -> Body:
    return Body.of_bytes(data, headers_for(key))


def read(storage: Storage, key: str) -> bytes:
    return storage.get(key, max_bytes=1 << 20).data


def test_what_was_put_is_read_back(storage: Storage) -> None:
    assert storage.put_new(KEY, body(b"one")) is PutOutcome.CREATED
    assert read(storage, KEY) == b"one"


def test_an_empty_object_is_an_object(storage: Storage) -> None:
    storage.put_new(KEY, body(b""))
    assert read(storage, KEY) == b""


def test_a_name_with_unusual_characters_is_kept(storage: Storage) -> None:
    key = "plugins/acme/slack/1.0.0+build.7/a b%2e#?&=ü.zip"
    storage.put_new(key, body(b"one"))
    assert read(storage, key) == b"one"


def test_the_same_bytes_again_are_a_success(storage: Storage, open_again: Callable[[], Storage]) -> None:
    storage.put_new(KEY, body(b"one"))
    assert open_again().put_new(KEY, body(b"one")) is PutOutcome.ALREADY_THERE


def test_other_bytes_under_an_immutable_name_are_refused(storage: Storage) -> None:
    storage.put_new(KEY, body(b"one"))
    with pytest.raises(ObjectConflictError, match=KEY) as caught:
        storage.put_new(KEY, body(b"two"))  # of the same length, so only the content tells
    assert caught.value.untouched
    assert read(storage, KEY) == b"one"


def test_a_missing_object_is_said_to_be_missing(storage: Storage) -> None:
    with pytest.raises(ObjectMissingError, match=KEY) as caught:
        storage.get(KEY, max_bytes=10)
    assert isinstance(caught.value, NotFoundError)
    assert caught.value.key == KEY


def test_more_than_asked_for_is_not_read(storage: Storage) -> None:
    """Attack: whoever can write to the bucket replaces timestamp.json by endless data to exhaust the publisher."""
    storage.put_new(KEY, body(b"x" * 11))
    with pytest.raises(ObjectTooLargeError) as caught:
        storage.get(KEY, max_bytes=10)
    assert isinstance(caught.value, VerificationError)
    assert len(storage.get(KEY, max_bytes=11).data) == 11


def test_swap_with_the_tag_that_was_read(storage: Storage, open_again: Callable[[], Storage]) -> None:
    first = storage.put_if_match(SWAPPED, body(b"one"), None)
    stored = open_again().get(SWAPPED, max_bytes=100)
    assert (stored.data, stored.etag) == (b"one", first)
    second = storage.put_if_match(SWAPPED, body(b"two"), stored.etag)
    assert second != first
    assert storage.get(SWAPPED, max_bytes=100).etag == second


@pytest.mark.parametrize("case", ["stale tag", "exists", "gone"])
def test_a_swap_from_another_state_is_refused(storage: Storage, case: str) -> None:
    stale = storage.put_if_match(SWAPPED, body(b"one"), None)
    storage.put_if_match(SWAPPED, body(b"two"), stale)
    key, etag = {"stale tag": (SWAPPED, stale), "exists": (SWAPPED, None), "gone": ("metadata/x.json", stale)}[case]
    with pytest.raises(LostRaceError, match=key):
        storage.put_if_match(key, body(b"three"), etag)
    assert read(storage, SWAPPED) == b"two"
    with pytest.raises(ObjectMissingError):
        storage.get("metadata/x.json", max_bytes=10)


def test_a_swap_whose_answer_was_lost_is_recognised_when_repeated(storage: Storage) -> None:
    before = storage.put_if_match(SWAPPED, body(b"one"), None)
    after = storage.put_if_match(SWAPPED, body(b"two"), before)
    assert storage.put_if_match(SWAPPED, body(b"two"), before) == after


def test_pages_are_replaced_and_left_alone_when_unchanged(storage: Storage) -> None:
    assert storage.put_mutable("index.html", body(b"one"))
    assert storage.put_mutable("index.html", body(b"two"), only_if_changed=True)
    assert read(storage, "index.html") == b"two"
    puts = storage.requests["PUT"]
    assert not storage.put_mutable("index.html", body(b"two"), only_if_changed=True)
    assert storage.requests["PUT"] == puts
    assert storage.put_mutable("index.html", body(b"two"))


def test_requests_and_bytes_are_counted(storage: Storage) -> None:
    for number in range(3):
        storage.put_new(f"{KEY}.{number}", body(b"four"))
    storage.put_new(f"{KEY}.0", body(b"four"))
    assert storage.requests["PUT"] == 4
    assert storage.bytes_put == 12
    storage.get(f"{KEY}.0", max_bytes=10)
    assert storage.requests["GET"] == 1


def test_a_file_is_streamed(storage: Storage, tmp_path: Path) -> None:
    path = tmp_path / "archive.zip"
    path.write_bytes(os.urandom(3_000_001))
    outcome = storage.put_new("plugins/a/b/1.0.0/archive.zip", Body.of_file(path, headers_for("x.zip")))
    assert outcome is PutOutcome.CREATED
    stored = storage.get("plugins/a/b/1.0.0/archive.zip", max_bytes=4_000_000)
    assert stored.data == path.read_bytes()
    again = Body.of_file(path, headers_for("x.zip"), size=3_000_001, sha256=hashlib.sha256(stored.data).hexdigest())
    assert storage.put_new("plugins/a/b/1.0.0/archive.zip", again) is PutOutcome.ALREADY_THERE


@pytest.mark.parametrize("content", [b"TWO", b"longer than it was", b"", None])
def test_a_file_that_changed_is_not_published(storage: Storage, tmp_path: Path, content: bytes | None) -> None:
    """Attack: a writer in the build folder swaps an archive after it was hashed for the index."""
    path = tmp_path / "archive.zip"
    path.write_bytes(b"one")
    hashed = Body.of_file(path, headers_for("archive.zip"))
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content)
    with pytest.raises(FileChangedError):
        storage.put_new("plugins/a/b/1.0.0/archive.zip", hashed)
    with pytest.raises(ObjectMissingError):
        storage.get("plugins/a/b/1.0.0/archive.zip", max_bytes=100)


def test_one_of_many_creators_wins(open_again: Callable[[], Storage]) -> None:
    start = threading.Barrier(CONTENDERS)

    def contend(number: int) -> PutOutcome | ObjectConflictError:
        storage = open_again()
        start.wait()
        try:
            return storage.put_new(KEY, body(b"writer %d" % number))
        except ObjectConflictError as error:
            return error

    with ThreadPoolExecutor(CONTENDERS) as pool:
        results = list(pool.map(contend, range(CONTENDERS)))
    winners = [number for number, result in enumerate(results) if result is PutOutcome.CREATED]
    assert len(winners) == 1
    assert sum(isinstance(result, ObjectConflictError) for result in results) == CONTENDERS - 1
    assert read(open_again(), KEY) == b"writer %d" % winners[0]


@pytest.mark.parametrize("exists", [True, False])
def test_one_of_many_swappers_wins(open_again: Callable[[], Storage], exists: bool) -> None:
    etag = open_again().put_if_match(SWAPPED, body(b"start"), None) if exists else None
    start = threading.Barrier(CONTENDERS)

    def contend(number: int) -> str | LostRaceError:
        storage = open_again()
        start.wait()
        try:
            return storage.put_if_match(SWAPPED, body(b"writer %d" % number), etag)
        except LostRaceError as error:
            return error

    with ThreadPoolExecutor(CONTENDERS) as pool:
        results = list(pool.map(contend, range(CONTENDERS)))
    winners = [number for number, result in enumerate(results) if isinstance(result, str)]
    assert len(winners) == 1
    stored = open_again().get(SWAPPED, max_bytes=100)
    assert (stored.data, stored.etag) == (b"writer %d" % winners[0], results[winners[0]])


def test_one_storage_serves_many_threads(storage: Storage) -> None:
    with ThreadPoolExecutor(8) as pool:
        outcomes = list(pool.map(lambda n: storage.put_new(f"targets/{n}.json", body(b"%d" % n)), range(64)))
    assert outcomes == [PutOutcome.CREATED] * 64
    assert storage.requests["PUT"] == 64
    assert [read(storage, f"targets/{number}.json") for number in range(64)] == [b"%d" % n for n in range(64)]


TRAVERSALS = [
    "",
    "/etc/passwd",
    "../outside",
    "targets/../../outside",
    "targets/..",
    "..",
    ".",
    "./x",
    "targets/./x",
    "targets//x",
    "targets/",
    "..\\outside",
    "C:/outside",
    "C:outside",
    "x:stream",
    "\\\\host\\share",
    ".sealdex-tmp/lock",
    "targets/.hidden",
    "a\x00b",
    "a\nb",
    "a\udc80b",
    "x" * 256,
    "ü" * 128,
    "/".join(["x" * 200] * 6),
]


def test_no_name_leads_out_of_the_tree(storage: Storage, tmp_path: Path) -> None:
    """Attack: an author or a forged document names a file outside the tree; nothing is read or written there."""
    (tmp_path / "outside").write_bytes(b"secret")
    before = sorted(tmp_path.rglob("*"))
    for key in TRAVERSALS:
        with pytest.raises(UsageError):
            storage.get(key, max_bytes=100)
        with pytest.raises(UsageError):
            storage.put_new(key, body(b"evil"))
        with pytest.raises(UsageError):
            storage.put_if_match(key, body(b"evil"), None)
        for only_if_changed in (True, False):
            with pytest.raises(UsageError):
                storage.put_mutable(key, body(b"evil"), only_if_changed=only_if_changed)
    assert sorted(tmp_path.rglob("*")) == before
    assert (tmp_path / "outside").read_bytes() == b"secret"
    assert not storage.requests
