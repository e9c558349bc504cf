"""Turns what botocore raises into one error with advice: what S3 refused, and what to do about it."""

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

from registry_builder.storage.protocol import AccessDeniedError
from sealdex.errors import UnavailableError

if TYPE_CHECKING:
    from collections.abc import Mapping

_CREDENTIALS: Final = (
    "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, or give the host or workflow an IAM role"
)
_ENDPOINT: Final = "check endpoint_url in the storage address, AWS_ENDPOINT_URL_S3, and the network"
_RIGHTS: Final = (
    "allow this publisher s3:GetObject and s3:PutObject on the prefix, and s3:ListBucket on the bucket: without the "
    "last, S3 returns 403 for a missing object"
)

_SESSION: Final = (
    "the session has expired, or its token is not from this store: log in again (aws sso login, or set a new "
    "AWS_SESSION_TOKEN that belongs to the key), or unset AWS_SESSION_TOKEN if the key has none"
)
_REGION: Final = "the bucket is in another region: add region=NAME to the storage address"
_CLOCK: Final = "set this host's clock: it differs too much from the store's"
_CHECKSUM: Final = (
    "the store requires Content-MD5 and rejects x-amz-checksum-sha256: a newer version of this "
    "server may accept it; there is no setting for it on this side"
)
_DAMAGED: Final = "the bytes changed on the way or on disk: publish again"
_BUSY: Final = "the store is rate-limiting: publish again later"
_BROKEN: Final = "the store has an internal error: publish again later, and see its status page or log"
_NO_CONDITIONS: Final = "this server has no conditional writes, which publishing needs: use one that does"
_NOT_IMPLEMENTED: Final = (
    "this server lacks something that publishing needs, such as conditional writes (If-None-Match, If-Match) "
    "or x-amz-checksum-sha256: use a newer version of it, or another server"
)
_NOT_S3: Final = "the response is not that of an S3 server: check endpoint_url in the storage address"
_UNKNOWN: Final = "look the code up in the documentation of the store: it answered, so the network is not at fault"

# By the error code, never by its message.
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
    # a HEAD response has only the status
    "400": "check the region, the session (AWS_SESSION_TOKEN) and this host's clock: the store gave no details",
    "ConditionalRequestConflict": "another publisher is writing: publish again later",
}  # fmt: skip
_UNKNOWN_OUTCOME: Final = (
    "either all of the new state is published or none of it, and it isn't known which: publish again to find out"
)
_ROLE: Final = "check the role's ARN and trust policy, and that the token for assuming it is still valid"
_CONDITIONS: Final = frozenset({"if-none-match", "if-match"})


def _advice(error: ClientError, code: str) -> str:
    """Return advice: by code, by the header that is named beside it, by the operation; last by the status."""
    if error.operation_name.startswith("AssumeRole"):  # of STS, where AccessDenied is not about the bucket
        return _ROLE
    # with NotImplemented, S3 names the unsupported header
    header = str(error.response.get("Error", {}).get("Header", "")).lower()
    if code == "NotImplemented" and header:
        is_condition = header in _CONDITIONS
        return _NO_CONDITIONS if is_condition else _CHECKSUM if "checksum" in header else _NOT_IMPLEMENTED
    return _HINTS.get(code) or _HINTS.get(str(status_of(error))) or _UNKNOWN


def unavailable(
    error: ClientError | BotoCoreError, *, key: str, storage: str, is_unknown: bool = False
) -> UnavailableError:
    """Return the error that tells the user what S3 refused for ``key``, and whether what came of it is unknown."""
    hint: str | None
    kind = UnavailableError
    if isinstance(error, ClientError):
        details = error.response.get("Error", {})
        code = str(details.get("Code", "unknown"))
        text = details.get("Message") or f"status {status_of(error)}"
        reason, hint = f"{code}: {text}", _advice(error, code)
        if hint == _RIGHTS:
            kind = AccessDeniedError
    else:
        reason, hint = str(error), _hint_of(error)
    refused = f"{storage} refused {key}" if key else f"{storage} refused the request"
    doing = refused if isinstance(error, ClientError) else f"can't reach {storage}"
    return kind(
        f"{doing}: {reason.rstrip('.')}",
        subject=key or storage,
        untouched=_UNKNOWN_OUTCOME if is_unknown else "what is published was not changed",
        hint=hint,
    )


def may_have_written(error: ClientError | BotoCoreError) -> bool:
    """Return whether a write may have been carried out although it ended in this: the answer was lost, or is none."""
    if isinstance(error, ClientError):
        return status_of(error) >= 500 and status_of(error) != 501
    return isinstance(error, HTTPClientError)


def tag_refused(etag: str, *, key: str, storage: str) -> UnavailableError:
    """Return the error for a store that refuses a swap although the object still has the tag that it gave out."""
    return UnavailableError(
        f"{storage} refused to replace {key}, although it still has the ETag {etag} that the store answers with",
        subject=key,
        untouched="what is published was not changed",
        hint="nobody else published: the store or a proxy before it changes ETags or doesn't compare them as S3 does. "
        "Set endpoint_url to the store itself, turn off compression and rewriting of ETags in the proxy, or use a "
        "newer version of the store",
    )


def without_tag(*, key: str, storage: str, is_unknown: bool = False) -> UnavailableError:
    """Return the error for an answer that no S3 server gives, such as that of a proxy with a login page."""
    return UnavailableError(
        f"{storage} answered a request for {key} without an ETag",
        subject=key,
        untouched=_UNKNOWN_OUTCOME if is_unknown else "what is published was not changed",
        hint=_NOT_S3,
    )


def status_of(error: ClientError) -> int:
    """Return the HTTP status of a refusal, 0 if there is none."""
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def is_missing(error: ClientError) -> bool:
    """Return whether there is no such object."""
    # A HEAD response has no body, so its code is the status.
    return error.response.get("Error", {}).get("Code") in {"NoSuchKey", "404", "NotFound"}


def is_conflict(error: ClientError) -> bool:
    """Return whether another write to the same key is in progress."""
    # An upload that is gone was completed by an attempt whose response was lost; repeating it finds the object.
    return status_of(error) == 409 or error.response.get("Error", {}).get("Code") == "NoSuchUpload"


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
