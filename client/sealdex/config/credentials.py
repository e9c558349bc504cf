"""Credentials of private registries and addresses: which request gets them, and what is said where they don't serve.

A request gets a registry's credentials only if its address is below that registry's: same scheme, host and port, and a
path under it. So they are sent neither to artifacts at another address, which the index may name, nor to another
registry on the same host, nor after a redirect to another origin (`sealdex.transport._http`). An address elsewhere has
a table of its own: ``[auth."https://artifacts.example.org/team/"]``. Secrets are read at each request, so that a
renewed token is used at once, and are never part of a message.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from msgspec import Struct

from sealdex.config._owner import Owner
from sealdex.config.document import AuthSection, RegistrySection
from sealdex.log import Log
from sealdex.transport.types import Credentials, CredentialsRefusedError, Grant, Refusal, origin_of, public_url

if TYPE_CHECKING:
    from sealdex.config._sources import Source
    from sealdex.config.config import Config

_log = Log("sealdex.config")


def covering(addresses: Iterable[str], url: str) -> str | None:
    """Return the address that a URL is below, of several the longest, or None. Pure."""
    found: str | None = None
    longest = -1
    for address in addresses:
        if _is_below(address, url) and len(address.rstrip("/")) > longest:
            found, longest = address, len(address.rstrip("/"))
    return found


def _is_below(base: str, url: str) -> bool:
    try:
        if origin_of(base) != origin_of(url):
            return False
    except ValueError:
        return False
    path = urlsplit(url).path
    steps = unquote(path).replace("\\", "/").split("/")
    # a path with `..` would be normalized later, after this decision
    return path.startswith(urlsplit(base).path.rstrip("/") + "/") and not {".", ".."}.intersection(steps)


def credentials_of(config: Config, say: Callable[[str], None] | None = None) -> Credentials:
    """Return what authorizes the requests of a configuration, and explains refusals; see `credentials_for`."""
    return credentials_for(config.registries, config.path.parent, config.document.auth, say)


def credentials_for(
    registries: Mapping[str, RegistrySection],
    folder: Path,
    elsewhere: Mapping[str, AuthSection] | None = None,
    say: Callable[[str], None] | None = None,
) -> Credentials:
    """Return what authorizes the requests of these registries, and explains refusals.

    Args:
        registries: sections by name; of several at one address the first counts.
        folder: what the files of their ``auth`` are relative to.
        elsewhere: ``auth`` of addresses; they come before a registry at the same address.
        say: told what credential helpers say to people.
    """
    known: dict[str, _Known] = {}
    for address, auth in (elsewhere or {}).items():
        owner = Owner(address, None, address, folder, say)
        known.setdefault(address.rstrip("/"), _known(owner, auth))
    mirrors: dict[str, Owner] = {}
    for name, section in registries.items():
        owner = Owner(f"registry '{name}'", name, section.url, folder, say)
        known.setdefault(section.url.rstrip("/"), _known(owner, section.auth))
        mirrors.update(dict.fromkeys(section.mirrors, owner))
    return _Configured(known, mirrors)


class _Known(Struct, frozen=True):
    owner: Owner
    source: Source | None
    kind: str | None


def _known(owner: Owner, auth: AuthSection | None) -> _Known:
    if auth is None:
        return _Known(owner, None, None)
    from sealdex.config._sources import source_of  # noqa: PLC0415  # for who reads a private registry

    return _Known(owner, source_of(owner, auth), auth.type)


class _Configured(Credentials):
    def __init__(self, known: Mapping[str, _Known], mirrors: Mapping[str, Owner]) -> None:
        self._known = known
        self._mirrors = mirrors
        self._is_without = not any(each.source for each in known.values())

    def _nearest(self, url: str) -> _Known | None:
        address = covering(self._known, url)
        return self._known[address] if address is not None else None

    def grant(self, url: str) -> Grant:
        """Return what authorizes a GET of a URL.

        Raises:
            CredentialsError: a secret can't be read.
        """
        nearest = self._nearest(url) if not self._is_without else None
        if nearest is None or nearest.source is None:
            return Grant()
        _log.debug(
            "config.credentials",
            "{url} is asked with the {kind} credentials of '{registry}'",
            url=public_url(url),
            kind=nearest.kind,
            registry=nearest.owner.registry or nearest.owner.address,
        )
        return nearest.source.grant(url)

    def renewed(self, url: str, refused: Grant) -> Grant | None:
        """Return a newer grant after a server answered 401; None if there is no other."""
        nearest = self._nearest(url)
        return nearest.source.renewed(refused) if nearest is not None and nearest.source is not None else None

    def explained(self, refusal: Refusal) -> CredentialsRefusedError | None:
        """Return the error for a refusal."""
        from sealdex.config._refusals import Tried, explain  # noqa: PLC0415  # for who is refused
        from sealdex.config._secret_places import table_of  # noqa: PLC0415  # for who is refused

        nearest = self._nearest(refusal.url)
        if nearest is not None:
            owner, source = nearest.owner, nearest.source
            tried = Tried(owner.shown, table_of(owner.shown), owner.registry)
            if source is not None:
                tried = tried._replace(kind=nearest.kind, shown=source.shown, advice=source.advice)
            return explain(refusal, tried)
        mirror = covering(self._mirrors, refusal.url)
        if mirror is not None:
            owner = self._mirrors[mirror]
            return explain(refusal, Tried(f"the mirror {mirror} of {owner.shown}", table_of(mirror), owner.registry))
        return explain(refusal, None)
