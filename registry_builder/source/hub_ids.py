"""Which id of the Model Hub a service or model has: flat, where ours are ``namespace/name``. Pure.

An id never goes to another plugin because a new one comes: of several that would have one id, none has it until
registry.toml says which. Ids that differ in case alone count as one, since a disk may take their files for the same.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Literal

from sealdex.model.ids import PluginId, normalise_type, parse_plugin_id

HubKind = Literal["service", "model"]

_TAKEN = frozenset({"index.json"})  # the list of all of them is there


def hub_ids(plugins: Iterable[tuple[PluginId, str]], kind: HubKind, stated: Mapping[str, str]) -> dict[str, PluginId]:
    """Return each id with its plugin, sorted.

    Args:
        plugins: each with its type; those of other types have no id.
        kind: which of them.
        stated: ids of registry.toml, each with ``namespace/name``.
    """
    named, by_name = _sorted_in(plugins, kind, stated)
    taken = _taken(named)
    alone = {name: found[0] for name, found in by_name.items() if len(found) == 1 and name not in taken}
    return dict(sorted({**named, **alone}.items()))


def without_id(
    plugins: Iterable[tuple[PluginId, str]], kind: HubKind, stated: Mapping[str, str]
) -> dict[str, list[PluginId]]:
    """Return each name that nobody has as id although plugins have it as name, with these plugins."""
    named, by_name = _sorted_in(plugins, kind, stated)
    taken = _taken(named)
    return {name: found for name, found in sorted(by_name.items()) if len(found) > 1 or name in taken}


def one_id_twice(stated: Mapping[str, str]) -> list[tuple[str, str]]:
    """Return the ids of registry.toml that differ in case alone from one before them, with that one."""
    first: dict[str, str] = {}
    return [(name, before) for name in stated if (before := first.setdefault(name.lower(), name)) != name]


def _taken(named: Iterable[str]) -> set[str]:
    return {name.lower() for name in named} | _TAKEN  # names of plugins are in lower case


def _sorted_in(
    plugins: Iterable[tuple[PluginId, str]], kind: HubKind, stated: Mapping[str, str]
) -> tuple[dict[str, PluginId], dict[str, list[PluginId]]]:
    wanted = {name: parse_plugin_id(text) for name, text in stated.items() if name.lower() not in _TAKEN}
    there = sorted(plugin for plugin, kind_of in plugins if normalise_type(kind_of) == kind)
    named = {name: plugin for name, plugin in wanted.items() if plugin in set(there)}
    by_name: dict[str, list[PluginId]] = defaultdict(list)
    for plugin in there:
        if plugin not in named.values():
            by_name[plugin.name].append(plugin)
    return named, by_name


__all__ = ["HubKind", "hub_ids", "one_id_twice", "without_id"]
