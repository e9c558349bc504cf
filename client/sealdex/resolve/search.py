"""Searches the catalog for plugins that match words and filters, best match first. Pure.

docs/search.md specifies what matches and in which order; the site's search-engine.js does the same, over an index that
it keeps. Here each search looks at all rows once: a row whose text lacks a word is never taken apart.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from typing import NamedTuple

from sealdex.model.catalog import CatalogRow
from sealdex.resolve._search_filters import MetricBound, Query, Sort, filter_of, parse_metric
from sealdex.resolve._search_text import Unit, fold, squeezed, tokens, units, without_connectors
from sealdex.similar import distance

# Fields as bits: name and titles, keywords, namespace, tags, type, summaries; and what a token found there weighs.
_NAME, _KEYWORD, _NAMESPACE, _TAG, _TYPE, _SUMMARY = (1 << at for at in range(6))
_FIELD_WEIGHTS = {_NAME: 8, _KEYWORD: 5, _NAMESPACE: 3, _TAG: 3, _TYPE: 2, _SUMMARY: 2}
_WEIGHTS = [max((weight for bit, weight in _FIELD_WEIGHTS.items() if mask & bit), default=0) for mask in range(64)]
_SPELLED = _NAME | _KEYWORD | _NAMESPACE  # fields whose words a mistyped one may have meant

_WHOLE, _EXACT, _PREFIX, _INSIDE = 6, 4, 2, 1  # of a name or title all, a word, the start of one, a part of one
_MIN_INSIDE = 3  # letters that may stand inside of a word
_MIN_WHOLE = 2  # letters that may begin a name

_MIN_TYPO_LENGTH = 4
_MIN_TWO_TYPOS = 8
_SHARED_FROM = 20  # rows from which on a word that half of them have may be missing

_IS_NAME, _BEGINS_AS_WORDS, _WORDS_OF_NAME, _BEGINS, _ELSEWHERE = range(5)


class Hit(NamedTuple):
    """A match.

    Attributes:
        row: the plugin's.
        rank: 0 for a plugin of exactly that name or title, higher for worse matches.
        meant: the words that this is found by, where nothing matches those that were asked.
        at: which of the rows searched it is.
    """

    row: CatalogRow
    rank: int
    meant: str | None = None
    at: int = 0


def search(rows: Sequence[CatalogRow], query: Query) -> list[Hit]:
    """Return the rows that match, in the order asked for.

    Without words, everything that passes the filters; with nothing but punctuation, nothing.
    """
    passes = filter_of(query)
    text = " ".join(query.words)
    dependents = Counter(needed for row in rows for needed in row.dependencies)
    if not text.strip():
        every = [_Found(at, 0, 0) for at, row in enumerate(rows) if passes(row)]
        return [Hit(rows[f.at], 0, None, f.at) for f in _ordered(every, rows, dependents, query.sort, has_words=False)]
    index = _Index(rows)
    found, meant = index.find(text), None
    if not found:
        for corrected in index.corrections(text):
            if found := index.find(corrected):
                meant = corrected
                break
    passed = [each for each in found if passes(rows[each.at])]
    ordered = _ordered(passed, rows, dependents, query.sort, has_words=True)
    return [Hit(rows[each.at], each.rank, meant, each.at) for each in ordered]


class _Found(NamedTuple):
    at: int
    rank: int
    score: int


def _ordered(
    found: Iterable[_Found], rows: Sequence[CatalogRow], dependents: Counter[str], sort: Sort, *, has_words: bool
) -> list[_Found]:
    """Sort from the last criterion to the first: each sort keeps the order of what it finds equal."""
    ordered = sorted(found, key=lambda each: (rows[each.at].name, rows[each.at].namespace))
    if sort == "name":
        return ordered
    ordered.sort(key=lambda each: rows[each.at].updated_at or "", reverse=True)
    if sort == "recent":
        return ordered
    if sort == "used":
        ordered.sort(key=lambda each: -dependents[str(rows[each.at].id)])
    elif has_words:
        ordered.sort(
            key=lambda each: (
                each.rank != _IS_NAME and rows[each.at].deprecated is not None,
                each.rank,
                rows[each.at].deprecated is not None,
                -each.score,
                -dependents[str(rows[each.at].id)],
            )
        )
    else:
        ordered.sort(key=lambda each: rows[each.at].deprecated is not None)
    return ordered


class _Index:
    """The texts of rows, taken apart as far as a search needs it."""

    def __init__(self, rows: Sequence[CatalogRow]) -> None:
        self._rows = rows
        self._tokens: dict[int, dict[str, int]] = {}

    @cached_property
    def _texts(self) -> list[tuple[str, str]]:
        """All texts of each row, folded; as they are, and with compounds as one word."""
        folded = (fold("\n".join(text for text, _ in _fields(row))) for row in self._rows)
        return [(text, without_connectors(text)) for text in folded]

    @cached_property
    def _wholes(self) -> list[tuple[str, ...]]:
        """What of each row a whole query may be: name, id, titles."""
        return [
            (_plain_part(row.name), _plain_part(row.namespace) + _plain_part(row.name), *map(squeezed, _titles(row)))
            for row in self._rows
        ]

    def find(self, text: str) -> list[_Found]:
        """Return the rows that match a text, in no order."""
        asked = units(text)
        if not asked:
            return []
        matching = {unit: self._matching(unit, is_alone=len(asked) == 1) for unit in asked}
        many = len(self._rows)
        shared = {u for u in asked if many >= _SHARED_FROM and 2 * len(matching[u]) >= many}
        required = [unit for unit in asked if unit not in shared] or asked
        whole, rest = squeezed(text), "".join(unit.text for unit in required) if shared else squeezed(text)
        candidates = set.intersection(*(matching[unit] for unit in required))
        for at, wholes in enumerate(self._wholes):
            if at not in candidates and len(rest) >= _MIN_WHOLE and any(own.startswith(rest) for own in wholes):
                candidates.add(at)
        rarity = {unit: (many // max(len(matching[unit]), 1)).bit_length() for unit in asked}
        return [self._judged(at, asked, required, (whole, rest), rarity) for at in candidates]

    def corrections(self, text: str) -> Iterator[str]:
        """Yield what may have been meant by a text that matches nothing, most probable first."""
        words = text.split()
        spelled = [own[0] if len(own := units(word)) == 1 and own[0].is_word else None for word in words]
        counts = [
            min((len(self._matching(unit, is_alone=False)) for unit in units(word)), default=len(self._rows))
            for word in words
        ]
        if lacking := [at for at, count in enumerate(counts) if count == 0]:
            groups = [lacking]
        else:
            groups = [[at] for at in sorted(range(len(words)), key=lambda at: counts[at])]
        for group in groups:
            corrected = list(words)
            for at in group:
                unit = spelled[at]
                near = self._nearest(unit.text) if unit is not None else None
                if near is None:
                    break
                corrected[at] = near
            else:
                yield " ".join(corrected)

    @cached_property
    def _vocabulary(self) -> dict[str, tuple[int, int]]:
        """Each word of names, titles, keywords and namespaces: what it weighs, and how many rows have it there."""
        known: dict[str, tuple[int, int]] = {}
        for at in range(len(self._rows)):
            for token, mask in self._tokens_of(at).items():
                if mask & _SPELLED:
                    weight, rows = known.get(token, (0, 0))
                    known[token] = max(weight, _WEIGHTS[mask & _SPELLED]), rows + 1
        return known

    def _nearest(self, word: str) -> str | None:
        """Return the word that a mistyped one is nearest to; None: none is near enough."""
        limit = 0 if len(word) < _MIN_TYPO_LENGTH else 1 if len(word) < _MIN_TWO_TYPOS else 2
        if not limit:
            return None
        letters = set(word)
        best: tuple[int, int, int, str] | None = None
        for term, (weight, rows) in self._vocabulary.items():
            if abs(len(term) - len(word)) > limit or len(letters.symmetric_difference(term)) > 2 * limit:
                continue
            far = distance(word, term, limit)
            if far and (best is None or (far, -weight, -rows, term) < best):
                best = (far, -weight, -rows, term)
        return best[3] if best is not None else None

    def _matching(self, unit: Unit, *, is_alone: bool) -> set[int]:
        """Return the rows that a unit is found in."""
        holding = [at for at, (text, joined) in enumerate(self._texts) if unit.text in text or unit.text in joined]
        if len(unit.text) >= _MIN_INSIDE:
            found = set(holding)
        else:
            found = {at for at in holding if _value(unit, self._tokens_of(at), is_alone=is_alone)}
        if unit.parts:
            found.update(
                at
                for at, (text, joined) in enumerate(self._texts)
                if at not in found
                and all(part in text or part in joined for part in unit.parts)
                and _value(unit, self._tokens_of(at), is_alone=is_alone)
            )
        return found

    def _tokens_of(self, at: int) -> dict[str, int]:
        """Return the tokens of a row, each with the fields it stands in."""
        known = self._tokens.get(at)
        if known is None:
            known = self._tokens[at] = {}
            for text, field in _fields(self._rows[at]):
                for token in tokens(text):
                    known[token] = known.get(token, 0) | field
        return known

    def _judged(
        self, at: int, asked: list[Unit], required: list[Unit], texts: tuple[str, str], rarity: dict[Unit, int]
    ) -> _Found:
        wholes, (whole, rest), is_alone = self._wholes[at], texts, len(asked) == 1
        if whole in wholes:
            return _Found(at, _IS_NAME, 0)
        begins = any(own.startswith(rest) for own in wholes)
        own = self._tokens_of(at)
        if _are_words_of_name(required, own):
            return _Found(at, _BEGINS_AS_WORDS if begins else _WORDS_OF_NAME, 0)
        if begins:
            return _Found(at, _BEGINS, 0)
        score = sum(
            rarity[unit] * (_WHOLE * _WEIGHTS[_NAME] if unit.text in wholes else _value(unit, own, is_alone=is_alone))
            for unit in asked
        )
        return _Found(at, _ELSEWHERE, score)


def _titles(row: CatalogRow) -> Iterator[str]:
    """Yield a plugin's titles, in all languages."""
    if row.title is not None:
        yield row.title
    yield from row.title_i18n.values()


def _fields(row: CatalogRow) -> Iterator[tuple[str, int]]:
    """Yield each text that is searched, and its field."""
    yield row.name, _NAME
    yield row.namespace, _NAMESPACE
    yield row.type, _TYPE
    yield row.summary, _SUMMARY
    for title in _titles(row):
        yield title, _NAME
    for keyword in row.keywords:
        yield keyword, _KEYWORD
    for tag in row.tags:
        yield tag, _TAG
    for summary in row.summary_i18n.values():
        yield summary, _SUMMARY


def _plain_part(part: str) -> str:
    """Return a namespace or name as `squeezed` would; they are ASCII in lower case."""
    return part.replace("-", "").replace(".", "").replace("_", "")


def _value(unit: Unit, own: dict[str, int], *, is_alone: bool) -> int:
    """Return what a unit weighs in a row: of all its places the best; of a compound in parts, its weakest part.

    One letter begins too many words: where it is all that is asked, and as a part of a compound, it only begins those
    of names.
    """
    is_long = len(unit.text) >= _MIN_INSIDE
    value = _value_of(unit.text, own, may_be_inside=is_long, names_only=is_alone and _is_letter(unit.text, unit))
    if unit.parts:
        parts = (_value_of(p, own, may_be_inside=False, names_only=_is_letter(p, unit)) for p in unit.parts)
        value = max(value, min(parts))
    return value


def _is_letter(text: str, unit: Unit) -> bool:
    return len(text) == 1 and unit.is_word


def _value_of(text: str, own: dict[str, int], *, may_be_inside: bool, names_only: bool) -> int:
    best = _EXACT * _WEIGHTS[own.get(text, 0)]
    for token, mask in own.items():
        if token.startswith(text):
            best = max(best, _PREFIX * _WEIGHTS[mask & _NAME if names_only else mask])
        elif may_be_inside and text in token:
            best = max(best, _INSIDE * _WEIGHTS[mask])
    return best


def _are_words_of_name(required: list[Unit], own: dict[str, int]) -> bool:
    """Return whether a query's words are whole words of name, title or namespace, and one of them not the latter's."""
    in_name = False
    for unit in required:
        masks = [own.get(unit.text, 0)]
        if unit.parts and not masks[0] & _NAME:
            masks = [own.get(part, 0) for part in unit.parts]
        if not all(mask & (_NAME | _NAMESPACE) for mask in masks):
            return False
        in_name = in_name or any(mask & _NAME for mask in masks)
    return in_name


__all__ = ["Hit", "MetricBound", "Query", "Sort", "parse_metric", "search", "squeezed"]
