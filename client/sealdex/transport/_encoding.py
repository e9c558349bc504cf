"""Content codings: which of them a ``Content-Encoding`` field names, and undoing gzip within bounds."""

from __future__ import annotations

import zlib

from sealdex.transport.types import EncodingError, TooLargeError, TransientError

_NO_CODINGS = frozenset({"", "identity", "aws-chunked"})
"""``aws-chunked`` is how a file came to S3, not how it comes from there."""
_SAME_AS = {"x-gzip": "gzip", "x-compress": "compress"}


def codings_of(text: str | None) -> str:
    """Return the codings a ``Content-Encoding`` field names, in order, in lower case; ``identity`` if there are none.

    What changes no bytes is left out: ``gzip, identity`` is ``gzip``.
    """
    named = (token.strip().lower() for token in (text or "").split(","))
    found = [_SAME_AS.get(token, token) for token in named if token not in _NO_CODINGS]
    return ", ".join(found) or "identity"


class Identity:
    """A body that comes as it is."""

    def feed(self, data: bytes, max_bytes: int) -> bytes:
        """Return what the next bytes stand for, at most ``max_bytes`` of it."""
        return data[:max_bytes]

    def finish(self) -> None:
        """Nothing can be missing: the length was checked."""


class Gunzip:
    """A gzip body, never inflated beyond what is asked for: a bomb costs no memory."""

    def __init__(self, url: str, max_bytes: int) -> None:
        self._url = url
        self._max_bytes = max_bytes
        self._inflate = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)
        # gzip makes nothing much longer, so more than this is filler that inflates to nothing.
        self._raw_left = max_bytes + max_bytes // 100 + 1024

    def feed(self, data: bytes, max_bytes: int) -> bytes:
        """Return what the next bytes stand for, at most ``max_bytes`` of it.

        Raises:
            TooLargeError: there are more of them than any file within bounds has.
            TransientError: they aren't gzip.
        """
        self._raw_left -= len(data)
        if self._raw_left < 0:
            raise TooLargeError(self._url, self._max_bytes)
        if self._inflate.eof:
            raise TransientError("more follows its gzip encoding")
        try:
            return self._inflate.decompress(data, max_bytes)
        except zlib.error as error:
            raise TransientError("its gzip encoding is damaged") from error

    def finish(self) -> None:
        """Raise TransientError unless the encoding came to its end."""
        if not self._inflate.eof:
            raise TransientError("its gzip encoding ends early")


def decoder_of(url: str, encoding: str, max_bytes: int) -> Identity | Gunzip:
    """Return what undoes the codings ``codings_of`` found.

    Raises:
        EncodingError: they are others than were asked for.
    """
    if encoding == "identity":
        return Identity()
    if encoding == "gzip":
        return Gunzip(url, max_bytes)
    raise EncodingError(url, encoding)
