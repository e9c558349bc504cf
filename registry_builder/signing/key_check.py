"""Checks whether the keys of the online roles can sign on this machine, by signing a few bytes with each.

A configured key, or a service that answers, may still be unable to sign: a secret can be empty, a passphrase wrong, a
permission revoked. It is better to learn this before something has to be signed.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from tuf.api.metadata import Role

from registry_builder.signing.metadata import realm_marker
from registry_builder.signing.offline_metadata import Trust, load_trust
from registry_builder.signing.signers import Keyring
from registry_builder.source.config import ONLINE_ROLES, read_config
from sealdex.errors import SealdexError

PROBE = b"sealdex key check: this is not metadata\n"
"""What is signed: not JSON, so that the signature can't be used for anything."""


@dataclass(frozen=True)
class RoleKeys:
    """The keys of an online role: how many must sign, which ones can, and why the others can't, by name."""

    realm: str
    role: str
    threshold: int
    able: tuple[str, ...]
    missing: Mapping[str, str]

    @property
    def can_sign(self) -> bool:
        """Whether enough of them can sign."""
        return len(self.able) >= self.threshold


def check_online_keys(tree: Path, keyring: Keyring, realms: Collection[str] = ()) -> list[RoleKeys]:
    """Try each key of the online roles once; the keys are those that the trust material names.

    Args:
        tree: the source tree.
        keyring: what this machine can sign with.
        realms: only of these; none: of all.

    Raises:
        ConfigError, VerificationError: the tree's configuration or trust material is invalid.
    """
    config = read_config(tree)
    tried: dict[str, str] = {}
    found = []
    for realm in (name for name in config.realms if not realms or name in realms):
        trust = load_trust(tree, realm, realm_marker(config, realm))
        for name in ONLINE_ROLES:
            role = _role(trust, name)
            for keyid in role.keyids:
                if keyid not in tried:
                    tried[keyid] = why_it_cannot_sign(keyring, keyid)
            named = {keyid: keyring.name_of(keyid) or keyid[:12] for keyid in role.keyids}
            able = tuple(named[keyid] for keyid in role.keyids if not tried[keyid])
            missing = {named[keyid]: tried[keyid] for keyid in role.keyids if tried[keyid]}
            found.append(RoleKeys(realm, name, role.threshold, able, missing))
    return found


def why_it_cannot_sign(keyring: Keyring, keyid: str) -> str:
    """Sign `PROBE` with a key; return why it can't, or nothing if it can."""
    try:
        signer = keyring.signer_for(keyid)
        if signer is None:
            return f"key {keyid[:12]} is not in registry.toml"
        signature = signer.sign(PROBE)
        signer.public_key.verify_signature(signature, PROBE)
    except SealdexError as error:
        return error.message
    except Exception as error:  # noqa: BLE001  # each signer raises its own library's errors, and documents none of them
        return f"it failed to sign: {error or type(error).__name__}"
    return ""


def _role(trust: Trust, name: str) -> Role:
    if name in trust.root.roles:
        return trust.root.roles[name]
    return trust.targets_role.get_delegated_role(name)


__all__ = ["PROBE", "RoleKeys", "check_online_keys", "why_it_cannot_sign"]
