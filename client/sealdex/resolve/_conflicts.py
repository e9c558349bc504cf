"""Turns facts that exclude each other into the plugins in conflict, each with the demands on it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from sealdex.model.ids import PluginId
from sealdex.resolve._solver import ABSENT
from sealdex.resolve.explain import Explanation, explain
from sealdex.resolve.requests import Want
from sealdex.resolve.universe import Demand, Universe

_MAX_PLUGINS = 4


def explanations(universe: Universe, facts: Iterable[Demand], clashes: Mapping[PluginId, int]) -> list[Explanation]:
    """Return, for each plugin in conflict, the demands on it and the releases that exist.

    Args:
        universe: the plugins.
        facts: demands that can't all be met; if the search was aborted, those behind its last conflict.
        clashes: for each plugin, the number of conflicts that involved it.
    """
    return _Conflict(universe, list(facts)).explanations(clashes)


class _Conflict:
    def __init__(self, universe: Universe, facts: list[Demand]) -> None:
        self._universe = universe
        self._demands: dict[PluginId, list[Demand]] = {}
        for fact in facts:
            self._demands.setdefault(fact.plugin, []).append(fact)
        self._base: dict[PluginId, int] = {}

    def explanations(self, clashes: Mapping[PluginId, int]) -> list[Explanation]:
        # plugins without a release left whichever releases the others take; else those without a release left for all
        # demands together (there is one if the facts exclude each other); else those with the most conflicts
        found = [plugin for plugin in self._demands if not self._left(plugin)]
        found = found or [plugin for plugin in self._demands if not self._left_for_all(plugin)]
        worst = sorted(self._demands, key=lambda plugin: -clashes.get(plugin, 0))[:1]
        return [self._explained(plugin) for plugin in (found or worst)[:_MAX_PLUGINS]]

    def _explained(self, plugin: PluginId) -> Explanation:
        universe = self._universe
        needed = {(want.by, want.range): want for demand in self._demands[plugin] for want in self._wants(demand)}
        wants = universe.with_kept(plugin, [*universe.asked(plugin), *needed.values()])
        return explain(
            plugin, universe.document(plugin), wants, universe.policy, universe.environments, universe.lacking
        )

    def _wants(self, demand: Demand) -> list[Want]:
        if demand.by is None:
            return []  # the user's request and the pin are always shown
        chains = [
            self._universe.chain_to(demand.by, release)
            for _, release in self._universe.releases(demand.by, self._asking(demand))
        ]
        return [Want(demand.plugin, demand.range, by=chain[-1], chain=chain) for chain in chains]

    def _asking(self, demand: Demand) -> int:
        """Return the releases of the dependent that count: those that may be chosen, if there are any."""
        if demand.by is None:
            raise AssertionError("unreachable: only called for demands of a plugin")
        return demand.states & self._left(demand.by) or demand.states & self._usable(demand.by) or demand.states

    def _left(self, plugin: PluginId) -> int:
        """Return the releases left of a plugin if each dependent may choose its most suitable release."""
        left = self._usable(plugin)
        by_plugin: dict[PluginId, int] = {}
        for demand in self._demands.get(plugin, []):
            if demand.by is not None and demand.states & self._usable(demand.by):
                states = self._universe.in_range(plugin, demand.range)
                by_plugin[demand.by] = by_plugin.get(demand.by, 0) | states
        for states in by_plugin.values():
            left &= states
        return left

    def _left_for_all(self, plugin: PluginId) -> int:
        left = self._usable(plugin)
        for demand in self._demands[plugin]:
            left &= self._universe.in_range(plugin, demand.range)
        return left

    def _usable(self, plugin: PluginId) -> int:
        """Return the releases left of a plugin without the demands of other plugins."""
        if plugin not in self._base:
            universe = self._universe
            states = universe.states(plugin) & ~ABSENT
            for want in universe.with_kept(plugin, universe.asked(plugin)):
                states &= universe.in_range(plugin, want.range)
            for state, release in universe.releases(plugin, states):
                if not universe.is_usable(plugin, release):
                    states &= ~state
            self._base[plugin] = states
        return self._base[plugin]
