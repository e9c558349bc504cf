"""An S3 bucket, or a prefix in one, as storage: conditional writes by `IfNoneMatch` and `IfMatch`, through boto3.

Every body is sent with its SHA-256, so a server that checks it refuses what was damaged in transit. Files above
`MULTIPART_BYTES` are sent in parts, and the condition is put on the completion, which creates the object.
A publisher killed in between leaves an incomplete upload, which clients never see; a lifecycle rule of the
bucket (AbortIncompleteMultipartUpload) removes it.

Sources: the S3 API reference of PutObject, CompleteMultipartUpload and HeadObject; "Conditional requests" in the
S3 user guide for the meaning of 409 and 412.
"""

from __future__ import annotations

import contextlib
import hashlib
import random
import threading
import time
from collections import Counter
from datetime import datetime, timedelta, timezone
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from registry_builder.storage._gzip import GZIP, decoded, encoded, gzipped, max_encoded
from registry_builder.storage._put_log import ALWAYS, NEW, THERE, logged_put
from registry_builder.storage._s3_client import open_client
from registry_builder.storage._s3_errors import (
    is_conflict,
    is_missing,
    may_have_written,
    status_of,
    tag_refused,
    unavailable,
    without_tag,
)
from registry_builder.storage._s3_parts import base64_of, composite_checksum, put_in_parts
from registry_builder.storage._s3_tags import opaque, tag_of
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

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import HeadObjectOutputTypeDef

    from registry_builder.storage.protocol import Condition

MULTIPART_BYTES = 64 << 20

_READ_CHUNK_BYTES = 1 << 20
_CONFLICT_ATTEMPTS = 8  # with the delays below: about 10 s
_CONFLICT_DELAY_S = 0.05
_MAX_LOCK_BYTES = 10_000
_WRONG_TAG = "0" * 32  # of the form that S3 gives its tags, so that no server refuses it for that


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
            self._client = open_client(endpoint_url, region)
        # Each attempt on the wire counts, including botocore's own retries.
        self._client.meta.events.register("before-send.s3", self._count)

    def get(self, key: str, *, max_bytes: int) -> StoredObject:
        """Read an object; see `Storage.get`."""
        name = self._name(key)
        with self._errors(key):
            try:
                answer = self._client.get_object(Bucket=self._bucket, Key=name)
            except ClientError as error:
                if is_missing(error):
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
                if not answer.get("ETag"):
                    raise without_tag(key=key, storage=self.description)
                return StoredObject(data, answer["ETag"])

    def put_new(self, key: str, body: Body) -> PutOutcome:
        """Create an immutable object; see `Storage.put_new`."""
        with logged_put(key, body, NEW) as put, self._errors(key):
            # A multipart upload is refused only after all parts are sent: a publish that continues where another died
            # looks first.
            if body.size > MULTIPART_BYTES and self._holds(key, body):
                put.result = THERE
                return PutOutcome.ALREADY_THERE
            if (tag := self._put(key, body, {"IfNoneMatch": "*"})) is not None:
                self._check_stored(tag, key, body)
                return PutOutcome.CREATED
            if self._holds(key, body):
                put.result = THERE
                return PutOutcome.ALREADY_THERE
            raise ObjectConflictError(key, self.description)

    def put_if_match(self, key: str, body: Body, etag: str | None) -> str:
        """Swap an object; see `Storage.put_if_match`."""
        # A proxy may weaken or unquote the tag, and no weak tag matches (RFC 9110): the store's own is sent back.
        condition = {"IfNoneMatch": "*"} if etag is None else {"IfMatch": f'"{opaque(etag)}"'}
        with logged_put(key, body, NEW if etag is None else f"it still is {etag}"), self._errors(key):
            failure: ClientError | BotoCoreError | None = None
            try:
                new_etag = self._put(key, body, condition)
            except (ClientError, BotoCoreError) as error:
                if not may_have_written(error):
                    raise
                new_etag, failure = None, error
            if new_etag:
                return new_etag
            is_untold = new_etag is not None and failure is None  # an answer that S3 doesn't give
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
            if is_untold:
                raise without_tag(key=key, storage=self.description, is_unknown=True)
            if failure is not None and tag_of(head) == (None if etag is None else opaque(etag)):
                raise unavailable(failure, key=key, storage=self.description, is_unknown=True) from failure
            # still the tag that was refused: nobody was faster
            if head is not None and etag is not None and tag_of(head) == opaque(etag):
                raise tag_refused(etag, key=key, storage=self.description)
            raise LostRaceError(key, self.description)

    def probe(self, key: str, body: Body, condition: Condition) -> bool:
        """Try a write that must be refused; see `Storage.probe`.

        412 proves that the condition was looked at, and so does 404 for a swap with nothing. 403 proves nothing: who
        may not write there is refused whatever the condition, so that is raised as it always is.
        """
        sent = {"IfNoneMatch": "*"} if condition == "If-None-Match" else {"IfMatch": f'"{_WRONG_TAG}"'}
        with logged_put(key, body, f"{condition}, which doesn't hold") as put, self._errors(key):
            if (tag := self._put(key, body, sent)) is not None:
                self._check_stored(tag, key, body)
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
            if (tag := self._put(key, body, {})) is not None:
                self._check_stored(tag, key, body)
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
                if is_missing(error):
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
                if is_missing(error):
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
        """Write under ``condition``; return the tag, empty if none is answered, or None if that failed."""
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
                if status_of(error) == 412 or ("IfMatch" in condition and is_missing(error)):
                    return None
                # Another write to the key is in progress; the winner is known when it has ended.
                if not is_conflict(error) or attempt == _CONFLICT_ATTEMPTS - 1:
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
            return head is not None and tag_of(head) == opaque(condition["IfMatch"])
        return head is None

    def _put_whole(self, key: str, body: Body, condition: dict[str, str]) -> str:
        arguments: dict[str, Any] = {
            "Bucket": self._bucket,
            "Key": self._name(key),
            "ContentLength": body.size,
            "ContentType": body.content_type,
            "CacheControl": body.cache_control,
            "ChecksumSHA256": base64_of(bytes.fromhex(body.sha256)),
            **_more_headers(key, body),
            **condition,
        }
        if body.path is None:
            return self._client.put_object(Body=body.data or b"", **arguments).get("ETag", "")
        # Not every server checks the SHA-256, so the file is read twice: a changed
        # one must not be published even where the checksum is ignored.
        for _ in body.chunks(_READ_CHUNK_BYTES):
            pass
        try:
            with body.open() as file:
                return self._client.put_object(Body=file, **arguments).get("ETag", "")
        except OSError as error:
            raise FileChangedError(body.path, error.strerror or str(error)) from error

    def _put_parts(self, key: str, body: Body, condition: dict[str, str]) -> str:
        headers = _more_headers(key, body)
        return put_in_parts(self._client, self._bucket, self._name(key), body, headers=headers, condition=condition)

    def _head(self, key: str) -> HeadObjectOutputTypeDef | None:
        try:
            return self._client.head_object(Bucket=self._bucket, Key=self._name(key), ChecksumMode="ENABLED")
        except ClientError as error:
            if is_missing(error):
                return None
            raise

    def _check_stored(self, tag: str, key: str, body: Body) -> None:
        """Refuse an answer without a tag, as of a login page, unless what was to be written is there all the same."""
        if not tag and not self._holds(key, body):
            raise without_tag(key=key, storage=self.description)

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
                composite_checksum(body) if is_composite else base64_of(bytes.fromhex(as_stored.sha256))
            ):
                return head.get("ETag", "")
            if checksum and not is_composite and not is_encoded:
                return None
            if is_encoded:
                return self._etag_if_decodes_to(key, body)
            answer = self._client.get_object(Bucket=self._bucket, Key=self._name(key))
        except ClientError as error:
            if is_missing(error):
                return None
            raise
        digest = hashlib.sha256()
        with contextlib.closing(answer["Body"]) as stream:
            for chunk in stream.iter_chunks(_READ_CHUNK_BYTES):
                digest.update(chunk)
        return answer.get("ETag", "") if digest.hexdigest() == body.sha256 else None

    def _etag_if_decodes_to(self, key: str, body: Body) -> str | None:
        try:
            stored = self.get(key, max_bytes=body.size)
        except (ObjectMissingError, ObjectTooLargeError):
            return None
        return stored.etag if hashlib.sha256(stored.data).hexdigest() == body.sha256 else None


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
