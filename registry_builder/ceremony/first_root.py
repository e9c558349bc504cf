"""Starts the ceremony of a realm's first root and targets: version 1, which nothing before it vouches for.

Its keys and thresholds are those of registry.toml, which was reviewed before anybody signs; the ceremony itself changes
nothing there. While no realm has a root, nobody trusts what registry.toml says of roles yet, so keys and thresholds
can be written there at once; later they change by a ceremony.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
from tuf.api.metadata import Metadata, Root, Targets
from tuf.api.serialization.json import JSONSerializer

from registry_builder.ceremony.ceremony import (
    CEREMONIES_FOLDER,
    CEREMONY_NAME,
    Ceremony,
    CeremonyPlan,
    ceremonies,
    load_ceremony,
    stamp,
)
from registry_builder.signing.metadata import build_root, build_targets, utc_now
from registry_builder.signing.offline_metadata import has_trust
from registry_builder.source.atomic_write import write_new
from registry_builder.source.config import ROLES, RegistryConfig, RoleSection, config_problems
from registry_builder.source.own_folders import require_own_folders
from sealdex.errors import ConfigError, UsageError
from sealdex.model.decode import encode_pretty

_NOT_STARTED = "no ceremony was started, and registry.toml was not changed"


@dataclass(frozen=True)
class RoleChoice:
    """Keys and thresholds for roles of a registry that has no root yet.

    Attributes:
        keys: role to the names of all its keys, which registry.toml has.
        thresholds: role to the number of keys that must sign.
    """

    keys: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    thresholds: Mapping[str, int] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.keys or self.thresholds)


def open_first(tree: Path, realm: str) -> str | None:
    """Return the open ceremony that makes a realm's first root, if there is one.

    Raises:
        ConfigError: a ceremony can't be read.
    """
    for name in ceremonies(tree):
        found = load_ceremony(tree, name)
        if found.closed is None and realm in found.plan.first:
            return name
    return None


def with_roles(config: RegistryConfig, choice: RoleChoice) -> RegistryConfig:
    """Return the configuration with keys and thresholds for a first root.

    Raises:
        UsageError: no such role.
        ConfigError: a role has too few keys, or a key isn't in registry.toml; all such problems are listed.
    """
    roles: dict[str, RoleSection] = dict(config.roles)
    for role in dict.fromkeys((*choice.keys, *choice.thresholds)):
        if role not in roles:
            raise UsageError(f"'{role}' is not a role; roles are {', '.join(ROLES)}", untouched=_NOT_STARTED)
        before = roles[role]
        roles[role] = msgspec.structs.replace(
            before,
            keys=choice.keys.get(role, before.keys),
            threshold=choice.thresholds.get(role, before.threshold),
        )
    planned = msgspec.structs.replace(config, roles=roles)
    lacking = [
        f"role {name} has {len(section.keys)} of the {section.threshold} keys that must sign"
        for name, section in roles.items()
        if len(section.keys) < section.threshold
    ]
    if problems := [*lacking, *map(str, config_problems(planned))]:
        raise ConfigError(
            "; ".join(dict.fromkeys(problems)),
            untouched=_NOT_STARTED,
            hint="make keys with sealdex-builder keys create NAME, or keys add NAME URI; then name them: "
            + " ".join(f"--keys {role}=KEY,..." for role in ROLES),
        )
    return planned


def check_first(tree: Path, name: str, realm: str, config: RegistryConfig, choice: RoleChoice) -> None:
    """Refuse what `start_first` would refuse; reads only.

    Raises:
        UsageError: the name is not valid, or roles are given although some realm has a root.
        ConfigError: the name is taken, or the realm has a root or an open ceremony for one.
    """
    if not CEREMONY_NAME.fullmatch(name):
        raise UsageError(
            f"'{name}' is not a valid ceremony name: use lower-case letters, digits, '.', '_' and '-'",
            untouched=_NOT_STARTED,
        )
    if (tree / CEREMONIES_FOLDER / name).exists():
        raise ConfigError(
            f"ceremony '{name}' exists already",
            subject=name,
            untouched=_NOT_STARTED,
            hint=f"sealdex-builder ceremony show {name}, or give another name",
        )
    if choice and (begun := [each for each in config.realms if has_trust(tree, each)]):
        raise UsageError(
            f"realm {begun[0]} has a root, and all realms share their keys",
            untouched=_NOT_STARTED,
            hint="leave --keys and --threshold out; keys change by: sealdex-builder ceremony start NAME --keys ...",
        )
    if has_trust(tree, realm):
        raise ConfigError(f"realm {realm} has a trust root already", subject=realm, untouched=_NOT_STARTED)


def start_first(
    tree: Path, name: str, realm: str, config: RegistryConfig, *, by: str, why: str = "", now: datetime | None = None
) -> Ceremony:
    """Write version 1 of a realm's root and targets, to be signed; ``config`` is what registry.toml says now.

    See `check_first` for what must hold.
    """
    moment, folder = now or utc_now(), tree / CEREMONIES_FOLDER / name
    documents: tuple[Root | Targets, ...] = (
        build_root(config, realm, version=1, now=moment),
        build_targets(config, realm, version=1, now=moment),
    )
    require_own_folders(tree, [folder / realm / "plan.json"], untouched="no ceremony was started")
    for signed in documents:
        role = "root" if isinstance(signed, Root) else "targets"
        metadata: Metadata[Any] = Metadata(signed)
        write_new(folder / realm / f"1.{role}.json", metadata.to_bytes(JSONSerializer()) + b"\n")
    plan = CeremonyPlan(by=by, at=stamp(moment), why=why, first=(realm,))
    # last: a folder without a plan is one whose creation was interrupted
    write_new(folder / "plan.json", encode_pretty(plan))
    return load_ceremony(tree, name)


__all__ = ["RoleChoice", "check_first", "open_first", "start_first", "with_roles"]
