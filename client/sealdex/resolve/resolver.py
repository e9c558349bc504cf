"""Resolves requests to releases with their dependencies; `sealdex.resolve._solver` does the search.

The rules, tested as properties: each plugin gets one version, which is in every range demanded of it. If there is a
solution, one is found. Of each plugin the newest release that fits is taken; an older one only if the newer one's
dependencies can't be met or another plugin demands an older one. Requested plugins take precedence, in the order of
the requests.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

from msgspec import Struct

from sealdex.log import Log
from sealdex.model.environment import Environment
from sealdex.model.ids import PluginId
from sealdex.model.index import ArtifactEntry, IndexDocument, ReleaseEntry
from sealdex.resolve._eligibility import Lacking, Policy
from sealdex.resolve._solver import Incompatibility, Solver, UnsolvableError
from sealdex.resolve.explain import (
    Explanation,
    NothingFitsError,
    PassedOver,
    StillSearchingError,
    UnknownPluginError,
)
from sealdex.resolve.requests import Request, Want
from sealdex.resolve.universe import Documents, Keeping, Universe

_log = Log("sealdex.resolve")

_SHOWN = 5  # of the releases that were passed over, without -vv

__all__ = ["Choice", "Documents", "Keeping", "Resolution", "SearchBudget", "in_order", "resolve"]


class Choice(Struct, frozen=True):
    """One release to install.

    Attributes:
        plugin, release, document: what was chosen, and the index document it is in.
        artifact: the file for this environment; None for a release that only depends on others.
        requested: whether it was requested by name, not only depended on.
        dependencies: the plugins it depends on, all of them among the choices.
        newer: newer releases that were not chosen, newest first.
    """

    plugin: PluginId
    release: ReleaseEntry
    document: IndexDocument
    artifact: ArtifactEntry | None
    requested: bool
    dependencies: tuple[PluginId, ...] = ()
    newer: tuple[PassedOver, ...] = ()

    def __str__(self) -> str:
        return f"{self.plugin} {self.release.version}"


class Resolution(Struct, frozen=True):
    """What to install, dependencies before what depends on them."""

    choices: tuple[Choice, ...]

    def __iter__(self) -> Iterator[Choice]:
        return iter(self.choices)

    @property
    def requested(self) -> tuple[Choice, ...]:
        """Only the plugins requested by name."""
        return tuple(choice for choice in self.choices if choice.requested)


class SearchBudget:
    """The time limit of a search, and a callback while it is running; waiting for documents doesn't count.

    Args:
        clock: monotonic seconds.
        limit_s: seconds after which the search is aborted.
        notice_every_s: how often `on_notice` is called.
        on_notice: told the seconds and the number of decisions so far.
    """

    def __init__(
        self,
        clock: Callable[[], float],
        limit_s: float,
        *,
        notice_every_s: float = 1.0,
        on_notice: Callable[[float, int], None] = lambda _seconds, _decisions: None,
    ) -> None:
        self.limit_s = limit_s
        self._clock = clock
        self._every = notice_every_s
        self._on_notice = on_notice
        self._start = clock()
        self._next = notice_every_s

    def waited_for(self, documents: Documents) -> Documents:
        """Return the same documents; the time to fetch them isn't counted."""

        def timed(plugins: Collection[PluginId]) -> Mapping[PluginId, IndexDocument | None]:
            before = self._clock()
            try:
                return documents(plugins)
            finally:
                self._start += self._clock() - before

        return timed

    def is_over(self, decisions: int) -> bool:
        """Return whether the time is up, and call `on_notice` when due."""
        seconds = self._clock() - self._start
        if seconds >= self._next:
            self._next = seconds + self._every
            self._on_notice(seconds, decisions)
        return seconds >= self.limit_s


def resolve(
    requests: Sequence[Request],
    documents: Documents,
    environment: Environment,
    policy: Policy | None = None,
    *,
    keeping: Keeping | None = None,
    platforms: Sequence[Environment] = (),
    budget: SearchBudget | None = None,
    lacking: Lacking | None = None,
) -> Resolution:
    """Choose releases for the requests and everything they depend on.

    Args:
        requests: what is requested; a plugin may be named more than once, and then every range must hold.
        documents: returns index documents; called in bulk.
        environment: the host that the releases must fit.
        policy: channel, pre-releases, yanked, rollout.
        keeping: pins, and the versions of a lock.
        platforms: further environments that each release must fit too.
        budget: the time limit; None: no limit.
        lacking: what isn't to be had, although it is signed; None: everything is.

    Raises:
        UnknownPluginError: a requested plugin doesn't exist.
        NothingFitsError: nothing fits, or demands exclude each other; has the releases and the reasons against them.
        StillSearchingError: the time limit was reached; has the last conflict.
    """
    wants = [
        Want(r.plugin, r.range, channel=r.channel, prereleases=r.prereleases, installed=r.is_floor) for r in requests
    ]
    if budget is not None:
        documents = budget.waited_for(documents)
    environments = (environment, *platforms)
    universe = Universe(wants, documents, environments, policy or Policy(), keeping or Keeping(), lacking)
    universe.prefetch()
    for want in wants:
        if universe.document(want.plugin) is None:
            raise UnknownPluginError(want.plugin)
    solver: Solver[PluginId] = Solver(_World(universe, budget))
    try:
        states = solver.solve(universe.demands())
    except UnsolvableError as error:
        raise NothingFitsError(_why(universe, error.proof, solver)) from error
    except _BudgetSpentError as error:
        found = _why(universe, error.so_far, solver) if error.so_far is not None else []
        raise StillSearchingError(requests, found, error.seconds, solver.decisions) from error
    return _resolution(universe, {plugin: universe.release(plugin, state) for plugin, state in states.items()})


def _why(universe: Universe, proof: Incompatibility[PluginId], solver: Solver[PluginId]) -> list[Explanation]:
    from sealdex.resolve._conflicts import explanations  # noqa: PLC0415  # only where nothing fits

    return explanations(universe, proof.facts(), solver.clashes)


class _BudgetSpentError(Exception):
    def __init__(self, seconds: float, so_far: Incompatibility[PluginId] | None) -> None:
        super().__init__()
        self.seconds = seconds
        self.so_far = so_far


class _World:
    """Answers the solver's questions."""

    def __init__(self, universe: Universe, budget: SearchBudget | None) -> None:
        self._universe = universe
        self._budget = budget
        self._order = {want.plugin: number for number, want in reversed(list(enumerate(universe.wants)))}

    def states(self, package: PluginId) -> int:
        return self._universe.states(package)

    def rank(self, package: PluginId, conflicts: int) -> tuple[int, int, PluginId]:
        # requested plugins in the order of the requests; then those with most conflicts, to find a conflict early
        return (self._order.get(package, len(self._order)), -conflicts, package)

    def rule_out(self, package: PluginId, states: int) -> Incompatibility[PluginId] | None:
        unfit = 0
        for state, release in self._universe.releases(package, states):  # lazily: only those that are tried are judged
            if self._universe.is_usable(package, release):
                break
            unfit |= state
        return Incompatibility({package: unfit}) if unfit else None

    def consequences(self, package: PluginId, state: int) -> Iterator[Incompatibility[PluginId]]:
        return self._universe.consequences(package, state)

    def checkpoint(self, solver: Solver[PluginId]) -> None:
        if self._budget is not None and self._budget.is_over(solver.decisions):
            raise _BudgetSpentError(self._budget.limit_s, solver.learned)


def _resolution(universe: Universe, chosen: Mapping[PluginId, ReleaseEntry]) -> Resolution:
    """Return what was chosen and is reachable from the requests, dependencies first."""
    demands: dict[PluginId, list[Want]] = {}
    needs: dict[PluginId, list[PluginId]] = {}
    open_wants = list(universe.wants)
    while open_wants:
        want = open_wants.pop()
        demands.setdefault(want.plugin, []).append(want)
        if want.plugin not in needs:
            needed = universe.wants_of(want.plugin, chosen[want.plugin])
            needs[want.plugin] = [other.plugin for other in needed]
            open_wants += needed
    return Resolution(
        tuple(
            _choice(universe, chosen[plugin], plugin, demands[plugin], tuple(needs[plugin]))
            for plugin in in_order(needs)
        )
    )


def _choice(
    universe: Universe, release: ReleaseEntry, plugin: PluginId, wants: Sequence[Want], needs: tuple[PluginId, ...]
) -> Choice:
    document = universe.document(plugin)
    if document is None:
        raise AssertionError("unreachable: a chosen release is in a document")
    newer: list[PassedOver] = []
    for other in universe.candidates(plugin):
        if other.version == release.version:
            break
        newer.append(PassedOver(other.version, universe.judge(other, wants).reasons))
    _log_choice(plugin, release, wants, newer)
    return Choice(
        plugin=plugin,
        release=release,
        document=document,
        artifact=universe.judge(release, wants).artifact,
        requested=any(want.by is None for want in wants),
        dependencies=needs,
        newer=tuple(newer),
    )


def _log_choice(plugin: PluginId, release: ReleaseEntry, wants: Sequence[Want], newer: Sequence[PassedOver]) -> None:
    if not _log.is_info:
        return
    asked = [f"{want.by} ({want.range})" if want.by is not None else want.range for want in wants]
    _log.info(
        "resolve.chosen",
        "{plugin}: {version} is the newest release that fits, asked for by {by}",
        plugin=plugin,
        version=release.version,
        by=asked,
        passed_over=len(newer),
    )
    for number, other in enumerate(newer):
        flags = [reason.flag for reason in other.reasons if reason.flag is not None]
        (_log.info if number < _SHOWN else _log.debug)(
            "resolve.passed_over",
            "{plugin}: {version} is passed over: {reason}{advice}",
            plugin=plugin,
            version=other.version,
            reason="; ".join(reason.words for reason in other.reasons) or "it, or what it needs, clashes with the rest",
            kinds=[reason.kind for reason in other.reasons],
            flags=flags,
            advice=f" (admitted by {' '.join(flags)})" if flags else "",
        )


def in_order(needs: Mapping[PluginId, Sequence[PluginId]]) -> list[PluginId]:
    """Sort dependencies first; a cycle, which builders refuse to publish, is cut where it closes."""
    ordered: dict[PluginId, None] = {}
    entered: set[PluginId] = set()
    stack = [(plugin, False) for plugin in sorted(needs, reverse=True)]
    while stack:
        plugin, is_done = stack.pop()
        if is_done:
            ordered[plugin] = None
        elif plugin not in entered:
            entered.add(plugin)
            stack.append((plugin, True))
            stack += [(other, False) for other in sorted(needs[plugin], reverse=True)]
    return list(ordered)
