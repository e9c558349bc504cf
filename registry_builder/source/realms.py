"""Which plugins a realm publishes, and what may not leave it. Pure, except for reading plugins outside a partial tree.

Each realm is a complete TUF repository with its own readers. A plugin goes to the realm that its plugin.yaml names and
to no other, and names of plugins in a realm that isn't public may not appear in what another realm publishes.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from registry_builder.source.config import RegistryConfig
from registry_builder.source.tree import SourcePlugin, SourceTree
from registry_builder.storage import place_of
from sealdex.errors import ConfigError, NotFoundError, SealdexError
from sealdex.model.ids import PluginId, parse_plugin_id

PUBLIC_REALM = "public"

_UNTOUCHED = "nothing was published"


def check_realm(config: RegistryConfig, realm: str) -> None:
    """Refuse a realm that isn't configured, or whose storage overlaps with another realm's.

    If one were inside another, readers of the outer one could read both.

    Raises:
        NotFoundError: the realm doesn't exist.
        ConfigError: the storages of two realms overlap, or a storage is not valid.
    """
    if realm not in config.realms:
        raise NotFoundError(
            f"realm '{realm}' is not in registry.toml; realms are {', '.join(config.realms)}",
            subject=realm,
            untouched=_UNTOUCHED,
        )
    places = {name: place_of(each.storage) for name, each in config.realms.items()}
    mine = places.pop(realm)
    for name, place in places.items():
        if place[: len(mine)] == mine[: len(place)]:
            said = "the same storage" if place == mine else "storages one inside the other"
            both = " and ".join(config.realms[each].storage for each in (realm, name))
            raise ConfigError(
                f"realms {realm} and {name} have {said}: {both}",
                subject=realm,
                untouched=_UNTOUCHED,
                hint="give each realm its own bucket, prefix or folder, none inside another",
            )


def plugins_of(tree: SourceTree, realm: str, only: Collection[PluginId] | None) -> dict[PluginId, SourcePlugin]:
    """Return the plugins that a publish of ``realm`` covers.

    Args:
        tree: the source tree, or a part of it.
        realm: the realm.
        only: these plugins; those of other realms are left out. None for all plugins of the tree.

    Raises:
        NotFoundError: one of ``only`` is not in the tree.
        ConfigError: a plugin names a realm that isn't configured.
        SealdexError: the tree has errors: what didn't load must not look as if it didn't exist.
    """
    errors = [problem for problem in tree.problems if problem.severity == "error"]
    if errors:
        more = f", and {len(errors) - 1} more" if len(errors) > 1 else ""
        raise SealdexError(
            f"the source tree has errors: {errors[0]}{more}",
            subject=errors[0].file,
            untouched=_UNTOUCHED,
            hint="sealdex-builder validate shows all of them",
        )
    wanted = tree.plugins if only is None else {plugin: tree.plugins.get(plugin) for plugin in sorted(set(only))}
    chosen: dict[PluginId, SourcePlugin] = {}
    for plugin, source in wanted.items():
        if source is None:
            raise NotFoundError(f"there is no plugin {plugin} in the source tree", subject=str(plugin))
        if source.plugin.realm not in tree.config.realms:
            raise ConfigError(
                f"{plugin} is for realm '{source.plugin.realm}', which registry.toml doesn't have",
                subject=str(plugin),
                untouched=_UNTOUCHED,
                hint=f"add [realms.{source.plugin.realm}] to registry.toml, or correct plugin.yaml",
            )
        if source.plugin.realm == realm:
            chosen[plugin] = source
    return chosen


def check_leaks(tree: SourceTree, realm: str, plugins: Collection[SourcePlugin]) -> None:
    """Refuse to publish a mention of a plugin of another realm, unless that realm is public.

    Raises:
        SealdexError: a dependency or a successor would disclose a name to readers of ``realm`` who may not know it.
    """
    mentions = [(source.id, where, named) for source in plugins for where, named in _mentions(source)]
    outside = {named for _, _, named in mentions if named not in tree.plugins}
    known = dict(tree.plugins)
    if outside and not tree.complete:
        from registry_builder.source.load import load_tree  # noqa: PLC0415  # load imports much of the YAML reader

        known |= load_tree(tree.root, only=outside).plugins
    for plugin, where, named in mentions:
        target = known.get(named)
        if target is not None and target.plugin.realm not in {realm, PUBLIC_REALM}:
            raise SealdexError(
                f"{plugin} in realm {realm} mentions a plugin of realm {target.plugin.realm} ({where}): "
                "publishing it would disclose that name to readers who may not know it",
                subject=str(plugin),
                untouched=_UNTOUCHED,
                hint="move one of them to the other's realm, or remove the mention",
            )


def _mentions(source: SourcePlugin) -> Iterator[tuple[str, PluginId]]:
    for version, release in source.releases.items():
        for named in release.dependencies:
            yield from _parsed(f"dependencies of {version}", named)
    for event in source.status.events:
        if event.use is not None:
            yield from _parsed("status.json", event.use)


def _parsed(where: str, text: str) -> Iterator[tuple[str, PluginId]]:
    try:
        yield where, parse_plugin_id(text)
    except ValueError:
        return  # validate reports what is wrong with it
