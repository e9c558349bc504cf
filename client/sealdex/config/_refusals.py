"""Explains why a server refused a request: whose credentials are missing, wrong or expired, and what to do. Pure."""

from __future__ import annotations

import time
from typing import NamedTuple

from sealdex.config._expiry import certificate_expiry, shown_time
from sealdex.transport.types import CredentialsProblem, CredentialsRefusedError, Refusal, host_of, public_url

# https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
_S3_PROBLEMS: dict[str, tuple[CredentialsProblem, str]] = {
    "ExpiredToken": ("expired", "they expired"),
    "TokenRefreshRequired": ("expired", "they must be refreshed"),
    "InvalidAccessKeyId": ("wrong", "there is no such access key"),
    "InvalidToken": ("wrong", "the session token is wrong"),
    "SignatureDoesNotMatch": ("wrong", "the secret key is wrong"),
    "RequestTimeTooSkewed": ("wrong", "this host's clock is wrong"),
    "AuthorizationHeaderMalformed": ("wrong", "they sign for another region"),
    "AccessDenied": ("forbidden", "they don't permit it"),
    "AllAccessDisabled": ("forbidden", "nobody is permitted"),
}
# RFC 8446, 6.2, as OpenSSL names them
_ALERTS: dict[str, tuple[CredentialsProblem, str]] = {
    "SSLV3_ALERT_CERTIFICATE_EXPIRED": ("expired", "it has expired or isn't valid yet"),
    "SSLV3_ALERT_CERTIFICATE_REVOKED": ("wrong", "it was revoked"),
    "TLSV1_ALERT_UNKNOWN_CA": ("wrong", "its authority isn't known there"),
    "TLSV1_ALERT_ACCESS_DENIED": ("forbidden", "it doesn't permit it"),
}
_UNCLEAR_ALERT = "SSLV3_ALERT_HANDSHAKE_FAILURE"  # TLS 1.2 has it for a missing certificate and for much else
_CERTIFICATE_STATUSES = frozenset({0, 400, 495, 496})  # 0: in TLS; the others as nginx has them
_BEARER = 'auth = { type = "bearer", token_env = "TEAM_TOKEN" }'
_CERTIFICATE = 'auth = { type = "certificate", cert_file = "client.pem" }'


class Tried(NamedTuple):
    """Whose credentials a request was sent with.

    Attributes:
        owner: ``registry 'team'``, a mirror of it, or the address of a table of its own.
        table: where config.toml says, or could say, what is sent.
        registry: the registry's name, or None.
        kind: the type of its ``auth``; None without.
        shown: what was sent, and where it is from; without secrets.
        advice: how to give another.
    """

    owner: str
    table: str
    registry: str | None
    kind: str | None = None
    shown: str = ""
    advice: str = ""


def explain(refusal: Refusal, tried: Tried | None) -> CredentialsRefusedError | None:
    """Return the error for a refusal; None if it isn't about credentials.

    Args:
        refusal: what was asked for, what was sent, and what came.
        tried: of the nearest address that is configured; None if there is none.
    """
    if not refusal.grant:
        return _without(refusal, tried)
    if refusal.status == 400 and refusal.grant.certificate is None:
        return None
    if tried is None:
        return None
    problem, why = _problem(refusal)
    hints = {
        "wrong": tried.advice,
        "expired": f"renew it: {tried.advice}",
        "forbidden": "ask whoever runs the registry for permission to read; a file that isn't there may look the same",
    }
    return CredentialsRefusedError(
        refusal,
        problem,
        f"{tried.owner} refuses {tried.shown}: {why} ({_answered(refusal)})",
        hint=f"{hints[problem]}; see {tried.table} in config.toml",
        details={"registry": tried.registry, "auth": tried.kind},
    )


def _problem(refusal: Refusal) -> tuple[CredentialsProblem, str]:
    now = refusal.date if refusal.date is not None else time.time()
    certificate = refusal.grant.certificate
    expires = refusal.grant.expires
    if refusal.status in _CERTIFICATE_STATUSES and certificate is not None:
        expires = certificate_expiry(certificate.cert_file)
    if expires is not None and expires <= now:
        return "expired", f"it expired at {shown_time(expires)}"
    if refusal.status in _CERTIFICATE_STATUSES:
        return _ALERTS.get(refusal.code or "", ("wrong", "it isn't valid there"))
    if refusal.code is not None and (known := _S3_PROBLEMS.get(refusal.code)) is not None:
        return known
    return ("wrong", "it isn't valid there") if refusal.status == 401 else ("forbidden", "it doesn't permit this")


def _without(refusal: Refusal, tried: Tried | None) -> CredentialsRefusedError:
    details: dict[str, object] = {"registry": tried.registry if tried is not None else None, "auth": None}
    base = public_url(refusal.url).rpartition("/")[0] + "/"
    if refusal.left:
        message = f"{_answered(refusal)}, where a redirect led, and credentials don't go along with a redirect"
        hint = "ask whoever runs the registry for an address that doesn't lead to another host"
    elif tried is None:
        message = f"{_answered(refusal)}, and no credentials are configured for this address"
        hint = (
            f'if you have some for it, say where they are in config.toml: [auth."{base}"], or for a part of that path'
        )
    else:
        wants_certificate = refusal.status in _CERTIFICATE_STATUSES
        wanted = "a client certificate, and none is" if wants_certificate else "credentials, and none are"
        verb = "may want" if refusal.status in {400, 403} or refusal.code == _UNCLEAR_ALERT else "wants"
        message = f"{tried.owner} {verb} {wanted} configured for it: {_answered(refusal)}"
        example = _CERTIFICATE if wants_certificate else _BEARER
        hint = f"if you have some, say where they are: {tried.table} in config.toml, such as {example}; "
        hint += "with registry add: --auth"
    return CredentialsRefusedError(refusal, "missing", message, hint=hint, details=details)


def _answered(refusal: Refusal) -> str:
    where = public_url(refusal.url)
    if refusal.status == 0:
        return f"{host_of(refusal.url)} ended the TLS handshake for {where}: {refusal.code}"
    code = f" {refusal.code}" if refusal.code else ""
    return f"{host_of(refusal.url)} answered {refusal.status}{code} for {where}"


__all__ = ["Tried", "explain"]
