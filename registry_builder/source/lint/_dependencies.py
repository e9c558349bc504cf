"""Lint of dependencies: they exist, some release fits, readers may read them, and none is circular."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from typing import Any

from registry_builder.source.tree import Problem, SourcePlugin, SourceTree
from sealdex.model.ids import PluginId, parse_plugin_id
from sealdex.model.plugin import fold_status
from sealdex.model.ranges import VersionRange, parse_range
from sealdex.model.versions import parse_version

PUBLIC_REALM = "public"

_ReleaseId = tuple[PluginId, str]


def dependency_problems(tree: SourceTree) -> Iterator[Problem]:
    """Yield every problem of the tree's dependencies.

    What doesn't parse is reported elsewhere and skipped here; in a tree that was loaded in part, only dependencies
    between the loaded plugins are checked.
    """
    edges: dict[PluginId, dict[str, dict[PluginId, VersionRange]]] = {}
    for plugin in tree.plugins.values():
        for version, release in plugin.releases.items():
            if release.dependencies:
                parsed = _parsed(release.dependencies)
                edges.setdefault(plugin.id, {})[version] = parsed
                for needed, wanted in parsed.items():
                    yield from _one(tree, plugin, version, needed, wanted)
    if edges:
        yield from _cycles(tree, edges)


def _parsed(dependencies: dict[str, str]) -> dict[PluginId, VersionRange]:
    parsed = {}
    for needed, wanted in dependencies.items():
        try:
            parsed[parse_plugin_id(needed)] = parse_range(wanted)
        except ValueError:  # noqa: PERF203  # release_problems reports it; the others are still wanted
            continue
    return parsed


def _one(
    tree: SourceTree, plugin: SourcePlugin, version: str, needed: PluginId, wanted: VersionRange
) -> Iterator[Problem]:
    file, where = plugin.files[version], f'dependencies["{needed}"]'
    target = tree.plugins.get(needed)
    if target is None:
        folder = f"plugins/{needed}/"
        if tree.complete and not any(problem.file.startswith(folder) for problem in tree.problems):
            close = difflib.get_close_matches(str(needed), [str(i) for i in _neighbours(tree, plugin, needed)], n=1)
            hint = f"; did you mean '{close[0]}'?" if close else ""
            yield Problem(file, where, f"there is no plugin {needed} in this registry{hint}")
        return
    if target.plugin.realm not in {plugin.plugin.realm, PUBLIC_REALM}:
        yield Problem(  # without the name: what is said of a public plugin is public
            file,
            "dependencies",
            f"names a plugin of another realm, which readers of realm '{plugin.plugin.realm}' may not read: depend on "
            f"a plugin of the same or the public realm, or: sealdex-builder move {plugin.id} --to-realm NAME",
        )
        return
    yield from _range_problem(file, where, target, wanted)


def _neighbours(tree: SourceTree, plugin: SourcePlugin, needed: PluginId) -> Iterable[PluginId]:
    """Plugins whose names are worth comparing: difflib over 100,000 names would take seconds.

    None of a realm that readers of this one may not know.
    """
    return (
        i
        for i, each in tree.plugins.items()
        if (i.name[:1] == needed.name[:1] or i.namespace == needed.namespace)
        and each.plugin.realm in {plugin.plugin.realm, PUBLIC_REALM}
    )


def _range_problem(file: str, where: str, target: SourcePlugin, wanted: VersionRange) -> Iterator[Problem]:
    yanked = fold_status(target.status.events).yanked
    fitting = [v for v in target.releases if wanted.contains(parse_version(v))]
    if any(v not in yanked for v in fitting):
        return
    if fitting:
        yield Problem(file, where, f"only yanked releases of {target.id} are in '{wanted}': {_few(fitting)}", "warning")
        return
    early = [v for v in target.releases if wanted.contains(parse_version(v), include_prereleases=True)]
    if early:
        message = f"only pre-releases of {target.id} are in '{wanted}' ({_few(early)}): name a pre-release in the range"
        yield Problem(file, where, message, "warning")
    else:
        there = f"its releases are {_few(list(target.releases))}" if target.releases else "it has no release yet"
        yield Problem(file, where, f"no release of {target.id} is in '{wanted}'; {there}")


def _few(versions: list[str]) -> str:
    return ", ".join(versions[:5]) + (f" and {len(versions) - 5} more" if len(versions) > 5 else "")


# --- cycles ----------------------------------------------------------------------------------------------------------


def _cycles(tree: SourceTree, edges: dict[PluginId, dict[str, dict[PluginId, VersionRange]]]) -> Iterator[Problem]:
    """Find releases that depend on themselves.

    Cycles of plugins are found first, over all their releases; that graph is small. Single releases are compared only
    in these cycles, so that an old release with the opposite dependency is not an error. Yanked releases don't
    count: they are never resolved to, and yanking is the way out once such releases are published.
    """
    import networkx as nx  # noqa: PLC0415  # takes longer to import than a small tree to lint

    plugins = nx.DiGraph()
    plugins.add_edges_from(
        (plugin, needed) for plugin, versions in edges.items() for ranges in versions.values() for needed in ranges
    )
    for group in nx.strongly_connected_components(plugins):
        if len(group) == 1 and not plugins.has_edge(*group, *group):
            continue
        releases = nx.DiGraph()
        releases.add_edges_from(_release_edges(tree, edges, group))
        for tangle in nx.strongly_connected_components(releases):
            if len(tangle) == 1 and not releases.has_edge(*tangle, *tangle):
                continue
            start = min(tangle, key=lambda each: (tree.plugins[each[0]].plugin.realm == PUBLIC_REALM, each))
            yield _cycle_problem(tree, _shortest_cycle(nx, releases.subgraph(tangle), start))


def _release_edges(
    tree: SourceTree, edges: dict[PluginId, dict[str, dict[PluginId, VersionRange]]], group: set[PluginId]
) -> Iterator[tuple[_ReleaseId, _ReleaseId]]:
    living: dict[PluginId, list[str]] = {}
    for plugin in group:
        if (source := tree.plugins.get(plugin)) is not None:
            yanked = fold_status(source.status.events).yanked
            living[plugin] = [version for version in source.releases if version not in yanked]
    for plugin, versions in living.items():
        for version in versions:
            for needed, wanted in edges.get(plugin, {}).get(version, {}).items():
                for candidate in living.get(needed, ()):
                    if wanted.contains(parse_version(candidate)):
                        yield (plugin, version), (needed, candidate)


def _shortest_cycle(nx: Any, graph: Any, start: _ReleaseId) -> list[_ReleaseId]:
    paths = nx.single_source_shortest_path(graph, start)
    back = min((paths[node] for node in graph.predecessors(start)), key=lambda path: (len(path), path))
    return [*back, start]


def _cycle_problem(tree: SourceTree, chain: list[_ReleaseId]) -> Problem:
    plugin, version = chain[0]
    shown = " -> ".join(f"{step} {its_version}" for step, its_version in chain)
    return Problem(
        tree.plugins[plugin].files[version],
        f'dependencies["{chain[1][0]}"]',
        f"the release depends on itself: {shown}; remove one of these dependencies or yank one of the releases",
    )


__all__ = ["PUBLIC_REALM", "dependency_problems"]
