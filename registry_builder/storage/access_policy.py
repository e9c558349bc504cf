"""IAM and bucket policies for a published tree in S3: who may do what with which keys. Pure.

The one source of all policies: `sealdex-builder access policy` prints them, the account's template embeds them. ARNs of
a distribution, a role or a key are inserted as they are, so a template's references pass through unchanged.

What is never overwritten (`WRITE_ONCE`) may only be created: S3 evaluates ``s3:if-none-match`` and ``s3:if-match`` as
whether the request has that header, and ``s3:ObjectCreationOperation`` is false for the requests of a multipart upload
that can't have it. CopyObject doesn't get through, which is intended: nothing here copies within a bucket.

Sources: "Enforce conditional writes on Amazon S3 buckets" in the S3 user guide, and the Service Authorization
Reference for S3, CloudFront and KMS.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, get_args

from registry_builder.storage.headers import BUNDLE_KEY, LOCK_KEY, TIMESTAMP_KEY

Statement = dict[str, Any]
Policy = dict[str, Any]
Audience = Literal["readers", "publisher", "refresher", "validators", "recovery"]
AUDIENCES: Final[tuple[Audience, ...]] = get_args(Audience)

WRITE_ONCE: Final = ("targets/*", "plugins/*", "metadata/*.*.json")
"""Patterns of the keys whose objects never change; ``timestamp.json``, the bundle and the pages match none of them."""

_REFRESHED: Final = ("metadata/*.*.json", TIMESTAMP_KEY, BUNDLE_KEY, LOCK_KEY)
_VALIDATED: Final = ("metadata/*", "targets/*")
_SIGN: Final = ("kms:GetPublicKey", "kms:Sign")
_KEEP: Final = tuple(
    f"cloudfront-keyvaluestore:{name}" for name in ("DescribeKeyValueStore", "GetKey", "ListKeys", "UpdateKeys")
)
_VERSION: Final = "2012-10-17"
_WILD: Final = re.compile(r"[*?$]")  # ${*}, ${?} and ${$} are the characters themselves


@dataclass(frozen=True)
class Place:
    """Where a realm is published.

    Attributes:
        bucket: its name.
        prefix: of its keys, without a slash at either end; empty for the whole bucket.
        partition: ``aws``, ``aws-cn`` or ``aws-us-gov``.
    """

    bucket: str
    prefix: str = ""
    partition: str = "aws"

    @property
    def bucket_arn(self) -> str:
        """The ARN of the bucket."""
        return f"arn:{self.partition}:s3:::{self.bucket}"

    def objects(self, *patterns: str) -> list[str]:
        """Return the ARNs of the objects that match patterns of keys; what is a wildcard in the prefix isn't one."""
        prefix = _WILD.sub(r"${\g<0>}", self.prefix)
        start = f"{self.bucket_arn}/{prefix}/" if prefix else f"{self.bucket_arn}/"
        return [start + pattern for pattern in patterns]


def policy_of(statements: Sequence[Statement]) -> Policy:
    """Return a whole policy document."""
    return {"Version": _VERSION, "Statement": list(statements)}


def identity_statements(
    audience: Audience,
    place: Place,
    *,
    distribution: str | None = None,
    kms_keys: Sequence[str] = (),
    kms_aliases: Sequence[str] = (),
    key_value_store: str | None = None,
) -> list[Statement]:
    """Return what an IAM role (or user, or group) needs, and no more.

    None of them may delete anything. Those that write are also denied overwriting here, so that a bucket whose own
    policy was forgotten protects them too; `bucket_statements` denies it to everybody else as well.

    Args:
        audience: who it is for.
        place: the realm's bucket and prefix.
        distribution: ARN of the CloudFront distribution in which publisher and refresher invalidate what they replaced.
        kms_keys: ARNs of the keys with which publisher, refresher and recovery sign.
        kms_aliases: names (``alias/...``) of further such keys.
        key_value_store: ARN of CloudFront's store of addresses, which whoever writes pages keeps up to date.
    """
    if audience == "readers":
        return [_allow("ReadRealm", ["s3:GetObject"], place.objects("*"))]
    if audience == "validators":
        return [_allow("ReadMetadata", ["s3:GetObject"], place.objects(*_VALIDATED)), _tell_missing(place)]
    writes = _REFRESHED if audience == "refresher" else ("*",)
    reads = ("metadata/*", "targets/*") if audience == "refresher" else ("*",)
    uploads = ["s3:PutObject"] if audience == "refresher" else ["s3:PutObject", "s3:AbortMultipartUpload"]
    statements = [
        _allow("ReadRealm", ["s3:GetObject"], place.objects(*reads)),
        _tell_missing(place),
        _allow("WriteRealm", uploads, place.objects(*writes)),
    ]
    if kms_keys:
        statements.append(_allow("SignMetadata", list(_SIGN), list(kms_keys)))
    if kms_aliases:  # a policy can't name an alias: it names all keys, and the condition those that have the alias
        by_alias = _allow("SignMetadataByAlias", list(_SIGN), [f"arn:{place.partition}:kms:*:*:key/*"])
        by_alias["Condition"] = {"ForAnyValue:StringEquals": {"kms:ResourceAliases": list(kms_aliases)}}
        statements.append(by_alias)
    if distribution is not None:
        statements.append(_allow("InvalidateReplaced", ["cloudfront:CreateInvalidation"], [distribution]))
    if key_value_store is not None and audience != "refresher":
        statements.append(_allow("KeepAddresses", list(_KEEP), [key_value_store]))
    if audience != "recovery":
        statements.append(_only_new(place))
    return [*statements, _only_swapped(place)]


def bucket_statements(
    place: Place,
    *,
    recovery_role: str | None = None,
    readers: Sequence[str] = (),
    distribution: str | None = None,
) -> list[Statement]:
    """Return the statements of the bucket's policy for one realm.

    Args:
        place: the realm's bucket and prefix.
        recovery_role: ARN of the break-glass role, the only one that may overwrite what never changes.
        readers: ARNs of the principals that read straight from S3.
        distribution: ARN of the CloudFront distribution that reads by origin access control.
    """
    everybody = {"Principal": "*"}
    statements = [
        {**_only_new(place, recovery_role), **everybody},
        {**_only_swapped(place), **everybody},
        {
            "Sid": "EncryptedOnTheWay",
            "Effect": "Deny",
            **everybody,
            "Action": "s3:*",
            "Resource": [place.bucket_arn, *place.objects("*")],
            "Condition": {"Bool": {"aws:SecureTransport": "false"}},
        },
    ]
    if readers:
        read = _allow("ReadersRead", ["s3:GetObject"], place.objects("*"))
        statements.append({**read, "Principal": {"AWS": list(readers)}})
    if distribution is not None:
        service = {
            "Principal": {"Service": "cloudfront.amazonaws.com"},
            "Condition": {"ArnLike": {"AWS:SourceArn": distribution}},
        }
        statements += [
            {**_allow("CloudFrontReads", ["s3:GetObject"], place.objects("*")), **service},
            {**_allow("CloudFrontTellsMissing", ["s3:ListBucket"], [place.bucket_arn]), **service},
        ]
    return statements


def cookie_policy(url: str, expires: int) -> Policy:
    """Return CloudFront's custom policy for signed cookies and addresses: everything below ``url``.

    Args:
        url: where readers read the realm.
        expires: in seconds since 1970.
    """
    resource = f"{url.rstrip('/')}/*"
    return {"Statement": [{"Resource": resource, "Condition": {"DateLessThan": {"AWS:EpochTime": expires}}}]}


def _allow(sid: str, actions: list[str], resources: list[str]) -> Statement:
    return {"Sid": sid, "Effect": "Allow", "Action": actions, "Resource": resources}


def _tell_missing(place: Place) -> Statement:
    """Let S3 answer 404 for a missing object, and not 403. A condition on the prefix would take that back.

    So whoever has this can list the whole bucket: give each private realm a bucket of its own.
    """
    return _allow("TellMissing", ["s3:ListBucket"], [place.bucket_arn])


def _only_new(place: Place, except_role: str | None = None) -> Statement:
    condition: dict[str, Any] = {
        "Null": {"s3:if-none-match": "true"},
        "Bool": {"s3:ObjectCreationOperation": "true"},
    }
    if except_role is not None:
        condition["ArnNotLike"] = {"aws:PrincipalArn": except_role}
    return {
        "Sid": "PublishedFilesAreNew",
        "Effect": "Deny",
        "Action": "s3:PutObject",
        "Resource": place.objects(*WRITE_ONCE),
        "Condition": condition,
    }


def _only_swapped(place: Place) -> Statement:
    return {
        "Sid": "TimestampIsSwapped",
        "Effect": "Deny",
        "Action": "s3:PutObject",
        "Resource": place.objects(TIMESTAMP_KEY),
        "Condition": {
            "Null": {"s3:if-match": "true", "s3:if-none-match": "true"},
            "Bool": {"s3:ObjectCreationOperation": "true"},
        },
    }


__all__ = [
    "AUDIENCES",
    "WRITE_ONCE",
    "Audience",
    "Place",
    "Policy",
    "Statement",
    "bucket_statements",
    "cookie_policy",
    "identity_statements",
    "policy_of",
]
