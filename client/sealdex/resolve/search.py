"""Searches the catalog for plugins that match words and filters, best match first. Pure.

docs/search.md specifies what matches and in which order; the site's search-engine.js does the same, over an index that
it keeps.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from sealdex.model.catalog import CatalogRow
from sealdex.resolve._search_filters import MetricBound, Query, Sort, filter_of, parse_metric
from sealdex.resolve._search_index import IS_NAME, Index, ListedRows, Matched, Rows
from sealdex.resolve._search_text import squeezed


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
    return search_parts(ListedRows(rows), query)[0]


def search_parts(rows: Rows, query: Query, limit: int | None = None) -> tuple[list[Hit], int]:
    """Return the rows that match, as `search`, and how many there are.

    Args:
        rows: in parts, of which one is looked at after the other.
        query: what is asked for.
        limit: return only so many.
    """
    text = " ".join(query.words)
    index, passes = Index(rows), filter_of(query)
    if text.strip():
        found, meant = _found(index, text, passes)
    else:
        found, meant = index.every(passes), None
    ordered = _ordered(found, index.dependents, query.sort, has_words=bool(text.strip()))
    shown = ordered[:limit]
    there = index.rows(each.at for each in shown)
    return [Hit(there[each.at], each.rank, meant, each.at) for each in shown], len(ordered)


def _found(index: Index, text: str, passes: Callable[[CatalogRow], bool]) -> tuple[list[Matched], str | None]:
    """Return what matches a text, or what was meant by it, and that."""
    found, is_any = index.find(text, passes)
    if is_any:
        return found, None
    for corrected in index.corrections(text):
        found, is_any = index.find(corrected, passes)
        if is_any:
            return found, corrected
    return [], None


def _ordered(found: Iterable[Matched], dependents: Counter[str], sort: Sort, *, has_words: bool) -> list[Matched]:
    """Sort from the last criterion to the first: each sort keeps the order of what it finds equal."""
    ordered = sorted(found, key=lambda each: (each.name, each.namespace))
    if sort == "name":
        return ordered
    ordered.sort(key=lambda each: each.updated_at, reverse=True)
    if sort == "recent":
        return ordered
    if sort == "used":
        ordered.sort(key=lambda each: -dependents[f"{each.namespace}/{each.name}"])
    elif has_words:
        ordered.sort(
            key=lambda each: (
                each.rank != IS_NAME and each.is_old,
                each.rank,
                each.is_old,
                -each.score,
                -dependents[f"{each.namespace}/{each.name}"],
            )
        )
    else:
        ordered.sort(key=lambda each: each.is_old)
    return ordered


__all__ = ["Hit", "MetricBound", "Query", "Rows", "Sort", "parse_metric", "search", "search_parts", "squeezed"]
