"""An S3 bucket, or a prefix in one, as storage: conditional writes by `IfNoneMatch` and `IfMatch`, through boto3.

Every body is sent with its SHA-256, so a server that checks it refuses what was damaged in transit. Files above
`MULTIPART_BYTES` are sent in parts, and the condition is put on the completion, which creates the object.
A publisher killed in between leaves an incomplete upload, which clients never see; a lifecycle rule of the
bucket (AbortIncompleteMultipartUpload) removes it.

Sources: the S3 API reference of PutObject, CompleteMultipartUpload and HeadObject; "Conditional requests" in the
S3 user guide for the meaning of 409 and 412.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import os
import random
import threading
import time
from collections import Counter
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from datetime import datetime, timedelta, timezone
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from registry_builder.storage._gzip import GZIP, decoded, encoded, gzipped, max_encoded
from registry_builder.storage._put_log import ALWAYS, NEW, THERE, logged_put
from registry_builder.storage._s3_errors import may_have_written, status_of, tag_refused, unavailable
from registry_builder.storage.headers import LOCK_KEY, TIMESTAMP_KEY, disposition_for, headers_for
from registry_builder.storage.listing import Listed
from registry_builder.storage.lock_object import LockObject
from registry_builder.storage.protocol import (
    Body,
    FileChangedError,
    LostRaceError,
    ObjectConflictError,
    ObjectMissingError,
    ObjectTooLargeError,
    PutOutcome,
    StoredObject,
    check_key,
)
from sealdex.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import CompletedPartTypeDef, HeadObjectOutputTypeDef

    from registry_builder.storage.protocol import Condition

MULTIPART_BYTES = 64 << 20
PART_BYTES = 16 << 20
MAX_PARTS = 10_000  # S3's limit

_PARTS_AT_ONCE = 4  # at most 64 MiB of parts in memory for each file
_READ_CHUNK_BYTES = 1 << 20
_CONFLICT_ATTEMPTS = 8  # with the delays below: about 10 s
_CONFLICT_DELAY_S = 0.05
_MAX_CONNECTIONS = 64
_MAX_LOCK_BYTES = 10_000
_WRONG_TAG = "0" * 32  # of the form that S3 gives its tags, so that no server refuses it for that
_ATTEMPTS = 4  # of one request, with up to 1, 2 and 4 s between them


class S3Storage:
    """`registry_builder.storage.Storage` in ``bucket`` under ``prefix``.

    Credentials come from where boto3 looks (environment, profile, instance role), never from an argument. With a
    custom endpoint the bucket is part of the path, because other servers rarely have a host name for each bucket.
    """

    answers_at_once = False
    is_read_only = False
    do_each = None  # the time is spent waiting for responses, which threads can do too

    def __init__(
        self,
        bucket: str,
        *,
        prefix: str = "",
        endpoint_url: str | None = None,
        region: str | None = None,
        encode: bool = False,
        exclusive: bool = False,
    ) -> None:
        self._bucket = bucket
        self._prefix = f"{prefix}/" if prefix else ""
        self._encode = encode
        self.description = f"s3://{bucket}/{prefix}".rstrip("/")
        self.requests: Counter[str] = Counter()
        self.bytes_put = 0
        self._guard = threading.Lock()
        self.lock = LockObject(self) if exclusive else None
        with self._errors(""):
            self._client = _client(endpoint_url, region)
        # Each attempt on the wire counts, including botocore's own retries.
        self._client.meta.events.register("before-send.s3", self._count)

    def get(self, key: str, *, max_bytes: int) -> StoredObject:
        """Read an object; see `Storage.get`."""
        name = self._name(key)
        with self._errors(key):
            try:
                answer = self._client.get_object(Bucket=self._bucket, Key=name)
            except ClientError as error:
                if _is_missing(error):
                    raise ObjectMissingError(key, self.description) from error
                raise
            with contextlib.closing(answer["Body"]) as stream:
                is_encoded = answer.get("ContentEncoding") == GZIP
                limit = max_encoded(max_bytes) if is_encoded else max_bytes
                # A response without a length could be endless.
                if answer.get("ContentLength", limit + 1) > limit:
                    raise ObjectTooLargeError(key, self.description, max_bytes)
                data = stream.read()
                if is_encoded and len(data := decoded(data, max_bytes)) > max_bytes:
                    raise ObjectTooLargeError(key, self.description, max_bytes)
                return StoredObject(data, answer["ETag"])

    def put_new(self, key: str, body: Body) -> PutOutcome:
        """Create an immutable object; see `Storage.put_new`."""
        with logged_put(key, body, NEW) as put, self._errors(key):
            # A multipart upload is refused only after all parts are sent: a publish that continues where another died
            # looks first.
            if body.size > MULTIPART_BYTES and self._holds(key, body):
                put.result = THERE
                return PutOutcome.ALREADY_THERE
            if self._put(key, body, {"IfNoneMatch": "*"}) is not None:
                return PutOutcome.CREATED
            if self._holds(key, body):
                put.result = THERE
                return PutOutcome.ALREADY_THERE
            raise ObjectConflictError(key, self.description)

    def put_if_match(self, key: str, body: Body, etag: str | None) -> str:
        """Swap an object; see `Storage.put_if_match`."""
        # A proxy may weaken or unquote the tag, and no weak tag matches (RFC 9110): the store's own is sent back.
        condition = {"IfNoneMatch": "*"} if etag is None else {"IfMatch": f'"{_opaque(etag)}"'}
        with logged_put(key, body, NEW if etag is None else f"it still is {etag}"), self._errors(key):
            failure: ClientError | BotoCoreError | None = None
            try:
                new_etag = self._put(key, body, condition)
            except (ClientError, BotoCoreError) as error:
                if not may_have_written(error):
                    raise
                new_etag, failure = None, error
            if new_etag is not None:
                return new_etag
            # A first attempt may have won, but its response was lost; then the second is refused by our own object.
            try:
                head = self._head(key)
            except (ClientError, BotoCoreError):
                if failure is None:
                    raise
                raise unavailable(failure, key=key, storage=self.description, is_unknown=True) from failure
            stored_etag = self._etag_if_holds(key, body, head)
            if stored_etag is not None:
                return stored_etag
            if failure is not None and _tag_of(head) == (None if etag is None else _opaque(etag)):
                raise unavailable(failure, key=key, storage=self.description, is_unknown=True) from failure
            # still the tag that was refused: nobody was faster
            if head is not None and etag is not None and _opaque(head["ETag"]) == _opaque(etag):
                raise tag_refused(etag, key=key, storage=self.description)
            raise LostRaceError(key, self.description)

    def probe(self, key: str, body: Body, condition: Condition) -> bool:
        """Try a write that must be refused; see `Storage.probe`.

        412 proves that the condition was looked at, and so does 404 for a swap with nothing. 403 proves nothing: who
        may not write there is refused whatever the condition, so that is raised as it always is.
        """
        sent = {"IfNoneMatch": "*"} if condition == "If-None-Match" else {"IfMatch": f'"{_WRONG_TAG}"'}
        with logged_put(key, body, f"{condition}, which doesn't hold") as put, self._errors(key):
            if self._put(key, body, sent) is not None:
                return False
            put.result = "refused, as it must be"
            return True

    def probe_parts(self, key: str, body: Body) -> bool:
        """Try to replace an object by an upload in parts that must be refused, given its own bytes; see `probe`."""
        with logged_put(key, body, "If-None-Match, which doesn't hold, in parts"), self._errors(key):
            try:
                self._put_parts(key, body, {"IfNoneMatch": "*"})
            except ClientError as error:
                if status_of(error) == 412:
                    return True
                raise
            return False

    def put_mutable(self, key: str, body: Body, *, only_if_changed: bool = False) -> bool:
        """Write unconditionally; see `Storage.put_mutable`."""
        with logged_put(key, body, ALWAYS) as put, self._errors(key):
            if only_if_changed and self._holds(key, body):
                put.result = THERE
                return False
            self._put(key, body, {})
        return True

    def flush(self) -> None:
        """Do nothing: S3 responds to a put only once it is durable."""

    def raw(self) -> tuple[S3Client, str, str]:
        """Return client, bucket and prefix, for checks of the bucket itself."""
        return self._client, self._bucket, self._prefix

    def listed(self) -> Iterator[Listed]:
        """List all objects below the prefix; see `Inventory.listed`."""
        with self._errors(""):
            pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=self._prefix)
            for page in pages:
                for found in page.get("Contents", ()):
                    key = found["Key"].removeprefix(self._prefix)
                    if key and not key.endswith("/"):  # consoles create such objects as folders
                        yield Listed(key, found["Size"], found["LastModified"].astimezone(timezone.utc))

    def stream(self, key: str, chunk_bytes: int) -> Iterator[bytes]:
        """Read an object in pieces; see `Inventory.stream`."""
        with self._errors(key):
            try:
                answer = self._client.get_object(Bucket=self._bucket, Key=self._name(key))
            except ClientError as error:
                if _is_missing(error):
                    raise ObjectMissingError(key, self.description) from error
                raise
            with contextlib.closing(answer["Body"]) as stream:
                yield from stream.iter_chunks(chunk_bytes)

    def delete(self, key: str) -> None:
        """Remove an object; see `Inventory.delete`."""
        with self._errors(key):
            self._client.delete_object(Bucket=self._bucket, Key=self._name(key))

    def read_lock(self) -> tuple[bytes, timedelta] | None:
        """Return the lock object and its age by the store's clock; see `LockPlace`."""
        with self._errors(LOCK_KEY):
            try:
                answer = self._client.get_object(Bucket=self._bucket, Key=self._name(LOCK_KEY))
            except ClientError as error:
                if _is_missing(error):
                    return None
                raise
            with contextlib.closing(answer["Body"]) as stream:
                data = stream.read(_MAX_LOCK_BYTES)
            told = answer["ResponseMetadata"]["HTTPHeaders"].get("date", "")
            return data, _instant(told) - answer["LastModified"].astimezone(timezone.utc)

    def write_lock(self, data: bytes) -> None:
        """Replace the lock object; see `LockPlace`."""
        self.put_mutable(LOCK_KEY, Body.of_bytes(data, headers_for(LOCK_KEY)))

    def _name(self, key: str) -> str:
        return self._prefix + check_key(key)

    def _count(self, request: Any, **_: Any) -> None:
        with self._guard:
            self.requests[request.method] += 1

    @contextlib.contextmanager
    def _errors(self, key: str) -> Iterator[None]:
        try:
            yield
        except (ClientError, BotoCoreError) as error:
            raise unavailable(error, key=key, storage=self.description) from error

    def _put(self, key: str, body: Body, condition: dict[str, str]) -> str | None:
        """Write under ``condition``; return the new tag, or None if the condition failed."""
        if self.lock is not None and condition:
            self.lock.check(now=key == TIMESTAMP_KEY)
            if not self._holds_now(key, condition):
                return None
            condition = {}
        body = encoded(key, body) if self._encode else body
        put = self._put_whole if body.size <= MULTIPART_BYTES else self._put_parts
        for attempt in range(_CONFLICT_ATTEMPTS):
            try:
                etag = put(key, body, condition)
            except ClientError as error:  # noqa: PERF203  # the loop is the retry
                # 412: the condition failed. 404 for a swap: there is nothing to swap with.
                if status_of(error) == 412 or ("IfMatch" in condition and _is_missing(error)):
                    return None
                # Another write to the key is in progress; the winner is known when it has ended.
                if not _is_conflict(error) or attempt == _CONFLICT_ATTEMPTS - 1:
                    raise
                time.sleep(_CONFLICT_DELAY_S * 2**attempt * random.uniform(0.5, 1))  # noqa: S311  # jitter
            else:
                with self._guard:
                    self.bytes_put += body.size
                return etag
        raise AssertionError  # the last attempt returned or raised

    def _holds_now(self, key: str, condition: dict[str, str]) -> bool:
        """Look at a condition in the store's place, which under the lock is nearly as good."""
        head = self._head(key)
        if "IfMatch" in condition:
            return head is not None and _opaque(head["ETag"]) == _opaque(condition["IfMatch"])
        return head is None

    def _put_whole(self, key: str, body: Body, condition: dict[str, str]) -> str:
        arguments: dict[str, Any] = {
            "Bucket": self._bucket,
            "Key": self._name(key),
            "ContentLength": body.size,
            "ContentType": body.content_type,
            "CacheControl": body.cache_control,
            "ChecksumSHA256": _base64(bytes.fromhex(body.sha256)),
            **_more_headers(key, body),
            **condition,
        }
        if body.path is None:
            return self._client.put_object(Body=body.data or b"", **arguments)["ETag"]
        # Not every server checks the SHA-256, so the file is read twice: a changed
        # one must not be published even where the checksum is ignored.
        for _ in body.chunks(_READ_CHUNK_BYTES):
            pass
        try:
            with body.open() as file:
                return self._client.put_object(Body=file, **arguments)["ETag"]
        except OSError as error:
            raise FileChangedError(body.path, error.strerror or str(error)) from error

    def _put_parts(self, key: str, body: Body, condition: dict[str, str]) -> str:
        name = self._name(key)
        upload_id = self._client.create_multipart_upload(
            Bucket=self._bucket,
            Key=name,
            ContentType=body.content_type,
            CacheControl=body.cache_control,
            ChecksumAlgorithm="SHA256",
            **_more_headers(key, body),  # type: ignore[arg-type]  # the stubs want a TypedDict; this is a str parameter
        )["UploadId"]
        try:
            parts = self._upload_parts(name, body, upload_id)
            return self._client.complete_multipart_upload(
                Bucket=self._bucket,
                Key=name,
                UploadId=upload_id,
                MultipartUpload={"Parts": parts},
                **condition,  # type: ignore[arg-type]  # the stubs want a TypedDict; these are str parameters
            )["ETag"]
        except BaseException:
            # Incomplete parts cost money until somebody aborts them.
            with contextlib.suppress(ClientError, BotoCoreError):
                self._client.abort_multipart_upload(Bucket=self._bucket, Key=name, UploadId=upload_id)
            raise

    def _upload_parts(self, name: str, body: Body, upload_id: str) -> list[CompletedPartTypeDef]:
        """Send the parts, a few at a time; `Body.chunks` raises before completion if the file has changed."""
        parts: list[CompletedPartTypeDef] = []
        pending: set[Future[CompletedPartTypeDef]] = set()
        with ThreadPoolExecutor(_PARTS_AT_ONCE) as pool:
            for number, chunk in enumerate(body.chunks(part_bytes_for(body.size)), start=1):
                if len(pending) == _PARTS_AT_ONCE:
                    done, pending = wait(pending, return_when=FIRST_COMPLETED)
                    parts.extend(future.result() for future in done)
                pending.add(pool.submit(self._upload_part, name, upload_id, number, chunk))
            parts.extend(future.result() for future in pending)
        return sorted(parts, key=lambda part: part["PartNumber"])

    def _upload_part(self, name: str, upload_id: str, number: int, chunk: bytes) -> CompletedPartTypeDef:
        checksum = _base64(hashlib.sha256(chunk).digest())
        answer = self._client.upload_part(
            Bucket=self._bucket,
            Key=name,
            UploadId=upload_id,
            PartNumber=number,
            Body=chunk,
            ChecksumSHA256=checksum,
        )
        return {"PartNumber": number, "ETag": answer["ETag"], "ChecksumSHA256": checksum}

    def _head(self, key: str) -> HeadObjectOutputTypeDef | None:
        try:
            return self._client.head_object(Bucket=self._bucket, Key=self._name(key), ChecksumMode="ENABLED")
        except ClientError as error:
            if _is_missing(error):
                return None
            raise

    def _holds(self, key: str, body: Body) -> bool:
        return self._etag_if_holds(key, body, self._head(key)) is not None

    def _etag_if_holds(self, key: str, body: Body, head: HeadObjectOutputTypeDef | None) -> str | None:
        """Return the tag of the stored object, of which ``head`` is told, if its decoded bytes are those of ``body``.

        If the server keeps a SHA-256, one HEAD is enough; that of a multipart upload is a hash of the parts'
        hashes, and is comparable if the parts have our length. Some servers keep none, and gzip's bytes depend on
        the version of zlib: in these cases the object is read.
        """
        if head is None:
            return None
        try:
            is_encoded = head.get("ContentEncoding") == GZIP and body.data is not None
            as_stored = gzipped(body) if is_encoded else body
            if head["ContentLength"] != as_stored.size and not is_encoded:
                return None
            checksum = head.get("ChecksumSHA256", "")
            is_composite = "-" in checksum or head.get("ChecksumType") == "COMPOSITE"
            if checksum and checksum == (
                _composite(body) if is_composite else _base64(bytes.fromhex(as_stored.sha256))
            ):
                return head["ETag"]
            if checksum and not is_composite and not is_encoded:
                return None
            if is_encoded:
                return self._etag_if_decodes_to(key, body)
            answer = self._client.get_object(Bucket=self._bucket, Key=self._name(key))
        except ClientError as error:
            if _is_missing(error):
                return None
            raise
        digest = hashlib.sha256()
        with contextlib.closing(answer["Body"]) as stream:
            for chunk in stream.iter_chunks(_READ_CHUNK_BYTES):
                digest.update(chunk)
        return answer["ETag"] if digest.hexdigest() == body.sha256 else None

    def _etag_if_decodes_to(self, key: str, body: Body) -> str | None:
        try:
            stored = self.get(key, max_bytes=body.size)
        except (ObjectMissingError, ObjectTooLargeError):
            return None
        return stored.etag if hashlib.sha256(stored.data).hexdigest() == body.sha256 else None


def part_bytes_for(size: int) -> int:
    """Return the length of each part of an upload of ``size`` bytes: whole MiB, at most `MAX_PARTS` of them."""
    mebibyte = 1 << 20
    return max(PART_BYTES, -(-size // (MAX_PARTS * mebibyte)) * mebibyte)


def _composite(body: Body) -> str:
    """Return the checksum that S3 keeps for a body that was uploaded in parts of `part_bytes_for` its size."""
    digests = [hashlib.sha256(chunk).digest() for chunk in body.chunks(part_bytes_for(body.size))]
    return f"{_base64(hashlib.sha256(b''.join(digests)).digest())}-{len(digests)}"


def _client(endpoint_url: str | None, region: str | None) -> S3Client:
    session = boto3.session.Session(region_name=region)
    # boto3 reads these two itself; here they only decide the defaults for servers other than AWS.
    elsewhere = endpoint_url or os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    try:
        return session.client(
            "s3",
            endpoint_url=endpoint_url,
            region_name=session.region_name or ("us-east-1" if elsewhere else None),
            config=Config(
                connect_timeout=10,
                read_timeout=60,
                retries={"mode": "standard", "total_max_attempts": _ATTEMPTS},
                max_pool_connections=_MAX_CONNECTIONS,
                s3={"addressing_style": "path" if elsewhere else "auto"},
                # The checksums that matter are sent explicitly; some servers don't support others.
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
            ),
        )
    except ValueError as error:  # botocore's error for an invalid address
        raise ConfigError(
            f"can't use the S3 endpoint {elsewhere!r}: {error}",
            subject=elsewhere,
            untouched="nothing was contacted",
            hint="write endpoint_url (or AWS_ENDPOINT_URL_S3) as http://HOST:PORT or https://HOST",
        ) from error


def _more_headers(key: str, body: Body) -> dict[str, str]:
    wanted = {"ContentEncoding": body.encoding, "ContentDisposition": disposition_for(key)}
    return {name: value for name, value in wanted.items() if value is not None}


def _instant(date: str) -> datetime:
    """Return the time of a Date header, or of this host's clock where there is none."""
    try:
        told = parsedate_to_datetime(date)
    except (TypeError, ValueError):
        return datetime.now(timezone.utc)
    return told if told.tzinfo is not None else told.replace(tzinfo=timezone.utc)


def _tag_of(head: HeadObjectOutputTypeDef | None) -> str | None:
    return None if head is None else _opaque(head["ETag"])


def _opaque(etag: str) -> str:
    return etag.removeprefix("W/").strip('"')


def _is_missing(error: ClientError) -> bool:
    # A HEAD response has no body, so its code is the status.
    return error.response.get("Error", {}).get("Code") in {"NoSuchKey", "404", "NotFound"}


def _is_conflict(error: ClientError) -> bool:
    # An upload that is gone was completed by an attempt whose response was lost; repeating it finds the object.
    return status_of(error) == 409 or error.response.get("Error", {}).get("Code") == "NoSuchUpload"


def _base64(digest: bytes) -> str:
    return base64.b64encode(digest).decode("ascii")
