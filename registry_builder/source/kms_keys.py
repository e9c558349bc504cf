"""Which keys in AWS KMS sign the online roles, from registry.toml. Pure."""

from __future__ import annotations

from registry_builder.source.config import ONLINE_ROLES, RegistryConfig
from registry_builder.storage.access_policy import Place

_AWSKMS = "awskms:"


def kms_keys(config: RegistryConfig, place: Place) -> tuple[list[str], list[str]]:
    """Return the KMS keys that sign online: their ARNs, and aliases. A key's bare id may be in any region."""
    names = {key for role in ONLINE_ROLES for key in config.roles[role].keys}
    uris = [config.keys[name].uri for name in sorted(names & config.keys.keys())]
    named = sorted({uri.removeprefix(_AWSKMS) for uri in uris if uri.startswith(_AWSKMS)})
    aliases = [each for each in named if each.startswith("alias/")]
    keys = [
        each if each.startswith("arn:") else f"arn:{place.partition}:kms:*:*:key/{each}"
        for each in named
        if each not in aliases
    ]
    return keys, aliases


__all__ = ["kms_keys"]
