"""Addresses that foreign metadata names: which of them last, and which are asked at all.

A source is somebody else's. It must not lead this machine to what only this machine reaches: another service on it,
the network that it is in, the address at which clouds hand out credentials. With ``--ingest`` that would be published.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Callable, Collection
from urllib.parse import parse_qsl, quote, urlsplit

from registry_builder.source.public_addresses import is_public
from sealdex.errors import VerificationError
from sealdex.transport import public_url

_EXPIRING = frozenset({
    "x-amz-signature", "x-amz-expires", "signature", "expires", "x-goog-signature", "x-goog-expires", "sig", "se",
    "x-oss-signature", "ossaccesskeyid", "q-signature", "x-cos-security-token", "x-amz-security-token",
    "awsaccesskeyid", "token", "access_token", "private_token", "job_token", "auth_token", "api_key", "apikey",
    "password", "jwt", "x-amz-credential", "x-goog-credential",
})  # fmt: skip
_GENERATED = re.compile(
    r"^https?://(?:codeload\.github\.com/|api\.github\.com/repos/[^/]+/[^/]+/(?:tar|zip)ball/"
    r"|github\.com/[^/]+/[^/]+/archive/|[^/]+/[^?#]+/-/archive/)",
    re.IGNORECASE,
)


def is_generated(url: str) -> bool:
    """Return whether an address is that of a source archive that GitHub or GitLab make on request.

    Its bytes change with the forge's version of git and zlib, as they did in January 2023.
    """
    return _GENERATED.match(url) is not None


def unstable_address(url: str) -> str | None:
    """Return why an address won't go on answering with the same bytes; None if nothing speaks against it."""
    if url.startswith("oci:"):
        return "it is a tag of a container registry, which may be moved"
    try:
        parts = urlsplit(url)
    except ValueError:
        return None  # who reads it says so
    path = parts.path.lower()
    if "/chartrepo/" in path or "/api/v2.0/projects/" in path or (parts.hostname or "").startswith("harbor."):
        return "Harbor's addresses of files last no longer than its chart repository and retention rules let them"
    names = {name.lower() for name, _ in parse_qsl(parts.query, keep_blank_values=True)}
    if expiring := sorted(names & _EXPIRING):
        return f"it is signed for a time ({expiring[0]})"
    if re.search(r"(?:^|[/_.-])(?:latest|current|nightly|head)(?:[/_.-]|$)", path):
        return "its name says that its bytes change"
    return None


def ascii_address(url: str) -> str:
    """Return an address with every character percent-encoded that has to be."""
    return quote(url, safe="%/:=&?~#+!$,;'@()*[]-._")


class OnlyPublic:
    """A check of addresses for a transport (``permit``): hosts of private networks are refused.

    They are looked up before they are asked, and what a connection is made to is looked at again: whoever answers for
    a name may answer otherwise the second time. A host that can't be resolved here is left to the transport, whose
    proxy may know it.

    Args:
        allowed: hosts that the user named: ``localhost:8080``, ``10.0.0.7``, with or without a port.
        resolve: returns the IP addresses of a host; the system's by default.
    """

    def __init__(self, allowed: Collection[str] = (), resolve: Callable[[str], list[str]] | None = None) -> None:
        self._named = {host.lower() for host in allowed}
        self._look_up = resolve or _addresses_of

    def __call__(self, url: str) -> None:
        """Raise `VerificationError` for an address that leads into a private network."""
        host = (urlsplit(url).hostname or "").lower()
        if not self._is_named(url):
            for address in self._look_up(host):
                self._check(url, host, address)

    def reached(self, url: str, address: str) -> None:
        """Raise `VerificationError` for a connection into a private network."""
        if not self._is_named(url):
            self._check(url, (urlsplit(url).hostname or "").lower(), address)

    def _is_named(self, url: str) -> bool:
        parts = urlsplit(url)
        host = (parts.hostname or "").lower()
        port = parts.port or (443 if parts.scheme == "https" else 80)
        return host in self._named or f"{host}:{port}" in self._named

    def _check(self, url: str, host: str, address: str) -> None:
        if not is_public(address):
            raise VerificationError(
                f"{public_url(url)} is at {address}, an address of a private network, and the source names it: "
                "it was not contacted",
                subject=public_url(url),
                untouched="nothing was read from there",
                hint=f"if it is meant to be: --allow-host {host}",
            )


def only_public(allowed: Collection[str] = (), resolve: Callable[[str], list[str]] | None = None) -> OnlyPublic:
    """Return the check of addresses for a transport; see `OnlyPublic`."""
    return OnlyPublic(allowed, resolve)


def host_in(url: str) -> str:
    """Return host and port of an address, as ``--allow-host`` takes them."""
    parts = urlsplit(url)
    return f"{(parts.hostname or '').lower()}:{parts.port or (443 if parts.scheme == 'https' else 80)}"


def _addresses_of(host: str) -> list[str]:
    try:
        return [str(found[4][0]) for found in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)]
    except (OSError, UnicodeError):
        return []


__all__ = ["OnlyPublic", "ascii_address", "host_in", "is_generated", "only_public", "unstable_address"]
