"""From what botocore raises to one error with advice: what S3 refused, and what the publisher can do about it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    HTTPClientError,
    NoCredentialsError,
    NoRegionError,
    PartialCredentialsError,
    ProfileNotFound,
    SSLError,
    TokenRetrievalError,
)
from botocore.exceptions import (
    ConnectionError as BotoConnectionError,
)

from sealdex.errors import UnavailableError

if TYPE_CHECKING:
    from collections.abc import Mapping

_CREDENTIALS: Final = (
    "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, or give the host or workflow a role"
)
_ENDPOINT: Final = "check endpoint_url in the storage address, AWS_ENDPOINT_URL_S3, and the network"
_RIGHTS: Final = (
    "allow this publisher s3:GetObject and s3:PutObject on the prefix, and s3:ListBucket on the bucket: without "
    "the last, S3 answers 403 where an object is merely missing"
)

_HINTS: Final[Mapping[str, str]] = {
    "NoSuchBucket": "create the bucket, or correct its name in the storage address of registry.toml",
    "AccessDenied": _RIGHTS,
    "AllAccessDisabled": _RIGHTS,
    "403": _RIGHTS,
    "InvalidAccessKeyId": _CREDENTIALS,
    "SignatureDoesNotMatch": "check AWS_SECRET_ACCESS_KEY, the region, and this host's clock",
    "ExpiredToken": "the session has expired: log in again",
    "RequestTimeTooSkewed": "set this host's clock",
    "PermanentRedirect": "the bucket is in another region: add region=NAME to the storage address",
    "AuthorizationHeaderMalformed": "the bucket is in another region: add region=NAME to the storage address",
    "NotImplemented": "this server has no conditional writes, which publishing needs: use one that does",
    "BadDigest": "the bytes changed on the way or on disk: publish again",
    "XAmzContentChecksumMismatch": "the bytes changed on the way or on disk: publish again",
    "SlowDown": "the store asks for fewer requests: publish again later",
    "ConditionalRequestConflict": "another publisher is writing: publish again later",
}


def unavailable(error: ClientError | BotoCoreError, *, key: str, storage: str) -> UnavailableError:
    """Make the error that tells the user what S3 refused for ``key``."""
    if isinstance(error, ClientError):
        details = error.response.get("Error", {})
        code = str(details.get("Code", "unknown"))
        text = details.get("Message") or f"status {status_of(error)}"
        reason, hint = f"{code}: {text}", _HINTS.get(code)
    else:
        reason, hint = str(error), _hint_of(error)
    doing = f"{storage} refused {key}" if isinstance(error, ClientError) and key else f"can't reach {storage}"
    return UnavailableError(
        f"{doing}: {reason.rstrip('.')}",
        subject=key or storage,
        untouched="what is published stays as it was",
        hint=hint,
    )


def status_of(error: ClientError) -> int:
    """Return the HTTP status of a refusal, 0 if there was none."""
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def _hint_of(error: BotoCoreError) -> str | None:
    if isinstance(error, (NoCredentialsError, PartialCredentialsError, ProfileNotFound, TokenRetrievalError)):
        return _CREDENTIALS
    if isinstance(error, NoRegionError):
        return "add region=NAME to the storage address, or set AWS_REGION"
    if isinstance(error, SSLError):
        return "set AWS_CA_BUNDLE to the certificate authority of the endpoint"
    if isinstance(error, (BotoConnectionError, HTTPClientError)):
        return _ENDPOINT
    return None
