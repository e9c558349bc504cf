"""Selectors: the Kubernetes semantics, the seeds' spellings, and overlap with its witness."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sealdex.model.environment import Environment, detect_environment
from sealdex.model.index import Mismatch, find_mismatch
from sealdex.model.selectors import (
    Expression,
    Operator,
    Selector,
    describe,
    matches,
    mismatch,
    overlap,
    selector_problems,
)

LINUX = {"os": "linux", "arch": "amd64", "memory": "8192"}


def expression(key: str, operator: str, *values: str) -> Selector:
    return Selector(match_expressions=(Expression(key, Operator(operator), values),))


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        (Selector(), True),
        (Selector({"os": "linux"}), True),
        (Selector({"os": "linux", "arch": "arm64"}), False),
        (expression("os", "In", "darwin", "linux"), True),
        (expression("gpu", "In", "a"), False),
        (expression("os", "NotIn", "windows"), True),
        (expression("gpu", "NotIn", "a"), True),  # Kubernetes: NotIn holds where the key is absent
        (expression("os", "NotIn", "linux"), False),
        (expression("os", "Exists"), True),
        (expression("gpu", "Exists"), False),
        (expression("gpu", "DoesNotExist"), True),
        (expression("os", "DoesNotExist"), False),
        (expression("memory", "Gt", "8000"), True),
        (expression("memory", "Gt", "8192"), False),
        (expression("memory", "Lt", "8192.5"), True),
        (expression("gpu", "Gt", "0"), False),  # needs the key
        (expression("os", "Gt", "0"), False),  # not a number
    ],
)
def test_semantics(selector: Selector, expected: bool) -> None:
    assert matches(selector, LINUX) is expected
    assert (mismatch(selector, LINUX) is None) is expected


@pytest.mark.parametrize(
    ("spelling", "operator"),
    [
        ("IN", Operator.IN),
        ("NOT_IN", Operator.NOT_IN),
        ("EXISTS", Operator.EXISTS),
        ("NOT_EXISTS", Operator.DOES_NOT_EXIST),
        ("NotExists", Operator.DOES_NOT_EXIST),
        ("GT", Operator.GT),
        ("LT", Operator.LT),
        ("LABEL_OPERATOR_NOT_EXISTS", Operator.DOES_NOT_EXIST),
    ],
)
def test_the_seeds_spellings_are_read_as_the_same(spelling: str, operator: Operator) -> None:
    assert msgspec.json.decode(f'"{spelling}"', type=Operator) is operator


def test_an_unknown_operator_is_refused() -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode('"Inn"', type=Operator)


def test_a_requirement_this_version_cannot_read_matches_nothing() -> None:
    here = Environment(labels=LINUX)
    assert find_mismatch({"match_labels": {"os": "linux"}}, (), here) is None
    newer = {"match_labels": {"os": "linux"}, "match_fields": {"kernel": "7"}}
    assert "newer sealdex" in str(find_mismatch(newer, (), here))
    unknown = {"match_expressions": [{"key": "os", "operator": "Near"}]}
    assert "newer sealdex" in str(find_mismatch(unknown, (), here))


def test_tags_must_all_be_offered() -> None:
    here = Environment(labels=LINUX, tags=frozenset({"cuda-11.8"}))
    assert find_mismatch({}, ("cuda-11.8",), here) is None
    assert find_mismatch({}, ("cuda-11.8", "trt-8"), here) == Mismatch("needs tag trt-8", ("trt-8",))


def test_problems_name_the_place() -> None:
    wrong = Selector(
        match_expressions=(
            Expression("os", Operator.IN),
            Expression("memory", Operator.GT, ("lots",)),
            Expression("gpu", Operator.EXISTS, ("x",)),
        )
    )
    places = [where for where, _ in selector_problems(wrong)]
    assert places[:3] == [f"match_expressions[{i}].values" for i in range(3)]
    assert list(selector_problems(Selector({"os": "linux"}, (Expression("os", Operator.NOT_IN, ("linux",)),))))


def test_words() -> None:
    selector = Selector({"os": "linux"}, (Expression("arch", Operator.IN, ("amd64", "arm64")),))
    assert describe(selector) == "os=linux, arch in (amd64, arm64)"
    assert mismatch(selector, {"os": "darwin"}) == "needs os=linux, here os=darwin"
    assert describe(Selector()) == "any"


keys = st.sampled_from(["os", "gpu"])
values = st.sampled_from(["1", "2", "3", "4.5", "linux", "darwin"])
number_values = st.sampled_from(["1", "2", "3", "4.5"])
expressions = st.one_of(
    st.builds(
        Expression,
        keys,
        st.sampled_from([Operator.IN, Operator.NOT_IN]),
        st.lists(values, min_size=1, max_size=3).map(tuple),
    ),
    st.builds(Expression, keys, st.sampled_from([Operator.EXISTS, Operator.DOES_NOT_EXIST])),
    st.builds(Expression, keys, st.sampled_from([Operator.GT, Operator.LT]), number_values.map(lambda v: (v,))),
)
selectors = st.builds(Selector, st.dictionaries(keys, values, max_size=2), st.lists(expressions, max_size=3).map(tuple))
# every value a requirement names, one between and one beyond each number, one that is none of them, and absence
some_values = [None, "0", "1", "1.5", "2", "2.5", "3", "4", "4.5", "9", "linux", "darwin", "other"]


def between(above: str, below: str, *excluded: str) -> Selector:
    bounds = (Expression("os", Operator.GT, (above,)), Expression("os", Operator.LT, (below,)))
    return Selector(match_expressions=(*bounds, *(Expression("os", Operator.NOT_IN, (value,)) for value in excluded)))


@given(selectors, selectors)
@example(between("1", "2", "1"), Selector())  # a third has more digits than a label's number
@example(between("1", "1.000003", "1.000001"), Selector())
@example(between("1", "1.000001"), Selector())
def test_overlap_is_right_and_proves_it(a: Selector, b: Selector) -> None:
    witness = overlap(a, b)
    if witness is not None:
        assert matches(a, witness)
        assert matches(b, witness)
        return
    for os in some_values:
        for gpu in some_values:
            labels = {k: v for k, v in (("os", os), ("gpu", gpu)) if v is not None}
            assert not (matches(a, labels) and matches(b, labels))


@given(selectors, st.dictionaries(keys, values))
def test_mismatch_says_why_exactly_when_it_does_not_match(selector: Selector, labels: dict[str, str]) -> None:
    reason = mismatch(selector, labels)
    assert matches(selector, labels) == (reason is None)
    assert reason is None or reason.startswith("needs ")


def test_detection_uses_the_spelling_of_plugin_metadata() -> None:
    labels = detect_environment().labels
    assert labels["os"] in {"linux", "darwin", "windows"}
    assert labels["arch"] not in {"x86_64", "aarch64"}
