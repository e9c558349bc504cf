"""The names most similar to a mistyped one, by edit distance and by parts. Pure; needs only the standard library.

typed             meant               because
registyr          registry            two neighbours are swapped
--chanel          --channel           one letter is missing
slack-notify      acme/notify-slack   its parts are there, in another order
dowload.timout    download.timeout    each of its parts is nearly one of those
--attestation     --require-attestation   it is a part of it
inst              install             it begins like it
"""

from __future__ import annotations

TYPE_CHECKING = False  # as type checkers read it, without the import
if TYPE_CHECKING:
    from collections.abc import Iterable

_SEPARATORS = str.maketrans(dict.fromkeys("/-_.@", " "))
_BY_PARTS = 0.5
_BY_BEGINNING = 0.6
_LEAST_BEGINNING = 3
_MANY = 2000


def most_similar(typed: str, known: Iterable[str], count: int = 1) -> list[str]:
    """Return the names that were most probably meant, best first; none if nothing is near.

    Of more than two thousand names, parts must be the same to count: 100,000 are compared in less than a second.

    Args:
        typed: the name as written.
        known: the names that exist; among equally similar ones the earlier comes first.
        count: return at most this many.
    """
    names = list(known)
    wanted = _Wanted(typed, is_quick=len(names) > _MANY)
    scored = [(score, number) for number, name in enumerate(names) if (score := wanted.score(name)) is not None]
    return list(dict.fromkeys(names[number] for _, number in sorted(scored)))[:count]


def distance(one: str, other: str, limit: int) -> int | None:
    """Return how many letters must be inserted, removed, replaced or swapped with their neighbour; None: over a limit.

    This is the optimal string alignment distance.
    """
    if abs(len(one) - len(other)) > limit:
        return None
    before_last: list[int] = []
    last = list(range(len(other) + 1))
    for i, a in enumerate(one, 1):
        row = [i]
        for j, b in enumerate(other, 1):
            cost = min(last[j] + 1, row[j - 1] + 1, last[j - 1] + (a != b))
            if i > 1 and j > 1 and a == other[j - 2] and one[i - 2] == b:
                cost = min(cost, before_last[j - 2] + 1)
            row.append(cost)
        if min(row) > limit:
            return None
        before_last, last = last, row
    return last[-1] if last[-1] <= limit else None


class _Wanted:
    """A name as it was typed, taken apart once for all comparisons."""

    def __init__(self, typed: str, *, is_quick: bool) -> None:
        self._text = _plain(typed)
        self._letters = set(self._text)
        self._parts = _parts(self._text)
        self._is_quick = is_quick

    def score(self, name: str) -> float | None:
        """Return how far a name is, 0 for the same in other case; None: too far."""
        text = _plain(name)
        longer = max(len(self._text), len(text))
        limit = _limit(longer)
        # each edit changes at most two of the letters that occur, which tells most names apart
        if abs(len(self._text) - len(text)) <= limit and len(self._letters.symmetric_difference(text)) <= 2 * limit:
            found = distance(self._text, text, limit)
            if found is not None:
                return found / max(longer, 1)
        if not self._is_quick or any(part in text for part in self._parts):
            far = self._by_parts(_parts(text))
            if far is not None:
                return far
        if len(self._text) >= _LEAST_BEGINNING and text.startswith(self._text):
            return _BY_BEGINNING + (len(text) - len(self._text)) / 100
        return None

    def _by_parts(self, there: tuple[str, ...]) -> float | None:
        """Return how far the parts of the shorter name are from those of the longer one."""
        few, many = (self._parts, there) if len(self._parts) <= len(there) else (there, self._parts)
        if not few:
            return None
        edits = 0.0
        for part in few:
            if part not in many:
                near = None if self._is_quick else _nearest_part(part, many)
                if near is None:
                    return None
                edits += near
        return _BY_PARTS + edits / 4 + (len(many) - len(few)) / (20 * len(many))


def _nearest_part(part: str, among: tuple[str, ...]) -> float | None:
    found = [d / len(part) for other in among if (d := distance(part, other, _limit(len(part)))) is not None]
    return min(found, default=None)


def _limit(length: int) -> int:
    """Return how many edits of a name of this length are still a typo."""
    return 0 if length < 3 else 1 if length < 5 else 2 if length < 9 else 3 if length < 15 else 4


def _plain(name: str) -> str:
    return name.lstrip("-").casefold()


def _parts(name: str) -> tuple[str, ...]:
    return tuple(name.translate(_SEPARATORS).split())
