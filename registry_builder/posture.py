"""Looks over the place where a realm is published, and says what to mend. Changes nothing.

Bucket policy, versions and clock are asked of S3; headers and the answer for a missing file are looked at as readers
see them, by the realm's url. What a store can't say (it doesn't know the call, or the role may not ask) is said too.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from registry_builder.publisher import Publisher
from registry_builder.state_fetcher import MAX_METADATA_BYTES, TIMESTAMP_KEY
from registry_builder.storage import ObjectMissingError, headers_for
from registry_builder.storage.by_url import UrlStorage
from sealdex.errors import SealdexError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_WRITES = ("s3:putobject", "s3:deleteobject", "s3:putbucketpolicy", "s3:*", "*")
_MAX_SKEW_S = 60
_BLOCK = "aws s3api put-public-access-block, where readers come by a CDN and none reads the bucket itself"


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at: ``level`` is ``ok``, ``warning``, ``error`` or ``unknown``."""

    check: str
    level: str
    message: str
    remedy: str = ""


def look_over(publisher: Publisher) -> list[Finding]:
    """Return what was found of the storage and, where the realm has a url, of what readers get."""
    from registry_builder.storage.s3 import S3Storage  # noqa: PLC0415  # a folder needs no boto3

    storage = publisher.storage
    findings = [_reading(publisher)]
    if isinstance(storage, S3Storage):
        client, bucket, prefix = storage.raw()
        findings += _bucket(client, bucket, f"{prefix}{TIMESTAMP_KEY}", publisher.clock())
    url = publisher.tree.config.realms[publisher.realm].url
    if url is not None:
        findings.append(_missing_file(UrlStorage(url)))
    return findings


def _reading(publisher: Publisher) -> Finding:
    try:
        publisher.storage.get("metadata/0.root.json", max_bytes=MAX_METADATA_BYTES)
    except ObjectMissingError:
        return Finding("reading", "ok", f"{publisher.storage.description} answers, and says what is missing")
    except SealdexError as error:
        return Finding("reading", "error", error.message, error.hint or "")
    return Finding(
        "reading", "error", "there is a metadata/0.root.json, which no publisher writes", "find out who writes there"
    )


def _bucket(client: S3Client, bucket: str, timestamp: str, now: datetime) -> Iterator[Finding]:
    yield _asked("clock", lambda: _clock(client.head_bucket(Bucket=bucket), now))
    yield _asked("versions", lambda: _versions(client.get_bucket_versioning(Bucket=bucket), bucket))
    yield _asked("public access", lambda: _blocks(client.get_public_access_block(Bucket=bucket)))
    yield _asked("policy", lambda: _policy(client.get_bucket_policy(Bucket=bucket)["Policy"]))
    yield _asked("access list", lambda: _grants(client.get_bucket_acl(Bucket=bucket), bucket))
    yield _asked("headers", lambda: _headers(client.head_object(Bucket=bucket, Key=timestamp)))


def _asked(check: str, ask: Any) -> Finding:
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415  # a folder needs no boto3

    try:
        found: Finding = ask()
    except ClientError as error:
        code = str(error.response.get("Error", {}).get("Code"))
        if code == "NoSuchBucketPolicy":
            return Finding(check, "ok", "the bucket has no policy: only its owner's roles read and write")
        if code == "NoSuchPublicAccessBlockConfiguration":
            return Finding(check, "warning", "nothing keeps the bucket from being opened to everybody", _BLOCK)
        if code == "RequestTimeTooSkewed":
            return Finding(check, "error", "the store refuses this host's clock", "set the clock: timedatectl")
        if check == "headers" and code in {"404", "NoSuchKey"}:
            return Finding(check, "unknown", "nothing is published yet", "sealdex-builder publish")
        return Finding(check, "unknown", f"the store answered {code}", "look at it with the rights of an administrator")
    except BotoCoreError as error:
        return Finding(check, "error", str(error))
    return found


def _clock(answer: Mapping[str, Any], now: datetime) -> Finding:
    stated = answer["ResponseMetadata"]["HTTPHeaders"].get("date")
    if stated is None:
        return Finding("clock", "unknown", "the store doesn't say what time it has")
    skew = (now - parsedate_to_datetime(stated)).total_seconds()
    if abs(skew) > _MAX_SKEW_S:
        text = f"this host's clock is {abs(skew):.0f} s {'ahead of' if skew > 0 else 'behind'} the store's"
        return Finding("clock", "error", f"{text}: expiries would be signed wrong", "set the clock: timedatectl")
    return Finding("clock", "ok", "this host's clock and the store's agree")


def _versions(answer: Mapping[str, Any], bucket: str) -> Finding:
    if answer.get("Status") == "Enabled":
        return Finding("versions", "ok", "the bucket keeps versions")
    command = f"aws s3api put-bucket-versioning --bucket {bucket} --versioning-configuration Status=Enabled"
    return Finding(
        "versions", "warning", "the bucket keeps no versions: what is overwritten or deleted is gone", command
    )


def _blocks(answer: Mapping[str, Any]) -> Finding:
    off = [name for name, on in answer["PublicAccessBlockConfiguration"].items() if not on]
    if off:
        return Finding("public access", "warning", f"the bucket may be opened to everybody: {', '.join(off)}", _BLOCK)
    return Finding("public access", "ok", "the bucket can't be opened to everybody")


def _policy(text: str) -> Finding:
    problems = policy_problems(json.loads(text))
    if problems:
        return Finding("policy", "error", "; ".join(problems), "write the policy of docs/publishing.md")
    return Finding("policy", "ok", "the bucket's policy lets nobody write whom it doesn't name")


def policy_problems(policy: Mapping[str, Any]) -> list[str]:
    """Say which statements of a bucket policy let everybody write or delete, whatever their conditions."""
    statements = policy.get("Statement", [])
    found = []
    for number, statement in enumerate([statements] if isinstance(statements, dict) else statements):
        principal = statement.get("Principal")
        named = principal.get("AWS") if isinstance(principal, dict) else principal
        everybody = "*" in ([named] if isinstance(named, str) else named or [])
        actions = statement.get("Action", [])
        writes = [
            action
            for action in ([actions] if isinstance(actions, str) else actions)
            if action.lower() in _WRITES or action.lower().startswith(("s3:put", "s3:delete"))
        ]
        if statement.get("Effect") == "Allow" and everybody and (writes or "NotAction" in statement):
            name = statement.get("Sid") or f"number {number + 1}"
            found.append(f"statement {name} lets everybody {', '.join(writes) or 'do what NotAction leaves'}")
    return found


def _grants(answer: Mapping[str, Any], bucket: str) -> Finding:
    open_to = [
        grant["Permission"]
        for grant in answer.get("Grants", [])
        if str(grant.get("Grantee", {}).get("URI", "")).endswith(("/AllUsers", "/AuthenticatedUsers"))
        and grant["Permission"] != "READ"
    ]
    if open_to:
        command = f"aws s3api put-bucket-acl --bucket {bucket} --acl private"
        return Finding(
            "access list", "error", f"the bucket's access list gives everybody {', '.join(open_to)}", command
        )
    return Finding("access list", "ok", "the bucket's access list lets no stranger write")


def _headers(answer: Mapping[str, Any]) -> Finding:
    wanted = headers_for(TIMESTAMP_KEY).cache_control
    stored = answer.get("CacheControl", "")
    if stored != wanted:
        return Finding(
            "headers",
            "error",
            f"{TIMESTAMP_KEY} is stored with Cache-Control '{stored}' and not '{wanted}': caches hide the newest",
            "publish or refresh again, and see what else writes there",
        )
    return Finding("headers", "ok", f"{TIMESTAMP_KEY} is revalidated by every cache")


def _missing_file(reader: UrlStorage) -> Finding:
    try:
        reader.get("metadata/0.root.json", max_bytes=MAX_METADATA_BYTES)
    except ObjectMissingError:
        return Finding("readers", "ok", f"{reader.description} answers, and a missing file is a 404 or 403")
    except SealdexError as error:
        return Finding("readers", "error", error.message, error.hint or "")
    return Finding(
        "readers",
        "error",
        f"{reader.description} answers a missing file with something: clients need a 404 or 403",
        "switch off the error page or the fallback to index.html of the CDN",
    )


__all__ = ["Finding", "look_over", "policy_problems"]
