"""Which plugins a realm publishes, and what may not leave it. Pure, except for reading plugins outside a partial tree.

Each realm is a complete TUF repository with its own readers. A plugin goes to the realm that its plugin.yaml names and
to no other, and names of plugins in a realm that isn't public may not appear in what another realm publishes.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace

from msgspec import structs

from registry_builder.source.config import RegistryConfig
from registry_builder.source.tree import Problem, SourcePlugin, SourceTree
from registry_builder.storage import place_of
from sealdex.errors import ConfigError, NotFoundError, SealdexError
from sealdex.model.ids import PluginId, parse_plugin_id
from sealdex.model.plugin import MovedTo

PUBLIC_REALM = "public"

_UNTOUCHED = "nothing was published"
_SHOWS = "sealdex-builder validate, without --realm, shows it"


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
    if len(tree.config.realms) > 1:
        errors = [problem for problem in errors if only is not None or belongs(problem, tree, {realm}) is not False]
    if errors:
        shown = [problem for problem in errors if len(tree.config.realms) == 1 or belongs(problem, tree, {realm})]
        if not shown and only is None:
            raise _unreadable(realm)
        first = (shown or errors)[0]
        more = f", and {len(errors) - 1} more" if len(errors) > 1 else ""
        raise SealdexError(
            f"the source tree has errors: {first}{more}",
            subject=first.file,
            untouched=_UNTOUCHED,
            hint="sealdex-builder validate shows all of them",
        )
    wanted = tree.plugins if only is None else {plugin: tree.plugins.get(plugin) for plugin in sorted(set(only))}
    chosen: dict[PluginId, SourcePlugin] = {}
    for plugin, source in wanted.items():
        if source is None:
            raise NotFoundError(f"there is no plugin {plugin} in the source tree", subject=str(plugin))
        if (left := moved_away(source, realm, tree.config)) is not None:
            chosen[plugin] = left
            continue
        if source.plugin.realm not in tree.config.realms:
            # not named in a run whose log may be public: what it says of its realm is that it isn't for everybody
            named = str(plugin) if only is not None else "a plugin"
            raise ConfigError(
                f"{named} is for a realm that registry.toml doesn't have",
                subject=str(plugin) if only is not None else None,
                untouched=_UNTOUCHED,
                hint="sealdex-builder validate shows which; sealdex-builder realm add NAME adds the realm",
            )
        if source.plugin.realm == realm:
            chosen[plugin] = source
    return chosen


def moved_away(source: SourcePlugin, realm: str, config: RegistryConfig) -> SourcePlugin | None:
    """Return what a realm goes on publishing of a plugin that moved from it to the public realm; None if it didn't.

    That is all releases that the plugin had then, with what happened to them since, and where later ones are. Of a
    plugin that moved elsewhere, nothing that happens later may become known here: it stays as it was published.
    """
    here = source.plugin.realm
    if here != PUBLIC_REALM or realm == PUBLIC_REALM:
        return None
    moves = [each for each in source.status.events if each.action == "move" and each.from_realm == realm]
    if not moves or not moves[-1].versions:
        return None
    move, kept = moves[-1], set(moves[-1].versions)
    public = config.realms.get(PUBLIC_REALM)
    events = [e for e in enumerate(source.status.events) if e[1].version is None or e[1].version in kept]
    first = source.in_status_json
    return replace(
        source,
        releases={version: release for version, release in source.releases.items() if version in kept},
        files={version: file for version, file in source.files.items() if version in kept},
        status=structs.replace(source.status, events=tuple(event for _, event in events)),
        event_files=tuple(source.event_files[number - first] for number, _ in events if number >= first),
        moved_to=MovedTo(
            realm=PUBLIC_REALM, at=move.at, by=move.by, why=move.why, url=public.url if public is not None else None
        ),
    )


def realms_of(source: SourcePlugin, config: RegistryConfig) -> list[str]:
    """Return the realms that publish something of a plugin: its own, and those that it moved away from."""
    return [
        realm
        for realm in config.realms
        if source.plugin.realm == realm or moved_away(source, realm, config) is not None
    ]


def belongs(problem: Problem, tree: SourceTree, realms: Collection[str]) -> bool | None:
    """Return whether a problem is about plugins of ``realms``; None if it can't be told, as what doesn't load.

    What is about no plugin, such as registry.toml, belongs to all realms.
    """
    parts = problem.file.split("/")
    if parts[0] != "plugins" or len(parts) < 3:
        return True if parts[0] != "plugins" else None
    source = tree.plugins.get(PluginId(parts[1], parts[2]))
    return None if source is None else source.plugin.realm in realms


def problems_of(problems: Collection[Problem], tree: SourceTree, realms: Collection[str]) -> list[Problem]:
    """Return the problems of some realms; of what doesn't load only that there is some, without its name."""
    kinds = [(problem, belongs(problem, tree, realms)) for problem in problems]
    found = [problem for problem, mine in kinds if mine]
    if any(mine is None and problem.severity == "error" for problem, mine in kinds):
        found.append(Problem("plugins", "", "something here doesn't load, so that its realm isn't known: " + _SHOWS))
    return sorted(found)


def _unreadable(realm: str) -> SealdexError:
    return SealdexError(
        f"a plugin of the source tree doesn't load, so that it isn't known whether it is for realm {realm}",
        subject="plugins",
        untouched=_UNTOUCHED,
        hint=_SHOWS,
    )


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
            raise SealdexError(  # without the name: logs of a realm's publish are for its readers
                f"{plugin} in realm {realm} names a plugin of another realm ({where}): "
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
