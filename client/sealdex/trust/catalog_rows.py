"""The rows of catalogs, read part by part whenever they are asked for: of a very large one a few shards at a time."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import accumulate

from sealdex.model.catalog import CatalogRow

ReadRows = Callable[[], Sequence[CatalogRow]]


class CatalogRows:
    """Rows of one or several registries, one after the other.

    Args:
        parts: each what returns the rows of a part, the same whenever it is called.
        are_kept: whether these stay in memory anyway.
    """

    def __init__(self, parts: Sequence[ReadRows], *, are_kept: bool) -> None:
        self.are_kept = are_kept
        self._parts = parts
        self._counts: list[int] = []

    def parts(self) -> Iterator[tuple[int, ReadRows]]:
        """Yield each part's number of its first row, and what reads its rows.

        The first time each part has to be read before the next is asked for, since nobody knows how many rows it has.
        """
        first = 0
        for number in range(len(self._parts)):
            yield first, partial(self._read, number)
            first += self._counts[number]

    def part_of(self, row: int) -> int:
        """Return which part has a row; after all were read."""
        return bisect_right(list(accumulate(self._counts)), row)

    def _read(self, number: int) -> Sequence[CatalogRow]:
        rows = self._parts[number]()
        if number == len(self._counts):
            self._counts.append(len(rows))
        return rows


__all__ = ["CatalogRows", "ReadRows"]
