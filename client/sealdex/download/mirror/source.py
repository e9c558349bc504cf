"""Where a mirror is made from: a configured registry, an address or a folder; and the root that the user trusts."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import Metadata, Root

from sealdex.config.config import MAX_ROOT_BYTES, Config, url_problem
from sealdex.config.credentials import credentials_of
from sealdex.download.mirror.record import MAX_RECORD_BYTES, RECORD_NAME, MirrorRecord, parse_record
from sealdex.errors import SealdexError, UsageError
from sealdex.transport import Addresses, Credentials, HttpStatusError, MissingEverywhereError, Transport
from sealdex.trust import check_root, fetch_root_by_fingerprint

_NOTHING = "nothing was copied"


class Source(NamedTuple):
    """A registry, or another mirror of it.

    Attributes:
        name: as configured, or ``source``; for messages.
        url: the published tree's address, with trailing slash.
        credentials: authorize requests.
        shown: the address that mirrors say they were made from, where it is another.
        mirrors: further addresses of it, each with trailing slash.
    """

    name: str
    url: str
    credentials: Credentials | None
    shown: str | None = None
    mirrors: tuple[str, ...] = ()

    @property
    def urls(self) -> tuple[str, ...]:
        """All addresses, in order of preference."""
        return (self.url, *self.mirrors)


def find_source(config: Config, named: str) -> Source:
    """Find a registry by its configured name, by an address, or a published tree in a folder.

    Raises:
        UsageError: it is none of these.
    """
    if (section := config.registries.get(named)) is not None:
        return Source(
            named,
            _with_slash(section.url),
            credentials_of(config),
            mirrors=tuple(map(_with_slash, section.mirrors)),
        )
    url = named
    if "://" not in named and Path(named).is_dir():
        url = Path(named).resolve().as_uri()
    if problem := url_problem(url):
        configured = ", ".join(config.registries) or "none"
        raise UsageError(
            f"'{named}' {problem}, and is neither a folder nor a configured registry ({configured})",
            untouched=_NOTHING,
            hint="name a registry (sealdex registry list), an address (https://plugins.example.org/) or a folder",
        )
    # credentials that the configuration has for this address serve here as well
    return Source("source", _with_slash(url), credentials_of(config))


def pinned_root(
    config: Config, source: Source, root: Path | None, fingerprint: str | None, transport: Transport
) -> bytes:
    """Return the root metadata that the user trusts: from a file, by its fingerprint, or as configured.

    Nothing that a registry, a mirror or a medium carries sets it.

    Raises:
        UsageError: none of the three is there, or two.
        VerificationError: it is not valid root metadata.
    """
    if root is not None and fingerprint is not None:
        raise UsageError("give --root or --fingerprint, not both", untouched=_NOTHING)
    if root is not None:
        with root.open("rb") as file:
            data = file.read(MAX_ROOT_BYTES)
    elif fingerprint is not None:
        wanted = fingerprint
        data = Addresses(source.urls).fetch(lambda url: fetch_root_by_fingerprint(url, wanted, transport))
    elif source.name in config.registries:
        data = config.root_bytes(source.name)
    else:
        raise UsageError(
            "trust has to start somewhere: give --root FILE or --fingerprint SHA256, or name a configured registry",
            subject=source.url,
            untouched=_NOTHING,
            hint="get the root or its fingerprint from the registry's owners, over a way that you trust",
        )
    check_root(data)
    return data


def record_of_source(source: Source, transport: Transport) -> MirrorRecord | None:
    """Return what the source says of itself where it is a mirror; None for a registry. Decides nothing about trust."""
    try:
        data = transport.read(source.url + RECORD_NAME, max_bytes=MAX_RECORD_BYTES, retry=False).data
        return parse_record(data, source.url + RECORD_NAME)
    except SealdexError:
        return None


def earlier_roots(addresses: Addresses, pinned: bytes, transport: Transport) -> dict[int, bytes]:
    """Return the roots before the pinned one, for hosts that pinned one of those; each is signed on to the next.

    A root that isn't there, or doesn't lead to the next, ends the row: no host could follow it.
    """
    found: dict[int, bytes] = {}
    following = Metadata[Root].from_bytes(pinned)
    for version in range(following.signed.version - 1, 0, -1):
        try:
            name = f"metadata/{version}.root.json"
            data = addresses.fetch(lambda base, name=name: transport.read(base + name, max_bytes=MAX_ROOT_BYTES).data)  # type: ignore[misc]  # mypy can't infer a lambda with a default
            metadata = Metadata[Root].from_bytes(data)
            if metadata.signed.version != version:
                break
            metadata.signed.verify_delegate(Root.type, following.signed_bytes, following.signatures)
            metadata.signed.verify_delegate(Root.type, metadata.signed_bytes, metadata.signatures)
        except (HttpStatusError, MissingEverywhereError, RepositoryError, ValueError):
            break
        found[version], following = data, metadata
    return found


def _with_slash(url: str) -> str:
    return url if url.endswith("/") else f"{url}/"


__all__ = ["Source", "earlier_roots", "find_source", "pinned_root", "record_of_source"]
