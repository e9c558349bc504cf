"""Resolution against a solver that tries everything, tangled dependencies, and a search that takes too long."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.budgets import examples
from support.fake_time import FakeTime

from sealdex.cli.error_table import report
from sealdex.model.environment import Environment
from sealdex.model.ids import PluginId, parse_plugin_id
from sealdex.model.index import ArtifactEntry, FilePin, IndexDocument, ReleaseEntry
from sealdex.model.plugin import Mark
from sealdex.model.precedence import version_sort_key
from sealdex.model.ranges import parse_range
from sealdex.model.versions import parse_version
from sealdex.resolve import (
    Keeping,
    NothingFitsError,
    Policy,
    Request,
    Resolution,
    SearchBudget,
    StillSearchingError,
    UnknownPluginError,
    parse_request,
    resolve,
)
from sealdex.resolve._solver import ABSENT, Incompatibility, Solver, UnsolvableError, World

HOST = Environment(labels={"os": "linux", "arch": "amd64"})
PIN = FilePin(1, "0" * 64)
ARTIFACT = ArtifactEntry("a.zip", "0" * 64, "zip", 1)
YANKED = Mark(at="2026-01-01T00:00:00Z", by="kai", why="leaks tokens")

Graph = Mapping[str, Sequence[ReleaseEntry]]


def release(version: str, **fields: Any) -> ReleaseEntry:
    return ReleaseEntry(version, PIN, artifacts=(ARTIFACT,), **fields)


def documents_of(graph: Graph) -> Callable[[Collection[PluginId]], Mapping[PluginId, IndexDocument | None]]:
    ids = {parse_plugin_id(name): tuple(releases) for name, releases in graph.items()}
    found = {id_: IndexDocument(1, id_.namespace, id_.name, "notify", "x", releases) for id_, releases in ids.items()}
    return lambda plugins: {plugin: found.get(plugin) for plugin in plugins}


def solved(graph: Graph, *requests: str, **options: Any) -> Resolution:
    return resolve([parse_request(r) for r in requests], documents_of(graph), HOST, **options)


def chosen(graph: Graph, *requests: str, **options: Any) -> dict[str, str]:
    return {str(choice.plugin): choice.release.version for choice in solved(graph, *requests, **options)}


# --- tangled dependencies --------------------------------------------------------------------------------------------


def tangle(leaf_range: Callable[[int, int], str], plugins: int = 10, versions: int = 25) -> Graph:
    """Plugins that each need the next three, in the version of their own or one of the eight before, and a leaf."""

    def needs(number: int, version: int) -> dict[str, str]:
        following = range(number + 1, min(number + 4, plugins))
        return {
            "acme/leaf": leaf_range(number, version),
            **{f"acme/p{other}": f">={max(version - 8, 0)} <={version}" for other in following},
        }

    graph = {
        f"acme/p{number}": [release(f"{v}.0.0", dependencies=needs(number, v)) for v in range(versions)]
        for number in range(plugins)
    }
    return {**graph, "acme/leaf": [release(f"{version}.0.0") for version in range(versions)]}


class Steps:
    """A clock that a search moves by asking it: it bounds the work, not the time."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self) -> float:
        self.count += 1
        return float(self.count)

    @property
    def budget(self) -> SearchBudget:
        return SearchBudget(self, 2_000)


ALL_TEN = tuple(f"acme/p{number}" for number in range(10))


@pytest.mark.parametrize("requests", [ALL_TEN[:1], ALL_TEN, ALL_TEN[::-1], ("acme/leaf", *ALL_TEN)], ids=len)
@pytest.mark.parametrize(
    "leaf_range",
    [
        lambda number, _version: f"={number}.0.0",
        lambda number, _version: f"={number % 2}.0.0",
        lambda number, _version: "=1.0.0" if number == 9 else "=0.0.0",
        lambda number, version: f"={(7 * version + 3 * number) % 25}.0.0",
    ],
    ids=["each its own", "odd and even", "the last", "each release its own"],
)
def test_plugins_that_cannot_agree_are_found_out_in_few_steps(
    leaf_range: Callable[[int, int], str], requests: tuple[str, ...]
) -> None:
    with pytest.raises(NothingFitsError) as caught:
        solved(tangle(leaf_range), *requests, budget=Steps().budget)
    assert "acme/leaf" in {str(explanation.plugin) for explanation in caught.value.explanations}
    assert len(caught.value.message.splitlines()) < 120


def test_the_explanation_of_a_tangle_names_the_two_that_exclude_each_other() -> None:
    with pytest.raises(NothingFitsError) as caught:
        solved(tangle(lambda number, _version: f"={number % 2}.0.0"), "acme/p0", budget=Steps().budget)
    assert caught.value.message.splitlines() == [
        "no release of acme/leaf meets all demands on it",
        "  acme/p1 24.0.0, 23.0.0 ... 0.0.0 (25 releases) need acme/leaf =1.0.0 (acme/p0 -> acme/p1)",
        "  acme/p0 24.0.0, 23.0.0 ... 0.0.0 (25 releases) need acme/leaf =0.0.0",
        "  24.0.0, 23.0.0 ... 2.0.0 (23 releases): not in =1.0.0 nor in =0.0.0",
        "  1.0.0: not in =0.0.0",
        "  0.0.0: not in =1.0.0",
    ]


def test_a_tangle_with_one_way_out_is_solved() -> None:
    graph = tangle(lambda number, version: "=3.0.0" if version == 12 - number else f"={number % 2}.0.0")
    found = chosen(graph, "acme/p0", budget=Steps().budget)
    assert found == {"acme/leaf": "3.0.0", **{f"acme/p{number}": f"{12 - number}.0.0" for number in range(10)}}


def test_all_plugins_that_stand_in_the_way_are_explained() -> None:
    graph = {
        "acme/app": [
            release("2.0.0", dependencies={"acme/gone": "^1"}),
            release("1.0.0", dependencies={"acme/base": "^2"}),
        ],
        "acme/base": [release("1.0.0")],
    }
    with pytest.raises(NothingFitsError) as caught:
        solved(graph, "acme/app")
    assert caught.value.message.splitlines() == [
        "no release of acme/base fits ^2 here",
        "  acme/app 1.0.0 needs acme/base ^2",
        "  1.0.0: not in ^2",
        "there is no plugin acme/gone, which is needed",
        "  acme/app 2.0.0 needs acme/gone ^1",
    ]


def test_a_chain_never_says_of_a_release_what_another_one_asks() -> None:
    """app 2 needs mid 2; that it is app 1 that leads to mid 1 isn't said of app 2."""
    graph = {
        "acme/app": [
            release("2.0.0", dependencies={"acme/mid": "2.x"}),
            release("1.0.0", dependencies={"acme/mid": "1.x"}),
        ],
        "acme/mid": [release(f"{n}.0.0", dependencies={"acme/base": f"={n + 5}.0.0"}) for n in (1, 2)],
        "acme/base": [release("1.0.0")],
    }
    with pytest.raises(NothingFitsError) as caught:
        solved(graph, "acme/app")
    assert "acme/mid 1.0.0 needs acme/base =6.0.0 (acme/app -> acme/mid 1.0.0)" in caught.value.message
    assert "acme/mid 2.0.0 needs acme/base =7.0.0 (acme/app 2.0.0 -> acme/mid 2.0.0)" in caught.value.message


# --- budget ----------------------------------------------------------------------------------------------------------


def pigeons(count: int) -> Graph:
    """More pigeons than holes: no two may share one. Whoever reasons by cases alone needs exponentially many."""
    holes = range(count - 1)
    graph: dict[str, list[ReleaseEntry]] = {
        f"acme/hole-{n}-{hole}": [release(f"{other}.0.0") for other in range(count)] for n in range(1) for hole in holes
    }
    for pigeon in range(count):
        graph[f"acme/pigeon-{pigeon}"] = [
            release(f"{hole}.0.0", dependencies={f"acme/hole-0-{hole}": f"={pigeon}.0.0"}) for hole in holes
        ]
    return graph


def test_a_search_without_end_is_broken_off_with_what_it_knows() -> None:
    requests = [f"acme/pigeon-{n}" for n in range(12)]
    steps = Steps()
    with pytest.raises(StillSearchingError) as caught:
        solved(pigeons(12), *requests, budget=steps.budget)
    error = caught.value
    assert "were found within 2000 seconds" in error.message
    assert "the last conflict:" in error.message
    assert "needs acme/hole-0-" in error.message
    assert error.explanations
    shown = report(error)
    assert shown.exit_code == 3
    assert "resolve_timeout" in str(shown.hint)
    assert steps.count < 2_100


def test_that_it_is_still_searching_is_told_after_a_second_and_each_second_after() -> None:
    time = FakeTime()
    told: list[float] = []

    def clock() -> float:
        time.pass_by(0.125)
        return time.now

    budget = SearchBudget(clock, 3.5, on_notice=lambda seconds, _decisions: told.append(seconds))
    with pytest.raises(StillSearchingError):
        solved(pigeons(12), *(f"acme/pigeon-{n}" for n in range(12)), budget=budget)
    assert [round(seconds) for seconds in told] == [1, 2, 3]


def test_the_wait_for_documents_does_not_count() -> None:
    time = FakeTime()
    graph = {"acme/app": [release("1.0.0", dependencies={"acme/base": "*"})], "acme/base": [release("1.0.0")]}
    documents = documents_of(graph)

    def slow(plugins: Collection[PluginId]) -> Mapping[PluginId, IndexDocument | None]:
        time.pass_by(100)
        return documents(plugins)

    told: list[float] = []
    budget = SearchBudget(lambda: time.now, 60, on_notice=lambda seconds, _decisions: told.append(seconds))
    found = resolve([parse_request("acme/app")], slow, HOST, budget=budget)
    assert [str(choice) for choice in found] == ["acme/base 1.0.0", "acme/app 1.0.0"]
    assert told == []


# --- against a solver that tries everything --------------------------------------------------------------------------

NAMES = ["acme/a", "acme/b", "acme/c", "acme/d", "acme/missing"]
RANGES = ["*", "1.x", "2.x", "=1.0.0", "<2", "^1.1 || 3.x", ">=2.0.0-rc.1", "=2.0.0-rc.1"]
VERSIONS = ["1.0.0", "1.1.0", "2.0.0-rc.1", "2.0.0", "3.0.0"]


class Case(NamedTuple):
    """What is known, asked and kept."""

    graph: Graph
    requests: list[Request]
    policy: Policy
    keeping: Keeping


@st.composite
def cases(draw: st.DrawFn) -> Case:
    names = NAMES[: draw(st.integers(1, 4))]
    entry = st.builds(
        release,
        st.sampled_from(VERSIONS),
        dependencies=st.dictionaries(
            st.sampled_from([*names, *names, *names, NAMES[-1]]), st.sampled_from(RANGES), max_size=3
        ),
        channels=st.sampled_from([("stable",), ("stable",), ("stable",), ("beta",)]),
        yanked=st.sampled_from([None, None, None, YANKED]),
        selector=st.sampled_from([{}, {}, {}, {"match_labels": {"os": "windows"}}]),
    )  # fmt: skip
    graph = {name: draw(st.lists(entry, max_size=4, unique_by=lambda r: r.version)) for name in names}
    plugins = [parse_plugin_id(name) for name in names]
    request = st.builds(
        Request,
        st.sampled_from(plugins),
        st.sampled_from(RANGES),
        channel=st.sampled_from([None, None, "beta"]),
        prereleases=st.booleans(),
    )
    some_versions = st.dictionaries(st.sampled_from(plugins), st.sampled_from(VERSIONS), max_size=1)
    return Case(
        graph,
        draw(st.lists(request, min_size=1, max_size=3)),
        draw(st.builds(Policy, channel=st.sampled_from(["stable", "beta"]), prereleases=st.booleans())),
        draw(st.builds(Keeping, pinned=some_versions, preferred=some_versions)),
    )


def admitted(case: Case, plugin: str, entry: ReleaseEntry, ranges: Collection[str]) -> bool:
    """Say whether a release may stand in a solution, written the long way round; ``ranges``: asked by releases."""
    asked = [request for request in case.requests if str(request.plugin) == plugin]
    pin = case.keeping.pinned.get(parse_plugin_id(plugin))
    named = pin is not None or any(request.range.startswith("=") for request in asked)
    channel = next((request.channel for request in asked if request.channel), case.policy.channel)
    is_there = channel != "stable" and channel in entry.channels
    prereleases = case.policy.prereleases or named or is_there or any(request.prereleases for request in asked)
    everything = [*ranges, *(request.range for request in asked), *([f"={pin}"] if pin else [])]
    version = parse_version(entry.version)
    if not all(parse_range(each).contains(version, include_prereleases=prereleases) for each in everything):
        return False
    if entry.selector:
        return False
    if named:
        return True
    if not {channel, "stable"} & set(entry.channels):
        return False
    preferred = case.keeping.preferred.get(parse_plugin_id(plugin)) == entry.version
    return entry.yanked is None or preferred


def solutions(case: Case) -> Iterator[dict[str, ReleaseEntry]]:
    """Yield every set of releases that holds all that is asked of it, and nothing that nothing in it needs."""
    for picks in itertools.product(*([None, *releases] for releases in case.graph.values())):
        picked = {name: pick for name, pick in zip(case.graph, picks, strict=True) if pick is not None}
        demands: dict[str, set[str]] = {name: set() for name in case.graph}
        needed = {str(request.plugin) for request in case.requests}
        for pick in picked.values():
            for name, wanted in pick.dependencies.items():
                demands.setdefault(name, set()).add(wanted)
        while more := {d for n in needed if n in picked for d in picked[n].dependencies} - needed:
            needed |= more
        if needed == set(picked) and all(admitted(case, name, pick, demands[name]) for name, pick in picked.items()):
            yield picked


@settings(max_examples=examples(300))
@given(cases())
def test_a_solution_is_found_whenever_there_is_one_and_requested_plugins_get_the_best_of_all(case: Case) -> None:
    possible = list(solutions(case))
    try:
        found = {
            str(choice.plugin): choice.release
            for choice in resolve(case.requests, documents_of(case.graph), HOST, case.policy, keeping=case.keeping)
        }
    except NothingFitsError as error:
        assert possible == []
        for explanation in error.explanations:  # and each plugin that is blamed has a reason against each release
            assert all(passed.reasons for passed in explanation.passed_over)
            released = case.graph.get(str(explanation.plugin), ())
            assert len(explanation.passed_over) == len(released)
        assert error.explanations  # noqa: PT017  # either outcome is right, each by its own measure
        return
    assert found in possible

    def rank(solution: Mapping[str, ReleaseEntry]) -> list[Any]:
        """What is best of the plugins that are asked for, in the order in which they are."""
        return [
            (entry.version == case.keeping.preferred.get(request.plugin), version_sort_key(entry.version))
            for request in case.requests
            if (entry := solution[str(request.plugin)])
        ]

    assert rank(found) == max(map(rank, possible))


@settings(max_examples=examples(100))
@given(cases(), st.integers(1, 40))
def test_a_search_that_is_broken_off_anywhere_ends_in_an_error_of_ours(case: Case, limit: int) -> None:
    budget = SearchBudget(Steps(), limit)
    try:
        resolve(case.requests, documents_of(case.graph), HOST, case.policy, keeping=case.keeping, budget=budget)
    except (NothingFitsError, StillSearchingError, UnknownPluginError) as error:
        assert error.message  # noqa: PT017  # that nothing else comes is what the test holds


class Table(World[str]):
    """States without releases behind them: each choice excludes states of others."""

    def __init__(self, sizes: Mapping[str, int]) -> None:
        self._sizes = sizes

    def states(self, package: str) -> int:
        return (2 << self._sizes[package]) - 1

    def rank(self, package: str, conflicts: int) -> Any:
        return (-conflicts, package)

    def rule_out(self, package: str, states: int) -> None:  # noqa: ARG002  # as the solver asks
        return None

    def consequences(self, package: str, state: int) -> tuple[()]:  # noqa: ARG002  # the same
        return ()

    def checkpoint(self, solver: Solver[str]) -> None:
        assert solver.conflicts < 1000


rules_of_four = st.builds(
    lambda terms, absent: {p: mask | (number == absent) for number, (p, mask) in enumerate(terms.items())},
    st.dictionaries(st.sampled_from("abcd"), st.sampled_from([2, 4, 6, 8, 10, 12, 14]), min_size=1, max_size=3),
    st.integers(0, 4),
).filter(lambda terms: 15 not in terms.values())  # fmt: skip


@settings(max_examples=examples(300))
@given(st.lists(rules_of_four, max_size=14))
def test_the_solver_agrees_with_trying_everything(forbidden: list[dict[str, int]]) -> None:
    """Four packages of three candidates; any terms, of which one in a rule may be about absence."""
    sizes = dict.fromkeys("abcd", 3)
    needed = {"a": ABSENT}  # at least this one
    rules = [needed, *forbidden]
    possible = [
        dict(zip(sizes, states, strict=True))
        for states in itertools.product([1, 2, 4, 8], repeat=4)
        if not any(all(dict(zip(sizes, states, strict=True))[p] & m for p, m in rule.items()) for rule in rules)
    ]
    try:
        found = Solver(Table(sizes)).solve([Incompatibility(rule, str(rule)) for rule in rules])
    except UnsolvableError as error:
        assert possible == []
        # the proof names rules that exclude each other by themselves
        used = [rule for rule in rules if str(rule) in set(error.proof.facts())]
        assert not any(
            not any(all(dict(zip(sizes, states, strict=True))[p] & m for p, m in rule.items()) for rule in used)
            for states in itertools.product([1, 2, 4, 8], repeat=4)
        )
        return
    assert {**dict.fromkeys(sizes, ABSENT), **found} in possible
