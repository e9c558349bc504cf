"""``search/catalogue.json``: where search finds the catalog's shards, and which state of the registry the pages show.

It is the last file of the site that a publish writes. The next publish starts from the state in it: if it
differs from the registry's state, some pages are outdated and are written then.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

import msgspec
from msgspec import Struct

from registry_builder.baseline.documents import target_key
from registry_builder.signing.metadata import TargetPin
from registry_builder.site.urls import CATALOGUE, link
from sealdex.model.catalog import CatalogRow, names_first
from sealdex.model.decode import decode_as, encode_json
from sealdex.model.ids import PluginId

FORMAT = 1
MAX_BYTES = 1024 * 1024
_MOST_USED = 300


class Shown(Struct, frozen=True, omit_defaults=True):
    """What the pages show.

    Attributes:
        frame: digest of everything that all pages depend on, see `frame_digest`.
        snapshot: version of the snapshot whose plugins they show.
        images: digest of which images of READMEs they show, see `image_marks`; empty without any.
        api: digest of everything that the documents of ``api/`` depend on, see `StaticApi.digest`; empty without any.
    """

    frame: str
    snapshot: int
    api: str = ""
    images: str = ""


@dataclass(frozen=True)
class SearchFiles:
    """What search reads of the catalog, as keys in the published tree.

    Attributes:
        shards: the shards with all rows.
        names: those by name, by their first keys; none in a small registry.
        size: bytes of all of `shards`.
    """

    shards: tuple[str, ...]
    names: Mapping[str, str] = field(default_factory=dict)
    size: int = 0


class _File(Struct, omit_defaults=True):
    format: int
    shards: tuple[str, ...]
    pages: Shown | None = None
    names: dict[str, str] = {}
    size: int = 0
    plugins: int = 0
    used: tuple[tuple[str, int], ...] = ()
    held: dict[str, bool | tuple[str, ...]] | None = None


def search_files(pins: Mapping[str, TargetPin]) -> SearchFiles:
    """Sort the targets of ``catalog``."""
    shards, names, size = [], {}, 0
    for target, pin in sorted(pins.items()):
        if (first := names_first(target)) is not None:
            names[first] = target_key(target, pin.sha256)
        else:
            shards.append(target_key(target, pin.sha256))
            size += pin.size
    return SearchFiles(tuple(shards), names, size)


Held = dict[str, bool | tuple[str, ...]]
"""Namespace to the names in it, or to True for all of them."""


def held_of(catalog: Iterable[CatalogRow], held: Collection[PluginId] | None) -> Held | None:
    """Return what a mirror of a part has, as the page is told; None for None.

    Args:
        catalog: the rows of the whole registry.
        held: the plugins that are there.
    """
    if held is None:
        return None
    names: dict[str, list[str]] = {}
    lacking: set[str] = set()
    for row in catalog:
        if row.id in held:
            names.setdefault(row.namespace, []).append(row.name)
        else:
            lacking.add(row.namespace)
    return {namespace: tuple(sorted(own)) if namespace in lacking else True for namespace, own in sorted(names.items())}


def catalogue_file(
    files: SearchFiles | Iterable[str],
    shown: Shown | None,
    dependents: Mapping[PluginId, Collection[PluginId]] = {},
    *,
    plugins: int = 0,
    held: Held | None = None,
) -> bytes:
    """Return the file's bytes.

    Args:
        files: what there is; or keys of the shards alone.
        shown: what the pages show; None if that isn't a published state.
        dependents: plugin to those that need it; the page can't count them without all rows.
        plugins: how many rows all shards have.
        held: on a mirror of a part, what is there; see `held_of`.
    """
    if not isinstance(files, SearchFiles):
        files = SearchFiles(tuple(files))
    shards = tuple(link(key, page=CATALOGUE) for key in files.shards)
    if not files.names:
        return encode_json(_File(FORMAT, shards, shown, held=held))
    counts = sorted(((-len(needing), str(plugin)) for plugin, needing in dependents.items() if needing))[:_MOST_USED]
    return encode_json(
        _File(
            FORMAT,
            shards,
            shown,
            {first: link(key, page=CATALOGUE) for first, key in files.names.items()},
            size=files.size,
            plugins=plugins,
            used=tuple((plugin, -count) for count, plugin in counts),
            held=held,
        )
    )


def read_shown(data: bytes) -> Shown | None:
    """Return what the pages show according to themselves; None if that is missing or can't be read."""
    try:
        return decode_as(data, _File).pages
    except msgspec.DecodeError:
        return None
