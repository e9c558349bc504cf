"""Makes grants of secrets: a token, a user and password, cookies, a signed query."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from urllib.parse import parse_qsl

from sealdex.config._expiry import cookies_expiry, query_expiry, token_expiry
from sealdex.config._secret_places import unreadable
from sealdex.log import hide
from sealdex.transport.types import Grant

_TOKEN = re.compile(r"[\x21-\x7e]+")
_COOKIE_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 6265, 4.1.1
_COOKIE_VALUE = re.compile(r"[\x21\x23-\x2b\x2d-\x3a\x3c-\x5b\x5d-\x7e]*")
_QUERY = re.compile(r"[A-Za-z0-9._~!$&'()*+,;=:@%/?-]+")  # RFC 3986, 3.4


def bearer(owner: str, token: str, place: str) -> Grant:
    """Return the grant of a token.

    Raises:
        CredentialsError: it would not be one header.
    """
    if not _TOKEN.fullmatch(token):
        raise unreadable(owner, f"{place} does not hold a valid token: white space or other characters")
    return Grant({"Authorization": f"Bearer {token}"}, expires=token_expiry(token))


def basic(user: str, password: str) -> Grant:
    """Return the grant of a user and password."""
    encoded = base64.b64encode(f"{user}:{password}".encode()).decode()
    hide(encoded)
    return Grant({"Authorization": f"Basic {encoded}"})


def cookies(owner: str, given: Mapping[str, str], place: str) -> Grant:
    """Return the grant of signed cookies, by name.

    Raises:
        CredentialsError: there are none, or one can't be sent.
    """
    for name, value in given.items():
        hide(value)
        if not _COOKIE_NAME.fullmatch(name) or not _COOKIE_VALUE.fullmatch(value):
            raise unreadable(owner, f"{place} does not hold valid cookies: write NAME=VALUE, one a line")
    if not given:
        raise unreadable(owner, f"{place} does not hold valid cookies: write NAME=VALUE, one a line")
    header = "; ".join(f"{name}={value}" for name, value in given.items())
    return Grant({"Cookie": header}, expires=cookies_expiry(given))


def cookies_in(text: str) -> dict[str, str]:
    """Return the cookies of a text: ``NAME=VALUE``, one a line or with ``;`` between them."""
    parts = [part.strip() for part in re.split(r"[;\r\n]", re.sub(r"^\s*cookie:", "", text, flags=re.IGNORECASE))]
    pairs = (part.partition("=") for part in parts if part)
    return {name.strip(): value.strip() for name, _, value in pairs}


def signed_query(owner: str, text: str, place: str) -> Grant:
    """Return the grant of a signed query: all of it, or a signed address, of which the query is taken.

    Raises:
        CredentialsError: it is not a valid query.
    """
    query = text.partition("?")[2] if "://" in text else text.removeprefix("?")
    hide(query)
    pairs = parse_qsl(query)
    for _, value in pairs:
        hide(value)
    if not pairs or not _QUERY.fullmatch(query):
        raise unreadable(
            owner, f"{place} does not hold a valid query: write Name=value&Name=value, or a signed address"
        )
    return Grant(query=query, expires=query_expiry(dict(pairs)))
