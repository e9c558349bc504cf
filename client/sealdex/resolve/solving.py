"""Requests to releases, with their dependencies: ``resolvelib`` searches, this module says what the candidates are.

The rules, which the tests state as properties: each plugin gets one version, which is in every range asked of it; if
there is a solution, one is found; of a plugin the newest release that fits is taken, and an older one only if the newer
one's dependencies can't be met or another plugin asks for an older one.
Index documents are asked for in bulk, a level of dependencies at a time, so that whoever fetches them can do it in
parallel.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import msgspec
from msgspec import Struct
from resolvelib import AbstractProvider, BaseReporter, ResolutionImpossible
from resolvelib.resolvers import Resolution as Search
from resolvelib.resolvers import ResolutionTooDeep

from sealdex.errors import NoMatchError
from sealdex.model.environment import Environment
from sealdex.model.ids import PluginId, parse_plugin_id
from sealdex.model.index import ArtifactEntry, IndexDocument, ReleaseEntry
from sealdex.model.versions import parse_version
from sealdex.resolve.choosing import Policy, Verdict, judge_everywhere, newest_first
from sealdex.resolve.explaining import NothingFitsError, PassedOver, UnknownPluginError, explain
from sealdex.resolve.requests import PINNED, Request, Want

if TYPE_CHECKING:
    from resolvelib.structs import RequirementInformation  # not where older versions have it

Documents = Callable[[Collection[PluginId]], Mapping[PluginId, IndexDocument | None]]
"""Gives the index documents of several plugins; None for what doesn't exist. Asked once for each plugin."""

MAX_ROUNDS = 10_000


class Choice(Struct, frozen=True):
    """One release to install.

    Attributes:
        plugin, release, document: what was chosen, and the index document it stands in.
        artifact: the file for this environment; None for a release that only depends on others.
        requested: whether it was asked for by name, not only depended on.
        dependencies: the plugins it depends on, all of them among the choices.
        newer: newer releases that were passed over, newest first.
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
        """Only what was asked for by name."""
        return tuple(choice for choice in self.choices if choice.requested)


class Keeping(Struct, frozen=True):
    """What an earlier decision has to say.

    Attributes:
        pinned: versions that plugins stay at, whatever else is asked: no other is chosen.
        preferred: versions that are taken as long as they fit, though newer ones exist, or they were yanked since.
    """

    pinned: Mapping[PluginId, str] = {}
    preferred: Mapping[PluginId, str] = {}


def resolve(
    requests: Sequence[Request],
    documents: Documents,
    environment: Environment,
    policy: Policy | None = None,
    *,
    keeping: Keeping | None = None,
    platforms: Sequence[Environment] = (),
) -> Resolution:
    """Choose releases for the requests and everything they depend on.

    Args:
        requests: what is asked for; a plugin may be named more than once, and then every range must hold.
        documents: gives index documents; asked in bulk.
        environment: the host that the releases must fit.
        policy: channel, pre-releases, yanked, rollout.
        keeping: pins, and what a lock says.
        platforms: further environments that each release must fit as well.

    Raises:
        UnknownPluginError: a requested plugin doesn't exist.
        NothingFitsError: nothing fits, or demands exclude each other; says what exists and why it was passed over.
    """
    wants = [Want(r.plugin, r.range, channel=r.channel, prereleases=r.prereleases) for r in requests]
    environments = (environment, *platforms)
    provider = _Provider(wants, documents, environments, policy or Policy(), keeping or Keeping())
    provider.prefetch(wants)
    for want in wants:
        if provider.document(want.plugin) is None:
            raise UnknownPluginError(want.plugin)
    # not its Resolver: that recurses for ever over a cycle of plugins that an abandoned candidate left behind
    search: Search[Want, _Candidate, PluginId] = Search(provider, BaseReporter())
    try:
        state = search.resolve(wants, max_rounds=MAX_ROUNDS)
    except ResolutionImpossible as error:
        raise provider.explained(error.causes) from error
    except ResolutionTooDeep as error:
        asked = ", ".join(map(str, requests))
        raise NoMatchError(
            f"no solution found in {MAX_ROUNDS} rounds: the dependencies of {asked} are too tangled",
            untouched="nothing was installed",
            hint="pin some of the dependencies: sealdex install NAMESPACE/NAME@VERSION NAMESPACE/DEPENDENCY@VERSION",
        ) from error
    return provider.resolution(state.mapping, wants)


class _Candidate(NamedTuple):
    plugin: PluginId
    version: str

    def __str__(self) -> str:
        return f"{self.plugin} {self.version}"


class _Provider(AbstractProvider[Want, _Candidate, PluginId]):
    """Tells resolvelib what the candidates are; remembers documents and how each plugin was reached."""

    def __init__(
        self,
        wants: Sequence[Want],
        documents: Documents,
        environments: Sequence[Environment],
        policy: Policy,
        keeping: Keeping,
    ) -> None:
        self._ask = documents
        self._environments = environments
        self._policy = policy
        self._admitting = msgspec.structs.replace(policy, yanked=True, host=None)
        self._held = {plugin: Want(plugin, f"={version}", by=PINNED) for plugin, version in keeping.pinned.items()}
        self._preferred = keeping.preferred
        self._order = {want.plugin: number for number, want in reversed(list(enumerate(wants)))}
        self._pinned = {want.plugin for want in wants if want.is_pin or want.prereleases} | set(self._held)
        self._documents: dict[PluginId, IndexDocument | None] = {}
        self._sorted: dict[PluginId, list[ReleaseEntry]] = {}
        self._chains: dict[PluginId, tuple[str, ...]] = {}

    # --- documents ---------------------------------------------------------------------------------------------------

    def document(self, plugin: PluginId) -> IndexDocument | None:
        self._load([plugin])
        return self._documents[plugin]

    def prefetch(self, wants: Sequence[Want]) -> None:
        """Load the documents that the likely solution needs, a level of dependencies at a time."""
        level = list(wants)
        seen: set[PluginId] = set()
        while level:
            self._load(want.plugin for want in level)
            following: list[Want] = []
            for want in level:
                seen.add(want.plugin)
                best = next((r for r in self._candidates(want.plugin) if self._judge(r, [want]).fits), None)
                if best is not None:
                    following += self._wants_of(_Candidate(want.plugin, best.version))
            level = [want for want in following if want.plugin not in seen]

    def _load(self, plugins: Iterable[PluginId]) -> None:
        missing = {plugin: None for plugin in plugins if plugin not in self._documents}
        if missing:
            found = self._ask(missing.keys())
            self._documents.update({plugin: found.get(plugin) for plugin in missing})

    def _releases(self, plugin: PluginId) -> list[ReleaseEntry]:
        if plugin not in self._sorted:
            document = self.document(plugin)
            self._sorted[plugin] = newest_first(document) if document is not None else []
        return self._sorted[plugin]

    def _release(self, candidate: _Candidate) -> ReleaseEntry:
        return next(r for r in self._releases(candidate.plugin) if r.version == candidate.version)

    def _candidates(self, plugin: PluginId) -> list[ReleaseEntry]:
        """Return the releases in the order in which they are tried: what is preferred, then the newest first."""
        preferred = self._preferred.get(plugin)
        return sorted(self._releases(plugin), key=lambda release: release.version != preferred)

    def _judge(self, release: ReleaseEntry, wants: Sequence[Want]) -> Verdict:
        """Judge for the host and each further platform; the artifact is the host's."""
        plugin = wants[0].plugin
        policy = self._admitting if release.version == self._preferred.get(plugin) else self._policy
        return judge_everywhere(release, self._all(plugin, wants), policy, self._environments)

    def _all(self, plugin: PluginId, wants: Sequence[Want]) -> list[Want]:
        return [*wants, self._held[plugin]] if plugin in self._held else list(wants)

    def _wants_of(self, candidate: _Candidate) -> list[Want]:
        """Return what a candidate depends on, and note how its dependencies were first reached."""
        release = self._release(candidate)
        chain = (*self._chains.get(candidate.plugin, ()), str(candidate))
        wants = [
            Want(parse_plugin_id(name), wanted, by=str(candidate), chain=chain)
            for name, wanted in sorted(release.dependencies.items())
        ]
        for want in wants:
            self._chains.setdefault(want.plugin, chain)
        return wants

    # --- what resolvelib asks ----------------------------------------------------------------------------------------

    def identify(self, requirement_or_candidate: Want | _Candidate) -> PluginId:
        return requirement_or_candidate.plugin

    def get_preference(
        self,
        identifier: PluginId,
        resolutions: Mapping[PluginId, _Candidate],  # noqa: ARG002  # resolvelib's signature
        candidates: Mapping[PluginId, Iterator[_Candidate]],  # noqa: ARG002  # the same
        information: Mapping[PluginId, Iterator[RequirementInformation[Want, _Candidate]]],  # noqa: ARG002  # the same
        backtrack_causes: Sequence[RequirementInformation[Want, _Candidate]],
    ) -> tuple[int, bool, PluginId]:
        # requested plugins first and in the order of the requests; among dependencies those that clashed last, which
        # finds a dead end soon
        clashed = any(cause.requirement.plugin == identifier for cause in backtrack_causes)
        return (self._order.get(identifier, len(self._order)), not clashed, identifier)

    def find_matches(
        self,
        identifier: PluginId,
        requirements: Mapping[PluginId, Iterator[Want]],
        incompatibilities: Mapping[PluginId, Iterator[_Candidate]],
    ) -> Callable[[], Iterator[_Candidate]]:
        wants = list(requirements[identifier])
        excluded = {candidate.version for candidate in incompatibilities[identifier]}

        def fitting() -> Iterator[_Candidate]:
            for release in self._candidates(identifier):
                if release.version not in excluded and self._judge(release, wants).fits:
                    yield _Candidate(identifier, release.version)

        return fitting  # lazily: of a thousand releases, only as many are judged as are tried

    def is_satisfied_by(self, requirement: Want, candidate: _Candidate) -> bool:
        # the range alone: channel and the rest are decided by all wants together, in `find_matches`
        admitted = self._policy.prereleases or candidate.plugin in self._pinned
        return requirement.parsed.contains(parse_version(candidate.version), include_prereleases=admitted)

    def get_dependencies(self, candidate: _Candidate) -> list[Want]:
        wants = self._wants_of(candidate)
        self._load(want.plugin for want in wants)
        return wants

    # --- what comes of it --------------------------------------------------------------------------------------------

    def explained(self, causes: Iterable[RequirementInformation[Want, _Candidate]]) -> NothingFitsError:
        """Return the error that says, for each plugin that stood in the way, what was wanted and what exists."""
        wants: dict[PluginId, list[Want]] = {}
        for cause in causes:
            if cause.requirement not in wants.setdefault(cause.requirement.plugin, []):
                wants[cause.requirement.plugin].append(cause.requirement)
        return NothingFitsError([
            explain(plugin, self.document(plugin), self._all(plugin, asked), self._policy, self._environments)
            for plugin, asked in wants.items()
        ])  # fmt: skip

    def resolution(self, pinned: Mapping[PluginId, _Candidate], wants: Sequence[Want]) -> Resolution:
        """Return what was chosen, dependencies first: what the requests reach, which may be less than was pinned."""
        demands: dict[PluginId, list[Want]] = {}
        needs: dict[PluginId, list[PluginId]] = {}
        open_wants = list(wants)
        while open_wants:
            want = open_wants.pop()
            demands.setdefault(want.plugin, []).append(want)
            if want.plugin not in needs:
                needed = self._wants_of(pinned[want.plugin])
                needs[want.plugin] = [other.plugin for other in needed]
                open_wants += needed
        return Resolution(
            tuple(self._choice(pinned[plugin], demands[plugin], tuple(needs[plugin])) for plugin in in_order(needs))
        )

    def _choice(self, candidate: _Candidate, wants: Sequence[Want], needs: tuple[PluginId, ...]) -> Choice:
        document = self.document(candidate.plugin)
        if document is None:
            raise AssertionError("unreachable: what was chosen stands in a document")
        newer: list[PassedOver] = []
        for release in self._releases(candidate.plugin):
            if release.version == candidate.version:
                break
            newer.append(PassedOver(release.version, self._judge(release, wants).reasons))
        return Choice(
            plugin=candidate.plugin,
            release=self._release(candidate),
            document=document,
            artifact=self._judge(self._release(candidate), wants).artifact,
            requested=any(want.by is None for want in wants),
            dependencies=needs,
            newer=tuple(newer),
        )


def in_order(needs: Mapping[PluginId, Sequence[PluginId]]) -> list[PluginId]:
    """Sort so that dependencies stand first; a cycle, which builders refuse to publish, is cut where it closes."""
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
