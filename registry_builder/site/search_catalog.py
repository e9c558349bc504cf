"""``search/catalogue.json``: where search finds the catalog's shards, and which state of the registry the pages show.

It is the last file of the site that a publish writes. The next publish starts from the state in it: if it
differs from the registry's state, some pages are outdated and are written then.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
from msgspec import Struct

from registry_builder.site.urls import CATALOGUE, link
from sealdex.model.decode import decode_as, encode_json

FORMAT = 1
MAX_BYTES = 1024 * 1024


class Shown(Struct, frozen=True, omit_defaults=True):
    """What the pages show.

    Attributes:
        frame: digest of everything that all pages depend on, see `frame_digest`.
        snapshot: version of the snapshot whose plugins they show.
        api: digest of everything that the documents of ``api/`` depend on, see `StaticApi.digest`; empty without any.
    """

    frame: str
    snapshot: int
    api: str = ""


class _File(Struct):
    format: int
    shards: tuple[str, ...]
    pages: Shown | None = None


def catalogue_file(shards: Iterable[str], shown: Shown | None) -> bytes:
    """Return the file's bytes.

    Args:
        shards: keys of the shards in the published tree.
        shown: what the pages show; None if that isn't a published state.
    """
    return encode_json(_File(FORMAT, tuple(link(key, page=CATALOGUE) for key in shards), shown))


def read_shown(data: bytes) -> Shown | None:
    """Return what the pages show according to themselves; None if that is missing or can't be read."""
    try:
        return decode_as(data, _File).pages
    except msgspec.DecodeError:
        return None
