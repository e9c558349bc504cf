"""Titles, keywords and translations: any script is welcome, and what hides or reorders text is refused with a fix."""

from __future__ import annotations

import json
from typing import Annotated

import msgspec
import pytest

from sealdex.model.catalog import CatalogRow
from sealdex.model.decode import DocumentError, convert_to, read_json, read_values
from sealdex.model.plugin import Plugin
from sealdex.model.wording import keyword_problem, line_problem
from sealdex.text import clean, clean_title

GOOD = {"type": "notify", "summary": "s"}
# what Chinese, Japanese, Korean, Thai, Hindi, Arabic, Hebrew, Russian and Vietnamese people write
WORDS = [
    "语音",
    "群聊-游戏",
    "ロボット",
    "로봇",
    "หุ่นยนต์",
    "रोबोट",
    "روبوت",
    "רובוט",
    "робот-2",
    "tiếng_việt",
    "٣d",
    "ros-2",
]


@pytest.mark.parametrize("word", WORDS)
def test_keywords_and_titles_may_be_in_any_script(word: str) -> None:
    read = read_values({**GOOD, "keywords": [word], "title": f"{word} 2.0!"}, Plugin)
    assert (read.keywords, read.title) == ((word,), f"{word} 2.0!")


@pytest.mark.parametrize(
    ("keyword", "said"),
    [
        ("a--b", "groups"),
        ("-语音", "groups"),
        ("Ångström".lower().replace("å", "a\u030a"), "NFC): write 'ångström'"),
        ("Ärger", "lower case: write 'ärger'"),
        ("语 音", "a keyword in lower case"),
        ("语\u202e音", "U+202E (RIGHT-TO-LEFT OVERRIDE)"),
        ("a\u200bä", "U+200B"),
        ("语音\uff01", "neither a letter nor a digit"),
        ("🎲", "neither a letter nor a digit"),
        ("x-\u0301é", "a mark without a letter"),
        ("\U00020000" * 64, "256 bytes"),
        ("音\ue000", "no meaning"),
    ],
)
def test_a_keyword_that_hides_or_reads_in_two_ways_is_refused_with_its_place(keyword: str, said: str) -> None:
    with pytest.raises(DocumentError) as caught:
        read_values({**GOOD, "keywords": ["chat", keyword]}, Plugin)
    assert [(p.path, said in p.message) for p in caught.value.problems] == [("keywords[1]", True)], caught.value


@pytest.mark.parametrize(
    ("title", "said"),
    [
        ("x" * 81, "at most 80"),
        (" Slack", "without space around it"),
        ("Slack\nmessages", "one line"),
        ("消息\u2067evil\u2069", "U+2067"),
        ("Cafe\u0301", "NFC): write 'Café'"),
        ("Sl\u200cack\u200c", "U+200C"),
        ("Slack\x1b[31m", "U+001B"),
    ],
)
def test_a_title_is_one_visible_line(title: str, said: str) -> None:
    for values, place in (({"title": title}, "title"), ({"title_i18n": {"pt-BR": title}}, 'title_i18n["pt-BR"]')):
        with pytest.raises(DocumentError) as caught:
            read_json(json.dumps({**GOOD, **values}).encode(), Plugin)
        assert [(p.path, said in p.message) for p in caught.value.problems] == [(place, True)], caught.value


def test_every_problem_is_named_at_once_and_each_place_once() -> None:
    bad = {**GOOD, "keywords": ["A", "a\u202e"], "title": "\u200bx", "summary_i18n": {"Chinese": "x"}, "licence": "MIT"}
    with pytest.raises(DocumentError) as caught:
        read_values(bad, Plugin)
    places = [problem.path for problem in caught.value.problems]
    assert places == ["licence", "summary_i18n.Chinese", "keywords[0]", "keywords[1]", "title"]


def test_joiners_stay_in_titles_where_their_scripts_need_them() -> None:
    persian, family = "می\u200cخو\u0627\u0647م", "👩\u200d👩\u200d👧 Family"
    assert line_problem(persian) is None
    assert line_problem(family) is None
    assert clean_title(persian) == persian
    assert clean_title(family) == family
    assert clean_title(f"\u200d{family}\u202e\u200d\x1b[2J") == family
    assert "\u200c" not in clean(persian)
    assert keyword_problem(persian) is not None


def test_a_plugin_without_any_of_it_has_the_bytes_that_it_always_had() -> None:
    row = CatalogRow("acme", "slack", "notify", "s")
    assert msgspec.json.encode(row) == b'{"namespace":"acme","name":"slack","type":"notify","summary":"s"}'
    assert not {"title", "language"} & msgspec.to_builtins(convert_to(GOOD, Plugin)).keys()


def test_quotes_are_advised_only_where_text_is_wanted() -> None:
    class Sample(msgspec.Struct):
        name: str = ""
        count: Annotated[int, msgspec.Meta(ge=1)] = 1

    with pytest.raises(DocumentError) as caught:
        read_values({"name": 12, "count": 0}, Sample)
    name, count = caught.value.problems
    assert "put it in quotes" in name.message
    assert count.message.endswith("not the number 0")
