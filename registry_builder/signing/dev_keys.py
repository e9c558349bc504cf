"""Development keys and a first trust root, so that a new registry can be published at once.

The keys and the thresholds are real. But all keys are unencrypted, in one folder on one machine, which is what
makes them development keys. `status` says so.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from registry_builder.signing.key_registration import create_key, register_keys, unchecked_config
from registry_builder.signing.keystore import key_folder
from registry_builder.signing.metadata import build_root, build_targets, utc_now
from registry_builder.signing.offline_metadata import trust_folder
from registry_builder.signing.role_signing import Delegator, authority_of, sign_role
from registry_builder.signing.signers import Keyring
from registry_builder.source.config import RegistryConfig, read_config
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


def make_dev_trust(tree: Path, *, now: datetime | None = None) -> Path:
    """Create development keys, register them in registry.toml, and sign version 1 of root and targets for each realm.

    Args:
        tree: a source tree whose registry.toml has no keys yet.
        now: the time to count expiry from; now by default.

    Returns:
        The folder that holds the private keys.

    Raises:
        ConfigError: the registry already has keys or trust roots, or the key folder would be inside the tree.
    """
    config = unchecked_config(tree)
    if config.keys:
        raise ConfigError(
            "registry.toml already has keys",
            subject=str(tree),
            untouched="no key was created",
            hint="development keys are for new registries: sealdex-builder init DIR --dev-keys",
        )
    for realm in config.realms:
        if trust_folder(tree, realm).exists():
            raise ConfigError(f"realm {realm} already has a trust root", subject=str(trust_folder(tree, realm)))
    names = dict.fromkeys(name for keys in DEV_ROLE_KEYS.values() for name in keys)
    sections = {name: create_key(tree, config, name, passphrase=None)[0] for name in names}
    register_keys(tree, sections, DEV_ROLE_KEYS)
    config = read_config(tree)
    for realm in config.realms:
        create_trust(tree, config, realm, Keyring(config, tree), now=now or utc_now())
    return key_folder(config, tree)


def create_trust(tree: Path, config: RegistryConfig, realm: str, keyring: Keyring, *, now: datetime) -> None:
    """Sign version 1 of a realm's root and targets with the keys of registry.toml and write them to trust/<realm>/.

    Raises:
        ConfigError: too few of their keys are available here.
    """
    root = build_root(config, realm, version=1, now=now)
    targets = build_targets(config, realm, version=1, now=now)
    delegator: Delegator = root
    folder = trust_folder(tree, realm)
    files = {
        "1.root.json": sign_role(root, "root", authority_of(delegator, "root", keyring)),
        "1.targets.json": sign_role(targets, "targets", authority_of(delegator, "targets", keyring)),
    }
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        (folder / name).write_bytes(data)
