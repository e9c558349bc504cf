"""From the facts that exclude each other to the plugins that stand in the way, each with what is asked of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from sealdex.model.ids import PluginId
from sealdex.resolve._solver import ABSENT
from sealdex.resolve.explain import Explanation, explain
from sealdex.resolve.requests import Want
from sealdex.resolve.universe import Demand, Universe

_MAX_PLUGINS = 4


def explanations(universe: Universe, facts: Iterable[Demand], clashes: Mapping[PluginId, int]) -> list[Explanation]:
    """Say, for each plugin that stands in the way, what is asked of it and what exists.

    Args:
        universe: the plugins.
        facts: demands that can't all be met; of a search that was broken off, those that its last dead end came from.
        clashes: for each plugin, in how many dead ends it had a part.
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
        # the plugins of which nothing is left whichever releases of the others are taken; else those of which nothing
        # is left for all of them together, of which there is one if the facts exclude each other; else the worst
        found = [plugin for plugin in self._demands if not self._left(plugin)]
        found = found or [plugin for plugin in self._demands if not self._left_for_all(plugin)]
        worst = sorted(self._demands, key=lambda plugin: -clashes.get(plugin, 0))[:1]
        return [self._explained(plugin) for plugin in (found or worst)[:_MAX_PLUGINS]]

    def _explained(self, plugin: PluginId) -> Explanation:
        universe = self._universe
        needed = {(want.by, want.range): want for demand in self._demands[plugin] for want in self._wants(demand)}
        wants = universe.with_kept(plugin, [*universe.asked(plugin), *needed.values()])
        return explain(plugin, universe.document(plugin), wants, universe.policy, universe.environments)

    def _wants(self, demand: Demand) -> list[Want]:
        if demand.by is None:
            return []  # what a person asks and the pin are shown in any case
        chains = [
            self._universe.chain_to(demand.by, release)
            for _, release in self._universe.releases(demand.by, self._asking(demand))
        ]
        return [Want(demand.plugin, demand.range, by=chain[-1], chain=chain) for chain in chains]

    def _asking(self, demand: Demand) -> int:
        """Return which releases of the one that asks count: those that may be chosen, if there are any."""
        if demand.by is None:
            raise AssertionError("unreachable: only asked of what a plugin demands")
        return demand.states & self._left(demand.by) or demand.states & self._usable(demand.by) or demand.states

    def _left(self, plugin: PluginId) -> int:
        """Return what is left of a plugin when each that depends on it may choose the release that suits best."""
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
        """Return what is left of a plugin whatever others need of it."""
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
