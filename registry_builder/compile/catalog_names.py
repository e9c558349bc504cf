"""Shards of the catalog by name: what a search page fetches for what is typed, instead of all rows. Pure.

A row is in the shard of its name, and is there as in the catalog. Where a title begins otherwise, its shard has the row
too, without what a release changes. So a release of a plugin that is there already changes one of these shards.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Iterable, Iterator
from math import isqrt

from msgspec.structs import replace

from sealdex.model.catalog import CATALOG_FORMAT, CatalogNames, CatalogRow
from sealdex.model.decode import encode_json
from sealdex.resolve.search import squeezed

MANY = 2_000
"""Plugins up to which a page may as well read all rows."""
ENTRIES = 400
"""Entries of a new shard; of more than 160,000 plugins as many as the root of their number. One that has twice as many
is split. So the list of shards, which a page reads first, grows no faster than a shard does."""
_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyz0123456789")
_MAX_KEY = 64
_LEAST = "0"  # of all keys


def name_key(text: str) -> str:
    """Return what decides about the shard of a name or title, in letters and digits of ASCII.

    It is the text without case, spaces and punctuation; characters of other scripts stand as one of 26 capitals, so
    that there are few shards and their names are plain.
    """
    return "".join(char if char in _PLAIN else chr(65 + ord(char) % 26) for char in squeezed(text)[:_MAX_KEY])


def name_shards(rows: Collection[CatalogRow], before: Collection[str] = ()) -> dict[str, bytes]:
    """Return the bytes of each shard by the key that it begins with; none for a small registry that has none yet.

    A shard has the keys from its own up to that of the next one.

    Args:
        rows: all rows of the catalog.
        before: the keys of the shards that are published. They stay, so that few shards change.
    """
    if len(rows) <= MANY and not before:
        return {}
    entries = [(name_key(row.name), row, False) for row in rows]
    entries += [(key, row, True) for row in rows for key in {name_key(title) for title in _titles(row)} if key]
    entries.sort(key=lambda entry: entry[0])
    size = max(ENTRIES, isqrt(len(rows)))
    return {first: _bytes(first, own) for first, own in _ranges(entries, before, size)}


_Entry = tuple[str, CatalogRow, bool]


def _ranges(entries: list[_Entry], before: Collection[str], size: int) -> Iterator[tuple[str, list[_Entry]]]:
    firsts = sorted({_LEAST, *before})
    keys = [key for key, _, _ in entries]
    ends = [bisect_left(keys, first) for first in firsts[1:]]
    for first, start, end in zip(firsts, [0, *ends], [*ends, len(entries)], strict=True):
        if end - start < 2 * size:
            if end > start:
                yield first, entries[start:end]
            continue
        at = start
        while at < end:
            until = min(at + size, end)
            while until < end and keys[until] == keys[until - 1]:  # what has one key stays together
                until += 1
            yield (first if at == start else _between(keys[at - 1], keys[at])), entries[at:until]
            at = until


def _between(last: str, key: str) -> str:
    """Return the shortest beginning of a key that comes after the one before it."""
    return next(key[:end] for end in range(1, len(key) + 1) if key[:end] > last)


def _bytes(first: str, entries: Iterable[_Entry]) -> bytes:
    plugins: dict[str, CatalogRow] = {}
    titled: dict[str, CatalogRow] = {}
    for _, row, is_title in entries:
        if is_title:
            titled[str(row.id)] = _lasting(row)
        else:
            plugins[str(row.id)] = row
    return encode_json(
        CatalogNames(
            CATALOG_FORMAT,
            first,
            tuple(plugins[plugin] for plugin in sorted(plugins)),
            tuple(titled[plugin] for plugin in sorted(titled.keys() - plugins.keys())),
        )
    )


def _titles(row: CatalogRow) -> Iterator[str]:
    if row.title is not None:
        yield row.title
    yield from row.title_i18n.values()


def _lasting(row: CatalogRow) -> CatalogRow:
    """Return a row without what a release changes."""
    return replace(
        row, latest=None, updated_at=None, labels={}, tags=(), channels={}, releases=0, metrics={}, dependencies=()
    )
