"""Fetches bytes from https://, http:// and file:// URLs, and says nothing about whether to trust them."""

from sealdex.transport._fetch import Stream, Transport
from sealdex.transport.retry import Attempts, Chance
from sealdex.transport.types import (
    CHUNK_BYTES,
    Credentials,
    Document,
    EncodingError,
    HttpStatusError,
    OtherRangeError,
    ProxyRefusedError,
    RedirectRefusedError,
    RetryNotice,
    TooLargeError,
    TransientError,
    TransportSettings,
    is_passing,
    public_url,
    strong_etag,
)

__all__ = [
    "CHUNK_BYTES",
    "Attempts",
    "Chance",
    "Credentials",
    "Document",
    "EncodingError",
    "HttpStatusError",
    "OtherRangeError",
    "ProxyRefusedError",
    "RedirectRefusedError",
    "RetryNotice",
    "Stream",
    "TooLargeError",
    "TransientError",
    "Transport",
    "TransportSettings",
    "is_passing",
    "public_url",
    "strong_etag",
]
