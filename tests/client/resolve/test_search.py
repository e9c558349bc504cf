"""Search: what matches, in which order."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sealdex.model.catalog import CatalogRow
from sealdex.resolve.search import Query, search, search_parts
from sealdex.trust.catalog_rows import CatalogRows, ReadRows

ROWS = [
    CatalogRow("acme", "slack", "notify", "Sends messages", keywords=("chat",), latest="1.2.0"),
    CatalogRow("acme", "slack-threads", "notify", "Threads", keywords=("chat",)),
    CatalogRow("acme", "slack-old", "notify", "The old one", deprecated="", use="acme/slack"),
    CatalogRow("other", "notify-slack", "notify", "Also sends"),
    CatalogRow("zeta", "mail", "notify", "Mail instead of Slack", labels={"os": ("linux",)}, tags=("cuda-11.8",)),
    CatalogRow("zeta", "slackline", "HAL_DRIVER", "A sport", labels={"os": ("windows", "darwin")}),
]


def ids(query: Query) -> list[str]:
    return [str(hit.row.id) for hit in search(ROWS, query)]


def test_exact_name_then_prefix_then_word_then_the_rest_and_deprecated_last() -> None:
    assert ids(Query(("Slack",))) == [
        "acme/slack",
        "acme/slack-threads",
        "other/notify-slack",
        "zeta/slackline",
        "zeta/mail",
        "acme/slack-old",
    ]


def test_all_words_must_match_anywhere() -> None:
    assert ids(Query(("sends", "slack"))) == ["acme/slack", "other/notify-slack"]
    assert ids(Query(("acme/slack chat",))) == ["acme/slack", "acme/slack-threads"]
    assert ids(Query(("slack", "nowhere"))) == []


@pytest.mark.parametrize("typo", ["slcak", "slak", "slackk", "slick", "salck", "sslack"])
def test_one_typo_is_forgiven_when_nothing_else_matches(typo: str) -> None:
    assert ids(Query((typo,)))[0] == "acme/slack"


def test_two_typos_and_short_words_are_not_forgiven() -> None:
    assert ids(Query(("slucc",))) == []
    assert ids(Query(("cat",))) == []


def test_filters_hold_together() -> None:
    assert ids(Query(type="hal-driver")) == ["zeta/slackline"]
    assert ids(Query(type="NOTIFY", keywords=("Chat",))) == ["acme/slack", "acme/slack-threads"]
    assert ids(Query(tags=("cuda-11.8",))) == ["zeta/mail"]
    # a plugin that doesn't constrain os is for every os
    assert ids(Query(labels={"os": "linux"}, words=("zeta",))) == ["zeta/mail"]
    assert "acme/slack" in ids(Query(labels={"os": "linux"}))


@pytest.mark.parametrize("are_kept", [True, False])
def test_rows_that_come_in_parts_are_searched_as_one_catalog(are_kept: bool) -> None:
    rows = [
        *ROWS,
        *(CatalogRow("many", f"robot-{n}", "build", "a robot", dependencies=("acme/slack",)) for n in range(30)),
    ]
    chunks = [rows[:2], [], rows[2:5], rows[5:]]
    read: list[int] = []

    def part(number: int) -> ReadRows:
        return lambda: read.append(number) or chunks[number]  # type: ignore[func-returns-value]

    queries = [
        "",
        "slack",
        "robot slack",
        "a robot-7",
        "slcak",
        "sends slack",
        "robto-29",
        "o",
        "!?",
        "robot",
        "nowhere",
    ]
    for text in queries:
        for query in (Query(tuple(text.split())), Query((text,), type="notify"), Query((text,), sort="used")):
            together = search(rows, query)
            for limit in (None, 3):
                made = CatalogRows([part(number) for number in range(4)], are_kept=are_kept)
                hits, total = search_parts(made, query, limit)
                assert (hits, total) == (together[:limit], len(together))
                assert [made.part_of(hit.at) for hit in hits] == [sum(hit.at >= n for n in (2, 2, 5)) for hit in hits]
    read.clear()
    search_parts(CatalogRows([part(number) for number in range(4)], are_kept=False), Query(("mail",)))
    assert read == [0, 1, 2, 3, 2]  # all once; where it was found again to show it
    read.clear()
    search_parts(CatalogRows([part(number) for number in range(4)], are_kept=False), Query(("nowhere",)))
    assert read == [0, 1, 2, 3]  # what it may have meant is looked for meanwhile
    read.clear()
    found, _ = search_parts(CatalogRows([part(number) for number in range(4)], are_kept=False), Query(("mial",)))
    assert [hit.meant for hit in found] == ["mail"]
    assert read == [0, 1, 2, 3] * 2 + [2]


@given(st.text(max_size=12))
def test_any_text_is_a_query(text: str) -> None:
    hits = search(ROWS, Query((text,)))
    assert len({hit.row.id for hit in hits}) == len(hits)


edits = st.sampled_from(["insert", "delete", "substitute", "swap"])


@given(st.text("abcdxyz", min_size=4, max_size=10), edits, st.integers(0, 9), st.sampled_from("abcdq"), st.booleans())
def test_every_single_edit_is_found(name: str, edit: str, at: int, letter: str, as_keyword: bool) -> None:
    at %= len(name)
    edited = {
        "insert": name[:at] + letter + name[at:],
        "delete": name[:at] + name[at + 1 :],
        "substitute": name[:at] + letter + name[at + 1 :],
        "swap": name[:at] + name[at + 1 : at + 2] + name[at : at + 1] + name[at + 2 :],
    }[edit]
    row = CatalogRow("n", "zzzzzzzzzzzzzz" if as_keyword else name, "t", "", keywords=(name,) if as_keyword else ())
    found = search([row], Query((edited,)))
    assert len(edited) < 4 or [hit.row for hit in found] == [row]
