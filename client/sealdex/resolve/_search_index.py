"""Which rows of a catalog match a text, and how closely. Pure.

A search looks at all rows once, or twice where a word is mistyped; a row whose text lacks a word is never taken apart.
Rows come in parts, so that those of a very large catalog needn't be in memory together; what is kept is which rows have
which word.
"""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from operator import mul
from typing import NamedTuple, Protocol

from sealdex.model.catalog import CatalogRow
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

IS_NAME = 0
_BEGINS_AS_WORDS, _WORDS_OF_NAME, _BEGINS, _ELSEWHERE = range(1, 5)


class Rows(Protocol):
    """All rows of a catalog, in parts; the same each time.

    Attributes:
        are_kept: whether they stay in memory anyway; else each call reads a part again.
    """

    are_kept: bool

    def parts(self) -> Iterator[tuple[int, Callable[[], Sequence[CatalogRow]]]]:
        """Yield the number of each part's first row, and what returns its rows; at first it is called in order."""


class ListedRows:
    """Rows that are in memory, as one part."""

    are_kept = True

    def __init__(self, rows: Sequence[CatalogRow]) -> None:
        self._rows = rows

    def parts(self) -> Iterator[tuple[int, Callable[[], Sequence[CatalogRow]]]]:
        """See `Rows`."""
        yield 0, lambda: self._rows


class Matched(NamedTuple):
    """A row that matches, without all that only a reader wants to see of it.

    Attributes:
        at: which of the rows it is.
        name, namespace, updated_at: of the row.
        is_old: whether it is deprecated.
    """

    at: int
    rank: int
    score: int
    name: str
    namespace: str
    updated_at: str
    is_old: bool


class _Asked(NamedTuple):
    """A query; which of its units must be there, the whole catalog says."""

    units: list[Unit]
    required: list[Unit]
    whole: str
    rest: str


class _Near:
    """What mistyped words may have meant: words of names, titles, keywords and namespaces that are near enough to them.

    Attributes:
        words: those that are long enough to be mistyped.
    """

    def __init__(self, words: Iterable[str]) -> None:
        limits = {word: 0 if len(word) < _MIN_TYPO_LENGTH else 1 if len(word) < _MIN_TWO_TYPOS else 2 for word in words}
        self._limits = {word: limit for word, limit in limits.items() if limit}
        self._near: dict[str, dict[str, tuple[int, int, int]]] = {word: {} for word in self._limits}
        self._endings: dict[tuple[str, ...], re.Pattern[str]] = {}

    @property
    def words(self) -> set[str]:
        return set(self._limits)

    def look(self, part: _Part, words: set[str]) -> None:
        """Look for some of the words in a part; each must be looked for in all parts."""
        limits = {word: limit for word, limit in self._limits.items() if word in words}
        if not limits:
            return
        pieces = [piece for word, limit in limits.items() for piece in _intact(word, limit)]
        for term, (weight, rows) in part.vocabulary(pieces, self._ending(limits)).items():
            for word, limit in limits.items():
                if not _may_be_near(word, term, limit):
                    continue
                near = self._near[word]
                if term in near:
                    far, heavier, before = near[term]
                    near[term] = far, max(heavier, weight), before + rows
                elif far := distance(word, term, limit) or 0:
                    near[term] = far, weight, rows

    def _ending(self, limits: dict[str, int]) -> re.Pattern[str]:
        """Return a pattern of ASCII for where a word ends that has one of these pieces, and about as much after it.

        A token that is near has that in its row's text, or in the one with compounds as one word: a part of a compound
        ends in the former, an end of a compound in the latter. It is found ten times as fast as tokens are.
        """
        key = tuple(limits)
        if key not in self._endings:
            ways = []
            for word, limit in limits.items():
                rest = len(word)
                for piece in _intact(word, limit):
                    rest -= len(piece)
                    ways.append(f"{re.escape(piece)}[a-z0-9]{{{max(rest - limit, 0)},{rest + limit}}}")
            self._endings[key] = re.compile(f"(?:{'|'.join(ways)})(?![a-z0-9])")
        return self._endings[key]

    def nearest(self, word: str) -> str | None:
        """Return the word that a mistyped one is nearest to; None: none is near enough."""
        found = self._near.get(word)
        return min(found, key=lambda term: (found[term][0], -found[term][1], -found[term][2], term)) if found else None


def _intact(word: str, limit: int) -> list[str]:
    """Return pieces of a word of which each word that is near has one: an edit touches two of them at most."""
    count = 2 * limit + 1
    ends = [len(word) * at // count for at in range(count + 1)]
    return [word[start:end] for start, end in itertools.pairwise(ends)]


class Index:
    """The texts of a catalog's rows, taken apart as far as a search needs it.

    Attributes:
        dependents: how many rows need each plugin; after the first look at the rows.
    """

    def __init__(self, rows: Rows) -> None:
        self._rows = rows
        self._kept: dict[int, _Part] = {}
        self._count: int | None = None
        self._near = _Near(set())
        self._matches: dict[Unit, int] = {}
        self.dependents: Counter[str] = Counter()

    def every(self, passes: Callable[[CatalogRow], bool]) -> list[Matched]:
        """Return all rows that pass a filter."""
        return [matched(at, row) for part in self._parts() for at, row in part.rows_by_number() if passes(row)]

    def find(self, text: str, passes: Callable[[CatalogRow], bool]) -> tuple[list[Matched], bool]:
        """Return the rows that match a text and pass a filter, in no order; and whether any matched at all."""
        found = units(text)
        if not found:
            return [], False
        asked = _Asked(found, found, whole := squeezed(text), whole)
        matching: dict[Unit, set[int]] = {unit: set() for unit in found}
        matched_so_far: list[tuple[Matched, tuple[int, ...]]] = []
        is_any = False
        self._near = _Near({unit.text for unit in found if unit.is_word})
        for part in self._parts():
            own = {unit: part.matching(unit, is_alone=len(found) == 1) for unit in found}
            for unit, rows in own.items():
                matching[unit] |= rows
            candidates = set.intersection(*own.values()) | part.beginning(whole)
            is_any = is_any or bool(candidates)
            # judged at once, as long as all units have to be there: a part isn't kept to be looked at again
            matched_so_far += (part.judged(at, asked) for at in sorted(candidates) if passes(part.row(at)))
            if not is_any:
                self._near.look(part, {unit.text for unit in found if not matching[unit]})
        many = self._count or 0
        self._matches = {unit: len(rows) for unit, rows in matching.items()}
        shared = {u for u in found if many >= _SHARED_FROM and 2 * len(matching[u]) >= many}
        required = [unit for unit in found if unit not in shared] or found
        rest = "".join(unit.text for unit in required) if shared else whole
        if (required, rest) != (found, whole):
            asked = _Asked(found, required, whole, rest)
            begins: set[int] = set().union(*(part.beginning(rest) for part in self._parts()))
            candidates = set.intersection(*(matching[unit] for unit in required)) | begins
            is_any = bool(candidates)
            matched_so_far = [part.judged(at, asked) for part, at in self._each(candidates) if passes(part.row(at))]
        rarity = [(many // max(len(matching[unit]), 1)).bit_length() for unit in found]
        return [each._replace(score=sum(map(mul, rarity, values))) for each, values in matched_so_far], is_any

    def rows(self, wanted: Iterable[int]) -> dict[int, CatalogRow]:
        """Return rows by their numbers."""
        return {at: part.row(at) for part, at in self._each(set(wanted))}

    def corrections(self, text: str) -> Iterator[str]:
        """Yield what may have been meant by a text for which `find` has just found nothing, most probable first."""
        words = text.split()
        parts = [units(word) for word in words]
        spelled = [own[0] if len(own) == 1 and own[0].is_word else None for own in parts]
        counts = [min((self._matches[unit] for unit in own), default=self._count or 0) for own in parts]
        if lacking := [at for at, count in enumerate(counts) if count == 0]:
            groups, near_words = [lacking], self._near
        else:
            groups = [[at] for at in sorted(range(len(words)), key=lambda at: counts[at])]
            near_words = _Near({unit.text for unit in spelled if unit is not None})
            for part in self._parts():
                near_words.look(part, near_words.words)
        for group in groups:
            near = [near_words.nearest(unit.text) if (unit := spelled[at]) is not None else None for at in group]
            corrected = list(words)
            for at, meant in zip(group, near, strict=True):
                if meant is None:
                    break
                corrected[at] = meant
            else:
                yield " ".join(corrected)

    def _parts(self) -> Iterator[_Part]:
        """Look at all rows, part by part; one that is all there is stays as it was taken apart."""
        is_first = self._count is None
        count = 0
        for number, (offset, read) in enumerate(self._rows.parts()):
            part = self._taken(number, offset, read)
            count += len(part)
            if is_first:
                self.dependents.update(part.needed())
            yield part
            self._let_go(part)
        self._count = count

    def _each(self, wanted: set[int]) -> Iterator[tuple[_Part, int]]:
        """Yield each wanted row's part and number; parts without any aren't read again."""
        if not wanted:
            return  # perhaps nothing was read yet, since no unit was asked for
        waiting = sorted(wanted, reverse=True)
        starts = [(offset, read) for offset, read in self._rows.parts()]
        for number, (offset, read) in enumerate(starts):
            end = starts[number + 1][0] if number + 1 < len(starts) else None
            part = None
            while waiting and (end is None or waiting[-1] < end):
                part = part or self._taken(number, offset, read)
                yield part, waiting.pop()
            if part is not None:
                self._let_go(part)

    def _let_go(self, part: _Part) -> None:
        """Free what a part has before the next is read: whoever was given it may still hold on to it."""
        if not self._rows.are_kept:
            part.forget()

    def _taken(self, number: int, offset: int, read: Callable[[], Sequence[CatalogRow]]) -> _Part:
        part = self._kept.get(number)
        if part is None:
            part = _Part(read(), offset)
            if self._rows.are_kept:
                self._kept[number] = part
        return part


def matched(at: int, row: CatalogRow, rank: int = 0) -> Matched:
    """Return what is kept of a row."""
    return Matched(at, rank, 0, row.name, row.namespace, row.updated_at or "", row.deprecated is not None)


class _Part:
    """Some rows, numbered from an offset on, and their texts."""

    def __init__(self, rows: Sequence[CatalogRow], offset: int) -> None:
        self._rows = rows
        self._offset = offset
        self._tokens: dict[int, dict[str, int]] = {}

    def __len__(self) -> int:
        return len(self._rows)

    def forget(self) -> None:
        """Let everything go: rows, texts, tokens. Nothing is asked of this part afterwards."""
        vars(self).clear()

    def row(self, at: int) -> CatalogRow:
        return self._rows[at - self._offset]

    def rows_by_number(self) -> Iterator[tuple[int, CatalogRow]]:
        return enumerate(self._rows, self._offset)

    def needed(self) -> Iterator[str]:
        """Yield what each row depends on."""
        return (needed for row in self._rows for needed in row.dependencies)

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

    def beginning(self, text: str) -> set[int]:
        """Return the rows whose name, id or title begins with a text, if that is long enough."""
        if len(text) < _MIN_WHOLE:
            return set()
        return {
            at for at, wholes in enumerate(self._wholes, self._offset) if any(own.startswith(text) for own in wholes)
        }

    def vocabulary(self, pieces: Sequence[str], ending: re.Pattern[str]) -> dict[str, tuple[int, int]]:
        """Return words of names, titles, keywords and namespaces: what each weighs, and how many rows have it there.

        Args:
            pieces: words that have none of these may be missing.
            ending: words of texts in ASCII that don't end like this may be missing, too.
        """
        known: dict[str, tuple[int, int]] = {}
        for row, (text, joined) in zip(self._rows, self._texts, strict=True):
            for piece in pieces:
                if piece in joined:
                    break
            else:
                continue
            if text.isascii() and not ending.search(joined) and not ending.search(text):
                continue
            for token, mask in _tokens_of(row, _SPELLED).items():
                weight, rows = known.get(token, (0, 0))
                known[token] = max(weight, _WEIGHTS[mask]), rows + 1
        return known

    def matching(self, unit: Unit, *, is_alone: bool) -> set[int]:
        """Return the rows that a unit is found in."""
        texts, offset = self._texts, self._offset
        holding = [at for at, (text, joined) in enumerate(texts, offset) if unit.text in text or unit.text in joined]
        if len(unit.text) >= _MIN_INSIDE:
            found = set(holding)
        else:
            found = {at for at in holding if _value(unit, self._tokens_of(at), is_alone=is_alone)}
        if unit.parts:
            found.update(
                at
                for at, (text, joined) in enumerate(texts, offset)
                if at not in found
                and all(part in text or part in joined for part in unit.parts)
                and _value(unit, self._tokens_of(at), is_alone=is_alone)
            )
        return found

    def judged(self, at: int, asked: _Asked) -> tuple[Matched, tuple[int, ...]]:
        """Return how closely a row matches, and of rank 4 what each unit weighs in it, which makes its score."""
        row, wholes, is_alone = self.row(at), self._wholes[at - self._offset], len(asked.units) == 1
        if asked.whole in wholes:
            return matched(at, row, IS_NAME), ()
        begins = any(own.startswith(asked.rest) for own in wholes)
        own = self._tokens_of(at)
        if _are_words_of_name(asked.required, own):
            return matched(at, row, _BEGINS_AS_WORDS if begins else _WORDS_OF_NAME), ()
        if begins:
            return matched(at, row, _BEGINS), ()
        values = tuple(
            _WHOLE * _WEIGHTS[_NAME] if unit.text in wholes else _value(unit, own, is_alone=is_alone)
            for unit in asked.units
        )
        return matched(at, row, _ELSEWHERE), values

    def _tokens_of(self, at: int) -> dict[str, int]:
        """Return the tokens of a row, each with the fields it stands in."""
        known = self._tokens.get(at)
        if known is None:
            known = self._tokens[at] = _tokens_of(self.row(at))
        return known


def _tokens_of(row: CatalogRow, fields: int = -1) -> dict[str, int]:
    known: dict[str, int] = {}
    for text, field in _fields(row):
        if field & fields:
            for token in tokens(text):
                known[token] = known.get(token, 0) | field
    return known


def _may_be_near(word: str, term: str, limit: int) -> bool:
    return abs(len(term) - len(word)) <= limit and len(set(word).symmetric_difference(term)) <= 2 * limit


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
