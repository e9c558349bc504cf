"""What all pages share: the registry's name and links, the security policy, and the trust box. Pure."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlsplit

from registry_builder.signing.metadata import bin_of
from registry_builder.signing.offline_metadata import Trust
from registry_builder.site._languages import ENGLISH
from registry_builder.site._words import ENGLISH_WORDS
from registry_builder.site.plugin_view import web_links
from registry_builder.source.config import OFFLINE_ROLES, ROLES, RegistryConfig
from sealdex.model.decode import encode_json
from sealdex.model.ids import PluginId
from sealdex.model.index import index_target
from sealdex.text import clean

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; worker-src 'self'; "
    "base-uri 'none'; form-action 'self'"
)
"""No inline script or style, nothing from another origin. A server can send it as a header too, with
``frame-ancestors 'none'``, which browsers take from a header only."""

CLAIM_PREFIX = "ns-"
"""What the role of a claimed namespace begins with."""

NO_ADDRESS = "ADDRESS/"
"""Stands in commands for an address that isn't known."""


@dataclass(frozen=True)
class Frame:
    """What each page shows about the registry itself.

    Attributes:
        name: its name in commands.
        url: the public URL, with a trailing slash; None if registry.toml has none.
        address: the same for commands that are copied, with a placeholder if it isn't known.
        downloads: whether pages read `sealdex.model.downloads.STATS_KEY`.
        languages: tags of the pages' languages; the first is that of the pages at the top.
        base: the path of `url`, for links of a page whose own URL isn't known.
    """

    title: str
    description: str
    links: tuple[tuple[str, str], ...]
    name: str
    realm: str
    url: str | None
    address: str
    base: str
    logo: str | None
    downloads: bool = False
    languages: tuple[str, ...] = (ENGLISH,)
    policy: str = POLICY
    namespace: uuid.UUID = uuid.NAMESPACE_URL

    def id_of(self, *parts: str) -> str:
        """Return a name for a feed or an entry that stays the same when the registry moves (RFC 9562, version 5)."""
        return uuid.uuid5(self.namespace, "\n".join(parts)).urn


@dataclass(frozen=True)
class RoleLine:
    """One role in the trust box.

    Attributes:
        signers, holds: keys and expiry in English.
        threshold, keys: how many must sign, of how many.
        place: ``offline`` or ``online``; empty where it isn't known.
        until: when it expires; empty where it isn't known.
        days: how long a signature is valid, where `until` is empty; 0 for what isn't there.
    """

    name: str
    signers: str
    holds: str
    threshold: int = 1
    keys: int = 1
    place: str = ""
    until: str = ""
    days: int = 0


@dataclass(frozen=True)
class TrustBox:
    """What secures the registry: the root to pin, and when each role expires."""

    root_version: int
    fingerprint: str
    newest_version: int
    newest_fingerprint: str
    roles: tuple[RoleLine, ...]


def frame_of(config: RegistryConfig, realm: str) -> Frame:
    """Return the context of a realm's pages; it contains nothing of other realms."""
    url = config.realms[realm].url
    url = url.rstrip("/") + "/" if url else None
    section = config.site
    return Frame(
        title=clean(section.title or config.registry.title or config.registry.name),
        description=clean(section.description or config.registry.description or ""),
        links=web_links(section.links),
        name=config.registry.name,
        realm=realm,
        url=url,
        address=url or NO_ADDRESS,
        base=urlsplit(url).path if url else "/",
        logo=section.logo,
        downloads=section.downloads,
        languages=tuple(dict.fromkeys(section.languages)),
        namespace=feed_namespace(config.registry.name, config.registry.id, realm),
    )


def feed_namespace(name: str, identity: str, realm: str) -> uuid.UUID:
    """Return the namespace of the names of a realm's feeds, which stay the same when the registry moves."""
    return uuid.uuid5(uuid.NAMESPACE_URL, f"sealdex\n{name}\n{identity}\n{realm}")


def trust_box(config: RegistryConfig, trust: Trust, expiries: Mapping[str, datetime]) -> TrustBox:
    """Return the trust box.

    Args:
        config: for thresholds.
        trust: verified offline metadata.
        expiries: role to its expiry as published; for a missing role the page shows how long a signature is valid.
    """
    held = {"root": trust.root.expires, "targets": trust.targets_role.expires, **expiries}
    lines = []
    for role in ROLES:
        section = config.roles[role]
        place = "offline" if role in OFFLINE_ROLES else "online"
        keys = f"{section.threshold} of {len(section.keys)} {place} key{'' if len(section.keys) == 1 else 's'}"
        when = held.get(role)
        days = f"{section.expiry_days} day{'' if section.expiry_days == 1 else 's'} after it is signed"
        until = f"{when:%Y-%m-%dT}" if when else ""
        lines.append(
            RoleLine(
                role,
                keys,
                ENGLISH_WORDS.date(until) or days,
                section.threshold,
                len(section.keys),
                place,
                until,
                section.expiry_days,
            )
        )
    return TrustBox(min(trust.roots), trust.first_fingerprint, max(trust.roots), trust.newest_fingerprint, tuple(lines))


@dataclass(frozen=True)
class Signers:
    """Which role signs which plugin.

    Attributes:
        bits: bit length of the succinct delegation to bins.
        claimed: namespaces that have a role of their own.
    """

    bits: int
    claimed: frozenset[str] = frozenset()

    def role_of(self, plugin: PluginId) -> str:
        """Return the role that signs a plugin's index document."""
        if plugin.namespace in self.claimed:
            return f"{CLAIM_PREFIX}{plugin.namespace}"
        return bin_of(index_target(plugin), self.bits)


def signers_of(trust: Trust, bits: int) -> Signers:
    """Return which role signs which plugin, as the offline metadata delegates."""
    delegations = trust.targets_role.delegations
    roles = (delegations.roles or {}) if delegations is not None else {}
    claimed = (name.removeprefix(CLAIM_PREFIX) for name in roles if name.startswith(CLAIM_PREFIX))
    return Signers(bits, frozenset(claimed))


def frame_digest(frame: Frame, signers: Signers, fingerprint: str) -> str:
    """Return a digest of everything that all pages depend on: if it differs, all pages are rewritten."""
    facts = [str(getattr(frame, name)) for name in frame.__dataclass_fields__]
    return hashlib.sha256(encode_json([facts, signers.bits, sorted(signers.claimed), fingerprint])).hexdigest()
