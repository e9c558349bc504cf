"""Reads when credentials expire, from what they say of themselves. Nothing is verified: it only explains refusals."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from datetime import datetime, timezone
from pathlib import Path


def token_expiry(token: str) -> float | None:
    """Return when a token expires, in seconds since the epoch, if it is a JSON Web Token that says so (RFC 7519)."""
    parts = token.split(".")
    if len(parts) != 3:
        return None
    try:
        claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except ValueError:
        return None
    return _seconds(claims.get("exp")) if isinstance(claims, dict) else None


def cookies_expiry(cookies: Mapping[str, str]) -> float | None:
    """Return when signed cookies expire: CloudFront's (custom or canned policy), and Cloud CDN's."""
    if (policy := cookies.get("CloudFront-Policy")) is not None:
        return _policy_expiry(policy)
    if (expires := cookies.get("CloudFront-Expires")) is not None:
        return _seconds_in(expires)
    fields = (cookies.get("Cloud-CDN-Cookie") or "").split(":")
    return next((_seconds_in(field[8:]) for field in fields if field.startswith("Expires=")), None)


def query_expiry(query: Mapping[str, str]) -> float | None:
    """Return when a signed query expires: CloudFront's, S3's and Google's presigned ones, Azure's SAS."""
    if "Policy" in query:
        return _policy_expiry(query["Policy"])
    if "Expires" in query:
        return _seconds_in(query["Expires"])
    for prefix in ("X-Amz-", "X-Goog-"):
        lasts = _seconds_in(query.get(f"{prefix}Expires", ""))
        if lasts is not None:
            began = _moment(query.get(f"{prefix}Date", ""), "%Y%m%dT%H%M%SZ")
            return began + lasts if began is not None else None
    return _moment(query.get("se", ""), "%Y-%m-%dT%H:%M:%SZ")


def _policy_expiry(policy: str) -> float | None:
    # base64 with the characters that CloudFront replaces
    text = policy.replace("-", "+").replace("_", "=").replace("~", "/")
    try:
        value = json.loads(base64.b64decode(text))
        return _seconds(value["Statement"][0]["Condition"]["DateLessThan"]["AWS:EpochTime"])
    except (ValueError, LookupError, TypeError):
        return None


def _moment(text: str, form: str) -> float | None:
    try:
        return datetime.strptime(text, form).replace(tzinfo=timezone.utc).timestamp()
    except ValueError:
        return None


def _seconds_in(text: str) -> float | None:
    return _seconds(int(text)) if text.isascii() and text.isdecimal() and len(text) < 13 else None


def certificate_expiry(file: str) -> float | None:
    """Return when the first certificate of a PEM file expires, if it can be read."""
    from cryptography import x509  # noqa: PLC0415  # only to explain a refusal

    try:
        return x509.load_pem_x509_certificate(Path(file).read_bytes()).not_valid_after_utc.timestamp()
    except (OSError, ValueError):
        return None


def shown_time(seconds: float) -> str:
    """Return a time as it is shown to people."""
    return datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%d %H:%M UTC")


def _seconds(value: object) -> float | None:
    latest = 253_402_300_799  # the end of the year 9999
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= latest:
        return None
    return float(value)
