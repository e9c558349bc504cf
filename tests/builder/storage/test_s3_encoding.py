"""Documents and pages stored gzipped on S3: readers see the header, the builder plain bytes, and bombs are cut off."""

from __future__ import annotations

import gzip
import os
import tracemalloc
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from urllib.request import urlopen

import pytest
from support.s3_server import S3Server

from registry_builder.storage import (
    Body,
    ObjectConflictError,
    ObjectTooLargeError,
    PutOutcome,
    headers_for,
    open_storage,
)
from registry_builder.storage._gzip import decoded, encoded, gzipped, is_encodable
from registry_builder.storage.s3 import S3Storage
from sealdex.errors import ConfigError

KEY = f"targets/index/acme/{'0' * 64}.slack.json"
TEXT = b'{"namespace":"acme","name":"slack"}' * 200


def body(data: bytes, key: str = KEY) -> Body:
    return Body.of_bytes(data, headers_for(key))


def opened(uri: str, *, encode: bool = True) -> S3Storage:
    storage = open_storage(f"{uri}&encode=gzip" if encode else uri, base=Path())
    assert isinstance(storage, S3Storage)
    return storage


@pytest.fixture
def storage(s3_uri: str) -> S3Storage:
    return opened(s3_uri)


def put_raw(storage: S3Storage, data: bytes, key: str = KEY) -> None:
    """Store what the attacker likes, as gzip."""
    client, bucket, prefix = storage.raw()
    client.put_object(Bucket=bucket, Key=prefix + key, Body=data, ContentEncoding="gzip")


@pytest.mark.parametrize(
    ("key", "yes"),
    [
        (KEY, True),
        (f"targets/catalog/{'0' * 64}.000.json", True),
        ("index.html", True),
        ("acme/slack/index.html", True),
        ("assets/search.0123abcd.js", True),
        ("feed.xml", True),
        ("metadata/timestamp.json", False),
        ("metadata/12.snapshot.json", False),
        ("metadata/recent.bundle", False),
        ("plugins/acme/slack/1.0.0/manifest.json", False),
        ("plugins/acme/slack/1.0.0/page.html", False),
        ("assets/font.0123abcd.woff2", False),
        ("assets/logo.0123abcd.png", False),
    ],
)
def test_what_is_encoded(key: str, yes: bool) -> None:
    assert is_encodable(key) == yes
    assert (encoded(key, body(TEXT, key)).encoding == "gzip") == yes


def test_what_is_small_or_saves_nothing_stays_plain() -> None:
    assert encoded(KEY, body(TEXT[:1399])).encoding is None
    assert encoded(KEY, body(os.urandom(10_000))).encoding is None


def test_the_same_bytes_give_the_same_bytes_and_say_nothing_of_when_and_where() -> None:
    one, two = gzipped(body(TEXT)), gzipped(body(TEXT))
    assert one == two
    assert one.data is not None
    assert one.data[:8] == bytes([0x1F, 0x8B, 8, 0, 0, 0, 0, 0])  # no name, no time (RFC 1952, section 2.3)
    assert gzip.decompress(one.data) == TEXT


def test_readers_get_it_encoded_and_the_builder_plain(storage: S3Storage, s3_server: S3Server) -> None:
    assert storage.put_new(KEY, body(TEXT)) is PutOutcome.CREATED
    address = f"{s3_server.endpoint}/{storage.description.removeprefix('s3://')}/{KEY}"
    with urlopen(address) as answer:
        assert answer.headers["Content-Encoding"] == "gzip"
        assert (answer.headers["Content-Type"], answer.headers["Cache-Control"]) == headers_for(KEY)
        assert gzip.decompress(answer.read()) == TEXT
    assert storage.get(KEY, max_bytes=len(TEXT)).data == TEXT
    assert storage.bytes_put < len(TEXT) / 5
    with pytest.raises(ObjectTooLargeError):
        storage.get(KEY, max_bytes=len(TEXT) - 1)


def test_the_same_again_costs_a_look_and_other_bytes_are_a_conflict(storage: S3Storage) -> None:
    storage.put_new(KEY, body(TEXT))
    storage.requests.clear()
    assert storage.put_new(KEY, body(TEXT)) is PutOutcome.ALREADY_THERE
    assert not storage.put_mutable(KEY, body(TEXT), only_if_changed=True)
    assert storage.requests == Counter(PUT=1, HEAD=2)
    for other in (TEXT.replace(b"slack", b"smack"), TEXT + TEXT):
        with pytest.raises(ObjectConflictError):
            storage.put_new(KEY, body(other))
    assert storage.get(KEY, max_bytes=len(TEXT)).data == TEXT


def test_switching_it_on_or_off_writes_nothing_twice(s3_uri: str) -> None:
    plain, encoding = opened(s3_uri, encode=False), opened(s3_uri)
    plain.put_new(KEY, body(TEXT))
    assert encoding.put_new(KEY, body(TEXT)) is PutOutcome.ALREADY_THERE
    assert not encoding.put_mutable(KEY, body(TEXT), only_if_changed=True)
    encoding.put_new("index.html", body(TEXT, "index.html"))
    assert plain.get("index.html", max_bytes=len(TEXT)).data == TEXT
    assert not plain.put_mutable("index.html", body(TEXT, "index.html"), only_if_changed=True)
    assert plain.put_mutable("index.html", body(TEXT + b" ", "index.html"), only_if_changed=True)


def test_what_another_version_of_zlib_encoded_is_read_and_compared(storage: S3Storage) -> None:
    put_raw(storage, gzip.compress(TEXT, 1))
    assert storage.put_new(KEY, body(TEXT)) is PutOutcome.ALREADY_THERE
    assert storage.requests["GET"] == 1
    with pytest.raises(ObjectConflictError):
        storage.put_new(KEY, body(TEXT.replace(b"slack", b"smack")))


@pytest.mark.parametrize("allowed", [1000, 100_000])
def test_a_bomb_is_cut_off_before_it_unfolds(storage: S3Storage, allowed: int) -> None:
    """Attack: whoever can write to the bucket puts 64 MB of zeros, packed, in the place of a document."""
    put_raw(storage, gzip.compress(bytes(64 << 20)))
    tracemalloc.start()
    try:
        with pytest.raises(ObjectTooLargeError):
            storage.get(KEY, max_bytes=allowed)
        assert tracemalloc.get_traced_memory()[1] < 4 << 20
    finally:
        tracemalloc.stop()


def test_decoding_never_goes_beyond_what_is_asked_for() -> None:
    bomb = gzip.compress(bytes(64 << 20))
    tracemalloc.start()
    try:
        assert len(decoded(bomb, 1000)) == 1001
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("spoil", [
    lambda _: b"not gzip", lambda data: data[:-1], lambda data: data + b"more", lambda data: data[:-8] + bytes(8),
    lambda _: b"",
], ids=["no gzip", "cut short", "too long", "wrong checksum", "nothing"])  # fmt: skip
def test_what_is_no_gzip_is_handed_on_as_it_is_for_its_digest_to_be_refused(spoil: Callable[[bytes], bytes]) -> None:
    data = spoil(gzip.compress(TEXT))
    assert decoded(data, len(TEXT)) == data


def test_several_streams_are_not_one() -> None:
    """Attack: readers that stop after the first stream and readers that go on would see two documents in one object."""
    both = gzip.compress(b"one") + gzip.compress(b"two")
    assert decoded(both, 100) == both


@pytest.mark.parametrize("options", ["encode=br", "encode=", "encode=gzip&encode=gzip"])
def test_other_encodings_are_refused(options: str) -> None:
    with pytest.raises(ConfigError, match="can't publish to"):
        open_storage(f"s3://bucket/prefix?{options}", base=Path())
