"""Checks the publication target of a realm for problems, and says how to fix them. Changes nothing.

Whether the store looks at conditions is found out by writes that it must refuse, with bytes that are there already.

Bucket policy, versioning and clock are read from S3; headers and the response for a missing file are checked as clients
see them, by the realm's url. What a store doesn't tell (unknown call, or not permitted) is reported as unknown.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Final

import urllib3

from registry_builder.baseline.fetcher import MAX_METADATA_BYTES
from registry_builder.maintenance._finding import Finding
from registry_builder.maintenance._store_conditions import condition_findings
from registry_builder.publication.context import Publisher
from registry_builder.storage import ObjectMissingError, headers_for
from registry_builder.storage.headers import TIMESTAMP_KEY
from registry_builder.storage.http import UrlStorage
from sealdex.errors import SealdexError
from sealdex.model.foreign_json import json_values
from sealdex.transport import Transport, TransportSettings

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

# Actions that clients need, and actions that change something; the rest (list, read policies) leaks names.
_READS: Final = frozenset({"s3:getobject", "s3:getobjectversion", "s3:getobjectattributes"})
_WRITES: Final = (
    "s3:putobject", "s3:putobjectacl", "s3:putobjecttagging", "s3:putobjectretention", "s3:deleteobject",
    "s3:deleteobjectversion", "s3:restoreobject", "s3:abortmultipartupload", "s3:bypassgovernanceretention",
    "s3:putbucketpolicy", "s3:deletebucketpolicy", "s3:putbucketacl", "s3:putbucketversioning", "s3:deletebucket",
    "s3:putlifecycleconfiguration", "s3:putreplicationconfiguration", "s3:putbucketpublicaccessblock",
)  # fmt: skip
_NO_ROOT = "metadata/0.root.json"  # versions begin at 1, so it never exists
_MAX_SKEW_S = 60
_MAX_AGE_S = 60
_SHOWN = 60  # characters of a header
_PATIENCE_S = 10.0
_MISSING = "disable the CDN's error page or fallback to index.html: a missing file must be a 404 or 403"
_POLICY = "set the policy given in docs/publishing.md"
_NO_POLICY = (
    "the bucket has no policy: a CDN with origin access control can't read it, published files can be "
    "overwritten, and public access depends on the access lists of bucket and objects"
)
_BLOCK = (
    "if clients read through a CDN and never from the bucket: aws s3api put-public-access-block --bucket {bucket} "
    "--public-access-block-configuration "
    "BlockPublicAcls=true,IgnorePublicAcls=true,BlockPublicPolicy=true,RestrictPublicBuckets=true"
)


def look_over(publisher: Publisher) -> list[Finding]:
    """Return the findings for the storage and, if the realm has a url, for what clients get."""
    from registry_builder.storage.s3 import S3Storage  # noqa: PLC0415  # a folder needs no boto3

    storage = publisher.storage
    findings = [_reading(publisher)]
    if isinstance(storage, S3Storage):
        client, bucket, prefix = storage.raw()
        findings += condition_findings(storage)
        findings += _bucket(client, bucket, f"{prefix}{TIMESTAMP_KEY}", publisher.clock())
    url = publisher.tree.config.realms[publisher.realm].url
    if url is not None:
        findings += _readers(url)
    return findings


def _reading(publisher: Publisher) -> Finding:
    try:
        publisher.storage.get(_NO_ROOT, max_bytes=MAX_METADATA_BYTES)
    except ObjectMissingError:
        return Finding("reading", "ok", f"{publisher.storage.description} responds, and reports missing files")
    except SealdexError as error:
        return Finding("reading", "error", error.message, error.hint or "")
    return Finding(
        "reading", "error", "metadata/0.root.json exists, which no publisher writes", "find out who has write access"
    )


def _bucket(client: S3Client, bucket: str, timestamp: str, now: datetime) -> Iterator[Finding]:
    yield _asked("clock", bucket, lambda: _clock(client.head_bucket(Bucket=bucket), now))
    yield _asked("versions", bucket, lambda: _versions(client.get_bucket_versioning(Bucket=bucket), bucket))
    yield _asked("public access", bucket, lambda: _blocks(client.get_public_access_block(Bucket=bucket), bucket))
    yield _asked("policy", bucket, lambda: _policy(client.get_bucket_policy(Bucket=bucket)["Policy"]))
    yield _asked("access list", bucket, lambda: _grants(client.get_bucket_acl(Bucket=bucket), bucket))
    yield _asked("headers", bucket, lambda: _headers(client.head_object(Bucket=bucket, Key=timestamp)))


def _asked(check: str, bucket: str, ask: Any) -> Finding:
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415  # a folder needs no boto3

    try:
        found: Finding = ask()
    except ClientError as error:
        code = str(error.response.get("Error", {}).get("Code"))
        if code == "NoSuchBucketPolicy":
            return Finding(check, "warning", _NO_POLICY, _POLICY)
        if code == "NoSuchPublicAccessBlockConfiguration":
            return Finding(
                check,
                "warning",
                "nothing prevents the bucket from being made public",
                _BLOCK.format(bucket=bucket),
            )
        if code == "RequestTimeTooSkewed":
            return Finding(check, "error", "the store refuses this host's clock", "set the clock: timedatectl")
        if check == "headers" and code in {"404", "NoSuchKey"}:
            return Finding(check, "unknown", "nothing is published yet", "sealdex-builder publish")
        return Finding(check, "unknown", f"the store answered {code}", "check it with administrator rights")
    except BotoCoreError as error:
        return Finding(check, "error", str(error))
    return found


def _clock(answer: Mapping[str, Any], now: datetime) -> Finding:
    stated = answer["ResponseMetadata"]["HTTPHeaders"].get("date")
    if not stated:
        return Finding("clock", "unknown", "the store doesn't report its time")
    try:
        date = parsedate_to_datetime(stated)
        has_zone = date.tzinfo is not None
        # RFC 9110 requires GMT, which servers without a zone mostly mean
        skew = (now - (date if has_zone else date.replace(tzinfo=timezone.utc))).total_seconds()
    except (ValueError, OverflowError):
        return Finding("clock", "unknown", f"the store reports the time '{stated[:_SHOWN]}', which is not valid")
    if abs(skew) > _MAX_SKEW_S and not has_zone:
        text = f"the store reports the time '{stated[:_SHOWN]}' without a time zone: it can't be compared"
        return Finding("clock", "unknown", text, "compare this host's clock with another: timedatectl")
    if abs(skew) > _MAX_SKEW_S:
        text = f"this host's clock is {abs(skew):.0f} s {'ahead of' if skew > 0 else 'behind'} the store's"
        return Finding("clock", "error", f"{text}: signed expiry times would be wrong", "set the clock: timedatectl")
    return Finding("clock", "ok", "this host's clock and the store's agree")


def _versions(answer: Mapping[str, Any], bucket: str) -> Finding:
    if answer.get("Status") == "Enabled":
        return Finding("versions", "ok", "versioning is enabled")
    command = f"aws s3api put-bucket-versioning --bucket {bucket} --versioning-configuration Status=Enabled"
    return Finding("versions", "warning", "versioning is not enabled: what is overwritten or deleted is lost", command)


def _blocks(answer: Mapping[str, Any], bucket: str) -> Finding:
    off = [name for name, on in answer["PublicAccessBlockConfiguration"].items() if not on]
    if off:
        said = f"the bucket can be made public: {', '.join(off)}"
        return Finding("public access", "warning", said, _BLOCK.format(bucket=bucket))
    return Finding("public access", "ok", "the bucket can't be made public")


def _policy(text: str) -> Finding:
    try:
        policy = json_values(text)
    except ValueError:
        policy = None
    if not isinstance(policy, dict):
        return Finding("policy", "unknown", "the store's response is not a bucket policy", _POLICY)
    if problems := policy_problems(policy):
        return Finding("policy", "error", "; ".join(problems), _POLICY)
    if leaks := policy_problems(policy, writes=False):
        return Finding("policy", "warning", "; ".join(leaks), _POLICY)
    return Finding("policy", "ok", "the bucket's policy gives the public read access at most")


def policy_problems(policy: Mapping[str, Any], *, writes: bool = True) -> list[str]:
    """Return which statements of a bucket policy let the public do more than read objects, whatever their conditions.

    Args:
        policy: the policy.
        writes: report what changes something; else the rest, which discloses names that a private realm hides.
    """
    statements = policy.get("Statement", [])
    found = []
    for number, statement in enumerate(statements if isinstance(statements, list) else [statements]):
        if not isinstance(statement, dict):
            found += [f"statement number {number + 1} has an unknown form"] if writes else []
            continue
        if statement.get("Effect") != "Allow" or not _names_everybody(statement):
            continue
        given = statement.get("Action", [])
        actions = [str(action) for action in ([given] if isinstance(given, str) else given)]
        bad = [action for action in actions if (_may_write(action) if writes else action.lower() not in _READS)]
        if bad or (writes and "NotAction" in statement):
            name = statement.get("Sid") or f"number {number + 1}"
            found.append(f"statement {name} allows the public {', '.join(bad) or 'everything outside NotAction'}")
    return found


def _names_everybody(statement: Mapping[str, Any]) -> bool:
    if "NotPrincipal" in statement:  # everyone except those
        return True
    principal = statement.get("Principal")
    named = principal.get("AWS") if isinstance(principal, dict) else principal
    return "*" in ([named] if isinstance(named, str) else named or [])


def _may_write(action: str) -> bool:
    """Return whether an action, possibly with wildcards, is or includes one that changes something."""
    return any(fnmatchcase(write, action.lower()) for write in _WRITES) or action.lower().startswith(
        ("s3:put", "s3:delete")
    )


def _grants(answer: Mapping[str, Any], bucket: str) -> Finding:
    open_to = [
        (grant["Permission"], str(grant["Grantee"]["URI"]).rpartition("/")[2])
        for grant in answer.get("Grants", [])
        if str(grant.get("Grantee", {}).get("URI", "")).endswith(("/AllUsers", "/AuthenticatedUsers"))
    ]
    command = f"aws s3api put-bucket-acl --bucket {bucket} --acl private"
    # on a bucket, READ means listing; AuthenticatedUsers is everyone with any AWS account
    if open_to and all(permission == "READ" for permission, _ in open_to):
        return Finding("access list", "warning", "the bucket's access list lets the public list its contents", command)
    if open_to:
        named = ", ".join(f"{permission} to {group}" for permission, group in open_to)
        return Finding("access list", "error", f"the bucket's access list gives {named}", command)
    return Finding("access list", "ok", "the bucket's access list gives the public no access")


def _headers(answer: Mapping[str, Any]) -> Finding:
    wanted = headers_for(TIMESTAMP_KEY).cache_control
    stored = answer.get("CacheControl", "")
    if stored != wanted:
        return Finding(
            "headers",
            "error",
            f"{TIMESTAMP_KEY} is stored with Cache-Control '{stored}' instead of '{wanted}': caches serve old versions",
            "publish or refresh again, and check what else has write access",
        )
    return Finding("headers", "ok", f"{TIMESTAMP_KEY} is revalidated by every cache")


def _readers(url: str) -> Iterator[Finding]:
    """Check as a client: the next root must be missing, and the timestamp always fresh."""
    reader = UrlStorage(url, Transport(TransportSettings(no_progress_window=_PATIENCE_S)))
    try:
        reader.get(_NO_ROOT, max_bytes=MAX_METADATA_BYTES)
    except ObjectMissingError:
        yield Finding("readers", "ok", f"{reader.description} responds, and a missing file is a 404 or 403")
    except SealdexError as error:
        yield Finding("readers", "error", error.message, error.hint or _MISSING)
        return
    else:
        yield Finding(
            "readers",
            "error",
            f"{reader.description} returns content for a missing file: clients request the next root each time, and "
            "need a 404 or 403",
            _MISSING,
        )
    yield _readers_headers(f"{reader.description}/{TIMESTAMP_KEY}")


def _readers_headers(address: str) -> Finding:
    try:
        answer = urllib3.request("GET", address, timeout=10, retries=1, preload_content=False)
        answer.release_conn()
    except urllib3.exceptions.HTTPError as error:
        return Finding("readers' headers", "error", f"{address} can't be read: {error}")
    if answer.status != 200:
        return Finding("readers' headers", "unknown", f"{address} returned status {answer.status}")
    said, wanted = answer.headers.get("Cache-Control", ""), headers_for(TIMESTAMP_KEY).cache_control
    if wanted not in {part.strip().lower() for part in said.split(",")}:
        return Finding(
            "readers' headers",
            "error",
            f"clients get {TIMESTAMP_KEY} with Cache-Control '{said}' instead of '{wanted}': they miss updates",
            "configure the CDN to pass on the store's Cache-Control, with a minimum TTL of 0",
        )
    age = answer.headers.get("Age", "0")
    # an age of more than nine digits is not worth parsing
    if age.isdecimal() and int(age[:9]) > _MAX_AGE_S:
        return Finding(
            "readers' headers",
            "error",
            f"the CDN serves {TIMESTAMP_KEY} from a copy that is {age} s old: clients miss updates",
            "configure the CDN to honour Cache-Control, with a minimum TTL of 0",
        )
    return Finding("readers' headers", "ok", f"{TIMESTAMP_KEY} reaches clients fresh")


__all__ = ["Finding", "look_over", "policy_problems"]
