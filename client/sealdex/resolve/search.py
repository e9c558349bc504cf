"""Searches the catalog for plugins that match words and filters, best match first. Pure.

All words must match, each anywhere in id, keywords or summary. A word without a match is searched again with one typo
(a letter added, removed, changed, or two swapped) in names and keywords. Rank of a word, lower is better: the name
itself, start of the name, a whole word, part of the name, part of anything else, a typo in the name, a typo elsewhere.
Deprecated plugins come last.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from msgspec import Struct

from sealdex.model.catalog import CatalogRow
from sealdex.model.ids import normalise_type

_NAME, _PREFIX, _WORD, _IN_NAME, _ANYWHERE, _NAME_TYPO, _TYPO = range(7)
_WORDS = re.compile(r"[^\W_]+")
_MIN_TYPO_LENGTH = 4


class Query(Struct, frozen=True):
    """A search; all criteria must hold.

    Attributes:
        words: in any order, case doesn't matter.
        type: a plugin type, in either spelling.
        keywords, tags: each must be among the plugin's.
        labels: label key to value; a plugin that doesn't constrain the key matches.
        min_metrics, max_metrics: metric to the lowest (highest) accepted value of the latest release; a plugin without
            that metric doesn't match.
    """

    words: tuple[str, ...] = ()
    type: str | None = None
    keywords: tuple[str, ...] = ()
    labels: Mapping[str, str] = {}
    tags: tuple[str, ...] = ()
    min_metrics: Mapping[str, float] = {}
    max_metrics: Mapping[str, float] = {}


class Hit(NamedTuple):
    """A match; ``rank`` is 0 for a plugin of exactly that name and higher for worse matches."""

    row: CatalogRow
    rank: int


def search(rows: Sequence[CatalogRow], query: Query) -> list[Hit]:
    """Return the rows that match, best first, deprecated ones last; ties by id.

    Without words, everything that passes the filters.
    """
    found = [row for row in rows if _passes(row, query)]
    words = [word for text in query.words for word in text.lower().split()]
    if not words:
        return _ordered(Hit(row, 0) for row in found)
    texts = [f"{row.namespace}/{row.name} {' '.join(row.keywords)} {row.summary}".lower() for row in found]
    # every word narrows the rows for the next one
    candidates = [(row, text, 0) for row, text in zip(found, texts, strict=True)]
    for word in words:
        whole = re.compile(rf"(?<!\w){re.escape(word)}(?!\w)")
        matching = [(row, text, rank + _rank(row, text, word, whole)) for row, text, rank in candidates if word in text]
        is_typo = _typo_of(word)
        candidates = matching or [
            (row, text, rank + (_NAME_TYPO if is_typo(row.name) else _TYPO))
            for row, text, rank in candidates
            if _has_word(row, is_typo)
        ]
    return _ordered(Hit(row, rank) for row, _, rank in candidates)


def _passes(row: CatalogRow, query: Query) -> bool:
    if query.type is not None and normalise_type(row.type) != normalise_type(query.type):
        return False
    if any(keyword.lower() not in row.keywords for keyword in query.keywords):
        return False
    if any(tag not in row.tags for tag in query.tags):
        return False
    if any(name not in row.metrics or row.metrics[name] < least for name, least in query.min_metrics.items()):
        return False
    if any(name not in row.metrics or row.metrics[name] > most for name, most in query.max_metrics.items()):
        return False
    return all(value in row.labels.get(key, (value,)) for key, value in query.labels.items())


def _ordered(hits: Iterable[Hit]) -> list[Hit]:
    return sorted(hits, key=lambda hit: (hit.row.deprecated is not None, hit.rank, hit.row.name, hit.row.namespace))


def _rank(row: CatalogRow, text: str, word: str, whole: re.Pattern[str]) -> int:
    if word in {row.name, f"{row.namespace}/{row.name}"}:
        return _NAME
    if row.name.startswith(word):
        return _PREFIX
    if whole.search(text):
        return _WORD
    return _IN_NAME if word in row.name or word in row.namespace else _ANYWHERE


def _has_word(row: CatalogRow, holds: Callable[[str], bool]) -> bool:
    return holds(row.name) or any(map(holds, row.keywords)) or any(map(holds, _WORDS.findall(row.name)))


def _typo_of(word: str) -> Callable[[str], bool]:
    """Return a test for being one edit away: insertion, deletion, substitution or swap of neighbours."""
    length = len(word)
    # a word of three letters is one edit away from too many others: test nothing then
    shortest = length - 1 if length >= _MIN_TYPO_LENGTH else length + 2

    def one_edit(other: str) -> bool:
        if not shortest <= len(other) <= length + 1:
            return False
        start = 0
        for a, b in zip(word, other):  # noqa: B905  # the shorter one ends it
            if a != b:
                break
            start += 1
        left, right = word[start:], other[start:]
        return (
            left[1:] == right[1:]
            or left == right[1:]
            or left[1:] == right
            or (left[:2] == right[1::-1] and left[2:] == right[2:])
        )

    return one_edit
