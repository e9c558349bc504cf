"""The catalog of one registry: its shards, verified, and the rows in them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial

from sealdex.errors import NotFoundError
from sealdex.model.catalog import CATALOG_FORMAT, MAX_SHARD_BYTES, CatalogRow, CatalogShard, shard_of, shard_target
from sealdex.trust.errors import mixed_up
from sealdex.trust.registry import TrustedRegistry

_LARGE_CATALOG = 48 * 1024 * 1024
"""Bytes of all shards, some 130,000 plugins, above which they aren't held in memory together."""
_SHARDS_AT_ONCE = 4


def all_rows(registry: TrustedRegistry) -> list[CatalogRow]:
    """Return the rows of all plugins of a registry, in the order of shards.

    Raises:
        NotFoundError: the registry publishes no catalog.
        VerificationError, UnavailableError, FormatTooNewError: as `TrustedRegistry.index`.
    """
    shards = _shard_count(registry)
    return _rows_of(registry, range(shards), shards)


def row_parts(registry: TrustedRegistry) -> list[Callable[[], list[CatalogRow]]]:
    """Return what reads the rows of all plugins, in the order of shards; of a large catalog a few shards at a time.

    Each verifies again what it reads, so nothing has to stay in memory. Shards are kept on disk.

    Raises:
        NotFoundError, VerificationError, UnavailableError, FormatTooNewError: as `all_rows`; parts as well.
    """
    shards = _shard_count(registry)
    infos, _ = registry.target_infos(map(shard_target, range(shards)))
    if sum(info.length for info in infos.values() if info is not None) <= _LARGE_CATALOG:
        found = _rows_of(registry, range(shards), shards)
        return [lambda: found]
    numbers = [range(start, min(start + _SHARDS_AT_ONCE, shards)) for start in range(0, shards, _SHARDS_AT_ONCE)]
    return [partial(_rows_of, registry, each, shards) for each in numbers]


def _shard_count(registry: TrustedRegistry) -> int:
    first = _shards(registry, [0])[0]
    if first is None:
        raise NotFoundError(
            f"registry '{registry.name}' publishes no catalog, so it can't be searched",
            hint="install by name: sealdex install NAMESPACE/NAME",
        )
    return first.shards


def _rows_of(registry: TrustedRegistry, numbers: Iterable[int], shards: int) -> list[CatalogRow]:
    found: list[CatalogRow] = []
    for number, shard in _shards(registry, numbers).items():
        if shard is None or shard.shard != number or shard.shards != shards:
            raise mixed_up(registry.name, shard_target(number), "is missing, or another shard is in its place")
        strangers = [row.id for row in shard.plugins if shard_of(row.id, shards) != number]
        if strangers:
            raise mixed_up(registry.name, shard_target(number), f"holds {strangers[0]}, which belongs to another shard")
        found += shard.plugins
    return found


def _shards(registry: TrustedRegistry, numbers: Iterable[int]) -> dict[int, CatalogShard | None]:
    found = registry.documents({n: shard_target(n) for n in numbers}, MAX_SHARD_BYTES)
    return {
        number: None if data is None else registry.decoded(data, CatalogShard, CATALOG_FORMAT, shard_target(number))
        for number, data in found.items()
    }
