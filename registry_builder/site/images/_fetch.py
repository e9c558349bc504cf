"""Fetches one file from a public https address, for who can't trust the address: it stands in an author's README.

Each address, and each that it redirects to, is https on port 443 without credentials. Its host is resolved once; every
IP address that this gives must be public, and the connection goes to one of these, so that a second answer of DNS
changes nothing. TLS still verifies the host's name. No proxy is used: it would resolve the name again, from inside.
"""

from __future__ import annotations

import os
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from typing import Any, NamedTuple
from urllib.parse import quote, urljoin, urlsplit

import urllib3
from urllib3.exceptions import HTTPError

from registry_builder.source.public_addresses import is_public

MAX_REDIRECTS = 5
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_PORT = 443
_CONNECT_S, _READ_S, _ALL_S = 10.0, 15.0, 60.0
_LOOK_S = 0.5
_CHUNK_BYTES = 64 * 1024
_MAX_ADDRESS = 2000
_HEADERS = {
    "Accept": "image/png,image/jpeg,image/gif,image/webp",
    "Accept-Encoding": "identity",
    "User-Agent": "sealdex-builder",
}


class NotFetchedError(Exception):
    """An image wasn't fetched; its text says why, for people."""


class RefusedAddressError(NotFetchedError):
    """It wasn't asked for: the address, or one that it leads to, isn't a public https address."""


@dataclass(frozen=True)
class Wire:
    """How this machine reaches others.

    Attributes:
        resolve: returns the IP addresses of a host; the system's by default.
        authorities: what certificates are verified against; the system's by default.
        dial_for_tests: FOR TESTS ALONE: says where a connection to a checked IP address and port really goes, so that a
            server on this machine can answer for a public address. The checks stay as they are.
    """

    resolve: Callable[[str], Sequence[str]] | None = None
    authorities: ssl.SSLContext | None = None
    dial_for_tests: Callable[[str, int], tuple[str, int]] | None = None


SYSTEM = Wire()


class _Place(NamedTuple):
    host: str
    path: str


def fetch(address: str, max_bytes: int, wire: Wire = SYSTEM) -> bytes:
    """Return the file at an address.

    Raises:
        RefusedAddressError: the address isn't asked.
        NotFetchedError: there is no such file, it is too large, or nobody answers.
    """
    until = time.monotonic() + _ALL_S
    context = wire.authorities or ssl.create_default_context()
    url = address
    for _ in range(MAX_REDIRECTS + 1):
        place = _place_of(url)
        with _broken_off(until) as made, closing(_asked(place, wire, context, made, until)) as response:
            if response.status in _REDIRECTS and (target := response.headers.get("Location")):
                url = urljoin(url, target)
                continue
            if response.status != 200:
                raise NotFetchedError(f"{place.host} answers {response.status}")
            return _body(response, place, max_bytes, until)
    raise NotFetchedError(f"it redirects more than {MAX_REDIRECTS} times")


def address_problem(address: str) -> str | None:
    """Return why an address isn't asked, as far as its text says; None if it may be."""
    try:
        _place_of(address)
    except RefusedAddressError as error:
        return str(error)
    return None


def _place_of(url: str) -> _Place:
    if len(url) > _MAX_ADDRESS:
        raise RefusedAddressError(f"its address has more than {_MAX_ADDRESS} characters")
    try:
        parts = urlsplit(url)
        host, port = (parts.hostname or "").encode("idna").decode(), parts.port
    except (ValueError, UnicodeError):
        raise RefusedAddressError("its address can't be read") from None
    if parts.scheme != "https" or not host:
        raise RefusedAddressError("it isn't at an https address" if parts.scheme else "its address is relative")
    if port not in {None, _PORT} or parts.username is not None or parts.password is not None:
        raise RefusedAddressError("its address has a port or a user of its own")
    path = quote(parts.path or "/", safe="/%:=&~+!$,;'@()*-._") + (
        f"?{quote(parts.query, safe='/%:=&?~+!$,;@()*-._')}" if parts.query else ""
    )
    return _Place(host, path)


def _checked(host: str, wire: Wire) -> Sequence[str]:
    """Return the addresses of a host, all of them public."""
    try:
        found = (wire.resolve or _system_addresses)(host)
    except (OSError, UnicodeError):
        found = []
    if not found:
        raise NotFetchedError(f"{host} has no IP address here")
    for each in found:
        if not is_public(each):
            raise RefusedAddressError(f"{host} is at {each}, which is not an address of the public internet")
    return found


class _Connection(urllib3.connection.HTTPSConnection):
    """One that can be broken off by another thread: a server may send the headers byte by byte, without end."""

    def break_off(self) -> None:
        """End what it waits for."""
        if isinstance(self.sock, socket.socket):
            with suppress(OSError):
                socket.socket.shutdown(self.sock, socket.SHUT_RDWR)  # not TLS's own, which another thread uses


@contextmanager
def _broken_off(until: float) -> Iterator[list[_Connection]]:
    """Break off the connections that are put into the list, from a time of the monotonic clock on.

    Again and again: one that isn't made yet at that time, or is in the middle of its TLS handshake, can't be.
    """
    made: list[_Connection] = []
    done = threading.Event()

    def watch() -> None:
        while not done.wait(_LOOK_S):
            if time.monotonic() > until:
                for each in made:
                    each.break_off()

    threading.Thread(target=watch, daemon=True).start()
    try:
        yield made
    finally:
        done.set()


def _asked(
    place: _Place, wire: Wire, context: ssl.SSLContext, made: list[_Connection], until: float
) -> urllib3.BaseHTTPResponse:
    failed: Exception | None = None

    def connection(**given: Any) -> _Connection:
        made.append(_Connection(**given))
        return made[-1]

    for address in dict.fromkeys(_checked(place.host, wire)):
        at, port = wire.dial_for_tests(address, _PORT) if wire.dial_for_tests is not None else (address, _PORT)
        pool = urllib3.HTTPSConnectionPool(
            at,
            port,
            timeout=urllib3.Timeout(connect=_CONNECT_S, read=_READ_S),
            maxsize=1,
            retries=False,
            ssl_context=context,
            server_hostname=place.host,
            assert_hostname=place.host,
        )
        pool.ConnectionCls = connection  # type: ignore[assignment]  # it is only called
        try:
            return pool.urlopen(
                "GET",
                place.path,
                headers={**_HEADERS, "Host": place.host},
                redirect=False,
                preload_content=False,
                decode_content=False,
            )
        except (HTTPError, OSError) as error:  # the next one: this machine may have no IPv6
            failed = error
        if time.monotonic() > until:
            raise NotFetchedError(f"{place.host} sends it too slowly") from failed
    raise NotFetchedError(f"{place.host} can't be reached ({_reason(failed)}){_about_proxies()}")


def _body(response: urllib3.BaseHTTPResponse, place: _Place, max_bytes: int, until: float) -> bytes:
    too_large = NotFetchedError(f"it is larger than {max_bytes:,} bytes")
    if response.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise NotFetchedError(f"{place.host} sends it in an encoding that wasn't asked for")
    if (stated := response.headers.get("Content-Length", "")).isdecimal() and int(stated[:19]) > max_bytes:
        raise too_large
    data = bytearray()
    try:
        for chunk in response.stream(_CHUNK_BYTES, decode_content=False):
            data += chunk
            if len(data) > max_bytes:
                raise too_large
            if time.monotonic() > until:
                raise NotFetchedError(f"{place.host} sends it too slowly")
    except (HTTPError, OSError) as error:
        if time.monotonic() > until:
            raise NotFetchedError(f"{place.host} sends it too slowly") from error
        raise NotFetchedError(f"{place.host} stopped sending it ({_reason(error)})") from error
    if time.monotonic() > until:  # what was broken off may look complete
        raise NotFetchedError(f"{place.host} sends it too slowly")
    return bytes(data)


def _system_addresses(host: str) -> list[str]:
    return [str(found[4][0]) for found in socket.getaddrinfo(host, _PORT, type=socket.SOCK_STREAM)]


def _reason(error: Exception | None) -> str:
    found = getattr(error, "reason", None) or error
    return type(found).__name__ if isinstance(found, Exception) else str(found)


def _about_proxies() -> str:
    if any(os.environ.get(name) for name in ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY")):
        return "; proxies aren't used for this: run it where the internet is reached directly"
    return ""


__all__ = ["SYSTEM", "NotFetchedError", "RefusedAddressError", "Wire", "address_problem", "fetch"]
