"""Versions that aren't semantic: what becomes of them, and that the source's order is kept."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry_builder.importers.version_map import VersionMap, from_numbers, read_version_map, settle
from sealdex.errors import NotFoundError, UsageError
from sealdex.model.versions import parse_version, version_problem

_NUMBERS = st.lists(st.integers(0, 99_999), min_size=1, max_size=3)


@given(_NUMBERS, _NUMBERS, st.sampled_from(["", "v", "V"]), st.integers(0, 3))
def test_dotted_numbers_keep_their_order(a: list[int], b: list[int], mark: str, zeros: int) -> None:
    def written(numbers: list[int]) -> str:
        return mark + ".".join(str(n).zfill(zeros) for n in numbers)

    made_a, made_b = from_numbers(written(a)), from_numbers(written(b))
    assert made_a is not None
    assert made_b is not None
    padded_a, padded_b = [*a, 0, 0][:3], [*b, 0, 0][:3]
    assert (padded_a < padded_b) == (parse_version(made_a) < parse_version(made_b))
    assert (padded_a == padded_b) == (made_a == made_b)


@given(
    st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9), st.integers(0, 9)), unique=True, min_size=1, max_size=8)
)
def test_a_file_is_taken_only_in_the_order_of_its_versions(numbers: list[tuple[int, int, int]]) -> None:
    stated = ",".join(f"build {i}={'.'.join(map(str, n))}" for i, n in enumerate(numbers))
    if numbers != sorted(numbers):
        with pytest.raises(UsageError, match="is not above"):
            read_version_map(stated)
        return
    mapping = read_version_map(stated)
    settled, refused = settle("p", [f"build {i}" for i in range(len(numbers))], mapping, [])
    assert refused == []
    assert all(parse_version(a) < parse_version(b) for a, b in pairwise(settled.values()))


@pytest.mark.parametrize("text", ["master", "1.2.3.4", "", "1.2-", "2024年", "1..2", "\u0661.\u0662", "1.2.3-01"])
def test_what_has_no_order_that_anybody_could_tell_is_left_alone(text: str) -> None:
    assert from_numbers(text) is None


@given(st.text("v0123456789.-+aé\u0661", max_size=12))
def test_whatever_is_made_is_semantic(text: str) -> None:
    made = from_numbers(text)
    assert made is None or version_problem(made) is None


def test_a_file_for_all_plugins_and_for_one(tmp_path: Path) -> None:
    path = tmp_path / "map.toml"
    path.write_bytes(b'\xef\xbb\xbf"2024.01" = "1.0.0"\n"spring" = "1.1.0"\n["plugin_x"]\n"spring" = "7.0.0"\n')
    mapping = read_version_map(str(path))
    assert (mapping.of("plugin_x", "spring"), mapping.of("other", "spring")) == ("7.0.0", "1.1.0")
    assert mapping.of("other", "autumn") == "autumn"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('"a" = "1.0.0"\n"b" = "1.0.0"\n', "1.0.0 is not above 1.0.0"),
        ('"a" = "x"\n', "'x' is not a semantic version"),
        ('"a" = 1\n', "is not a text"),
        ('["p"]\n"a" = "2.0.0"\n"b" = "1.0.0"\n', r'\["p"\] "b": 1\.0\.0 is not above'),
        ('"a = ', "is not TOML"),
    ],
)
def test_every_wrong_line_is_named(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "map.toml").write_text(text)
    with pytest.raises(UsageError, match=said):
        read_version_map(str(tmp_path / "map.toml"))


def test_a_map_that_is_not_there() -> None:
    with pytest.raises(NotFoundError):
        read_version_map("nothing.toml")


def test_versions_that_would_be_one_release() -> None:
    settled, refused = settle("p", ["1.0.0+a", "1.0.0", "v2", "2.0", "3.0.0+x"], VersionMap(by_numbers=True), ["3.0.0"])
    assert settled == {"1.0.0": "1.0.0", "v2": "2.0.0"}
    reasons = dict(refused)
    assert "only in build metadata" in reasons["1.0.0+a"]
    assert "would both be 2.0.0" in reasons["2.0"]
    assert "only in build metadata" in reasons["3.0.0+x"]
