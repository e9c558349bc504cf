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

_SESSION: Final = (
    "the session is over or its token isn't one that this store gave: log in again (aws sso login, or a fresh "
    "AWS_SESSION_TOKEN beside its own key), or unset AWS_SESSION_TOKEN if the key has none"
)
_REGION: Final = "the bucket is in another region: add region=NAME to the storage address"
_CLOCK: Final = "set this host's clock: it differs from the store's by more than the store allows"
_CHECKSUM: Final = (
    "the store wants a Content-MD5 and doesn't take the x-amz-checksum-sha256 that was sent: a newer version of this "
    "server may; nothing on this side can be set otherwise"
)
_DAMAGED: Final = "the bytes changed on the way or on disk: publish again"
_BUSY: Final = "the store asks for fewer requests: publish again later"
_BROKEN: Final = "the store failed by itself: publish again later, and see its status page or log"
_NO_CONDITIONS: Final = "this server has no conditional writes, which publishing needs: use one that does"
_NOT_IMPLEMENTED: Final = (
    "this server doesn't know something that publishing needs, such as conditional writes (If-None-Match, If-Match) "
    "or x-amz-checksum-sha256: use a newer version of it, or another server"
)
_NOT_S3: Final = "what answers there doesn't do what an S3 server does: check endpoint_url in the storage address"
_UNKNOWN: Final = "look the code up in the documentation of the store: it answered, so the network is not at fault"

# By the code that the store answers with, never by its wording.
_HINTS: Final[Mapping[str, str]] = {
    "NoSuchBucket": "create the bucket, or correct its name in the storage address of registry.toml",
    "InvalidBucketName": "correct the bucket's name in the storage address of registry.toml",
    **dict.fromkeys(("AccessDenied", "AllAccessDisabled", "Forbidden", "403"), _RIGHTS),
    **dict.fromkeys(
        ("InvalidAccessKeyId", "InvalidClientTokenId", "UnrecognizedClientException", "MissingSecurityHeader",
         "Unauthorized", "401"),
        _CREDENTIALS,
    ),
    **dict.fromkeys(
        ("InvalidToken", "ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired", "RequestExpired"), _SESSION
    ),
    "SignatureDoesNotMatch": "check AWS_SECRET_ACCESS_KEY, the region, and this host's clock",
    **dict.fromkeys(("RequestTimeTooSkewed", "RequestInTheFuture"), _CLOCK),
    **dict.fromkeys(
        ("PermanentRedirect", "TemporaryRedirect", "Redirect", "301", "307", "AuthorizationHeaderMalformed",
         "IllegalLocationConstraintException"),
        _REGION,
    ),
    **dict.fromkeys(("MissingContentMD5", "InvalidDigest"), _CHECKSUM),
    "NotImplemented": _NOT_IMPLEMENTED,
    **dict.fromkeys(("BadDigest", "XAmzContentChecksumMismatch", "XAmzContentSHA256Mismatch"), _DAMAGED),
    **dict.fromkeys(
        ("SlowDown", "Throttling", "ThrottlingException", "RequestLimitExceeded", "TooManyRequests", "429"), _BUSY
    ),
    **dict.fromkeys(("InternalError", "ServiceUnavailable", "RequestTimeout", "500", "502", "503", "504"), _BROKEN),
    **dict.fromkeys(("MethodNotAllowed", "405"), _NOT_S3),
    **dict.fromkeys(("QuotaExceeded", "EntityTooLarge"), "make room in the store, or have its quota raised"),
    # of a HEAD the store says no more than the status
    "400": "check the region, the session (AWS_SESSION_TOKEN) and this host's clock: the store refused to say more",
    "ConditionalRequestConflict": "another publisher is writing: publish again later",
}  # fmt: skip
_ROLE: Final = "check the role's ARN and whom it trusts, and that the token by which it is taken is still valid"
_CONDITIONS: Final = frozenset({"if-none-match", "if-match"})


def _advice(error: ClientError, code: str) -> str:
    """Say what helps: by code, by the header that is named beside it, by the call; last by the bare status."""
    if error.operation_name.startswith("AssumeRole"):  # of STS, where AccessDenied is no matter of the bucket
        return _ROLE
    # S3 names beside NotImplemented the header that it doesn't know
    header = str(error.response.get("Error", {}).get("Header", "")).lower()
    if code == "NotImplemented" and header:
        is_condition = header in _CONDITIONS
        return _NO_CONDITIONS if is_condition else _CHECKSUM if "checksum" in header else _NOT_IMPLEMENTED
    return _HINTS.get(code) or _HINTS.get(str(status_of(error))) or _UNKNOWN


def unavailable(error: ClientError | BotoCoreError, *, key: str, storage: str) -> UnavailableError:
    """Make the error that tells the user what S3 refused for ``key``."""
    hint: str | None
    if isinstance(error, ClientError):
        details = error.response.get("Error", {})
        code = str(details.get("Code", "unknown"))
        text = details.get("Message") or f"status {status_of(error)}"
        reason, hint = f"{code}: {text}", _advice(error, code)
    else:
        reason, hint = str(error), _hint_of(error)
    refused = f"{storage} refused {key}" if key else f"{storage} refused the request"
    doing = refused if isinstance(error, ClientError) else f"can't reach {storage}"
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
