"""Identifiers: what is a name, what never is, and that no pattern lets a line feed through."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sealdex.model import ids, plugin, release, selectors, versions, wording


@pytest.mark.parametrize(
    "text", ["acme/slack", "a/b", "acme-robotics/hal.motor_v2", "0/1", "a" * 64 + "/" + "b" * 64, "krew/access-matrix"]
)
def test_right_identifiers_are_taken(text: str) -> None:
    assert str(ids.parse_plugin_id(text)) == text


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("slack", "form namespace/name"),
        ("a/b/c", "form namespace/name"),
        ("Acme/slack", "lower-case"),
        ("acme/", "is empty"),
        ("acme/../x", "form namespace/name"),
        ("acme/..", "lower-case"),
        ("acme/.hidden", "lower-case"),
        ("acme/a--b", "lower-case"),
        ("acme/a-", "lower-case"),
        ("acme/a b", "lower-case"),
        ("acme/a\n", "lower-case"),
        ("acme/é", "lower-case"),
        ("acme/" + "a" * 65, "at most 64"),
        ("metadata/x", "reserved"),
        ("index.html/x", "reserved"),
        ("con/x", "Windows"),
        ("acme/nul.txt", "Windows"),
    ],
)
def test_wrong_identifiers_are_refused_with_the_reason(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        ids.parse_plugin_id(text)


@given(st.text(max_size=80))
def test_an_identifier_is_always_one_harmless_path_part(text: str) -> None:
    if ids.part_problem(text) is None:
        assert text not in {"", ".", ".."}
        assert not set(text) - set("abcdefghijklmnopqrstuvwxyz0123456789._-")
        assert not text.startswith((".", "-"))


@given(st.text(max_size=220))
def test_a_file_name_is_always_one_harmless_path_part(text: str) -> None:
    if ids.file_name_problem(text) is None:
        assert not text.startswith((".", "-"))
        assert not set(text) & set("/\\:\n\r\0")


VALID = {
    ids.IdentifierPart: "acme",
    ids.PluginType: "hal-driver",
    ids.Sha256: "a" * 64,
    ids.FileName: "a.zip",
    ids.Timestamp: "2026-11-21T12:00:00Z",
    versions.VersionText: "1.2.3",
    selectors.LabelKey: "os",
    selectors.LabelValue: "linux",
    selectors.Tag: "cuda-11.8",
    release.Quantity: "100m",
    release.Channel: "stable",
    wording.Keyword: "speech",
    wording.Title: "Slack \u6d88\u606f",
    wording.LanguageTag: "zh-Hant",
    plugin.WebAddress: "https://example.com/",
}


@pytest.mark.parametrize(("annotation", "good"), VALID.items(), ids=lambda v: v if isinstance(v, str) else "")
def test_no_pattern_lets_a_final_line_feed_through(annotation: type[str], good: str) -> None:
    assert msgspec.convert(good, annotation) == good
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(good + "\n", annotation)


def test_the_seeds_spelling_of_types_is_the_same_type() -> None:
    assert ids.normalise_type("HAL_DRIVER") == "hal-driver"
    assert {ids.normalise_type(t.upper().replace("-", "_")) for t in ids.KNOWN_TYPES} == set(ids.KNOWN_TYPES)
