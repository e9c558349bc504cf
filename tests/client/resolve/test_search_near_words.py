"""Words that a mistyped one may have meant: what rules most rows out quickly never rules out a word that is near."""

from __future__ import annotations

import random

import pytest

from sealdex.model.catalog import CatalogRow
from sealdex.resolve import _search_index
from sealdex.resolve._search_index import Index, ListedRows, _Near, _Part
from sealdex.resolve._search_text import tokens
from sealdex.similar import distance

LETTERS = "ab1"
SHAPES = ("{}", "{}-{}", "{}_{}.{}", "{}#", "x{}", "{}'{}/{}", "é{}", "小游{}", "{} {}", "{}-2")


def near_by_hand(rows: list[CatalogRow], word: str) -> set[str]:
    limit = 1 if len(word) < 8 else 2
    fields = [text for row in rows for text in (row.name, row.namespace, row.title or "", *row.keywords)]
    return {term for text in fields for term in tokens(text) if distance(word, term, limit)}


@pytest.mark.parametrize("seed", range(4))
def test_each_near_word_is_found(seed: int) -> None:
    drawn = random.Random(seed)  # noqa: S311  # the same each time

    def word(least: int, most: int) -> str:
        return "".join(drawn.choice(LETTERS) for _ in range(drawn.randint(least, most)))

    def edited(text: str) -> str:
        at = drawn.randrange(len(text) + 1)
        return drawn.choice((text[:at] + "b" + text[at:], text[:at] + text[at + 1 :], text[:at] + "1" + text[at + 1 :]))

    count = 0
    for asked in (word(4, 12) for _ in range(60)):
        meant = edited(edited(asked)) if drawn.random() < 0.5 else edited(asked)
        shape = drawn.choice(SHAPES)
        keyword = shape.format(*[*(word(1, 3) for _ in range(shape.count("{}") - 1)), meant])
        rows = [
            CatalogRow(namespace="n", name=f"{word(2, 4)}-{word(1, 3)}", type="tool", summary="", keywords=(keyword,))
        ]
        near = _Near({asked})
        near.look(_Part(rows, 0), {asked})
        expected = near_by_hand(rows, asked)
        assert set(near._near.get(asked, ())) == expected, (asked, keyword)
        count += len(expected)
    assert count > 20


def test_a_name_that_lies_late_takes_few_rows_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """Words that may have been meant are collected until one row matches; that must cost next to nothing."""
    rows = [
        CatalogRow(namespace="team", name=f"cache-slack-{number}", type="tool", summary="cache of slack, hashed")
        for number in range(10_000, 10_300)
    ]
    taken: list[str] = []

    def counted(text: str) -> set[str]:
        taken.append(text)
        return tokens(text)

    monkeypatch.setattr(_search_index, "tokens", counted)
    found, is_any = Index(ListedRows(rows)).find("hash-cache-20299", lambda _: True)
    assert (found, is_any) == ([], False)
    assert len(taken) < 20
