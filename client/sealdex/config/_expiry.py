"""Reads when credentials expire, from what they say of themselves. Nothing is verified: it only explains refusals."""

from __future__ import annotations

import base64
import json
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
