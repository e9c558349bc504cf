"""The plugins that a search may reach: their documents, their releases as bit sets, and the demands on them.

Index documents are requested in bulk, one level of dependencies at a time, so that they can be fetched in parallel.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

import msgspec
from msgspec import Struct

from sealdex.model.environment import Environment
from sealdex.model.ids import PluginId, parse_plugin_id
from sealdex.model.index import IndexDocument, ReleaseEntry
from sealdex.model.ranges import parse_range
from sealdex.resolve._eligibility import (
    Lacking,
    Policy,
    Verdict,
    asks_for_prereleases,
    channel_for,
    heed_lacking,
    judge_everywhere,
    newest_first,
)
from sealdex.resolve._solver import ABSENT, Incompatibility
from sealdex.resolve.requests import ANY_RANGE, PINNED, Want

Documents = Callable[[Collection[PluginId]], Mapping[PluginId, IndexDocument | None]]
"""Returns the index documents of several plugins; None for those that don't exist. Called once per plugin."""


class Keeping(Struct, frozen=True):
    """Constraints from earlier decisions.

    Attributes:
        pinned: versions that plugins are pinned to: no other is chosen.
        pinned_since: when each was pinned, by whom and by which command, as text, for the reasons.
        preferred: versions that are taken as long as they fit, even if newer ones exist or they were yanked since.
        needed: demands of installed plugins that are not being changed on others, should those be chosen.
    """

    pinned: Mapping[PluginId, str] = {}
    preferred: Mapping[PluginId, str] = {}
    needed: tuple[Want, ...] = ()
    pinned_since: Mapping[PluginId, str] = {}


class Demand(Struct, frozen=True):
    """A fact for the solver: some releases of a plugin (``by``; None: the user or a pin) need another in a range."""

    plugin: PluginId
    range: str
    by: PluginId | None = None
    states: int = 0


class Universe:
    """Everything that one resolution needs to know about plugins; states are those of `sealdex.resolve._solver`."""

    def __init__(
        self,
        wants: Sequence[Want],
        documents: Documents,
        environments: Sequence[Environment],
        policy: Policy,
        keeping: Keeping,
        lacking: Lacking | None = None,
    ) -> None:
        self.policy = policy
        self.environments = environments
        self.wants = tuple(wants)
        self._ask = documents
        self.lacking = lacking
        self._admitting = msgspec.structs.replace(policy, yanked=True, host=None)
        self._held = {
            plugin: Want(plugin, f"={version}", by=PINNED, since=keeping.pinned_since.get(plugin))
            for plugin, version in keeping.pinned.items()
        }
        self._needed: dict[PluginId, list[Want]] = {}
        for want in keeping.needed:
            self._needed.setdefault(want.plugin, []).append(want)
        self._preferred = keeping.preferred
        self._asked: dict[PluginId, list[Want]] = {}
        for want in wants:
            self._asked.setdefault(want.plugin, []).append(want)
        self._admits_prereleases = {want.plugin for want in wants if want.is_pin or want.prereleases} | set(self._held)
        self._documents: dict[PluginId, IndexDocument | None] = {}
        self._candidates: dict[PluginId, list[ReleaseEntry]] = {}
        self._in_range: dict[tuple[PluginId, str], int] = {}
        self._chains: dict[PluginId, Want] = {}  # by which path each plugin was first reached
        self._needs: dict[PluginId, dict[tuple[str, str], int]] = {}
        self._facts: dict[tuple[PluginId, str, str], Incompatibility[PluginId]] = {}

    # --- documents and releases --------------------------------------------------------------------------------------

    def load(self, plugins: Iterable[PluginId]) -> None:
        """Load the documents of these plugins, all missing ones at once."""
        missing = {plugin: None for plugin in plugins if plugin not in self._documents}
        if missing:
            found = self._ask(missing.keys())
            self._documents.update({plugin: found.get(plugin) for plugin in missing})

    def document(self, plugin: PluginId) -> IndexDocument | None:
        """Return a plugin's document; None if there is no such plugin."""
        self.load([plugin])
        return self._documents[plugin]

    def prefetch(self) -> None:
        """Load the documents that the likely solution needs, one level of dependencies at a time."""
        level = list(self.wants)
        seen: set[PluginId] = set()
        while level:
            self.load(want.plugin for want in level)
            following: list[Want] = []
            for want in level:
                seen.add(want.plugin)
                best = next((r for r in self.candidates(want.plugin) if self.judge(r, [want]).fits), None)
                if best is not None:
                    following += self.wants_of(want.plugin, best)
            level = [want for want in following if want.plugin not in seen]

    def candidates(self, plugin: PluginId) -> list[ReleaseEntry]:
        """Return the releases in the order in which they are tried: the preferred one, then newest first."""
        if plugin not in self._candidates:
            document = self.document(plugin)
            preferred = self._preferred.get(plugin)
            newest = newest_first(document) if document is not None else []
            self._candidates[plugin] = sorted(newest, key=lambda release: release.version != preferred)
        return self._candidates[plugin]

    def states(self, plugin: PluginId) -> int:
        """Return all states of a plugin."""
        return (2 << len(self.candidates(plugin))) - 1

    def release(self, plugin: PluginId, state: int) -> ReleaseEntry:
        """Return the release that a state stands for."""
        return self.candidates(plugin)[state.bit_length() - 2]

    def releases(self, plugin: PluginId, states: int) -> Iterator[tuple[int, ReleaseEntry]]:
        """Yield several states and the releases they stand for, in the order in which they are tried."""
        for number, release in enumerate(self.candidates(plugin)):
            if states & 2 << number:
                yield 2 << number, release

    # --- what fits ---------------------------------------------------------------------------------------------------

    def judge(self, release: ReleaseEntry, wants: Sequence[Want]) -> Verdict:
        """Judge for the host and each further platform; the artifact is the host's."""
        plugin = wants[0].plugin
        policy = self._admitting if release.version == self._preferred.get(plugin) else self.policy
        verdict = judge_everywhere(release, self.with_kept(plugin, wants), policy, self.environments)
        document = self._documents.get(plugin)
        return verdict if document is None else heed_lacking(verdict, document, release, self.lacking)

    def asked(self, plugin: PluginId) -> list[Want]:
        """Return the user's demands on a plugin."""
        return self._asked.get(plugin, [])

    def with_kept(self, plugin: PluginId, wants: Sequence[Want]) -> list[Want]:
        """Add the host's demands on a plugin: its pin, and those of installed plugins."""
        return [*wants, *self._kept(plugin)]

    def _kept(self, plugin: PluginId) -> list[Want]:
        pin = [self._held[plugin]] if plugin in self._held else []
        return [*pin, *self._needed.get(plugin, [])]

    def is_usable(self, plugin: PluginId, release: ReleaseEntry) -> bool:
        """Judge a release by everything except the ranges, which depend on who else needs the plugin."""
        wants = self._asked.get(plugin) or [Want(plugin, ANY_RANGE, by="")]
        return all(reason.kind in {"range", "prerelease"} for reason in self.judge(release, wants).reasons)

    def in_range(self, plugin: PluginId, wanted: str) -> int:
        """Return the states whose versions are in a range, with the pre-releases that are accepted for the plugin."""
        key = (plugin, wanted)
        if key not in self._in_range:
            parsed = parse_range(wanted)
            admits = self.policy.prereleases or plugin in self._admits_prereleases
            takes_any = () in parsed.sets  # then versions, of which there may be thousands, needn't be parsed
            channel = channel_for(self._asked.get(plugin, ()), self.policy)
            self._in_range[key] = sum(
                2 << number
                for number, release in enumerate(self.candidates(plugin))
                if (takes_any and "-" not in release.version.partition("+")[0])
                or parsed.contains(release.semver, include_prereleases=admits or asks_for_prereleases(release, channel))
            )
        return self._in_range[key]

    # --- what is demanded --------------------------------------------------------------------------------------------

    def demands(self) -> Iterator[Incompatibility[PluginId]]:
        """Yield the user's requests and the pins as facts."""
        for want in self.wants:
            outside = self.states(want.plugin) & ~self.in_range(want.plugin, want.range)
            yield self._fact({want.plugin: outside}, Demand(want.plugin, want.range))
        for plugin in self._asked:
            yield from self._kept_facts(plugin)

    def _kept_facts(self, plugin: PluginId) -> Iterator[Incompatibility[PluginId]]:
        """Yield what the host's demands on a plugin exclude; always the same objects."""
        for want in self._kept(plugin):
            key = (plugin, str(want.by), want.range)
            if key not in self._facts:
                others = self.states(plugin) & ~self.in_range(plugin, want.range) & ~ABSENT
                self._facts[key] = self._fact({plugin: others}, Demand(plugin, want.range))
            if self._facts[key].terms.get(plugin, 0):
                yield self._facts[key]

    def consequences(self, plugin: PluginId, state: int) -> Iterator[Incompatibility[PluginId]]:
        """Yield a release's dependencies as facts that hold for all releases with the same dependency."""
        release = self.release(plugin, state)
        wants = self.wants_of(plugin, release)
        self.load(want.plugin for want in wants)
        for want in wants:
            key = (plugin, str(want.plugin), want.range)
            if key not in self._facts:
                states = self._needs_of(plugin)[str(want.plugin), want.range]
                outside = self.states(want.plugin) & ~self.in_range(want.plugin, want.range)
                terms = {plugin: states, want.plugin: outside}
                if want.plugin == plugin:
                    terms = {plugin: states & outside}
                self._facts[key] = self._fact(terms, Demand(want.plugin, want.range, plugin, states))
            if self._facts[key].terms.get(plugin, 0):
                yield self._facts[key]
            yield from self._kept_facts(want.plugin)

    def _fact(self, terms: Mapping[PluginId, int], demand: Demand) -> Incompatibility[PluginId]:
        return Incompatibility({p: mask for p, mask in terms.items() if mask != self.states(p)}, demand)

    def _needs_of(self, plugin: PluginId) -> dict[tuple[str, str], int]:
        """Return, for each dependency and range, the states whose releases have it."""
        if plugin not in self._needs:
            needs: dict[tuple[str, str], int] = {}
            for number, release in enumerate(self.candidates(plugin)):
                for need in release.dependencies.items():
                    needs[need] = needs.get(need, 0) | 2 << number
            self._needs[plugin] = needs
        return self._needs[plugin]

    def wants_of(self, plugin: PluginId, release: ReleaseEntry) -> list[Want]:
        """Return a release's dependencies, and record how they were first reached."""
        chain = self.chain_to(plugin, release)
        by = chain[-1]
        wants = [
            Want(parse_plugin_id(name), wanted, by=by, chain=chain)
            for name, wanted in sorted(release.dependencies.items())
        ]
        for want in wants:
            if want.plugin not in self._asked:
                self._chains.setdefault(want.plugin, want)
        return wants

    def chain_to(self, plugin: PluginId, release: ReleaseEntry) -> tuple[str, ...]:
        """Return the releases from a requested one down to this one, as text.

        A plugin whose releases are known to lead to another release of this one is named without a version.
        """
        here = f"{plugin} {release.version}"
        if plugin not in self._chains:
            return (here,)
        reached = self._chains[plugin]
        if reached.parsed.contains(release.semver, include_prereleases=True):
            return (*reached.chain, here)
        return (*(each.split(" ", 1)[0] for each in reached.chain), here)
