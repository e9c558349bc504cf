"""Texts as search sees them: folded, split into tokens. Pure.

docs/search.md specifies it, and the site's search-text.js does the same.
No tables beyond those here and the general categories, normalisation and lower case of Unicode are used, so that
Python and browsers agree on every character that both know.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

# Diacritics of Latin, Greek and Cyrillic, points of Hebrew and Arabic, selectors, joiners, direction marks, skin tones.
_REMOVED = re.compile(
    "[\u00ad\u0300-\u036f\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7\u0610-\u061a\u0640\u064b-\u065f\u0670"
    "\u06d6-\u06dc\u06df-\u06e4\u06e7\u06e8\u06ea-\u06ed\u1ab0-\u1aff\u1dc0-\u1dff\u200b-\u200f\u202a-\u202e"
    "\u2060-\u2064\u2066-\u2069\u20d0-\u20ff\ufe00-\ufe0f\ufe20-\ufe2f\ufeff\U0001f3fb-\U0001f3ff"
    "\U000e0100-\U000e01ef]+"
)
_LETTERS = str.maketrans({
    "ß": "ss", "æ": "ae", "œ": "oe", "ø": "o", "đ": "d", "ð": "d", "ł": "l", "\u0131": "i", "ħ": "h", "ŧ": "t",
    "þ": "th",
    "\u03c2": "\u03c3",  # the sigma at the end of a word
})  # fmt: skip
_SYMBOL = re.compile("[\u2190-\u2bff\U0001f000-\U0001faff]")
# Scripts that are written without spaces, or nearly so: Thai, Lao, Myanmar, Khmer, Hangul, Kana, Han.
_BY_PAIRS = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1100-\u11ff\u1780-\u17ff\u3005\u3007\u3040-\u30ff\u3130-\u318f\u31f0-\u31ff\u3400-\u4dbf"
    "\u4e00-\u9fff\ua960-\ua97f\uaa60-\uaa7f\uac00-\ud7ff\U0001b000-\U0001b16f\U00020000-\U000323af]"
)
_CONNECTORS = "-_.'/\u2010\u2019"
_SUFFIXES = "#+"

# Kinds of characters: w of a word, b of a run that is read by pairs, s a symbol by itself, c a connector within a
# compound, h a mark after a word (c#, c++), x anything else.
_PIECE = re.compile(r"(?P<word>w+(?:cw+)*)(?P<marks>h*)|(?P<run>b+)|(?P<symbol>s)")
_ASCII_KINDS = {
    code: "w" if chr(code).isalnum() else "c" if chr(code) in _CONNECTORS else "h" if chr(code) in _SUFFIXES else "x"
    for code in range(128)
}


class Unit(NamedTuple):
    """A part of a query that must be found.

    Attributes:
        text: what is looked for; of a compound (``word-count``) its parts as one word.
        parts: the parts of a compound, which may be found one by one instead; else empty.
        is_word: whether it is an ordinary word, which may be mistyped.
    """

    text: str
    parts: tuple[str, ...] = ()
    is_word: bool = True


def fold(text: str) -> str:
    """Return a text without differences of case, width, ligatures and diacritics."""
    if text.isascii():
        return text.lower()
    plain = _REMOVED.sub("", unicodedata.normalize("NFKD", text).lower())
    return unicodedata.normalize("NFC", plain.translate(_LETTERS))


def tokens(text: str) -> set[str]:
    """Return the tokens of a text: words, pairs, symbols; of a compound its parts, and each of its ends as one word."""
    found: set[str] = set()
    for piece, word, marks in _pieces(fold(text)):
        if word is None:
            found.update(_pairs(piece))
            continue
        found.update(word)
        for at in range(len(word) - 1):
            found.add("".join(word[at:]))
        if marks:
            found.add(word[-1] + marks)
    return found


def units(text: str) -> list[Unit]:
    """Return the parts of a query, each once, in order."""
    found: dict[Unit, None] = {}
    for piece, word, marks in _pieces(fold(text)):
        if word is None:
            if len(piece) > 1:
                found.update(dict.fromkeys(Unit(pair, is_word=False) for pair in _pairs(piece)[:-1]))
            else:
                found[Unit(piece, is_word=False)] = None
        elif marks:
            found.update(dict.fromkeys(map(Unit, word[:-1])))
            found[Unit(word[-1] + marks, is_word=False)] = None
        else:
            found[Unit("".join(word), tuple(word) if len(word) > 1 else ())] = None
    return list(found)


def squeezed(text: str) -> str:
    """Return a text folded, without spaces and punctuation: ``Word Count`` is ``wordcount``, ``c++`` itself."""
    return "".join(
        piece if word is None else "".join(word) + marks for piece, word, marks in _pieces(fold(text))
    )  # fmt: skip


def without_connectors(folded: str) -> str:
    """Return a folded text with its compounds as one word each: what contains a token of the text also stands here."""
    if folded.isascii():
        return _ASCII_CONNECTOR.sub("", folded)
    kinds = _kinds(folded)
    return "".join(
        char
        for at, char in enumerate(folded)
        if not (kinds[at] == "c" and at and kinds[at - 1] == "w" and kinds[at + 1 : at + 2] == "w")
    )


_ASCII_CONNECTOR = re.compile(r"(?<=[a-z0-9])[-_.'/](?=[a-z0-9])")
_ASCII_PIECE = re.compile(r"([a-z0-9]+(?:[-_.'/][a-z0-9]+)*)([#+]*)")
_ASCII_SPLIT = re.compile(r"[-_.'/]")


def _pieces(folded: str) -> Iterator[tuple[str, list[str] | None, str]]:
    """Yield (text, None, "") for runs and symbols, and (text, parts, marks behind it) for words and compounds."""
    if folded.isascii():
        for piece, marks in _ASCII_PIECE.findall(folded):
            yield piece, _ASCII_SPLIT.split(piece), marks
        return
    kinds = _kinds(folded)
    for found in _PIECE.finditer(kinds):
        start, end = found.span()
        if found["word"] is None:
            yield folded[start:end], None, ""
            continue
        start, end = found.span("word")
        piece = folded[start:end]
        parts, at = [], 0
        for part in re.finditer("w+", kinds[start:end]):
            at = part.end()
            parts.append(piece[part.start() : at])
        yield piece, parts, folded[end : found.end()]


def _pairs(run: str) -> list[str]:
    """Return each two neighbours of a run, and its last character."""
    return [*(run[at : at + 2] for at in range(len(run) - 1)), run[-1]]


def _kinds(folded: str) -> str:
    return "".join(map(_kind, folded))


@lru_cache(maxsize=1 << 14)
def _kind(char: str) -> str:
    if ord(char) < 128:
        return _ASCII_KINDS[ord(char)]
    if _SYMBOL.match(char):
        return "s"
    if unicodedata.category(char)[0] in "LNM":
        return "b" if _BY_PAIRS.match(char) else "w"
    return "c" if char in _CONNECTORS else "x"
