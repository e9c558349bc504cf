"""Which Content-Type and Cache-Control a file of the published tree has, from its key alone. Pure.

The S3 storage sends them with each object and the local web server with each response, so that a folder, a
bucket and a CDN in front of either behave alike. A folder stores no headers, so they must follow from the key.
"""

from __future__ import annotations

import posixpath
import re
from typing import NamedTuple

NO_CACHE = "no-cache"  # may be stored, must be revalidated on each use
IMMUTABLE = "public, max-age=31536000, immutable"  # a year, which RFC 9111 caches treat as "forever"
SHORT_LIVED = "public, max-age=60, must-revalidate"

TIMESTAMP_KEY = "metadata/timestamp.json"
BUNDLE_KEY = "metadata/recent.bundle"
LOCK_KEY = "metadata/publisher.lock"

# A table of our own rather than the host's /etc/mime.types: the same tree has the same headers everywhere.
_INERT_TYPES = {
    ".gif": "image/gif",
    ".gz": "application/gzip",
    ".jpeg": "image/jpeg",
    ".jpg": "image/jpeg",
    ".json": "application/json",
    ".md": "text/markdown; charset=utf-8",
    ".pdf": "application/pdf",
    ".png": "image/png",
    ".tar": "application/x-tar",
    ".tgz": "application/gzip",
    ".txt": "text/plain; charset=utf-8",
    ".webp": "image/webp",
    ".xz": "application/x-xz",
    ".yaml": "application/yaml",
    ".yml": "application/yaml",
    ".zip": "application/zip",
    ".zst": "application/zstd",
}
# What a browser would run or use as a style. Never for authors' uploads: an HTML or SVG file among the
# artifacts would otherwise run its scripts on the site's origin.
_ACTIVE_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".ico": "image/x-icon",
    ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".wasm": "application/wasm",
    ".webmanifest": "application/manifest+json",
    ".woff2": "font/woff2",
    ".xml": "application/xml",
}
_SITE_TYPES = {**_INERT_TYPES, **_ACTIVE_TYPES}
_FALLBACK_TYPE = "application/octet-stream"

# plugins/NS/NAME/VERSION/FILE: names of files have no character that would have to be escaped
_UPLOADED = re.compile(r"plugins/[^/]+/[^/]+/(?!readme/)[^/]+/([A-Za-z0-9._+@=-]+)")
_VERSIONED_METADATA = re.compile(r"metadata/[0-9]+\.[^/]+")
# assets/search.3f9a1c2b.js, assets/3f9a1c2b.search.js: part of the name is a digest of the content.
_HASHED_ASSET = re.compile(r"assets/(?:.*[/.-])?[0-9a-f]{8,64}[.-][^/]+")


class ObjectHeaders(NamedTuple):
    """The two headers that an object is stored and served with."""

    content_type: str
    cache_control: str


def headers_for(key: str) -> ObjectHeaders:
    """Return the headers of the published file ``key``, a path relative to the tree's root."""
    return ObjectHeaders(_content_type(key), _cache_control(key))


def disposition_for(key: str) -> str | None:
    """Return the Content-Disposition of a published file, or None where browsers decide.

    Artifacts and attachments are saved under their name, whatever their type; manifests and READMEs are shown.
    """
    match = _UPLOADED.fullmatch(key)
    return None if match is None or match[1] == "manifest.json" else f'attachment; filename="{match[1]}"'


def _content_type(key: str) -> str:
    types = _INERT_TYPES if key.startswith("plugins/") else _SITE_TYPES
    return types.get(posixpath.splitext(key)[1].lower(), _FALLBACK_TYPE)


def _cache_control(key: str) -> str:
    if key in {TIMESTAMP_KEY, LOCK_KEY}:
        return NO_CACHE
    if key.startswith(("targets/", "plugins/")):
        return IMMUTABLE
    if _VERSIONED_METADATA.fullmatch(key) or _HASHED_ASSET.fullmatch(key):
        return IMMUTABLE
    return SHORT_LIVED  # the bundle, pages, api/: rewritten in place by each publish
