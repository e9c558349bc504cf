"""Development keys and a first trust root, so that a new registry can be published at once.

The keys and the thresholds are real. But all keys are unencrypted, in one folder on one machine, which is what
makes them development keys. `status` says so.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from registry_builder.signing.key_registration import create_key, register_keys, section_of_pem, unchecked_config
from registry_builder.signing.keystore import FILE_SCHEME, KEYS_VARIABLE, key_file, key_folder, keys_base
from registry_builder.signing.metadata import build_root, build_targets, utc_now
from registry_builder.signing.offline_metadata import trust_folder
from registry_builder.signing.role_signing import Delegator, authority_of, sign_role
from registry_builder.signing.signers import Keyring
from registry_builder.source.atomic_write import replace_file
from registry_builder.source.config import KeySection, RegistryConfig, read_config
from sealdex.errors import ConfigError

# snapshot and timestamp are always signed together and on the same machine, so another key would add nothing;
# packages and catalog have their own, so that neither can sign for the other, nor for the two above
DEV_ROLE_KEYS = {
    "root": ("root-1", "root-2"),
    "targets": ("targets-1", "targets-2"),
    "packages": ("packages",),
    "catalog": ("catalog",),
    "snapshot": ("online",),
    "timestamp": ("online",),
}
DEV_KEYS = tuple(dict.fromkeys(name for keys in DEV_ROLE_KEYS.values() for name in keys))


def make_dev_trust(tree: Path, *, now: datetime | None = None) -> Path:
    """Create development keys, register them in registry.toml, and sign version 1 of root and targets for each realm.

    Key files that are in the key folder already are used: an interrupted run continues.

    Args:
        tree: a source tree whose registry.toml has no keys yet.
        now: the time to count expiry from; now by default.

    Returns:
        The folder that holds the private keys.

    Raises:
        ConfigError: the registry already has keys or trust roots, the key folder would be inside the tree, or a file
            there is not a key that can be used. Nothing was written.
    """
    config = unchecked_config(tree)
    if config.keys:
        realm = next(iter(config.realms))
        raise ConfigError(
            "registry.toml already has keys",
            subject=str(tree),
            untouched="no key was created",
            hint=f"a realm without a root gets it with: sealdex-builder realm add {realm} --dev-keys, or --ceremony",
        )
    for realm in config.realms:
        if trust_folder(tree, realm).exists():
            raise ConfigError(f"realm {realm} already has a trust root", subject=str(trust_folder(tree, realm)))
    config = add_dev_keys(tree, config)
    for realm in config.realms:
        create_trust(tree, config, realm, Keyring(config, tree), now=now or utc_now())
    return key_folder(config, tree)


def add_dev_keys(tree: Path, config: RegistryConfig) -> RegistryConfig:
    """Create the development keys that aren't in the key folder yet, and register all of them for their roles.

    Raises:
        ConfigError: as `found_dev_keys`. Nothing was written.
    """
    sections = found_dev_keys(tree, config)
    for name in DEV_KEYS:
        if name not in sections:
            sections[name] = create_key(tree, config, name, passphrase=None)[0]
    register_keys(tree, sections, DEV_ROLE_KEYS)
    return read_config(tree)


def found_dev_keys(tree: Path, config: RegistryConfig) -> dict[str, KeySection]:
    """Return those development keys that are in the key folder already, ready to be registered; writes nothing.

    Raises:
        ConfigError: the key folder is inside the tree, or a file with the name of such a key can't be used.
    """
    uris = {name: f"{FILE_SCHEME}{name}.pem" for name in DEV_KEYS}
    return _found({name: (uri, key_file(uri, config, tree)) for name, uri in uris.items()})


def check_key_place(tree: Path) -> list[str]:
    """Check, before a source tree is created, that development keys can be made for it; writes nothing.

    Returns:
        Names of keys that are there and will be used: only where $SEALDEX_KEYS names the folder, since a new registry
        has a folder of its own otherwise.

    Raises:
        ConfigError: as `found_dev_keys`.
    """
    folder = keys_base(tree)
    if not os.environ.get(KEYS_VARIABLE):
        return []
    return [*_found({name: (f"{FILE_SCHEME}{name}.pem", folder / f"{name}.pem") for name in DEV_KEYS})]


def _found(files: Mapping[str, tuple[str, Path]]) -> dict[str, KeySection]:
    sections: dict[str, KeySection] = {}
    problems: list[str] = []
    for name, (uri, path) in files.items():
        try:
            sections[name] = section_of_pem(name, uri, path.read_bytes())
        except FileNotFoundError:  # noqa: PERF203  # each file stands for itself
            continue
        except (OSError, ValueError, TypeError, ConfigError) as error:  # encrypted: a TypeError of `cryptography`
            reason = error.message if isinstance(error, ConfigError) else f"{error}"
            problems.append(f"{path} can't be used as development key '{name}': {reason}")
    if problems:
        raise ConfigError(
            "; ".join(problems),
            untouched="nothing was written",
            hint=f"move the file away, or let {KEYS_VARIABLE} name another folder; keys with a passphrase sign in "
            "a ceremony: sealdex-builder realm add NAME --ceremony",
        )
    return sections


def first_metadata(config: RegistryConfig, realm: str, keyring: Keyring, *, now: datetime) -> dict[str, bytes]:
    """Return version 1 of a realm's root and targets by file name, signed with the keys of registry.toml.

    Raises:
        ConfigError: too few of their keys are available here.
    """
    root = build_root(config, realm, version=1, now=now)
    targets = build_targets(config, realm, version=1, now=now)
    delegator: Delegator = root
    return {
        "1.root.json": sign_role(root, "root", authority_of(delegator, "root", keyring)),
        "1.targets.json": sign_role(targets, "targets", authority_of(delegator, "targets", keyring)),
    }


def create_trust(tree: Path, config: RegistryConfig, realm: str, keyring: Keyring, *, now: datetime) -> None:
    """Sign version 1 of a realm's root and targets and write them to trust/<realm>/; see `first_metadata`."""
    for name, data in first_metadata(config, realm, keyring, now=now).items():
        replace_file(trust_folder(tree, realm) / name, data)
