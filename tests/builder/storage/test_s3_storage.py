"""What only the S3 storage can get wrong: headers, parts, checksums, retries, and what it says when S3 refuses."""

from __future__ import annotations

import hashlib
import os
import tracemalloc
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.request import urlopen

import pytest
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders
from botocore.exceptions import ClientError
from support.fake_time import sleep_in_no_time

from registry_builder.storage import (
    Body,
    FileChangedError,
    LostRaceError,
    ObjectConflictError,
    ObjectMissingError,
    PutOutcome,
    _s3_client,
    _s3_parts,
    headers_for,
    open_storage,
)
from registry_builder.storage import s3 as s3_module
from registry_builder.storage._s3_errors import unavailable
from registry_builder.storage.headers import TIMESTAMP_KEY, disposition_for
from registry_builder.storage.s3 import S3Storage
from sealdex.cli.error_table import report
from sealdex.errors import UnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.s3_server import S3Server

KEY = "plugins/acme/slack/1.0.0/slack.zip"
MEBIBYTE = 1 << 20


@pytest.fixture
def storage(s3_uri: str) -> S3Storage:
    opened = open_storage(s3_uri, base=Path())
    assert isinstance(opened, S3Storage)
    return opened


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(s3_module, "MULTIPART_BYTES", 6 * MEBIBYTE)
    monkeypatch.setattr(_s3_parts, "PART_BYTES", 5 * MEBIBYTE)  # the least that S3 takes


@pytest.fixture
def large_file(tmp_path: Path) -> Path:
    path = tmp_path / "large.zip"
    path.write_bytes(os.urandom(12 * MEBIBYTE + 1))
    return path


def body(data: bytes, key: str = KEY) -> Body:
    return Body.of_bytes(data, headers_for(key))


def file_body(path: Path) -> Body:
    return Body.of_file(path, headers_for(KEY))


def uploads_of(storage: S3Storage, bucket: str) -> list[Any]:
    """Return what this storage left unfinished; publishers that other tests killed in this bucket left theirs."""
    found = storage._client.list_multipart_uploads(Bucket=bucket, Prefix=storage._prefix)
    return list(found.get("Uploads", []))


def answer_with(
    storage: S3Storage, status: int, code: str, *, times: int, verb: str = "PUT", more: str = ""
) -> list[int]:
    """Let the next ``times`` requests be answered by ``status`` without reaching the server; count them.

    For what SeaweedFS doesn't answer; botocore signs, retries, parses and raises as ever. ``more`` is XML.
    """
    answered: list[int] = []

    def intercept(request: Any, **_: Any) -> AWSResponse | None:
        if request.method != verb or len(answered) == times:
            return None
        answered.append(status)

        class Raw:
            @staticmethod
            def stream(**_: Any) -> list[bytes]:
                return [f"<Error><Code>{code}</Code><Message>said so</Message>{more}</Error>".encode()]

        return AWSResponse(request.url, status, HTTPHeaders(), Raw())

    events: Any = storage._client.meta.events  # its stubs know only handlers that return nothing
    events.register_last("before-send.s3", intercept)
    return answered


@pytest.mark.parametrize(
    "key",
    ["metadata/timestamp.json", "metadata/1.root.json", KEY, "acme/slack/index.html", "assets/site.0123abcd.js"],
)
def test_readers_get_the_headers_of_the_key(storage: S3Storage, s3_server: S3Server, key: str) -> None:
    storage.put_mutable(key, body(b"content", key))
    address = f"{s3_server.endpoint}/{storage.description.removeprefix('s3://')}/{key}"
    with urlopen(address) as answer:
        assert answer.read() == b"content"
        assert (answer.headers["Content-Type"], answer.headers["Cache-Control"]) == headers_for(key)
        assert answer.headers.get("Content-Disposition") == disposition_for(key)


def test_a_new_object_costs_one_request(storage: S3Storage) -> None:
    storage.put_new(KEY, body(b"one"))
    assert storage.requests == Counter(PUT=1)
    assert storage.put_new(KEY, body(b"one")) is PutOutcome.ALREADY_THERE
    assert storage.requests == Counter(PUT=2, HEAD=1)  # the server's own SHA-256 answers, nothing is read back


@pytest.mark.usefixtures("small_parts")
def test_a_large_file_goes_in_parts(storage: S3Storage, s3_bucket: str, s3_server: S3Server, large_file: Path) -> None:
    assert storage.put_new(KEY, file_body(large_file)) is PutOutcome.CREATED
    assert storage.requests == Counter(HEAD=1, POST=2, PUT=3)
    assert storage.get(KEY, max_bytes=1 << 30).data == large_file.read_bytes()
    address = f"{s3_server.endpoint}/{storage.description.removeprefix('s3://')}/{KEY}"
    with urlopen(address) as answer:
        assert (answer.headers["Content-Type"], answer.headers["Cache-Control"]) == headers_for(KEY)
    assert uploads_of(storage, s3_bucket) == []


@pytest.mark.usefixtures("small_parts")
def test_a_large_file_that_lies_there_is_neither_sent_nor_fetched_again(storage: S3Storage, large_file: Path) -> None:
    """As after a publish that died past this file: the server's hash of the parts' hashes says that it is the same."""
    storage.put_new(KEY, file_body(large_file))
    storage.requests.clear()
    assert storage.put_new(KEY, file_body(large_file)) is PutOutcome.ALREADY_THERE
    assert storage.requests == Counter(HEAD=1)


def test_a_large_file_in_parts_of_another_length_is_read_and_compared(
    storage: S3Storage, monkeypatch: pytest.MonkeyPatch, large_file: Path
) -> None:
    monkeypatch.setattr(s3_module, "MULTIPART_BYTES", 6 * MEBIBYTE)
    monkeypatch.setattr(_s3_parts, "PART_BYTES", 6 * MEBIBYTE)
    storage.put_new(KEY, file_body(large_file))
    monkeypatch.setattr(_s3_parts, "PART_BYTES", 5 * MEBIBYTE)
    storage.requests.clear()
    assert storage.put_new(KEY, file_body(large_file)) is PutOutcome.ALREADY_THERE
    assert storage.requests == Counter(HEAD=1, GET=1)


@pytest.mark.usefixtures("small_parts")
def test_another_large_file_of_the_same_length_is_a_conflict(storage: S3Storage, large_file: Path) -> None:
    """Attack: whoever can write to the bucket puts other bytes under the next artifact's name, in the same parts."""
    storage.put_new(KEY, file_body(large_file))
    large_file.write_bytes(os.urandom(large_file.stat().st_size))
    with pytest.raises(ObjectConflictError):
        storage.put_new(KEY, file_body(large_file))


@pytest.mark.usefixtures("small_parts")
def test_a_large_body_in_memory_goes_in_parts_too(storage: S3Storage) -> None:
    data = os.urandom(11 * MEBIBYTE)
    assert storage.put_new(KEY, body(data)) is PutOutcome.CREATED
    assert storage.get(KEY, max_bytes=1 << 30).data == data


@pytest.mark.usefixtures("small_parts")
def test_parts_never_replace_an_immutable_object(storage: S3Storage, s3_bucket: str, large_file: Path) -> None:
    storage.put_new(KEY, body(b"one"))
    with pytest.raises(ObjectConflictError, match=KEY):
        storage.put_new(KEY, file_body(large_file))
    assert storage.get(KEY, max_bytes=100).data == b"one"
    assert uploads_of(storage, s3_bucket) == []


@pytest.mark.usefixtures("small_parts")
def test_one_of_two_uploads_in_parts_wins(
    s3_uri: str, s3_bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both send their parts before either completes; who completes second is refused, and leaves no parts behind.

    One after the other: SeaweedFS itself lets both through, once in some thirty tries, when they complete at the same
    moment. AWS promises that it doesn't.
    """
    first, second = tmp_path / "first.zip", tmp_path / "second.zip"
    for path in (first, second):
        path.write_bytes(os.urandom(7 * MEBIBYTE))
    storage, other = open_storage(s3_uri, base=Path()), open_storage(s3_uri, base=Path())
    assert isinstance(storage, S3Storage)
    send = _s3_parts._put_all

    def send_and_be_overtaken(*arguments: Any) -> Any:
        sent = send(*arguments)
        monkeypatch.setattr(_s3_parts, "_put_all", send)
        assert other.put_new(KEY, file_body(second)) is PutOutcome.CREATED
        return sent

    monkeypatch.setattr(_s3_parts, "_put_all", send_and_be_overtaken)
    with pytest.raises(ObjectConflictError):
        storage.put_new(KEY, file_body(first))
    assert other.get(KEY, max_bytes=1 << 30).data == second.read_bytes()
    assert uploads_of(storage, s3_bucket) == []


@pytest.mark.usefixtures("small_parts")
def test_a_large_file_that_changed_is_not_completed(storage: S3Storage, s3_bucket: str, large_file: Path) -> None:
    """Attack: a writer in the build folder swaps an archive after it was hashed for the index."""
    hashed = file_body(large_file)
    with large_file.open("r+b") as file:
        file.seek(-1, os.SEEK_END)
        file.write(b"\x00" if large_file.read_bytes()[-1:] != b"\x00" else b"\x01")
    with pytest.raises(FileChangedError):
        storage.put_new(KEY, hashed)
    with pytest.raises(ObjectMissingError):
        storage.get(KEY, max_bytes=1 << 30)
    assert uploads_of(storage, s3_bucket) == []


@pytest.mark.parametrize("multipart", [False, True])
def test_a_file_is_never_whole_in_memory(
    storage: S3Storage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, multipart: bool
) -> None:
    if multipart:
        monkeypatch.setattr(s3_module, "MULTIPART_BYTES", MEBIBYTE)
        monkeypatch.setattr(_s3_parts, "PART_BYTES", 5 * MEBIBYTE)
    path = tmp_path / "large.zip"
    with path.open("wb") as file:
        file.truncate(60 * MEBIBYTE)
    hashed = file_body(path)
    tracemalloc.start()
    try:
        storage.put_new(KEY, hashed)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < (40 if multipart else 8) * MEBIBYTE  # parts: four on their way, one being read, some copies


def test_bytes_damaged_on_the_way_are_refused(storage: S3Storage) -> None:
    """Attack: someone on the way to the store changes a body; the checksum is what the signed index will say."""
    damaged = Body(b"two", None, 3, hashlib.sha256(b"one").hexdigest(), "text/plain", "no-cache")
    with pytest.raises(UnavailableError):
        storage.put_new(KEY, damaged)
    with pytest.raises(ObjectMissingError):
        storage.get(KEY, max_bytes=100)


def test_a_conflict_with_a_write_under_way_is_tried_again(storage: S3Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(s3_module, "_CONFLICT_DELAY_S", 0)
    answered = answer_with(storage, 409, "ConditionalRequestConflict", times=3)
    assert storage.put_new(KEY, body(b"one")) is PutOutcome.CREATED
    assert len(answered) == 3


@pytest.mark.usefixtures("small_parts")
def test_an_upload_that_is_gone_is_found_done(
    storage: S3Storage, monkeypatch: pytest.MonkeyPatch, large_file: Path
) -> None:
    monkeypatch.setattr(s3_module, "_CONFLICT_DELAY_S", 0)
    complete = storage._client.complete_multipart_upload

    def lose_the_answer(**arguments: Any) -> Any:
        complete(**arguments)
        return complete(**arguments)  # as botocore repeats what it got no answer to

    monkeypatch.setattr(storage._client, "complete_multipart_upload", lose_the_answer)
    assert storage.put_new(KEY, file_body(large_file)) in PutOutcome
    assert storage.get(KEY, max_bytes=1 << 30).data == large_file.read_bytes()


@pytest.mark.parametrize("spell", ["W/{}".format, lambda etag: etag.strip('"')], ids=["weak", "unquoted"])
def test_a_tag_that_a_proxy_spelt_otherwise_still_swaps(storage: S3Storage, spell: Callable[[str], str]) -> None:
    etag = storage.put_if_match(TIMESTAMP_KEY, body(b"one", TIMESTAMP_KEY), None)
    storage.put_if_match(TIMESTAMP_KEY, body(b"two", TIMESTAMP_KEY), spell(etag))
    assert storage.get(TIMESTAMP_KEY, max_bytes=10).data == b"two"
    with pytest.raises(LostRaceError):
        storage.put_if_match(TIMESTAMP_KEY, body(b"three", TIMESTAMP_KEY), spell(etag))
    assert storage.get(TIMESTAMP_KEY, max_bytes=10).data == b"two"


def test_a_store_that_refuses_its_own_tag_is_not_a_lost_race(storage: S3Storage) -> None:
    etag = storage.put_if_match(TIMESTAMP_KEY, body(b"one", TIMESTAMP_KEY), None)
    answered = answer_with(storage, 412, "PreconditionFailed", times=1000)
    with pytest.raises(UnavailableError) as caught:
        storage.put_if_match(TIMESTAMP_KEY, body(b"two", TIMESTAMP_KEY), etag)
    assert len(answered) == 1  # nothing is tried sixty times
    assert storage.description in caught.value.message
    assert "ETag" in (caught.value.hint or "")
    assert storage.get(TIMESTAMP_KEY, max_bytes=10).data == b"one"


def test_a_conflict_that_does_not_end_is_reported(storage: S3Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(s3_module, "_CONFLICT_DELAY_S", 0)
    answer_with(storage, 409, "ConditionalRequestConflict", times=1000)
    with pytest.raises(UnavailableError, match="ConditionalRequestConflict"):
        storage.put_new(KEY, body(b"one"))


def test_a_store_without_conditional_writes_is_named(storage: S3Storage) -> None:
    answer_with(storage, 501, "NotImplemented", times=1000)
    with pytest.raises(UnavailableError) as caught:
        storage.put_new(KEY, body(b"one"))
    assert "conditional writes" in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("status", "code", "more", "helps", "misleads"),
    [
        (400, "InvalidToken", "", "AWS_SESSION_TOKEN", "network"),
        (400, "ExpiredToken", "", "log in again", "network"),
        (400, "MissingContentMD5", "", "Content-MD5", "conditional"),
        (501, "NotImplemented", "<Header>x-amz-checksum-sha256</Header>", "x-amz-checksum-sha256", "conditional"),
        (501, "NotImplemented", "<Header>If-None-Match</Header>", "no conditional writes", "checksum"),
        (501, "NotImplemented", "", "x-amz-checksum-sha256", "network"),
        (403, "RequestTimeTooSkewed", "", "clock", "s3:PutObject"),
        (403, "AccessDenied", "", "s3:PutObject", "network"),
        (403, "SomethingOfTheirOwn", "", "s3:PutObject", "network"),
        (301, "PermanentRedirect", "", "region=NAME", "network"),
        (400, "AuthorizationHeaderMalformed", "", "region=NAME", "network"),
        (400, "IllegalLocationConstraintException", "", "region=NAME", "network"),
        (404, "NoSuchBucket", "", "create the bucket", "network"),
        (503, "SlowDown", "", "rate-limiting", "network"),
        (500, "InternalError", "", "internal error", "network"),
        (405, "MethodNotAllowed", "", "endpoint_url", "clock"),
        (418, "NobodyKnowsThis", "", "documentation of the store", "check the"),
    ],
)
def test_advice_follows_the_code_that_the_store_answers_with(
    storage: S3Storage, monkeypatch: pytest.MonkeyPatch, status: int, code: str, more: str, helps: str, misleads: str
) -> None:
    sleep_in_no_time(monkeypatch, "botocore.endpoint")  # botocore tries some of them again, after seconds
    answer_with(storage, status, code, times=1000, more=more)
    with pytest.raises(UnavailableError, match=code) as caught:
        storage.put_new(KEY, body(b"one"))
    hint = report(caught.value).hint or ""
    assert helps in hint
    assert misleads not in hint.replace("so the network is not at fault", "")
    assert "refused" in caught.value.message


def test_a_head_says_only_a_status_and_the_advice_follows_that(storage: S3Storage) -> None:
    answer_with(storage, 400, "", times=1000, verb="HEAD")
    with pytest.raises(UnavailableError) as caught:
        storage.put_mutable(KEY, body(b"one"), only_if_changed=True)
    assert "the region, the session" in (caught.value.hint or "")


def test_a_role_that_cannot_be_taken_is_no_matter_of_the_bucket() -> None:
    answer: Any = {"Error": {"Code": "AccessDenied", "Message": "no"}, "ResponseMetadata": {"HTTPStatusCode": 403}}
    refused = unavailable(ClientError(answer, "AssumeRoleWithWebIdentity"), key="", storage="s3://b")
    assert "trust policy" in (refused.hint or "")
    assert "s3:" not in (refused.hint or "")


def test_a_missing_bucket_is_not_taken_for_an_empty_registry(storage: S3Storage) -> None:
    answer_with(storage, 404, "NoSuchBucket", times=1000, verb="GET")
    with pytest.raises(UnavailableError, match="NoSuchBucket") as caught:
        storage.get("metadata/timestamp.json", max_bytes=100)
    assert "create the bucket" in (caught.value.hint or "")


def test_missing_rights_are_not_taken_for_an_empty_registry(storage: S3Storage) -> None:
    answer_with(storage, 403, "AccessDenied", times=1000, verb="GET")
    with pytest.raises(UnavailableError, match="AccessDenied") as caught:
        storage.get("metadata/timestamp.json", max_bytes=100)
    assert "s3:ListBucket" in (caught.value.hint or "")


def test_an_object_without_a_whole_checksum_is_read_and_compared(storage: S3Storage, s3_server: S3Server) -> None:
    bucket, prefix = storage.description.removeprefix("s3://").split("/")
    client = s3_server.client()
    client.put_object(Bucket=bucket, Key=f"{prefix}/{KEY}", Body=b"one", ChecksumAlgorithm="CRC32")
    assert storage.put_new(KEY, body(b"one")) is PutOutcome.ALREADY_THERE
    assert storage.requests["GET"] == 1
    with pytest.raises(ObjectConflictError):
        storage.put_new(KEY, body(b"two"))


def with_wrong_secret(uri: str, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    return uri


def with_unknown_key(uri: str, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "unknown")
    return uri


def without_credentials(uri: str, monkeypatch: pytest.MonkeyPatch) -> str:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, os.devnull)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    return uri


def with_profile_that_is_missing(uri: str, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("AWS_PROFILE", "no-such-profile")
    return uri


def with_closed_port(uri: str, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(_s3_client, "_ATTEMPTS", 1)
    return uri.split("?", maxsplit=1)[0] + "?endpoint_url=http://127.0.0.1:1&region=us-east-1"


def with_impossible_endpoint(uri: str, _: pytest.MonkeyPatch) -> str:
    return uri.split("?", maxsplit=1)[0] + "?endpoint_url=nonsense"


@pytest.mark.parametrize(
    ("spoil", "hint"),
    [
        (with_wrong_secret, "AWS_SECRET_ACCESS_KEY"),
        (with_unknown_key, "AWS_ACCESS_KEY_ID"),
        (without_credentials, "AWS_ACCESS_KEY_ID"),
        (with_profile_that_is_missing, "AWS_PROFILE"),
        (with_closed_port, "endpoint_url"),
    ],
)
def test_what_s3_refuses_is_said_with_what_helps(
    s3_uri: str,
    monkeypatch: pytest.MonkeyPatch,
    spoil: Callable[[str, pytest.MonkeyPatch], str],
    hint: str,
) -> None:
    uri = spoil(s3_uri, monkeypatch)
    with pytest.raises(UnavailableError) as caught:
        open_storage(uri, base=Path()).put_new(KEY, body(b"one"))
    assert caught.value.exit_code == 5
    assert hint in (caught.value.hint or "")
    assert "wrong" not in str(caught.value)


@pytest.mark.parametrize("size", [0, 1, 1 << 30, 160 << 30, (160 << 30) + 1, 5 << 40])
def test_parts_are_few_enough(size: int) -> None:
    assert _s3_parts.part_bytes_for(size) * _s3_parts.MAX_PARTS >= size
    assert _s3_parts.part_bytes_for(size) % MEBIBYTE == 0
    assert _s3_parts.part_bytes_for(size) >= _s3_parts.PART_BYTES
