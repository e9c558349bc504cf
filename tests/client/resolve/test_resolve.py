"""Resolution: the newest release that fits, its dependencies, and an explanation when there is none."""

from __future__ import annotations

import itertools
import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import msgspec
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from support.budgets import examples

from sealdex.cli.error_table import report
from sealdex.errors import NoMatchError, UsageError
from sealdex.model.environment import Environment
from sealdex.model.ids import PluginId, parse_plugin_id
from sealdex.model.index import ArtifactEntry, FilePin, IndexDocument, ReleaseEntry
from sealdex.model.plugin import Mark
from sealdex.model.precedence import version_sort_key
from sealdex.model.ranges import parse_range
from sealdex.model.versions import parse_version
from sealdex.resolve import (
    NothingFitsError,
    Policy,
    Request,
    UnknownPluginError,
    nearest,
    parse_request,
    resolve,
)

HOST = Environment(labels={"os": "linux", "arch": "amd64"}, tags=frozenset({"cuda-11.8"}), host_version="2.0.0")
PIN = FilePin(1, "0" * 64)
YANKED = Mark(at="2026-01-01T00:00:00Z", by="kai", why="leaks tokens")


def release(version: str, **fields: Any) -> ReleaseEntry:
    artifact = ArtifactEntry("a.zip", "0" * 64, "zip", 1, selector=fields.pop("artifact_selector", {}))
    return ReleaseEntry(version, PIN, artifacts=(artifact,), **fields)


def document(plugin: str, *releases: ReleaseEntry) -> IndexDocument:
    namespace, name = plugin.split("/")
    return IndexDocument(1, namespace, name, "notify", "x", releases)


class Registry:
    """Documents by id, and a record of what was asked together."""

    def __init__(self, *documents: IndexDocument) -> None:
        self.documents = {d.id: d for d in documents}
        self.asked: list[set[str]] = []

    def __call__(self, plugins: Collection[PluginId]) -> Mapping[PluginId, IndexDocument | None]:
        self.asked.append(set(map(str, plugins)))
        return {plugin: self.documents.get(plugin) for plugin in plugins}


def chosen(registry: Registry, *requests: str, environment: Environment = HOST, **policy: Any) -> list[str]:
    found = resolve([parse_request(r) for r in requests], registry, environment, Policy(**policy))
    return [str(choice) for choice in found]


# --- requests --------------------------------------------------------------------------------------------------------


def test_requests_are_read() -> None:
    assert parse_request("acme/slack") == Request(PluginId("acme", "slack"), "*")
    assert parse_request("acme/slack@^1.2 || 3.x") == Request(PluginId("acme", "slack"), "^1.2 || 3.x")
    assert str(parse_request("acme/slack@=1.2.3")) == "acme/slack@=1.2.3"


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("acme/slack@latest", "*"),
        ("acme/slack==1.0.0", "=1.0.0"),
        ("acme/slack@==1.0.0", "=1.0.0"),
        ("acme/slack@>=0.1,<1", ">=0.1 <1"),
        ("acme/slack>=0.1, <1 || ==2.0.0", ">=0.1 <1 || =2.0.0"),
        ("acme/slack^1.2", "^1.2"),
        ("acme/slack @ ^1", "^1"),
    ],
)
def test_requests_as_other_package_managers_have_them(text: str, wanted: str) -> None:
    assert parse_request(text) == Request(PluginId("acme", "slack"), wanted)


def test_a_request_for_stable_takes_that_channel_whatever_the_policy() -> None:
    asked = parse_request("acme/slack@stable")
    assert asked == Request(PluginId("acme", "slack"), "*", channel="stable")
    assert parse_request(str(asked)) == asked
    assert chosen(Registry(SLACK), "acme/slack@stable", channel="beta") == ["acme/slack 1.2.0"]
    assert chosen(Registry(SLACK), "acme/slack@latest", channel="beta") == ["acme/slack 1.3.0"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("acme/slack==1", "write acme/slack@1 for any release of 1, or a version in full, such as 1.0.0"),
        ("acme/slack~=1.2", "write 'acme/slack@^1.2' or '~1.2'"),
        ("acme/slack!=1.2.0", "write 'acme/slack@<1.2.0 || >1.2.0'"),
        ("acme/slack@>=1,", "a comparator is missing beside a comma"),
        ("acme/slack@beta", "for what is in a channel: acme/slack --channel beta"),
        ("acme/slack:1.2.0", "write acme/slack@1.2.0"),
        ("slack", "sealdex search slack"),
    ],
)
def test_what_means_something_else_elsewhere_says_what_to_write(text: str, says: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_request(text)
    assert says in f"{caught.value.message} | {caught.value.hint}"


@pytest.mark.parametrize("text", ["slack", "acme/", "acme/slack@", "acme/slack@banana", "../x", "a/b/c", "metadata/x"])
def test_what_is_no_request_says_what_to_write(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_request(text)
    assert caught.value.hint


# --- choosing --------------------------------------------------------------------------------------------------------

SLACK = document(
    "acme/slack",
    release("1.1.0"),
    release("2.0.0-rc.1"),
    release("1.3.0", channels=("beta",)),
    release("1.2.1", yanked=YANKED),
    release("1.2.0"),
    release("1.2.2", artifact_selector={"match_labels": {"os": "windows"}}),
    release("1.2.3", tags=("cuda-12",)),
    release("1.2.4", min_host_version="3.0.0"),
)


@pytest.mark.parametrize(
    ("asked", "policy", "expected"),
    [
        ("acme/slack", {}, "1.2.0"),
        ("acme/slack@<1.2", {}, "1.1.0"),
        ("acme/slack", {"channel": "beta"}, "1.3.0"),
        ("acme/slack", {"prereleases": True}, "2.0.0-rc.1"),
        ("acme/slack", {"yanked": True}, "1.2.1"),
        ("acme/slack@=1.2.1", {}, "1.2.1"),  # exactly pinned: yanked releases stay installable
        ("acme/slack@1.3.0", {}, "1.3.0"),  # the same for channels
        ("acme/slack@=2.0.0-rc.1", {}, "2.0.0-rc.1"),
        ("acme/slack@>=2.0.0-0", {}, "2.0.0-rc.1"),
    ],
)
def test_the_newest_that_fits_is_chosen(asked: str, policy: dict[str, Any], expected: str) -> None:
    assert chosen(Registry(SLACK), asked, **policy) == [f"acme/slack {expected}"]


def test_the_environment_decides() -> None:
    assert chosen(Registry(SLACK), "acme/slack", environment=Environment({"os": "windows"})) == ["acme/slack 1.2.4"]
    wide = HOST.with_additions({}, frozenset({"cuda-12"}))
    assert chosen(Registry(SLACK), "acme/slack", environment=wide) == ["acme/slack 1.2.3"]


def test_newer_releases_that_were_passed_over_are_told() -> None:
    found = resolve([parse_request("acme/slack")], Registry(SLACK), HOST)
    assert [(p.version, [r.kind for r in p.reasons]) for p in found.choices[0].newer] == [
        ("2.0.0-rc.1", ["prerelease"]),
        ("1.3.0", ["channel"]),
        ("1.2.4", ["environment"]),
        ("1.2.3", ["environment"]),
        ("1.2.2", ["environment"]),
        ("1.2.1", ["yanked"]),
    ]


def test_a_selector_that_cannot_be_read_does_not_match() -> None:
    """An older client must not install what a newer selector excludes."""
    odd = release("9.0.0", selector={"match_expressions": [{"key": "os", "operator": "Resembles", "values": ["x"]}]})
    assert chosen(Registry(document("acme/slack", odd, release("1.0.0"))), "acme/slack") == ["acme/slack 1.0.0"]


def test_attack_a_dependency_that_is_no_name_is_never_followed() -> None:
    """Attacker: signs an index document. Change: a dependency called ../../etc/passwd. Refused: the release is passed
    over, and nothing but the plugin's own document was asked for.
    """
    evil = release("2.0.0", dependencies={"../../etc/passwd": "*"})
    registry = Registry(document("acme/slack", evil, release("1.0.0")))
    assert chosen(registry, "acme/slack") == ["acme/slack 1.0.0"]
    assert registry.asked == [{"acme/slack"}]


# --- explanations ----------------------------------------------------------------------------------------------------


def failure(registry: Registry, *requests: str, **policy: Any) -> NothingFitsError:
    with pytest.raises(NothingFitsError) as caught:
        chosen(registry, *requests, **policy)
    return caught.value


def test_an_explanation_groups_what_exists_by_reason_and_gives_the_flags() -> None:
    error = failure(Registry(SLACK), "acme/slack@>1.2.0")
    text = error.message
    assert text.splitlines()[0] == "no release of acme/slack fits >1.2.0 here"
    assert "  2.0.0-rc.1: pre-release" in text
    assert "  1.3.0: only in channel beta, not stable" in text
    assert "  1.2.4: needs host version 3.0.0, here 2.0.0" in text
    assert "  1.2.3: needs tag cuda-12" in text
    assert "  1.2.2: needs os=windows, here os=linux" in text
    assert "  1.2.1: yanked by kai: leaks tokens" in text
    assert "  1.2.0, 1.1.0: not in >1.2.0" in text
    shown = report(error)
    assert shown.exit_code == 3
    assert "--pre would choose 2.0.0-rc.1" in str(shown.hint)
    assert "--channel beta would choose 1.3.0" in str(shown.hint)
    data = json.loads(json.dumps(shown.document()))["error"]["details"]["explanations"][0]
    assert data["plugin"] == "acme/slack"
    assert {"version": "2.0.0-rc.1", "reasons": [{"kind": "prerelease", "words": "pre-release", "flag": "--pre"}]} in (
        data["passed_over"]
    )


def test_flags_that_are_needed_together_are_given_together() -> None:
    error = failure(Registry(document("acme/slack", release("2.0.0-b.1", channels=("beta",)))), "acme/slack")
    assert "--channel beta would choose 2.0.0-b.1" in str(error.hint)
    only_yanked = release("2.0.0-b.1", yanked=YANKED)
    error = failure(Registry(document("acme/slack", only_yanked)), "acme/slack")
    assert "--pre --yanked would choose 2.0.0-b.1" in str(error.hint)


BETA = document(
    "acme/slack",
    release("2.0.0-rc.1", channels=("beta",)),
    release("2.0.0-rc.2", channels=("nightly",)),
    release("1.9.0"),
    release("1.9.1-rc.1"),
)


@pytest.mark.parametrize(
    ("asked", "policy", "expected"),
    [
        ("acme/slack", {}, "1.9.0"),
        ("acme/slack", {"channel": "beta"}, "2.0.0-rc.1"),  # what is on it is admitted, without --pre
        ("acme/slack@^1", {"channel": "beta"}, "1.9.0"),  # from stable, where pre-releases still want --pre
        ("acme/slack@^1", {"channel": "beta", "prereleases": True}, "1.9.1-rc.1"),
        ("acme/slack@^2.0.0-0", {"channel": "beta"}, "2.0.0-rc.1"),
        ("acme/slack@stable", {"channel": "beta"}, "1.9.0"),
    ],
)
def test_a_channel_that_is_asked_for_admits_what_is_on_it(asked: str, policy: dict[str, Any], expected: str) -> None:
    assert chosen(Registry(BETA), asked, **policy) == [f"acme/slack {expected}"]


def test_stable_outranks_an_older_pre_release_of_the_channel_that_is_asked_for() -> None:
    released = msgspec.structs.replace(BETA, releases=(*BETA.releases, release("2.0.0")))
    assert chosen(Registry(released), "acme/slack", channel="beta") == ["acme/slack 2.0.0"]


def test_a_channel_of_one_request_is_not_that_of_others() -> None:
    base = document("acme/base", release("1.0.0"), release("1.1.0-b.1", channels=("beta",)))
    app = document("acme/app", release("1.0.0-b.1", channels=("beta",), dependencies={"acme/base": "*"}))
    asked = [Request(PluginId("acme", "app"), channel="beta")]
    found = resolve(asked, Registry(app, base), HOST)
    assert list(map(str, found)) == ["acme/base 1.0.0", "acme/app 1.0.0-b.1"]
    assert chosen(Registry(app, base), "acme/app", channel="beta") == ["acme/base 1.1.0-b.1", "acme/app 1.0.0-b.1"]


def test_the_range_is_named_when_it_alone_excludes() -> None:
    error = failure(Registry(document("acme/slack", release("1.0.0"))), "acme/slack@^2")
    assert "without the range, 1.0.0" in str(error.hint)


def test_a_thousand_releases_are_explained_in_a_few_lines() -> None:
    releases = [release(f"1.{i}.0", artifact_selector={"match_labels": {"os": "plan9"}}) for i in range(1000)]
    error = failure(Registry(document("acme/slack", *releases)), "acme/slack")
    assert "1.999.0, 1.998.0 ... 1.0.0 (1000 releases): needs os=plan9, here os=linux" in error.message
    assert len(error.message.splitlines()) == 2


def test_unknown_plugins_and_nearest_names() -> None:
    with pytest.raises(UnknownPluginError):
        chosen(Registry(SLACK), "acme/slakc")
    known = [PluginId("acme", "slack"), PluginId("acme", "mail"), PluginId("other", "slakc")]
    assert nearest(PluginId("acme", "slakc"), known) == [PluginId("other", "slakc"), PluginId("acme", "slack")]
    assert nearest(PluginId("x", "quite-different"), known) == []


def test_a_plugin_without_releases_says_so() -> None:
    assert "has no releases" in failure(Registry(document("acme/slack")), "acme/slack").message


# --- dependencies ----------------------------------------------------------------------------------------------------


def test_dependencies_come_first_and_documents_are_asked_a_level_at_a_time() -> None:
    registry = Registry(
        document("acme/app", release("1.0.0", dependencies={"acme/a": "^1", "acme/b": "*"})),
        document("acme/a", release("1.0.0", dependencies={"acme/base": "^1"})),
        document("acme/b", release("1.0.0", dependencies={"acme/base": "<1.5"})),
        document("acme/base", release("1.6.0"), release("1.4.0")),
    )
    order = chosen(registry, "acme/app")
    assert order == ["acme/base 1.4.0", "acme/a 1.0.0", "acme/b 1.0.0", "acme/app 1.0.0"]
    assert registry.asked == [{"acme/app"}, {"acme/a", "acme/b"}, {"acme/base"}]


def test_an_older_release_is_taken_when_the_newer_one_s_dependencies_cannot_be_met() -> None:
    registry = Registry(
        document(
            "acme/app",
            release("2.0.0", dependencies={"acme/missing": "*"}),
            release("1.0.0", dependencies={"acme/base": "*"}),
        ),
        document("acme/base", release("1.0.0")),
    )
    assert chosen(registry, "acme/app") == ["acme/base 1.0.0", "acme/app 1.0.0"]


def test_dependencies_of_a_beta_may_be_stable_and_a_yanked_dependency_needs_the_user() -> None:
    registry = Registry(
        document("acme/app", release("1.0.0", channels=("beta",), dependencies={"acme/base": "=1.0.0"})),
        document("acme/base", release("1.0.0", yanked=YANKED)),
    )
    failure(registry, "acme/app", channel="beta")
    assert chosen(registry, "acme/app", "acme/base@=1.0.0", channel="beta") == [
        "acme/base 1.0.0",
        "acme/app 1.0.0",
    ]


def test_a_conflict_is_explained_as_a_chain() -> None:
    registry = Registry(
        document("acme/app", release("1.0.0", dependencies={"acme/mid": "*", "acme/base": "^2"})),
        document("acme/mid", release("3.0.0", dependencies={"acme/base": "^1"})),
        document("acme/base", release("2.1.0"), release("1.4.0")),
    )
    error = failure(registry, "acme/app")
    text = error.message
    assert "no release of acme/base meets all demands on it" in text
    assert "acme/app 1.0.0 needs acme/base ^2" in text
    assert "acme/mid 3.0.0 needs acme/base ^1 (acme/app 1.0.0 -> acme/mid 3.0.0)" in text
    assert "2.1.0: not in ^1" in text
    assert "1.4.0: not in ^2" in text


def test_a_missing_dependency_is_named_with_who_needs_it() -> None:
    registry = Registry(document("acme/app", release("1.0.0", dependencies={"acme/gone": "^1"})))
    text = failure(registry, "acme/app").message
    assert "there is no plugin acme/gone" in text
    assert "acme/app 1.0.0 needs acme/gone ^1" in text


def test_a_cycle_ends() -> None:
    registry = Registry(
        document("acme/a", release("1.0.0", dependencies={"acme/b": "*"})),
        document("acme/b", release("1.0.0", dependencies={"acme/a": "*"})),
    )
    assert sorted(chosen(registry, "acme/a")) == ["acme/a 1.0.0", "acme/b 1.0.0"]


def test_a_bundle_without_artifacts_fits() -> None:
    suite = IndexDocument(1, "acme", "suite", "application-suite", "x", (ReleaseEntry("1.0.0", PIN),))
    assert chosen(Registry(suite), "acme/suite") == ["acme/suite 1.0.0"]


# --- properties ------------------------------------------------------------------------------------------------------

versions = st.builds(
    lambda a, b, pre: f"{a}.{b}.0{pre}",
    st.integers(0, 3),
    st.integers(0, 3),
    st.sampled_from(["", "", "-rc.1", "-rc.2"]),
)
ranges = st.sampled_from(["*", "^1", "^1.1 || 3.x", "<2", ">=1.2", "=1.0.0", "~2.1", ">=2.0.0-rc.1", "1.0 - 2.1"])
selectors = st.sampled_from([
    {},
    {},
    {"match_labels": {"os": "linux"}},
    {"match_labels": {"os": "windows"}},
    {"match_expressions": [{"key": "arch", "operator": "In", "values": ["arm64"]}]},
])  # fmt: skip
releases = st.builds(
    release,
    versions,
    channels=st.sampled_from([("stable",), ("stable",), ("beta",), ("stable", "beta")]),
    yanked=st.sampled_from([None, None, YANKED]),
    selector=selectors,
    tags=st.sampled_from([(), (), ("cuda-11.8",), ("cuda-12",)]),
)


@given(
    st.lists(releases, max_size=12, unique_by=lambda r: r.version),
    ranges,
    st.builds(Policy, channel=st.sampled_from(["stable", "beta"]), prereleases=st.booleans(), yanked=st.booleans()),
)
def test_the_chosen_release_satisfies_everything_and_nothing_newer_does(
    found: list[ReleaseEntry], wanted: str, policy: Policy
) -> None:
    """The rules once more, written the long way round."""
    exact = wanted == "=1.0.0"

    def fits(entry: ReleaseEntry) -> bool:
        labels = entry.selector.get("match_labels", {})
        arch = entry.selector.get("match_expressions")
        on_beta = policy.channel == "beta" and "beta" in entry.channels
        return (
            parse_range(wanted).contains(
                parse_version(entry.version), include_prereleases=policy.prereleases or on_beta
            )
            and (exact or on_beta or "stable" in entry.channels)
            and (exact or policy.yanked or entry.yanked is None)
            and all(HOST.labels.get(k) == v for k, v in labels.items())
            and not arch
            and set(entry.tags) <= HOST.tags
        )

    fitting = [entry for entry in found if fits(entry)]
    registry = Registry(document("acme/slack", *found))
    request = Request(PluginId("acme", "slack"), wanted)
    if not fitting:
        with pytest.raises(NothingFitsError) as caught:
            resolve([request], registry, HOST, policy)
        # every release is accounted for, each with a reason
        passed = caught.value.explanations[0].passed_over
        assert {p.version for p in passed} == {entry.version for entry in found}
        assert all(p.reasons for p in passed)
        return
    result = resolve([request], registry, HOST, policy)
    best = max(fitting, key=lambda entry: parse_version(entry.version))
    assert [str(choice) for choice in result] == [f"acme/slack {best.version}"]
    assert {p.version for p in result.choices[0].newer} == {
        e.version for e in found if parse_version(e.version) > parse_version(best.version)
    }


NAMES = ["acme/a", "acme/b", "acme/c"]
small_ranges = st.sampled_from(["*", "1.x", "2.x", "=1.0.0", "<2"])


def graphs(may_depend_on: dict[str, list[str]]) -> st.SearchStrategy[dict[str, list[tuple[str, dict[str, str]]]]]:
    return st.fixed_dictionaries({
        name: st.lists(
            st.tuples(
                st.sampled_from(["1.0.0", "1.1.0", "2.0.0"]),
                st.dictionaries(st.sampled_from(others), small_ranges, max_size=2) if others else st.just({}),
            ),
            max_size=3,
            unique_by=lambda pair: pair[0],
        )
        for name, others in may_depend_on.items()
    })  # fmt: skip


asked_for = st.lists(st.tuples(st.sampled_from(NAMES), small_ranges), min_size=1, max_size=2)


@settings(max_examples=examples(300))
@given(graphs({name: NAMES[i + 1 :] for i, name in enumerate(NAMES)}), asked_for)
def test_dependencies_are_solved_whenever_there_is_a_solution(
    graph: dict[str, list[tuple[str, dict[str, str]]]], asked: list[tuple[str, str]]
) -> None:
    assume(all(graph[name] for name, _ in asked))
    registry = Registry(*(document(n, *(release(v, dependencies=d) for v, d in rs)) for n, rs in graph.items()))
    requests = [Request(parse_plugin_id(name), wanted) for name, wanted in asked]
    solutions = _all_solutions(graph, asked)
    if not solutions:
        with pytest.raises(NothingFitsError):
            resolve(requests, registry, HOST)
        return
    found = resolve(requests, registry, HOST)
    versions_found = {str(choice.plugin): choice.release.version for choice in found}
    assert versions_found in [{n: v for n, v in s.items() if v} for s in solutions]
    # what is asked for alone is as new as any solution has it
    first = asked[0][0]
    if len({name for name, _ in asked}) == 1:
        assert versions_found[first] == max(s[first] or "" for s in solutions)
    order = [str(choice.plugin) for choice in found]
    for choice in found:
        assert all(order.index(str(needed)) < order.index(str(choice.plugin)) for needed in choice.dependencies)


@given(graphs({name: [n for n in NAMES if n != name] for name in NAMES}), asked_for)
@example(  # a search that went back over a plugin that nothing needed any more
    {
        "acme/a": [("1.0.0", {"acme/c": "1.x"})],
        "acme/b": [("1.0.0", {}), ("1.1.0", {"acme/a": "*", "acme/c": "=1.0.0"})],
        "acme/c": [("1.1.0", {}), ("1.0.0", {"acme/a": "2.x"}), ("2.0.0", {"acme/a": "*", "acme/b": "*"})],
    },
    [("acme/c", "*")],
)
def test_cycles_end_with_a_solution_or_an_error(
    graph: dict[str, list[tuple[str, dict[str, str]]]], asked: list[tuple[str, str]]
) -> None:
    """Builders refuse to publish cycles; whoever signs one anyway must not get a client to hang or to crash."""
    assume(all(graph[name] for name, _ in asked))
    registry = Registry(*(document(n, *(release(v, dependencies=d) for v, d in rs)) for n, rs in graph.items()))
    solutions = _all_solutions(graph, asked)
    try:
        found = resolve([Request(parse_plugin_id(name), wanted) for name, wanted in asked], registry, HOST)
    except NothingFitsError:
        assert solutions == []
        return
    versions_found = {str(choice.plugin): choice.release.version for choice in found}
    assert versions_found in [{n: v for n, v in s.items() if v} for s in solutions]


def test_two_plugins_that_exclude_each_other_in_a_circle_end_in_an_error() -> None:
    registry = Registry(
        document(
            "acme/a", release("1.0.0", dependencies={"acme/c": "2.x"}), release("2.0.0", dependencies={"acme/c": "1.x"})
        ),
        document(
            "acme/c", release("1.0.0", dependencies={"acme/a": "1.x"}), release("2.0.0", dependencies={"acme/a": "2.x"})
        ),
    )
    with pytest.raises(NoMatchError):
        chosen(registry, "acme/a")


def _all_solutions(
    graph: dict[str, list[tuple[str, dict[str, str]]]], asked: Sequence[tuple[str, str]]
) -> list[dict[str, str | None]]:
    solutions: list[dict[str, str | None]] = []
    for picks in itertools.product(*([None, *rs] for rs in graph.values())):
        picked = dict(zip(graph, picks, strict=True))
        demands = list(asked) + [item for pick in picks if pick for item in pick[1].items()]
        if all((p := picked[n]) and parse_range(r).contains(parse_version(p[0])) for n, r in demands):
            needed = {n for n, _ in asked}
            while more := {d for n in needed if (p := picked[n]) for d in p[1]} - needed:
                needed |= more
            if needed == {n for n, p in picked.items() if p}:
                solutions.append({n: p[0] if p else None for n, p in picked.items()})
    return solutions


@given(versions, versions)
def test_precedence_is_that_of_semver(a: str, b: str) -> None:
    assert (version_sort_key(a) < version_sort_key(b)) == (parse_version(a) < parse_version(b))


@given(st.lists(st.from_regex(r"\A(0|[1-9][0-9]?|[a-z-][a-z0-9-]?)\Z"), min_size=1, max_size=3), st.data())
def test_precedence_of_prereleases_is_that_of_semver(parts: list[str], data: st.DataObject) -> None:
    other = data.draw(st.permutations(parts))[: data.draw(st.integers(1, len(parts)))]
    a, b = f"1.0.0-{'.'.join(parts)}", f"1.0.0-{'.'.join(other)}"
    assert (version_sort_key(a) < version_sort_key(b)) == (parse_version(a) < parse_version(b))
