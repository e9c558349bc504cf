"""Credentials of private registries and addresses: which request gets them, and what is said where they don't serve.

A request gets a registry's credentials only if its address is below that registry's: same scheme, host and port, and a
path under it. So they are sent neither to artifacts at another address, which the index may name, nor to another
registry on the same host, nor after a redirect to another origin (`sealdex.transport._http`). An address elsewhere has
a table of its own: ``[auth."https://artifacts.example.org/team/"]``. Secrets are read at each request, so that a
renewed token is used at once, and are never part of a message.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import unquote, urlsplit

from sealdex.config._refusals import Tried, explain
from sealdex.config._secret_places import table_of
from sealdex.config._sources import Source, source_of
from sealdex.config.document import AuthSection, RegistrySection
from sealdex.log import Log
from sealdex.transport.types import Credentials, CredentialsRefusedError, Grant, Refusal, origin_of, public_url

if TYPE_CHECKING:
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


def credentials_of(config: Config) -> Credentials:
    """Return what authorizes the requests of a configuration, and explains refusals."""
    return credentials_for(config.registries, config.path.parent, config.document.auth)


def credentials_for(
    registries: Mapping[str, RegistrySection], folder: Path, elsewhere: Mapping[str, AuthSection] | None = None
) -> Credentials:
    """Return what authorizes the requests of these registries, and explains refusals.

    Args:
        registries: sections by name; of several at one address the first counts.
        folder: what the files of their ``auth`` are relative to.
        elsewhere: ``auth`` of addresses; they come before a registry at the same address.
    """
    owners: dict[str, _Owner] = {}
    for address, auth in (elsewhere or {}).items():
        owners.setdefault(address.rstrip("/"), _Owner(address, None, source_of(address, auth, folder), auth.type))
    mirrors: dict[str, _Owner] = {}
    for name, section in registries.items():
        shown = f"registry '{name}'"
        if section.auth is not None:
            owner = _Owner(shown, name, source_of(shown, section.auth, folder), section.auth.type)
        else:
            owner = _Owner(shown, name, None, None)
        owners.setdefault(section.url.rstrip("/"), owner)
        mirrors.update(dict.fromkeys(section.mirrors, _Owner(shown, name, None, None)))
    return _Configured(owners, mirrors)


class _Owner(NamedTuple):
    shown: str
    registry: str | None
    source: Source | None
    kind: str | None


class _Configured(Credentials):
    def __init__(self, owners: Mapping[str, _Owner], mirrors: Mapping[str, _Owner]) -> None:
        self._owners = owners
        self._mirrors = mirrors
        self._is_without = not any(owner.source for owner in owners.values())

    def _owner(self, url: str) -> _Owner | None:
        address = covering(self._owners, url)
        return self._owners[address] if address is not None else None

    def grant(self, url: str) -> Grant:
        """Return what authorizes a GET of a URL.

        Raises:
            CredentialsError: a secret can't be read.
        """
        owner = self._owner(url) if not self._is_without else None
        if owner is None or owner.source is None:
            return Grant()
        _log.debug(
            "config.credentials",
            "{url} is asked with the {kind} credentials of '{registry}'",
            url=public_url(url),
            kind=owner.kind,
            registry=owner.registry or owner.shown,
        )
        return owner.source.grant(url)

    def renewed(self, url: str, refused: Grant) -> Grant | None:
        """Return a newer grant after a server answered 401; None if there is no other."""
        owner = self._owner(url)
        return owner.source.renewed(url, refused) if owner is not None and owner.source is not None else None

    def explained(self, refusal: Refusal) -> CredentialsRefusedError | None:
        """Return the error for a refusal."""
        owner = self._owner(refusal.url)
        if owner is not None and owner.source is not None:
            source = owner.source
            tried = Tried(owner.shown, table_of(owner.shown), owner.registry, owner.kind, source.shown, source.advice)
            return explain(refusal, tried)
        if owner is not None:
            return explain(refusal, Tried(owner.shown, table_of(owner.shown), owner.registry))
        mirror = covering(self._mirrors, refusal.url)
        if mirror is not None:
            owner = self._mirrors[mirror]
            return explain(refusal, Tried(f"the mirror {mirror} of {owner.shown}", table_of(mirror), owner.registry))
        return explain(refusal, None)
