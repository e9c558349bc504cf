"""The realms of a command, each opened with the keys of this machine."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from registry_builder import publication, signing, source
from registry_builder.cli.options import prompt_for_passphrase
from registry_builder.source.realms import realms_of
from sealdex.cli.progress import in_bytes
from sealdex.errors import UsageError
from sealdex.model.ids import PluginId

if TYPE_CHECKING:
    from registry_builder.publication.context import Publisher
    from registry_builder.source.realms import realms_of
    from registry_builder.source.tree import SourceTree
    from registry_builder.storage import Storage
from sealdex.cli.progress import Progress


def tree_without_plugins(root: Path) -> source.SourceTree:
    """Read only registry.toml, for commands that need no plugins."""
    return source.SourceTree(root, source.read_config(root), {}, problems=(), complete=False)


def realms_named(tree: SourceTree, realms: Collection[str], only: Collection[PluginId] = ()) -> list[str]:
    """Return the realms to process: ``realms``, or all; with ``only``, those that have these plugins.

    Raises:
        UsageError: a realm does not exist.
    """
    for realm in realms:
        if realm not in tree.config.realms:
            raise UsageError(f"there is no realm '{realm}'; realms are {', '.join(tree.config.realms)}")
    named = [name for name in tree.config.realms if not realms or name in realms]
    if not only:
        return named
    # unknown plugins are reported by publish
    known = {realm for each in tree.plugins.values() for realm in (each.plugin.realm, *realms_of(each, tree.config))}
    return [name for name in named if name in known] if len(tree.plugins) == len(set(only)) else named[:1]


def open_realm(
    tree: SourceTree,
    realm: str,
    progress: Progress | None,
    *,
    storage: Storage | None = None,
    allow_expired: bool = False,
    site: bool = True,
) -> Publisher:
    """Open a realm with the keys of this machine, asking for passphrases at a terminal; steps are shown as progress."""

    def notice(what: str, done: int, total: int) -> None:
        if progress is not None:
            progress.step(f"{what} {done * 100 // total}%" if total else f"{what} {in_bytes(done)}" if done else what)

    return publication.open_publisher(
        tree,
        realm,
        storage=storage,
        keyring=signing.Keyring(tree.config, tree.root, prompt=prompt_for_passphrase()),
        allow_expired=allow_expired,
        site=site,
        notice=notice,
    )


def publishers_of(root: Path, realm: str | None) -> Iterator[Publisher]:
    """Open the realms of a command, without reading plugins and without asking for passphrases."""
    tree = tree_without_plugins(root)
    for name in [realm] if realm else list(tree.config.realms):
        yield publication.open_publisher(tree, name)


__all__ = ["open_realm", "publishers_of", "realms_named", "tree_without_plugins"]
