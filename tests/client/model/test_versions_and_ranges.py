"""Versions and ranges: the table of docs/format.md, and properties against the definition."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.places import REPOSITORY

from sealdex.model.precedence import version_sort_key
from sealdex.model.ranges import parse_range
from sealdex.model.versions import Version, parse_version, version_problem

FORMAT_PAGE = REPOSITORY / "docs" / "format.md"

# (range, its expansion, versions in it, versions outside); docs/format.md shows the same table, a test compares them
CASES: list[tuple[str, str, str, str]] = [
    ("1.2.3", "=1.2.3", "1.2.3 1.2.3+build", "1.2.4 1.2.3-rc.1"),
    (">=1.2 <2", ">=1.2.0 <2.0.0-0", "1.2.0 1.99.0", "1.1.9 2.0.0 2.0.0-rc.1"),
    ("^1.2.3", ">=1.2.3 <2.0.0-0", "1.2.3 1.9.0", "1.2.2 2.0.0 1.3.0-rc.1"),
    ("^0.2.3", ">=0.2.3 <0.3.0-0", "0.2.3 0.2.9", "0.3.0 0.2.2"),
    ("^0.0.3", ">=0.0.3 <0.0.4-0", "0.0.3", "0.0.4"),
    ("^0.0", ">=0.0.0 <0.1.0-0", "0.0.0 0.0.9", "0.1.0"),
    ("^0", ">=0.0.0 <1.0.0-0", "0.9.9", "1.0.0"),
    ("^1.x", ">=1.0.0 <2.0.0-0", "1.0.0 1.9.9", "2.0.0"),
    ("~1.2.3", ">=1.2.3 <1.3.0-0", "1.2.3 1.2.9", "1.3.0"),
    ("~1.2", ">=1.2.0 <1.3.0-0", "1.2.0", "1.3.0"),
    ("~1", ">=1.0.0 <2.0.0-0", "1.9.0", "2.0.0"),
    ("1.x", ">=1.0.0 <2.0.0-0", "1.0.0", "2.0.0 0.9.0"),
    ("1.2.*", ">=1.2.0 <1.3.0-0", "1.2.7", "1.3.0"),
    ("1", ">=1.0.0 <2.0.0-0", "1.5.0", "2.0.0"),
    ("*", "*", "0.0.0 9.9.9", "1.0.0-rc.1"),
    ("", "*", "1.0.0", "1.0.0-rc.1"),
    (">1.2", ">=1.3.0", "1.3.0", "1.2.9"),
    (">1.2.3", ">1.2.3", "1.2.4", "1.2.3"),
    ("<=1.2", "<1.3.0-0", "1.2.9", "1.3.0"),
    ("<1.2", "<1.2.0-0", "1.1.9", "1.2.0 1.2.0-rc.1"),
    (">*", "<0.0.0-0", "", "0.0.0 1.0.0"),
    ("1.2 - 2.3", ">=1.2.0 <2.4.0-0", "1.2.0 2.3.9", "2.4.0"),
    ("1.2.3 - 2.3.4", ">=1.2.3 <=2.3.4", "2.3.4", "2.3.5"),
    ("^1.2 || >=3 <4", ">=1.2.0 <2.0.0-0 || >=3.0.0 <4.0.0-0", "1.9.0 3.1.4", "2.0.0 4.0.0"),
    (">=1.0.0-rc.1", ">=1.0.0-rc.1", "1.0.0-rc.2 1.0.0 2.0.0", "1.1.0-rc.1 1.0.0-alpha"),
    ("^1.2.3-beta.2", ">=1.2.3-beta.2 <2.0.0-0", "1.2.3-beta.3 1.5.0", "1.2.3-beta.1 1.3.0-beta.9"),
    ("v1.2.3", "=1.2.3", "1.2.3", "1.2.4"),
    ("~> 1.2.3", ">=1.2.3 <1.3.0-0", "1.2.5", "1.3.0"),
    (">= 1.2.3 < 2", ">=1.2.3 <2.0.0-0", "1.5.0", "2.0.0"),
]


@pytest.mark.parametrize(("text", "expansion", "inside", "outside"), CASES)
def test_table(text: str, expansion: str, inside: str, outside: str) -> None:
    wanted = parse_range(text)
    assert wanted.canonical == expansion
    assert [v for v in inside.split() if not wanted.contains(parse_version(v))] == []
    assert [v for v in outside.split() if wanted.contains(parse_version(v))] == []


def test_the_specification_shows_this_very_table() -> None:
    table = FORMAT_PAGE.read_text().partition("| range | means |")[2].partition("\n\n")[0]
    rows = re.findall(r"^\| `(.*?)` \| `(.*?)` \| (.*?) \| (.*?) \|$", table, re.MULTILINE)
    shown = [
        (a.replace("\\|", "|"), b.replace("\\|", "|"), c.replace("`", ""), d.replace("`", "")) for a, b, c, d in rows
    ]
    assert [r for r in CASES if r[0]] == [(a, b, "" if c == "\u2013" else c, d) for a, b, c, d in shown]


@pytest.mark.parametrize(
    "text", ["a", ">=", "1.2.3.4", "1..2", "01.2.3", "1.2.3-", "^^1", "1 -", "|| a", "1.2.3-01", "\u0663"]
)
def test_what_is_no_range_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match=r"write for example|is not a valid pre-release"):
        parse_range(text)


@pytest.mark.parametrize(
    ("text", "advice"),
    [
        ("v1.2.3", "write 1.2.3, without 'v'"),
        ("1.2", "write 1.2.0"),
        ("1", "write 1.0.0"),
        ("v1.2", "write 1.2.0"),
        ("master", "MAJOR.MINOR.PATCH"),
        ("1.2.3-01", "MAJOR.MINOR.PATCH"),
        ("1.2.3\n", "MAJOR.MINOR.PATCH"),
        ("\u0661.\u0662.\u0663", "MAJOR.MINOR.PATCH"),
        ("1.2.3-" + "a" * 200, "at most 128"),
    ],
)
def test_what_is_no_version_is_refused_with_what_to_write(text: str, advice: str) -> None:
    assert advice in (version_problem(text) or "")
    with pytest.raises(ValueError, match=re.escape(advice)):
        parse_version(text)


numbers = st.integers(0, 4)
plain_versions = st.builds(Version, numbers, numbers, numbers)
versions = st.builds(
    Version, numbers, numbers, numbers, st.none() | st.sampled_from(["0", "1", "alpha", "rc.1", "rc.2", "rc.10"])
)


@given(plain_versions, plain_versions)
def test_caret_is_no_change_left_of_the_first_nonzero_number(base: Version, other: Version) -> None:
    significant = next((i for i, n in enumerate(base.core) if n), 2)
    same = base.core[: significant + 1] == other.core[: significant + 1]
    assert parse_range(f"^{base}").contains(other) == (other >= base and same)


@given(plain_versions, plain_versions)
def test_tilde_is_the_same_minor(base: Version, other: Version) -> None:
    same = (base.major, base.minor) == (other.major, other.minor)
    assert parse_range(f"~{base}").contains(other) == (other >= base and same)


@given(versions, versions, versions)
def test_hyphen_is_both_bounds(low: Version, high: Version, other: Version) -> None:
    inside = low <= other <= high
    assert parse_range(f"{low} - {high}").contains(other, include_prereleases=True) == inside


@given(st.lists(st.tuples(st.sampled_from([">=", ">", "<=", "<", "="]), versions), min_size=1, max_size=4), versions)
def test_a_set_is_the_intersection_of_its_comparators(bounds: list[tuple[str, Version]], other: Version) -> None:
    text = " ".join(f"{operator}{version}" for operator, version in bounds)
    each = {">=": other.__ge__, ">": other.__gt__, "<=": other.__le__, "<": other.__lt__, "=": other.__eq__}
    in_bounds = all(each[operator](version) for operator, version in bounds)
    assert parse_range(text).contains(other, include_prereleases=True) == in_bounds
    named = any(v.prerelease and v.core == other.core for _, v in bounds if (_, str(v)[-2:]) != ("<", "-0"))
    assert parse_range(text).contains(other) == (in_bounds and (other.prerelease is None or named))


@given(
    st.lists(st.sampled_from(["^1.2", "~0.3", "2.x", ">=3", "1.0.0 - 1.4", "=0.0.1"]), min_size=1, max_size=3), versions
)
def test_or_is_the_union(parts: list[str], other: Version) -> None:
    union = any(parse_range(p).contains(other) for p in parts)
    assert parse_range(" || ".join(parts)).contains(other) == union


@given(st.sampled_from([c[0] for c in CASES]), versions)
def test_the_expansion_means_the_same_as_the_range(text: str, other: Version) -> None:
    wanted = parse_range(text)
    expanded = parse_range(" || ".join(p if p != "*" else "" for p in wanted.canonical.split(" || ")))
    assert wanted.contains(other) == expanded.contains(other)


@given(st.text(alphabet="0123456789.x*-^~<>=| vabR+", max_size=30))
def test_any_text_is_a_range_or_a_clear_refusal(text: str) -> None:
    try:
        parse_range(text).contains(Version(1, 2, 3))
    except ValueError as error:
        assert text.split("||", maxsplit=1)[0] in str(error) or "range" in str(error)  # noqa: PT017  # either outcome is right


@given(versions, versions)
def test_the_sort_key_orders_as_the_library_compares(a: Version, b: Version) -> None:
    by_key = version_sort_key(str(a)) < version_sort_key(str(b))
    assert by_key == ((a < b) if a != b else False)
