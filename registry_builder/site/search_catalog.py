"""``search/catalogue.json``: where search finds the catalogue's shards, and which state of the registry the pages show.

It is the last file of the site that a publish writes. The state in it is what the next publish takes up from: when it
isn't that of the registry as found, pages were left behind, and are caught up with.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
from msgspec import Struct

from registry_builder.site.urls import CATALOGUE, link
from sealdex.model.decode import decode_as, encode_json

FORMAT = 1
MAX_BYTES = 1024 * 1024


class Shown(Struct, frozen=True):
    """What the pages show.

    Attributes:
        frame: digest of all that every page depends on, see `frame_digest`.
        snapshot: version of the snapshot whose plugins they show.
    """

    frame: str
    snapshot: int


class _File(Struct):
    format: int
    shards: tuple[str, ...]
    pages: Shown | None = None


def catalogue_file(shards: Iterable[str], shown: Shown | None) -> bytes:
    """Return the file's bytes.

    Args:
        shards: keys of the shards in the published tree.
        shown: what the pages show; None when that isn't a published state.
    """
    return encode_json(_File(FORMAT, tuple(link(key, page=CATALOGUE) for key in shards), shown))


def read_shown(data: bytes) -> Shown | None:
    """Return what the pages show, as they say themselves; None when they don't, or not so that it can be read."""
    try:
        return decode_as(data, _File).pages
    except msgspec.DecodeError:
        return None
