"""Which requests a gateway lets in, and which of them may change the host. Pure.

On a Unix socket everything is allowed: its mode lets in only its owner. On loopback every program of the host can
connect, and so can every page in its browser, under any name that an attacker's DNS server resolves to 127.0.0.1. So
there the Host header must be one of loopback, a request from a page is refused, and changes need a token.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from typing import NamedTuple

MIN_TOKEN_LENGTH = 16
_LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
_READ_BY_POST = "/validate-manifest"


class Refusal(NamedTuple):
    """Why a request isn't let in: an HTTP status, and words."""

    status: int
    message: str
    hint: str | None = None


def is_change(method: str, path: str) -> bool:
    """Return whether a request of these routes changes the host."""
    return method not in {"GET", "HEAD", "OPTIONS"} and not (method == "POST" and path.endswith(_READ_BY_POST))


def refusal(
    method: str, path: str, headers: Mapping[str, str], *, port: int | None, token: str | None
) -> Refusal | None:
    """Return why a request isn't let in, or None.

    Args:
        method: in capitals.
        path: of the request.
        headers: by name in lower case.
        port: of loopback; None for a Unix socket.
        token: allows changes on loopback; None allows none.
    """
    if port is None:
        return None
    if headers.get("host", "") not in {*(f"{name}:{port}" for name in _LOOPBACK), *(_LOOPBACK if port == 80 else ())}:
        return Refusal(421, "the Host header names another host: a gateway answers for loopback alone")
    if "origin" in headers or headers.get("sec-fetch-site", "none") not in {"none", "same-origin"}:
        return Refusal(403, "a gateway answers programs, not pages of a browser")
    if not is_change(method, path):
        return None
    if token is None:
        hint = "use its Unix socket, or start it with --allow-changes and a token"
        return Refusal(403, "this gateway doesn't change the host over loopback", hint)
    scheme, _, given = headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not hmac.compare_digest(given.strip().encode(), token.encode()):
        return Refusal(401, "the token is missing or wrong", "send it as: Authorization: Bearer TOKEN")
    return None


__all__ = ["MIN_TOKEN_LENGTH", "Refusal", "is_change", "refusal"]
