"""What keeps a realm from being published, as far as the source tree alone says: storage, trust root, keys."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from registry_builder.ceremony.first_root import open_first
from registry_builder.signing.offline_metadata import has_trust, without_trust_hint
from registry_builder.source.config import CONFIG_NAME, roles_without_keys
from registry_builder.source.realms import check_realm
from registry_builder.source.tree import Problem, SourceTree
from sealdex.errors import ConfigError


def realm_problems(tree: SourceTree, realms: Collection[str]) -> Iterator[Problem]:
    """Yield what realms lack, each with the command that mends it.

    Raises:
        ConfigError: a ceremony can't be read.
    """
    begun = [realm for realm in tree.config.realms if has_trust(tree.root, realm)]
    for realm in realms:
        try:
            check_realm(tree.config, realm)
        except ConfigError as error:
            yield Problem(CONFIG_NAME, f"realms.{realm}.storage", f"{error.message}; {error.hint}")
        if realm in begun:
            continue
        where = f"realms.{realm}"
        if (ceremony := open_first(tree.root, realm)) is not None:
            message = f"can't be published before ceremony '{ceremony}' is finished"
            yield Problem(
                CONFIG_NAME, where, f"{message}: sealdex-builder ceremony show {ceremony}", severity="warning"
            )
        else:
            yield Problem(CONFIG_NAME, where, f"has no trust root yet; {without_trust_hint(realm)}")
    if begun:
        for role in roles_without_keys(tree.config):
            message = "is empty, but a root is signed already: restore it from git's history"
            yield Problem(CONFIG_NAME, f"roles.{role}.keys", message)


__all__ = ["realm_problems"]
