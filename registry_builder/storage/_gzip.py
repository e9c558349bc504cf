"""Which published files are stored gzipped if that is enabled, and both directions. Pure.

Larger texts that clients fetch as a whole: index documents, catalog shards, the site's pages. Metadata stays plain,
because it is small, its large parts are compressed in the bundle, and every TUF client reads it; so does all of
``plugins/``, which is fetched in ranges. docs/decisions/0012 has the figures.
"""

from __future__ import annotations

import hashlib
import zlib
from dataclasses import replace
from typing import TYPE_CHECKING

from registry_builder.storage.headers import headers_for

if TYPE_CHECKING:
    from registry_builder.storage.protocol import Body

GZIP = "gzip"

_PLAIN_FOLDERS = ("metadata/", "plugins/")
_TEXT = ("text/", "application/json", "application/xml", "application/manifest+json", "image/svg+xml")
_MIN_BYTES = 1400  # what fits into one packet doesn't arrive sooner if it is smaller
_MIN_SAVED = 0.2
_GZIP_WBITS = 16 + zlib.MAX_WBITS


def is_encodable(key: str) -> bool:
    """Return whether the file ``key`` may be stored gzipped."""
    return not key.startswith(_PLAIN_FOLDERS) and headers_for(key).content_type.startswith(_TEXT)


def gzipped(body: Body) -> Body:
    """Return a gzipped body; the same input gives the same bytes, without time and name."""
    compressor = zlib.compressobj(9, wbits=_GZIP_WBITS)
    data = compressor.compress(body.data or b"") + compressor.flush()
    return replace(body, data=data, size=len(data), sha256=hashlib.sha256(data).hexdigest(), encoding=GZIP)


def encoded(key: str, body: Body) -> Body:
    """Return a gzipped body if that saves enough, else the body as it is."""
    if body.data is None or body.size < _MIN_BYTES or not is_encodable(key):
        return body
    smaller = gzipped(body)
    return smaller if smaller.size <= body.size * (1 - _MIN_SAVED) else body


def max_encoded(max_bytes: int) -> int:
    """Return the maximum gzipped size of a file of ``max_bytes``: gzip makes nothing much longer."""
    return max_bytes + max_bytes // 100 + 1024


def decoded(data: bytes, max_bytes: int) -> bytes:
    """Decompress gzip, but never to more than one byte beyond ``max_bytes``, whatever the data says.

    Data that isn't gzip is returned unchanged: the caller, who knows its digest, refuses it.
    """
    inflate = zlib.decompressobj(wbits=_GZIP_WBITS)
    try:
        plain = inflate.decompress(data, max_bytes + 1)
    except zlib.error:
        return data
    complete = inflate.eof and not inflate.unused_data
    return plain if complete or len(plain) > max_bytes else data


__all__ = ["GZIP", "decoded", "encoded", "gzipped", "is_encodable", "max_encoded"]
