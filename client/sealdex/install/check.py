"""What is installed of a plugin, and whether it still is what was installed."""

from __future__ import annotations

from pathlib import Path

from sealdex.errors import NotFoundError
from sealdex.model.ids import PluginId
from sealdex.model.precedence import version_sort_key
from sealdex.results import Checked
from sealdex.store.activation import instead_of, require_installed
from sealdex.store.installations import Installation, installed_versions, look_over
from sealdex.store.layout import Store
from sealdex.store.verify import unreadable_finding, verify_standing


def verify_installed(store: Store, plugin: PluginId | None = None, version: str | None = None) -> list[Checked]:
    """Hash installations again; see `sealdex.client.Client.verify`."""
    found, unreadable = look_over(store, plugin)
    standing = [verify_standing(store, each) for each in found if version is None or each.version == version]
    checked = [
        Checked(PluginId(*each.id), each.version, each.path, tuple(findings), each)
        for each, findings in filter(None, standing)
    ]
    checked += [
        Checked(PluginId(each.namespace, each.name), each.version, Path(each.path), (unreadable_finding(each),), None)
        for each in unreadable
        if version is None or each.version == version
    ]
    if plugin is not None and not checked:
        installations_of(store, plugin, version)  # says what is there now
    return sorted(checked, key=lambda each: (each.plugin, version_sort_key(each.version)))


def installations_of(store: Store, plugin: PluginId, version: str | None) -> list[Installation]:
    """Return the installations of a plugin, oldest version first, or the one of a version.

    Raises:
        NotFoundError: there is none; the nearest names are given.
    """
    if version is not None:
        return [require_installed(store, plugin, version)]
    found = installed_versions(store, plugin)
    if found:
        return found
    raise NotFoundError(
        f"{plugin} is not installed{instead_of(store, plugin)}",
        subject=str(plugin),
        untouched="nothing was changed",
        hint=f"sealdex list shows what is; sealdex install {plugin} installs it",
    )
