"""The catalog: one row per plugin, in shards, for search. Signed by its own online role."""

from __future__ import annotations

import hashlib
from typing import Annotated

from msgspec import Meta, Struct

from sealdex.lazy import regex
from sealdex.model.ids import IdentifierPart, PluginId

CATALOG_FORMAT = 1
MAX_SHARD_BYTES = 16 * 1024 * 1024


class CatalogRow(Struct, frozen=True, omit_defaults=True, gc=False):  # there are many, and none is in a circle
    """What a list shows of a plugin.

    Attributes:
        latest: the version to show first: the newest of ``stable`` that is neither yanked nor a pre-release; where
            there is none, the newest that isn't yanked, of ``stable`` before other channels.
        labels: label key to the values that the latest release's artifacts are for; a key that is missing is
            unconstrained.
        tags: compatibility tags that some artifact of the latest release needs.
        channels: channel to its newest version.
        deprecated: the reason, while the plugin is deprecated; empty text when none was given.
        use: the plugin to use instead.
        title: the plugin's name for people, in any script, at most 80 characters.
        language: the language of title and summary, where it is stated.
        title_i18n, summary_i18n: the same in other languages, by tag such as ``zh`` or ``pt-BR``.
        metrics: what was measured of the latest release; of two evaluations with one metric the later one counts.
        dependencies: the plugins that the latest release needs, sorted; counted over all rows they are the dependents.
    """

    namespace: IdentifierPart
    name: IdentifierPart
    type: str
    summary: str
    latest: str | None = None
    updated_at: str | None = None
    license: str | None = None
    keywords: tuple[str, ...] = ()
    labels: dict[str, tuple[str, ...]] = {}
    tags: tuple[str, ...] = ()
    channels: dict[str, str] = {}
    releases: int = 0
    deprecated: str | None = None
    use: str | None = None
    metrics: dict[str, float] = {}
    title: str | None = None
    language: str | None = None
    title_i18n: dict[str, str] = {}
    summary_i18n: dict[str, str] = {}
    dependencies: tuple[str, ...] = ()

    @property
    def id(self) -> PluginId:
        """``namespace/name``."""
        return PluginId(self.namespace, self.name)


class CatalogShard(Struct, frozen=True):
    """Shard number ``shard`` of ``shards``; rows sorted by id."""

    format: Annotated[int, Meta(ge=1)]
    shard: Annotated[int, Meta(ge=0)]
    shards: Annotated[int, Meta(ge=1, le=4096)]
    plugins: tuple[CatalogRow, ...]


class CatalogNames(Struct, frozen=True, omit_defaults=True):
    """A shard of the catalog by name: rows with a name or title whose key is from ``first`` up to the next shard's.

    Large registries have them besides the others, for pages; docs/search.md says what a key is.

    Attributes:
        first: the least key that this shard may have.
        plugins: rows whose name has such a key, sorted by id.
        titles: rows that are here for a title, sorted by id; they lack what a release changes.
    """

    format: Annotated[int, Meta(ge=1)]
    first: str
    plugins: tuple[CatalogRow, ...]
    titles: tuple[CatalogRow, ...] = ()


_NAMES = "catalog/names-"
_SHARD = regex(r"catalog/(?:[0-9a-f]{3}|names-[0-9A-Za-z]+)\.json")


def names_target(first: str) -> str:
    """Return the TUF target path of a shard by name."""
    return f"{_NAMES}{first}.json"


def names_first(target: str) -> str | None:
    """Return the first key of a shard by name; None for any other target."""
    return target.removeprefix(_NAMES).removesuffix(".json") if target.startswith(_NAMES) else None


def shard_target(shard: int) -> str:
    """Return the TUF target path of a shard."""
    return f"catalog/{shard:03x}.json"


def is_catalog_target(target: str) -> bool:
    """Return whether a TUF target path is that of a shard, with all rows or by name."""
    return _SHARD.fullmatch(target) is not None


def shard_of(plugin: PluginId, shards: int) -> int:
    """Return the shard a plugin's row is in: the first 4 bytes of SHA-256 of its id, modulo the number of shards."""
    return int.from_bytes(hashlib.sha256(str(plugin).encode()).digest()[:4], "big") % shards
