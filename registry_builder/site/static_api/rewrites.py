"""The Model Hub's own addresses, answered by what is published: as a table, and by rules. Pure.

The table (``api/rewrites/model-hub.json``, and as an nginx map) has what follows from no rule: where the files are. It
is in the form that CloudFront's key value stores import. A value is a path of the published tree, an address elsewhere
or, for ``latest.zip``, another address of the Model Hub; the last two are redirects.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple
from urllib.parse import quote, unquote

import msgspec
from msgspec import Struct

from registry_builder.site.pages import Page
from registry_builder.site.static_api._hub_documents import Rewrite
from registry_builder.site.static_api.keys import NGINX_MAP, REWRITES
from sealdex.model.decode import decode_as, encode_json

MAX_BYTES = 64 * 1024 * 1024

# percent-encoded is whatever could end a string of nginx, begin a variable there or split a header
_PLAIN_PATH = "/~@=+:,!*()&"
_PLAIN_URL = "/~@=+:,!*()&?#[]%"
_DOCUMENTS = (
    (re.compile(r"/api/(services|models)/?"), "api/{0}/index.json"),
    (re.compile(r"/api/(services|models)/([^/]+)/?"), "api/{0}/{1}/index.json"),
    (re.compile(r"/api/services/([^/]+)/([^/]+)/checksum"), "api/services/{0}/{1}/checksum.json"),
    (re.compile(r"/storage/models/([^/]+)/([^/]+)/checksum\.sha256"), "api/models/{0}/{1}/checksum.sha256"),
)


class Answered(NamedTuple):
    """What answers an address: a file of the published tree, or a redirect."""

    key: str | None
    location: str | None


class _Entry(Struct, frozen=True):
    key: str
    value: str


class _Table(Struct, frozen=True):
    data: tuple[_Entry, ...]


def rewrite_tables(rewrites: Iterable[Rewrite]) -> list[Page]:
    """Return the table as JSON and as an nginx map."""
    ordered = sorted(Rewrite(each.path, _clean(each.to)) for each in rewrites)
    lines = "".join(f'"{quote(path, safe=_PLAIN_PATH)}" "{to}";\n' for path, to in ordered)
    table = _Table(tuple(_Entry(path, to) for path, to in ordered))
    return [Page(REWRITES, encode_json(table)), Page(NGINX_MAP, lines.encode())]


def read_table(data: bytes) -> dict[str, str]:
    """Return a table as ``rewrite_tables`` wrote it; empty if it can't be read."""
    try:
        return {entry.key: entry.value for entry in decode_as(data, _Table).data}
    except msgspec.DecodeError:
        return {}


def answered(path: str, table: Mapping[str, str]) -> Answered | None:
    """Return what answers an address of the Model Hub; None for every other address.

    Args:
        path: the request's path, percent signs decoded.
        table: as `read_table` returns it.
    """
    to = table.get(path)
    if to is not None:
        return Answered(unquote(to).removeprefix("/"), None) if to.startswith("/plugins/") else Answered(None, to)
    for pattern, key in _DOCUMENTS:
        if (match := pattern.fullmatch(path)) is not None and not path.endswith(".json"):
            return Answered(key.format(*match.groups()), None)
    return None


def _clean(to: str) -> str:
    return to if to.startswith("/") else quote(to, safe=_PLAIN_URL)


__all__ = ["MAX_BYTES", "Answered", "answered", "read_table", "rewrite_tables"]
