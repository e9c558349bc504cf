"""Selects the proxy of a request: HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY, in either case.

NO_PROXY is a list, with commas or blanks between its entries: ``*``; a name, which also matches the names below it,
with or without a dot or ``*.`` before it; an address; a network such as ``10.0.0.0/8`` or ``fd00::/8``. IPv6 is written
with or without brackets. A port after a name or an address (``[::1]:8080``) restricts it to that port. Names are not
resolved, so an address in the list doesn't except the name that leads to it.
"""

from __future__ import annotations

import ipaddress
import os
import re
import sys
from urllib.parse import unquote, unquote_to_bytes, urlsplit

from msgspec import Struct

from sealdex.errors import ConfigError
from sealdex.lazy import regex
from sealdex.log import hide

_PORTS = {"http": 80, "https": 443, "socks4": 1080, "socks4a": 1080, "socks5": 1080, "socks5h": 1080}
_DEFAULT_PORTS = {"http": 80, "https": 443}
_SAME_AS = {"socks": "socks5h"}
_HOST_AND_PORT = regex(r"(?:\[(?P<v6>[^\]]*)\]|(?P<name>[^\[\]:/?#\s]+))(?::(?P<port>[0-9]{1,5}))?")


class Proxy(Struct, frozen=True):
    """A proxy from the environment.

    Args:
        scheme: ``http``, ``https``, ``socks5``, ``socks5h``, ``socks4`` or ``socks4a``.
        host, port: its address; an IPv6 address has no brackets.
        user, password: decoded; None if there are none.
        variable: the environment variable, for messages.
    """

    scheme: str
    host: str
    port: int
    user: bytes | None = None
    password: bytes | None = None
    variable: str = "HTTPS_PROXY"

    def __repr__(self) -> str:
        return f"Proxy({self.url!r})"  # no user or password, wherever it is printed

    @property
    def url(self) -> str:
        """Its address without user and password, for messages."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"

    @property
    def is_socks(self) -> bool:
        """Whether it uses SOCKS and not HTTP."""
        return self.scheme.startswith("socks")


def proxy_for(url: str) -> Proxy | None:
    """Return the proxy for a URL, or None to go there directly.

    Raises:
        ConfigError: the environment has an invalid proxy address.
    """
    if not _may_have_proxies():
        return None
    from urllib.request import getproxies  # noqa: PLC0415  # few hosts have any

    parts = urlsplit(url)
    proxies = getproxies()
    key = parts.scheme if proxies.get(parts.scheme) else "all"
    text = proxies.get(key)
    if not text or _is_excepted(parts.hostname or "", parts.port or _DEFAULT_PORTS.get(parts.scheme, 0), parts.netloc):
        return None
    spelled = f"{key}_proxy"  # the one that counts where both are set
    return read_proxy(text, spelled if os.environ.get(spelled) else spelled.upper())


def _may_have_proxies() -> bool:
    """Say whether there can be any: macOS and Windows keep them elsewhere too."""
    if sys.platform in {"darwin", "win32"}:
        return True
    names = {name.lower() for name, value in os.environ.items() if value}
    return any(name.endswith("_proxy") for name in names - {"no_proxy"})


def read_proxy(text: str, variable: str) -> Proxy:
    """Parse the address of a proxy; user and password are percent-encoded if they contain ``@``, ``:``, ``/`` or ``%``.

    Raises:
        ConfigError: it is not valid; the message doesn't show the password.
    """
    scheme, separator, rest = text.strip().partition("://")
    if not separator:
        scheme, rest = "http", text.strip()
    scheme = _SAME_AS.get(scheme.lower(), scheme.lower())
    # the last @: a password may contain one that isn't encoded
    login, at, place = rest.rpartition("@")
    match = _HOST_AND_PORT.fullmatch(re.split(r"[/?#]", place, maxsplit=1)[0])
    host = (match["v6"] or match["name"] or "") if match is not None else ""
    port = int(match["port"]) if match is not None and match["port"] else _PORTS.get(scheme, 0)
    if scheme not in _PORTS or not host or not 0 < port < 65536:
        raise ConfigError(
            f"{variable} is not a valid proxy address: {scheme}://{place}",
            subject=variable,
            hint=f"write {variable}=http://USER:PASSWORD@HOST:PORT (or https, socks5, socks5h, socks4, socks4a), "
            "or add the host to NO_PROXY",
        )
    user, _, password = login.partition(":")
    for secret in (login, password, unquote(password)) if at else ():
        hide(secret)
    return Proxy(
        scheme,
        host,
        port,
        unquote_to_bytes(user) if at else None,
        unquote_to_bytes(password) if at else None,
        variable,
    )


def _is_excepted(host: str, port: int, netloc: str) -> bool:
    from urllib.request import getproxies_environment, proxy_bypass  # noqa: PLC0415  # there is a proxy

    listed = getproxies_environment().get("no")
    if listed is not None:
        return excepts(listed, host, port)
    return bool(proxy_bypass(netloc.rpartition("@")[2]))  # the system's settings, on macOS and Windows


def excepts(listed: str, host: str, port: int) -> bool:
    """Return whether a NO_PROXY list matches a host; ``host`` as in a URL, an IPv6 address without brackets."""
    return any(_names(entry, host.lower().rstrip("."), port) for entry in re.split(r"[,\s]+", listed) if entry)


def _names(entry: str, host: str, port: int) -> bool:
    if entry == "*":
        return True
    address = _address(host)
    if address is not None and "/" in entry:
        try:
            network = ipaddress.ip_network(entry.replace("[", "").replace("]", ""), strict=False)
        except ValueError:
            return False
        return address.version == network.version and address in network
    place, its_port = entry, None
    if _address(entry) is None:  # otherwise it is IPv6 without brackets, whose colons don't separate a port
        match = _HOST_AND_PORT.fullmatch(entry)
        if match is None:
            return False
        place, its_port = match["v6"] or match["name"] or "", match["port"]
    if its_port is not None and int(its_port) != port:
        return False
    if address is not None:
        return _address(place) == address
    name = place.lower().removeprefix("*").lstrip(".").rstrip(".")
    return bool(name) and (host == name or host.endswith(f".{name}"))


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        found = ipaddress.ip_address(text.strip("[]").partition("%")[0])
    except ValueError:
        return None
    return getattr(found, "ipv4_mapped", None) or found
