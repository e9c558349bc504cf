"""Enforces bucket policies in the tests' S3 proxy as AWS documents them, as far as ours go: the real server doesn't.

Only Deny statements are looked at, with the conditions ``Null``, ``Bool`` and ``ArnNotLike`` of the keys
``s3:if-match``, ``s3:if-none-match``, ``s3:ObjectCreationOperation``, ``aws:SecureTransport`` and ``aws:PrincipalArn``.
A statement or condition that this doesn't know is an error, and not ignored.

Sources: "Enforce conditional writes on Amazon S3 buckets" in the S3 user guide; "IAM JSON policy elements: Condition
operators" in the IAM user guide.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

from support.s3_proxy import Answer, Before, Passing, refusal

# What an operation of the API needs, and whether it creates an object: parts don't, and have no conditions.
_ACTIONS = {
    "PutObject": ("s3:PutObject", True),
    "CopyObject": ("s3:PutObject", True),
    "CompleteMultipartUpload": ("s3:PutObject", True),
    "CreateMultipartUpload": ("s3:PutObject", False),
    "UploadPart": ("s3:PutObject", False),
    "UploadPartCopy": ("s3:PutObject", False),
    "GetObject": ("s3:GetObject", False),
    "HeadObject": ("s3:GetObject", False),
    "DeleteObject": ("s3:DeleteObject", False),
}


def enforce(statements: Sequence[Mapping[str, Any]], bucket: str, roles: Mapping[str, str]) -> Before:
    """Refuse what the statements of a bucket's policy deny.

    Args:
        statements: of the policy.
        bucket: its bucket.
        roles: access key to the ARN of its role.
    """

    def before(passing: Passing) -> Answer | None:
        if not passing.key:
            return None
        action, creates = _ACTIONS[passing.operation]
        facts = {
            "s3:if-match": passing.headers.get("if-match"),
            "s3:if-none-match": passing.headers.get("if-none-match"),
            "s3:ObjectCreationOperation": str(creates).lower(),
            "aws:SecureTransport": "true",
            "aws:PrincipalArn": roles[passing.who],
        }
        arn = f"arn:aws:s3:::{bucket}/{passing.key}"
        for statement in statements:
            if statement["Effect"] != "Deny":
                continue
            actions = statement["Action"]
            named = [actions] if isinstance(actions, str) else actions
            if (
                any(fnmatchcase(action, pattern) for pattern in named)
                and any(fnmatchcase(arn, pattern) for pattern in statement["Resource"])
                and all(_holds(op, wanted, facts) for op, wanted in statement.get("Condition", {}).items())
            ):
                return refusal(403, "AccessDenied")
        return None

    return before


def _holds(operator: str, wanted: Mapping[str, Any], facts: Mapping[str, str | None]) -> bool:
    """Return whether all keys of one operator hold."""
    if operator == "Null":
        return all((facts[key] is None) == (value == "true") for key, value in wanted.items())
    if operator == "Bool":
        return all(facts[key] == value for key, value in wanted.items())
    if operator == "ArnNotLike":
        return not any(fnmatchcase(facts[key] or "", value) for key, value in wanted.items())
    raise ValueError(operator)
