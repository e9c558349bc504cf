"""The policies of a realm in S3, from registry.toml: for readers, publisher, refresher, validators and recovery. Pure.

`registry_builder.storage.access_policy` has the statements; here they get the realm's bucket, readers and keys.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from registry_builder.source.config import RegistryConfig
from registry_builder.source.kms_keys import kms_keys
from registry_builder.source.realms import check_realm
from registry_builder.storage import bucket_of
from registry_builder.storage.access_policy import (
    Audience,
    Place,
    Policy,
    bucket_statements,
    cookie_policy,
    identity_statements,
    policy_of,
)
from sealdex.errors import UsageError

DocumentKind = Literal["identity", "bucket", "cookie"]

_ATTACH: Final = {
    "identity": "the role, user or group",
    "bucket": "the bucket; it is the whole policy of a bucket with one realm",
    "cookie": "each signed cookie or address: it is what the key group's key signs",
}


@dataclass(frozen=True)
class AccessDocument:
    """One policy document, and what it belongs to.

    Attributes:
        kind: ``identity``, ``bucket`` or ``cookie``.
        attach: what it is attached to, in words.
        policy: the document.
    """

    kind: DocumentKind
    attach: str
    policy: Policy


def access_documents(
    config: RegistryConfig,
    realm: str,
    audience: Audience | Literal["bucket"],
    *,
    cookies_expire: datetime,
    account: str = "*",
) -> list[AccessDocument]:
    """Return the policy documents of a realm for one audience, the one that is needed first in front.

    Args:
        config: registry.toml.
        realm: one of its realms.
        audience: whose; ``bucket`` is the policy of the bucket itself.
        cookies_expire: until when a cookie's policy is valid, in UTC.
        account: the AWS account of the CloudFront distribution, where it is to be named.

    Raises:
        ConfigError: there is no such realm.
        UsageError: the realm isn't in S3, or everybody may read it.
    """
    check_realm(config, realm)
    section = config.realms[realm]
    place = bucket_of(section.storage)
    if place is None:
        raise UsageError(
            f"realm {realm} is published to {section.storage}: only realms in S3 have policies",
            subject=realm,
            hint="for a folder set the rights of the folder; for GitHub Pages see docs/publishing.md",
        )
    distribution = _distribution(place, section.cloudfront, account)
    readers = section.readers
    on_bucket = bucket_statements(
        place,
        recovery_role=section.recovery_role,
        readers=readers.principals if readers is not None else (),
        distribution=distribution,
    )
    bucket = AccessDocument("bucket", _ATTACH["bucket"], policy_of(on_bucket))
    if audience == "bucket":
        return [bucket]
    keys, aliases = ((), ()) if audience in {"readers", "validators"} else kms_keys(config, place)
    statements = identity_statements(
        audience,
        place,
        distribution=distribution,
        kms_keys=keys,
        kms_aliases=aliases,
        key_value_store=section.key_value_store,
    )
    identity = AccessDocument("identity", _ATTACH["identity"], policy_of(statements))
    if audience != "readers":
        return [identity]
    if readers is None:
        raise UsageError(
            f"realm {realm} names no readers in registry.toml",
            subject=f"realms.{realm}.readers",
            hint=f'write [realms.{realm}.readers] with principals = ["arn:aws:iam::ACCOUNT:role/NAME"], or with '
            'key_group = "ID" for signed cookies and addresses',
        )
    documents = [identity, bucket] if readers.principals else []
    if readers.key_group is not None and section.url is not None:
        policy = cookie_policy(section.url, int(cookies_expire.timestamp()))
        documents.append(AccessDocument("cookie", f"{_ATTACH['cookie']} ({readers.key_group})", policy))
    if not documents:
        raise UsageError(
            f"realm {realm} has no url yet, and signed cookies are for what is below it",
            subject=f"realms.{realm}.url",
            hint="write it into registry.toml; of a stack: aws cloudformation describe-stacks | "
            "sealdex-builder cloud outputs -",
        )
    return documents


def _distribution(place: Place, name: str | None, account: str) -> str | None:
    return None if name is None else f"arn:{place.partition}:cloudfront::{account}:distribution/{name}"


__all__ = ["AccessDocument", "DocumentKind", "access_documents"]
