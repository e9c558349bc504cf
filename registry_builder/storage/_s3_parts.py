"""Uploads in parts: how long each is, how they are sent, and the checksum that S3 keeps of them all."""

from __future__ import annotations

import base64
import contextlib
import hashlib
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import TYPE_CHECKING, Final

from botocore.exceptions import BotoCoreError, ClientError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import CompletedPartTypeDef

    from registry_builder.storage.protocol import Body

PART_BYTES = 16 << 20
MAX_PARTS: Final = 10_000  # S3's limit
_PARTS_AT_ONCE: Final = 4  # at most 64 MiB of parts in memory for each file


def put_in_parts(
    client: S3Client, bucket: str, name: str, body: Body, *, headers: Mapping[str, str], condition: Mapping[str, str]
) -> str:
    """Upload a body in parts, under a condition that its completion has, and return the new tag, empty without one.

    Args:
        client: of the store.
        bucket: the bucket's name.
        name: the object's, with the storage's prefix.
        body: what is uploaded.
        headers: more of the object's, as parameters of ``create_multipart_upload``.
        condition: ``IfNoneMatch`` or ``IfMatch``, or nothing.

    Raises:
        ClientError: the store refused it.
        BotoCoreError: the store can't be reached.
        FileChangedError: the file has changed.
    """
    upload_id = client.create_multipart_upload(
        Bucket=bucket,
        Key=name,
        ContentType=body.content_type,
        CacheControl=body.cache_control,
        ChecksumAlgorithm="SHA256",
        **headers,  # type: ignore[arg-type]  # the stubs want a TypedDict; these are str parameters
    )["UploadId"]
    try:
        return client.complete_multipart_upload(
            Bucket=bucket,
            Key=name,
            UploadId=upload_id,
            MultipartUpload={"Parts": _put_all(client, bucket, name, body, upload_id)},
            **condition,  # type: ignore[arg-type]  # the stubs want a TypedDict; these are str parameters
        ).get("ETag", "")
    except BaseException:
        # Incomplete parts cost money until somebody aborts them.
        with contextlib.suppress(ClientError, BotoCoreError):
            client.abort_multipart_upload(Bucket=bucket, Key=name, UploadId=upload_id)
        raise


def part_bytes_for(size: int) -> int:
    """Return the length of each part of an upload of ``size`` bytes: whole MiB, at most `MAX_PARTS` of them."""
    mebibyte = 1 << 20
    return max(PART_BYTES, -(-size // (MAX_PARTS * mebibyte)) * mebibyte)


def composite_checksum(body: Body) -> str:
    """Return the checksum that S3 keeps for a body that was uploaded in parts of `part_bytes_for` its size."""
    digests = [hashlib.sha256(chunk).digest() for chunk in body.chunks(part_bytes_for(body.size))]
    return f"{base64_of(hashlib.sha256(b''.join(digests)).digest())}-{len(digests)}"


def base64_of(digest: bytes) -> str:
    """Return a digest as S3's headers have it."""
    return base64.b64encode(digest).decode("ascii")


def _put_all(client: S3Client, bucket: str, name: str, body: Body, upload_id: str) -> list[CompletedPartTypeDef]:
    """Send the parts, a few at a time; `Body.chunks` raises before completion if the file has changed."""

    def put(number: int, chunk: bytes) -> CompletedPartTypeDef:
        checksum = base64_of(hashlib.sha256(chunk).digest())
        answer = client.upload_part(
            Bucket=bucket, Key=name, UploadId=upload_id, PartNumber=number, Body=chunk, ChecksumSHA256=checksum
        )
        return {"PartNumber": number, "ETag": answer.get("ETag", ""), "ChecksumSHA256": checksum}

    parts: list[CompletedPartTypeDef] = []
    pending: set[Future[CompletedPartTypeDef]] = set()
    with ThreadPoolExecutor(_PARTS_AT_ONCE) as pool:
        for number, chunk in enumerate(body.chunks(part_bytes_for(body.size)), start=1):
            if len(pending) == _PARTS_AT_ONCE:
                done, pending = wait(pending, return_when=FIRST_COMPLETED)
                parts.extend(future.result() for future in done)
            pending.add(pool.submit(put, number, chunk))
        parts.extend(future.result() for future in pending)
    return sorted(parts, key=lambda part: part["PartNumber"])
