"""Adds a realm to a source tree, or what one lacks: configuration, keys, version 1 of root and targets. And removes it.

Everything is decided and signed in memory before the first file is written. What an interruption leaves behind, the
same call completes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import msgspec

from registry_builder.ceremony.ceremony import ceremonies, load_ceremony
from registry_builder.ceremony.first_root import RoleChoice, check_first, open_first, start_first, with_roles
from registry_builder.signing.dev_keys import add_dev_keys, create_trust, first_metadata, found_dev_keys
from registry_builder.signing.key_registration import write_sections
from registry_builder.signing.keystore import key_folder
from registry_builder.signing.metadata import utc_now
from registry_builder.signing.offline_metadata import has_trust, trust_folder
from registry_builder.signing.passphrase import Prompt
from registry_builder.signing.signers import Keyring
from registry_builder.source.atomic_write import replace_file
from registry_builder.source.config import CONFIG_NAME, RegistryConfig, config_problems, read_config, read_config_text
from registry_builder.source.load import load_tree
from registry_builder.source.realm_sections import UNCHANGED, with_realm, without_realm
from registry_builder.source.realms import check_realm
from registry_builder.source.storage_choice import storage_choice
from sealdex.config.toml_reader import toml_values
from sealdex.errors import ConfigError, NotFoundError, UsageError
from sealdex.model.decode import DocumentError, read_values
from sealdex.model.ids import part_problem
from sealdex.text import counted

NOTHING = "nothing was written"
_FEW = 5


@dataclass(frozen=True)
class RealmWish:
    """What `realm add` is asked for.

    Attributes:
        name: the realm.
        storage, url: as in registry.toml; ``pages`` for GitHub Pages; None for what registry.toml says already.
        dev_keys: create development keys where the registry has none, and sign the first root with what is here.
        ceremony: start a ceremony for the first root, of this name; None for none.
        roles: keys and thresholds, for a ceremony of a registry without any root.
        by, why: for the ceremony's record.
    """

    name: str
    storage: str | None = None
    url: str | None = None
    dev_keys: bool = False
    ceremony: str | None = None
    roles: RoleChoice = field(default_factory=RoleChoice)
    by: str = ""
    why: str = ""


@dataclass(frozen=True)
class RealmAdded:
    """What `add_realm` did, or would do.

    Attributes:
        name: the realm.
        config: registry.toml afterwards.
        written: files, to be committed.
        keys: the key folder, if development keys were created.
        ceremony: the ceremony that waits for signatures.
    """

    name: str
    config: RegistryConfig
    written: tuple[Path, ...]
    keys: Path | None = None
    ceremony: str | None = None


def add_realm(
    tree: Path, wish: RealmWish, *, prompt: Prompt | None = None, now: datetime | None = None, dry_run: bool = False
) -> RealmAdded:
    """Add a realm, or what it lacks.

    Raises:
        UsageError: name, storage or roles are not valid, or the realm has a root already and nothing would change.
        ConfigError: registry.toml can't be edited, storages overlap, or keys to sign with are missing.
    """
    text, config = _planned(tree, wish)
    file, folder, moment = tree / CONFIG_NAME, trust_folder(tree, wish.name), now or utc_now()
    changed = text != read_config_text(tree)
    if has_trust(tree, wish.name):
        if not changed:
            raise UsageError(
                f"realm {wish.name} is complete: it has a storage and a root",
                subject=wish.name,
                untouched=NOTHING,
                hint=f"sealdex-builder realm show {wish.name}",
            )
        return _finished(file, text, RealmAdded(wish.name, config, (file,)), dry_run=dry_run)
    if wish.ceremony is not None:
        return _by_ceremony(tree, wish, text, config, moment, dry_run=dry_run)
    if (under_way := open_first(tree, wish.name)) is not None:
        raise ConfigError(
            f"ceremony '{under_way}' for the first root of realm {wish.name} waits for signatures",
            subject=wish.name,
            untouched=NOTHING,
            hint=f"sealdex-builder ceremony show {under_way}, or first: sealdex-builder ceremony abort {under_way}",
        )
    names = tuple(folder / name for name in ("1.root.json", "1.targets.json"))
    if not config.keys:
        if not wish.dev_keys:
            raise _choose(wish.name, "the registry has no keys yet")
        found_dev_keys(tree, config)  # refuses what can't be used, before anything is written
        if dry_run:
            return RealmAdded(wish.name, config, (file, *names))
        replace_file(file, text.encode())
        config = add_dev_keys(tree, config)
        keyring = Keyring(config, tree, prompt=prompt)
        create_trust(tree, config, wish.name, keyring, now=moment)
        return RealmAdded(wish.name, config, (file, *names), keys=key_folder(config, tree))
    try:
        signed = first_metadata(config, wish.name, Keyring(config, tree, prompt=prompt), now=moment)
    except ConfigError as error:
        raise _choose(wish.name, error.message) from error
    if dry_run:
        return RealmAdded(wish.name, config, (*((file,) if changed else ()), *names))
    replace_file(file, text.encode())
    for name, data in signed.items():
        replace_file(folder / name, data)
    return RealmAdded(wish.name, config, (*((file,) if changed else ()), *names))


def _by_ceremony(
    tree: Path, wish: RealmWish, text: str, config: RegistryConfig, now: datetime, *, dry_run: bool
) -> RealmAdded:
    name = wish.ceremony or ""
    file = tree / CONFIG_NAME
    if (under_way := open_first(tree, wish.name)) is not None:
        raise ConfigError(
            f"ceremony '{under_way}' for the first root of realm {wish.name} is under way already",
            subject=wish.name,
            untouched=NOTHING,
            hint=f"sealdex-builder ceremony show {under_way}",
        )
    check_first(tree, name, wish.name, config, wish.roles)
    config = with_roles(config, wish.roles)
    if dry_run:
        return RealmAdded(wish.name, config, (file,), ceremony=name)
    if text != read_config_text(tree):
        replace_file(file, text.encode())
    if wish.roles:
        named = {*wish.roles.keys, *wish.roles.thresholds}
        write_sections(tree, {role: config.roles[role] for role in named}, {}, ())
    made = start_first(tree, name, wish.name, config, by=wish.by, why=wish.why, now=now)
    files = sorted(path for path in made.folder.rglob("*.json"))
    return RealmAdded(wish.name, config, (file, *files), ceremony=name)


def _choose(realm: str, reason: str) -> ConfigError:
    return ConfigError(
        f"the first root of realm {realm} can't be signed here: {reason}",
        subject=realm,
        untouched=NOTHING,
        hint=f"signed by several people: sealdex-builder realm add {realm} --ceremony; for trying it out, in a "
        f"registry without keys: sealdex-builder realm add {realm} --dev-keys",
    )


def _finished(file: Path, text: str, added: RealmAdded, *, dry_run: bool) -> RealmAdded:
    if not dry_run:
        replace_file(file, text.encode())
    return added


def _planned(tree: Path, wish: RealmWish) -> tuple[str, RegistryConfig]:
    """Return registry.toml with the realm, as text and as values, checked."""
    if problem := part_problem(wish.name):
        raise UsageError(f"'{wish.name}' is not a valid realm name: it {problem}", untouched=NOTHING)
    text = read_config_text(tree)
    realms = toml_values(text).get("realms")
    there = realms.get(wish.name) if isinstance(realms, dict) else None
    there = there if isinstance(there, dict) else {}  # `with_realm` refuses what else it may be
    values: dict[str, str] = {}
    if wish.storage is not None or "storage" not in there:
        if wish.storage is None:
            raise UsageError(
                f"realm {wish.name} needs a storage",
                untouched=NOTHING,
                hint=f"sealdex-builder realm add {wish.name} --storage s3://BUCKET/PREFIX, or --storage folder:PATH",
            )
        values["storage"], address = storage_choice(tree, wish.storage, wish.url or there.get("url"))
        if address is not None:
            values["url"] = address
    elif wish.url is not None:
        values["url"] = wish.url
    edited = with_realm(text, wish.name, values)
    try:
        config = read_values(toml_values(edited), RegistryConfig)
        problems = config_problems(config)
    except DocumentError as error:
        raise ConfigError("; ".join(map(str, error.problems)), subject=CONFIG_NAME, untouched=NOTHING) from error
    if problems:
        raise ConfigError("; ".join(map(str, problems)), subject=CONFIG_NAME, untouched=NOTHING)
    check_realm(config, wish.name)
    return edited, config


# --- removing --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class RealmRemoved:
    """What `remove_realm` did, or would do: the realm's storage stays as it is, and so do its trust files."""

    name: str
    storage: str
    kept: tuple[Path, ...]


def remove_realm(tree: Path, name: str, *, dry_run: bool = False) -> RealmRemoved:
    """Remove a realm that nothing belongs to from registry.toml.

    Raises:
        NotFoundError: there is no such realm.
        ConfigError: plugins, claimed namespaces or an open ceremony belong to it, it is the only one, or the tree has
            errors, so that what belongs to it can't be told.
    """
    config = read_config(tree)
    if name not in config.realms:
        raise NotFoundError(f"realm '{name}' is not in registry.toml; realms are {', '.join(config.realms)}")
    loaded = load_tree(tree)
    inside = sorted(plugin for plugin, source in loaded.plugins.items() if source.plugin.realm == name)
    reasons: list[str] = []
    hint = ""
    if len(config.realms) == 1:
        reasons.append("it is the only realm")
    if inside:
        more = f" and {len(inside) - _FEW} more" if len(inside) > _FEW else ""
        reasons.append(f"{counted(len(inside), 'plugin')} in it: {', '.join(map(str, inside[:_FEW]))}{more}")
        hint = f"move them first: sealdex-builder move {inside[0]} --to-realm OTHER"
    if claimed := [namespace for namespace, section in config.namespaces.items() if section.realm == name]:
        reasons.append(f"namespaces claimed in it: {', '.join(claimed)}")
        hint = hint or f"sealdex-builder ceremony start NAME --release-claim {claimed[0]}"
    for ceremony in ceremonies(tree):
        found = load_ceremony(tree, ceremony)
        if found.closed is None and any(document.realm == name for document in found.documents):
            reasons.append(f"ceremony '{ceremony}' is open")
            hint = hint or f"sealdex-builder ceremony abort {ceremony}"
    if broken := [problem for problem in loaded.problems if problem.severity == "error"]:
        reasons.append(f"what doesn't load may be in it: {broken[0]}")
        hint = hint or "sealdex-builder validate shows all problems"
    if reasons:
        raise ConfigError(
            f"realm {name} can't be removed: {'; '.join(reasons)}", subject=name, untouched=UNCHANGED, hint=hint or None
        )
    edited = without_realm(read_config_text(tree), name)
    if not dry_run:
        replace_file(tree / CONFIG_NAME, edited.encode())
    folder = trust_folder(tree, name)
    return RealmRemoved(name, config.realms[name].storage, (folder,) if folder.exists() else ())


# --- what there is ---------------------------------------------------------------------------------------------------


class RealmState(msgspec.Struct, frozen=True):
    """A realm, for people and for workflows: what is configured, and whether it can be published.

    Attributes:
        name, storage, url, cloudfront: as in registry.toml.
        kind: ``s3``, ``folder`` or ``pages``.
        public: whether it is the realm that everybody reads.
        ready: whether it has a trust root, so that it can be published.
        root_file: the newest root, relative to the tree: what readers are given; None without one.
        ceremony: the open ceremony for its first root.
        plugins: how many plugins are in it.
    """

    name: str
    storage: str
    url: str | None
    cloudfront: str | None
    kind: str
    public: bool
    ready: bool
    root_file: str | None
    ceremony: str | None
    plugins: int


def realm_states(tree: Path) -> list[RealmState]:
    """Return the state of every realm, in the order of registry.toml.

    Raises:
        ConfigError: registry.toml or a ceremony can't be read.
    """
    loaded = load_tree(tree)
    counts: dict[str, int] = {}
    for source in loaded.plugins.values():
        counts[source.plugin.realm] = counts.get(source.plugin.realm, 0) + 1
    return [
        RealmState(
            name=name,
            storage=section.storage,
            url=section.url,
            cloudfront=section.cloudfront,
            kind="pages" if section.is_pages else section.storage.partition(":")[0],
            public=name == "public",
            ready=has_trust(tree, name),
            root_file=_newest_root(tree, name),
            ceremony=None if has_trust(tree, name) else open_first(tree, name),
            plugins=counts.get(name, 0),
        )
        for name, section in loaded.config.realms.items()
    ]


def _newest_root(tree: Path, realm: str) -> str | None:
    folder = trust_folder(tree, realm)
    numbers: Mapping[int, Path] = {
        int(path.name.partition(".")[0]): path
        for path in folder.glob("*.root.json")
        if path.name.partition(".")[0].isdecimal()
    }
    return numbers[max(numbers)].relative_to(tree).as_posix() if numbers else None


__all__ = ["RealmAdded", "RealmRemoved", "RealmState", "RealmWish", "add_realm", "realm_states", "remove_realm"]
