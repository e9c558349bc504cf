"""Taking versions of plugins out of the store, as one change."""

from __future__ import annotations

from collections.abc import Sequence

from sealdex.install.check import installations_of
from sealdex.install.transaction import finish_killed
from sealdex.model.ids import PluginId
from sealdex.store.dependants import OnBroken, dependants_of
from sealdex.store.installations import Installation, installed_versions
from sealdex.store.layout import Store
from sealdex.store.transaction import remove_versions


def uninstall(
    store: Store,
    going: Sequence[tuple[PluginId, str | None]],
    *,
    cascade: bool = False,
    on_broken: OnBroken | None = None,
) -> list[Installation]:
    """Remove versions of plugins, or all of each; return what was removed.

    Args:
        store: where from.
        going: each plugin with its version, None for all of them.
        cascade: whatever depends on what goes, as well.
        on_broken: told what that breaks; left out: what would break something is refused.

    Raises:
        NotFoundError, BreaksDependantsError, InstallError: as `sealdex.client.Client.uninstall`.
    """
    finish_killed(store)
    found: dict[tuple[PluginId, str], Installation] = {}
    for plugin, version in going:
        for installation in installations_of(store, plugin, version):
            found[plugin, installation.version] = installation
    if cascade:
        found.update(_dependants(store, found))
    versions: dict[PluginId, tuple[str, ...]] = {}
    for plugin, gone in found:
        versions[plugin] = (*versions.get(plugin, ()), gone)
    asked = " ".join(f"{plugin}" + (f"@{version}" if version else "") for plugin, version in going)
    remove_versions(
        store,
        f"uninstall {asked}",
        versions,
        on_broken=on_broken,
        hint="to uninstall those too: --cascade; to uninstall anyway: --force",
    )
    return list(found.values())


def _dependants(
    store: Store, going: dict[tuple[PluginId, str], Installation]
) -> dict[tuple[PluginId, str], Installation]:
    """Return all versions of what depends on the plugins of which no version stays."""
    whole = {
        plugin
        for plugin in {plugin for plugin, _ in going}
        if all((plugin, each.version) in going for each in installed_versions(store, plugin))
    }
    return {
        (dependant, each.version): each
        for dependant in dependants_of(store, whole)
        for each in installed_versions(store, dependant)
    }
