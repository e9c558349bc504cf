"""Builds the metadata of TUF roles from the configuration. Pure: keys in, unsigned metadata out.

    root ─┬─ targets ─┬─ packages (index/*/*) ── bin-00 ... bin-3f     succinct hashed bins, TAP 15
          │           ├─ catalog  (catalog/*)
          │           └─ before both: ns-<namespace> (index/<namespace>/*), one per claimed namespace
          ├─ snapshot      versions of targets, packages, catalog and every bin
          └─ timestamp     version of the snapshot

All delegations are terminating, so a role that comes later can't sign what an earlier one doesn't list: a claimed
namespace is its team's alone, whatever ``packages`` signs. Every
role is marked with its registry, realm and name (`sealdex.trust.role_marks`): realms share keys and so do bins, and
without the marks a storage could serve one realm's or bin's files, validly signed, as another's. ``timestamp`` and
``snapshot`` also state when they were signed (`sealdex.trust.signed_time`).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from typing import Literal, NamedTuple

from securesystemslib.signer import Key
from tuf.api.metadata import (
    DelegatedRole,
    Delegations,
    MetaFile,
    Role,
    Root,
    Snapshot,
    SuccinctRoles,
    TargetFile,
    Targets,
    Timestamp,
)

from registry_builder.signing.signers import public_key
from registry_builder.source.config import NamespaceSection, RegistryConfig, RoleSection
from sealdex.trust.role_marks import REALM_FIELD, ROLE_FIELD
from sealdex.trust.signed_time import SIGNED_AT_FIELD, signed_at_text

BIN_PREFIX = "bin"
TOP_ROLES = ("root", "targets", "snapshot", "timestamp")
PACKAGES_PATHS = ("index/*/*",)
CATALOG_PATHS = ("catalog/*",)
CLAIM_PREFIX = "ns-"

SigningReason = Literal[
    "first publish",
    "changed",
    "its keys changed",
    "it was claimed",
    "claimed by its team",
    "within its signing window",
    "expired",
]
"""Why a role is signed, as plans say it to people and programs."""

# Maximum number of plugins for each number of bits: a bin stays near 100 targets (14 KB) and the snapshot below 64 KB.
_BITS = ((1_000, 6), (16_000, 8), (250_000, 10))
_MOST_BITS = 11
_BINS_PER_SHARD = 16

LANGUAGES_FIELD = "x-sealdex-languages"
"""In snapshot: the languages of the registry's pages, the first that of the pages at the top. Clients ignore it."""

_DEFAULT_LANGUAGE = "en"
_MOST_LANGUAGES = 16
_LANGUAGE = re.compile(r"[a-z]{2,3}(-[A-Z][a-z]{3})?(-([A-Z]{2}|[0-9]{3}))?")


class TargetPin(NamedTuple):
    """Length in bytes and SHA-256 of a TUF target."""

    size: int
    sha256: str


def utc_now() -> datetime:
    """Return the time, in UTC and whole seconds, as TUF metadata states it."""
    return datetime.now(timezone.utc).replace(microsecond=0)


def realm_marker(config: RegistryConfig, realm: str) -> str:
    """Return what a realm's metadata says about where it belongs: ``<name>-<id>/<realm>``."""
    return f"{config.registry.name}-{config.registry.id}/{realm}"


def _marks(config: RegistryConfig, realm: str, role: str) -> dict[str, str]:
    return {REALM_FIELD: realm_marker(config, realm), ROLE_FIELD: role}


def _dated(marks: dict[str, str], signed_at: datetime) -> dict[str, str]:
    return {**marks, SIGNED_AT_FIELD: signed_at_text(signed_at)}


def _stated(config: RegistryConfig) -> dict[str, list[str]]:
    """Return the languages of the registry's pages, for who makes pages of a mirror; nothing where they are English."""
    languages = list(dict.fromkeys(config.site.languages))
    return {} if languages == [_DEFAULT_LANGUAGE] else {LANGUAGES_FIELD: languages}


def stated_languages(snapshot: Snapshot) -> tuple[str, ...]:
    """Return the languages that a verified snapshot states."""
    stated = snapshot.unrecognized_fields.get(LANGUAGES_FIELD)
    if not isinstance(stated, list):
        return (_DEFAULT_LANGUAGE,)
    found = [each for each in stated[:_MOST_LANGUAGES] if isinstance(each, str) and _LANGUAGE.fullmatch(each)]
    return tuple(dict.fromkeys(found)) or (_DEFAULT_LANGUAGE,)


def expiry(role: RoleSection, now: datetime) -> datetime:
    """Return when metadata signed now will expire."""
    return now + timedelta(days=role.expiry_days)


def is_due(expires: datetime, role: RoleSection, now: datetime) -> bool:
    """Return whether metadata is within its signing window: it expires in `signing_days` or less."""
    return expires - timedelta(days=role.signing_days) <= now


def due_reason(expires: datetime, role: RoleSection, now: datetime) -> SigningReason | None:
    """Return why metadata has to be re-signed because of its age; None if it doesn't."""
    if expires <= now:
        return "expired"
    return "within its signing window" if is_due(expires, role, now) else None


# --- how many bins and shards -------------------------------------------------------------------------------------


def bin_bits(plugins: int) -> int:
    """Return the bit length of the succinct delegation for that many plugins: 6, 8, 10 or 11."""
    return next((bits for limit, bits in _BITS if plugins <= limit), _MOST_BITS)


def shard_count(bits: int) -> int:
    """Return the number of catalog shards for a bit length."""
    return (1 << bits) // _BINS_PER_SHARD


def bin_name(bits: int, number: int) -> str:
    """Return the name of a bin, as TAP 15 writes it: ``bin-3f`` of 64, ``bin-03f`` of 1,024."""
    return f"{BIN_PREFIX}-{number:0{len(f'{(1 << bits) - 1:x}')}x}"


def bin_names(bits: int) -> list[str]:
    """Return the names of all bins."""
    return [bin_name(bits, number) for number in range(1 << bits)]


def bin_of(target: str, bits: int) -> str:
    """Return the bin that a target path is in: the leftmost bits of its SHA-256 (TAP 15)."""
    head = int.from_bytes(hashlib.sha256(target.encode()).digest()[:4], "big")
    return bin_name(bits, head >> (32 - bits))


# --- the roles ----------------------------------------------------------------------------------------------------


def role_keys(config: RegistryConfig, role: str) -> dict[str, Key]:
    """Return the public keys of a role by keyid, in the order of registry.toml."""
    sections = [config.keys[name] for name in config.roles[role].keys]
    return {section.keyid: public_key(section) for section in sections}


def claim_role(namespace: str) -> str:
    """Return the role that signs for a claimed namespace."""
    return f"{CLAIM_PREFIX}{namespace}"


def delegations_of(targets: Targets) -> Mapping[str, DelegatedRole]:
    """Return the roles that ``targets`` delegates to by name, in order; none where the delegation is succinct."""
    return (targets.delegations.roles or {}) if targets.delegations is not None else {}


def claims_of(targets: Targets) -> dict[str, str]:
    """Return claimed namespace to role, as ``targets`` delegates them."""
    roles = delegations_of(targets)
    return {name.removeprefix(CLAIM_PREFIX): name for name in roles if name.startswith(CLAIM_PREFIX)}


def claim_keys(config: RegistryConfig, namespace: str) -> dict[str, Key]:
    """Return the public keys of a claimed namespace by keyid."""
    sections = [config.keys[name] for name in config.namespaces[namespace].keys]
    return {section.keyid: public_key(section) for section in sections}


def role_section(config: RegistryConfig, role: str) -> RoleSection:
    """Return what registry.toml says about a role; for bins what it says about ``packages``."""
    namespace = role.removeprefix(CLAIM_PREFIX)
    if role.startswith(CLAIM_PREFIX):
        # targets may still delegate a claim that registry.toml no longer has: until it is gone, the defaults apply
        return config.namespaces.get(namespace) or NamespaceSection(keys=())
    return config.roles.get(role) or config.roles["packages"]


def build_root(config: RegistryConfig, realm: str, *, version: int, now: datetime) -> Root:
    """Return root metadata that trusts the keys and thresholds of registry.toml for the four top-level roles."""
    keys: dict[str, Key] = {}
    roles: dict[str, Role] = {}
    for name in TOP_ROLES:
        own = role_keys(config, name)
        keys |= own
        roles[name] = Role(list(own), config.roles[name].threshold)
    return Root(
        version=version,
        expires=expiry(config.roles["root"], now),
        keys=keys,
        roles=roles,
        consistent_snapshot=True,
        unrecognized_fields=_marks(config, realm, "root"),
    )


def build_targets(config: RegistryConfig, realm: str, *, version: int, now: datetime) -> Targets:
    """Return top-level targets metadata: no target of its own, only delegations, claimed namespaces first."""
    packages, catalog = role_keys(config, "packages"), role_keys(config, "catalog")
    claims = {name: claim_keys(config, name) for name, section in config.namespaces.items() if section.realm == realm}
    delegated = (
        *(
            DelegatedRole(
                claim_role(namespace),
                list(keys),
                config.namespaces[namespace].threshold,
                terminating=True,
                paths=[f"index/{namespace}/*"],
            )
            for namespace, keys in claims.items()
        ),
        DelegatedRole(
            "packages", list(packages), config.roles["packages"].threshold, terminating=True, paths=[*PACKAGES_PATHS]
        ),
        DelegatedRole(
            "catalog", list(catalog), config.roles["catalog"].threshold, terminating=True, paths=[*CATALOG_PATHS]
        ),
    )
    return Targets(
        version=version,
        expires=expiry(config.roles["targets"], now),
        delegations=Delegations(
            {keyid: key for keys in (*claims.values(), packages, catalog) for keyid, key in keys.items()},
            {role.name: role for role in delegated},
        ),
        unrecognized_fields=_marks(config, realm, "targets"),
    )


def build_packages(config: RegistryConfig, realm: str, *, bits: int, version: int, now: datetime) -> Targets:
    """Return the metadata of ``packages``: one succinct delegation to its bins, signed by the same keys."""
    keys = role_keys(config, "packages")
    succinct = SuccinctRoles(list(keys), config.roles["packages"].threshold, bits, BIN_PREFIX)
    return Targets(
        version=version,
        expires=expiry(config.roles["packages"], now),
        delegations=Delegations(keys, succinct_roles=succinct),
        unrecognized_fields=_marks(config, realm, "packages"),
    )


def build_target_role(
    config: RegistryConfig, realm: str, name: str, pins: Mapping[str, TargetPin], *, version: int, now: datetime
) -> Targets:
    """Return the metadata of a bin, ``catalog`` or a claimed namespace: targets by path.

    Bins expire when ``packages`` does.
    """
    role = role_section(config, name)
    return Targets(
        version=version,
        expires=expiry(role, now),
        targets={path: TargetFile(pin.size, {"sha256": pin.sha256}, path) for path, pin in pins.items()},
        unrecognized_fields=_marks(config, realm, name),
    )


def build_snapshot(
    config: RegistryConfig,
    realm: str,
    versions: Mapping[str, int],
    *,
    version: int,
    now: datetime,
    signed_at: datetime | None = None,
) -> Snapshot:
    """Return snapshot metadata: the version of each role, by role name. No hashes: docs/format.md says why.

    ``signed_at`` is what it states, ``now`` by default.
    """
    return Snapshot(
        version=version,
        expires=expiry(config.roles["snapshot"], now),
        meta={f"{role}.json": MetaFile(number) for role, number in versions.items()},
        unrecognized_fields={**_dated(_marks(config, realm, "snapshot"), signed_at or now), **_stated(config)},
    )


def build_timestamp(
    config: RegistryConfig,
    realm: str,
    snapshot_version: int,
    *,
    version: int,
    now: datetime,
    signed_at: datetime | None = None,
) -> Timestamp:
    """Return timestamp metadata, which names the one current snapshot; ``signed_at`` as for `build_snapshot`."""
    return Timestamp(
        version=version,
        expires=expiry(config.roles["timestamp"], now),
        snapshot_meta=MetaFile(snapshot_version),
        unrecognized_fields=_dated(_marks(config, realm, "timestamp"), signed_at or now),
    )


def same_authority(a: Role | None, b: Role | None) -> bool:
    """Return whether two delegations trust the same keys with the same threshold, so that signatures carry over."""
    if a is None or b is None:
        return False
    return set(a.keyids) == set(b.keyids) and a.threshold == b.threshold


def same_delegation(a: Targets, b: Targets, role: str) -> bool:
    """Return whether two versions of a delegator trust the same keys for a role."""
    return same_authority(delegations_of(a).get(role), delegations_of(b).get(role))
