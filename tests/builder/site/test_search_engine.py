"""Search is specified once: one table of cases, and many random ones, for the site's engine and the client alike."""

from __future__ import annotations

import json
import random
import unicodedata
from typing import Any

import msgspec
import pytest
from support.budgets import examples
from support.search_engine import CASES, ask, page_query

from sealdex.model.catalog import CatalogRow
from sealdex.resolve import _search_text as texts
from sealdex.resolve.search import Query, parse_metric, search

TABLE = json.loads(CASES.read_text(encoding="utf-8"))
WHAT = [case["what"] for case in TABLE["cases"]]


def rows_of(values: list[dict[str, Any]]) -> list[CatalogRow]:
    return msgspec.convert(values, list[CatalogRow])


def client_query(asked: dict[str, Any]) -> Query:
    """Return what the page asks as the client asks it."""
    facets = {key: tuple(values) for key, values in asked["facets"].items()}
    deprecated = facets.get("deprecated")
    return Query(
        words=tuple(asked["text"].split()),
        type=facets.get("type"),
        keywords=facets.get("keyword", ()),
        labels={key: facets[key] for key in ("os", "arch") if key in facets},
        tags=facets.get("tag", ()),
        metrics=tuple(map(parse_metric, asked["metrics"])),
        namespaces=facets.get("namespace", ()),
        licenses=facets.get("licence", ()),
        channels=facets.get("channel", ()),
        deprecated=None if deprecated is None else deprecated == ("yes",),
        sort=asked["sort"],
    )


def of_client(rows: list[CatalogRow], asked: dict[str, Any]) -> dict[str, Any]:
    hits = search(rows, client_query(asked))
    return {
        "total": len(hits),
        "ids": [str(hit.row.id) for hit in hits],
        "meant": hits[0].meant if hits else None,
    }


def held(case: dict[str, Any], answer: dict[str, Any]) -> None:
    if "ids" in case:
        assert answer["ids"] == case["ids"]
    else:
        assert answer["ids"][: len(case["first"])] == case["first"]
        assert answer["total"] == case["total"]
    assert answer["meant"] == case.get("meant")


@pytest.fixture(scope="module")
def page_answers() -> list[dict[str, Any]]:
    return ask("queries", rows=TABLE["rows"], queries=[page_query(case) for case in TABLE["cases"]])  # type: ignore[no-any-return]


@pytest.mark.parametrize("number", range(len(WHAT)), ids=WHAT)
def test_the_page_keeps_the_table(page_answers: list[dict[str, Any]], number: int) -> None:
    held(TABLE["cases"][number], page_answers[number])


@pytest.mark.parametrize("case", TABLE["cases"], ids=WHAT)
def test_the_client_keeps_the_table(case: dict[str, Any]) -> None:
    held(case, of_client(rows_of(TABLE["rows"]), page_query(case)))


# --- both sides alike ------------------------------------------------------------------------------------------------


def test_both_fold_and_split_all_characters_alike() -> None:
    dense = [*range(0x3400), *range(0xA000, 0xAC00), *range(0xF900, 0x20000), *range(0xE0000, 0xE0200)]
    sparse = [*range(0x3400, 0xA000, 89), *range(0xAC00, 0xD800, 89), *range(0x20000, 0x32400, 997)]
    known = [f"xa{chr(code)}B-{chr(code)}" for code in (*dense, *sparse) if unicodedata.category(chr(code)) != "Cn"]
    differing = [
        (each, own, there)
        for each, (is_assigned, *there) in zip(known, ask("texts", texts=known), strict=True)
        if is_assigned and there != (own := [texts.fold(each), _sorted(texts.tokens(each)), texts.squeezed(each)])
    ]
    assert len(known) > 20_000
    assert differing == []


def _sorted(found: set[str]) -> list[str]:
    return sorted(found, key=lambda token: token.encode("utf-16-be"))  # as JavaScript does


def test_both_split_mixed_texts_alike() -> None:
    choose = random.Random("texts")  # noqa: S311  # test data
    parts = [
        "word",
        "C",
        "#",
        "+",
        "-",
        "_",
        ".",
        "/",
        " ",
        "é",
        "e\u0301",
        "ß",
        "\u03a3",
        "游",
        "戏",
        "ガ",
        "\uff9e",
        "한",
        "글",
    ]
    parts += [
        "ไ",
        "ท",
        "🎲",
        "👩\u200d🚀",
        "İ",
        "\u2019",
        "\uff11",
        "\ufb01",
        "\u0627\u064e",
        "\u200c",
        "कि",
        "𠮷",
        "11",
        "8",
    ]
    made = ["".join(choose.choices(parts, k=choose.randint(1, 9))) for _ in range(3000)]
    there = ask("texts", texts=made)
    assert [row[1:] for row in there] == [[texts.fold(t), _sorted(texts.tokens(t)), texts.squeezed(t)] for t in made]
    units = [[[unit.text, [*unit.parts], unit.is_word] for unit in texts.units(each)] for each in made]
    assert ask("units", texts=made) == units


def test_texts_of_ascii_are_split_alike_without_strings() -> None:
    choose = random.Random("ascii")  # noqa: S311  # test data
    parts = [*"aB9#+-_./' \t!~\x7f", "word", "C++", "a-b", "x_y/z", "8."]
    made = ["", *("".join(choose.choices(parts, k=choose.randint(1, 9))) for _ in range(2000))]
    expected = [
        [_sorted(texts.tokens(each)), None if "#" in each or "+" in each else texts.squeezed(each)] for each in made
    ]
    found = ask("ascii", texts=made)
    assert [(text, each[0]) for text, each in zip(made, found, strict=True)] == [
        (text, each[0]) for text, each in zip(made, expected, strict=True)
    ]
    assert [squeezed for _, squeezed in found if squeezed is not None] == [
        own for (_, own), (_, there) in zip(expected, found, strict=True) if there is not None
    ]
    assert any(squeezed is None for _, squeezed in found)


def test_a_catalog_is_kept_as_it_was_whatever_its_json_looks_like() -> None:
    rows: list[dict[str, Any]] = [
        {"name": 'a"\\', "summary": "é \u2028 }]{[,:", "labels": {"os": ["linux"], "x": {"y": [[], {}]}}},
        {"summary": "", "name": "b", "releases": 12, "score": -1.5e-7, "is": True, "title_i18n": {}, "\u00e9": [1, 2]},
        {},
        {"__proto__": {"polluted": 1}, "name": 'a"\\'},
    ]
    plain = {"format": 1, "plugins": rows, "more": {"plugins": [1]}}
    spaced = json.dumps(plain, indent=3).replace("\n", "\r\n\t")
    documents = [json.dumps(plain, ensure_ascii=False, separators=(",", ":")), json.dumps(plain), f" {spaced}\n"]
    kept = {"said": {"format": 1, "more": {"plugins": [1]}}, "rows": rows}
    assert ask("documents", documents=documents) == [kept] * 3
    without = ['{"format": 1}', '{"plugins": []}', '{"plugins": [ ]}', "{}", '{"plugins": null}']
    assert [found["rows"] for found in ask("documents", documents=without)] == [[]] * 5
    assert ask("documents", documents=['{"plugins":[{"name":"a","title":null}]}'])[0]["rows"] == [{"name": "a"}]
    cut = [documents[0][:at] for at in range(len(documents[0]))]
    wrong = ['{"plugins":[{"a":}]}', '{"plugins":[{"a" 1}]}', '{"plugins":[1]}', '{"plugins":[{}{}]}', '{"a":1}{', "[]"]
    assert ask("documents", documents=[*cut, *wrong]) == [None] * (len(cut) + len(wrong))


def test_whatever_is_asked_both_find_the_same_in_the_same_order() -> None:
    choose = random.Random("rows")  # noqa: S311  # test data
    words = ["slack", "chat", "kanban", "board", "wordcount", "word", "count", "café", "游戏合集", "小游戏", "c#", "go"]
    words += ["plugin", "cuda-11.8", "notify", "🎲", "notes", "note", "robot", "robots"]
    rows: list[dict[str, Any]] = []
    for number in range(250):
        name = "-".join(choose.sample(["slack", "chat", "kanban", "board", "word", "count", "go", "note", "robot"], 2))
        rows.append({
            "namespace": f"ns{number % 7}",
            "name": f"{name}-{number}" if number % 3 else f"{name}{number}",
            "type": choose.choice(["build", "HAL_DRIVER"]),
            "summary": " ".join(["plugin"] * (number % 2) + choose.choices(words, k=5)),
            "title": " ".join(choose.choices(words, k=2)),
            "keywords": choose.sample(words, 2),
            "updated_at": f"2026-0{1 + number % 9}-01T00:00:00Z",
            **({"deprecated": ""} if number % 11 == 0 else {}),
            "dependencies": [f"{row['namespace']}/{row['name']}" for row in choose.sample(rows, min(len(rows), 2))],
        })  # fmt: skip
    queries = []
    asked = examples(100, slow=True)
    for _ in range(asked):
        text = choose.choice([" ", "-", " "]).join(choose.choices(words, k=choose.randint(1, 3)))
        if choose.random() < 0.3:
            at = choose.randrange(len(text))
            text = text[:at] + text[at + 1 :]
        elif choose.random() < 0.3:
            text = text[: choose.randrange(1, len(text) + 1)]
        facets = {"type": ["build"]} if choose.random() < 0.2 else {}
        sort = choose.choice(["relevance"] * 6 + ["recent", "name", "used"])
        queries.append({"text": text, "facets": facets, "metrics": [], "sort": sort})
    typed = rows_of(rows)
    answers = ask("queries", rows=rows, queries=queries)
    assert sum(bool(answer["meant"]) for answer in answers) > asked / 30
    assert sum(bool(answer["ids"]) for answer in answers) > asked * 2 / 3
    for query, answer in zip(queries, answers, strict=True):
        assert (query, of_client(typed, query)) == (query, answer)


def test_marks_stand_on_parts_of_words() -> None:
    cases = [
        ("word-count for words", "word-count", ["word-count", "word"]),
        ("word-count for words", "wordcount", ["word-count"]),
        ("word-count for words", "word", ["word", "word"]),
        ("群聊小游戏合集", "游戏", ["游戏"]),
        ("A Café in \uff23\uff21\uff26\uff25", "cafe", ["Café", "\uff23\uff21\uff26\uff25"]),
        ("Cafe\u0301s", "cafe", ["Cafe\u0301"]),
        ("a mongo and Go", "go", ["Go"]),
        ("telemetry", "emet", ["emet"]),
        ("in C# and C", "c#", ["C#"]),
        ("Throw a 🎲", "🎲", ["🎲"]),
        ("nothing", "else", []),
    ]
    assert ask("marks", cases=[case[:2] for case in cases]) == [case[2] for case in cases]
