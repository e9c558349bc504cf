"""Which offline roles have to be re-signed soon, determined from the source tree alone."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from registry_builder.signing.metadata import is_due, realm_marker, utc_now
from registry_builder.signing.offline_metadata import has_trust, load_trust
from registry_builder.source.config import read_config


def due_offline_roles(tree: Path, *, now: datetime | None = None) -> tuple[str, ...]:
    """Return those of ``root`` and ``targets`` that are within their signing window in some realm.

    Raises:
        ConfigError, VerificationError: the tree's configuration or trust material is invalid.
    """
    config, moment = read_config(tree), now or utc_now()
    begun = [realm for realm in config.realms if has_trust(tree, realm)]
    trusts = [load_trust(tree, realm, realm_marker(config, realm)) for realm in begun]
    expiries = {
        "root": [trust.root.expires for trust in trusts],
        "targets": [trust.targets_role.expires for trust in trusts],
    }
    return tuple(
        role
        for role, found in expiries.items()
        if any(is_due(expires, config.roles[role], moment) for expires in found)
    )


__all__ = ["due_offline_roles"]
