"""Content codings: parses ``Content-Encoding`` fields, and decodes gzip within limits."""

from __future__ import annotations

import zlib

from sealdex.transport.types import EncodingError, TooLargeError, TransientError

_NO_CODINGS = frozenset({"", "identity", "aws-chunked"})
"""``aws-chunked`` describes the upload to S3, not the download."""
_SAME_AS = {"x-gzip": "gzip", "x-compress": "compress"}


def codings_of(text: str | None) -> str:
    """Return the codings a ``Content-Encoding`` field names, in order, in lower case; ``identity`` if there are none.

    Codings that change no bytes are left out: ``gzip, identity`` is ``gzip``.
    """
    named = (token.strip().lower() for token in (text or "").split(","))
    found = [_SAME_AS.get(token, token) for token in named if token not in _NO_CODINGS]
    return ", ".join(found) or "identity"


class Identity:
    """A body without encoding."""

    def feed(self, data: bytes, max_bytes: int) -> bytes:
        """Return the decoded next bytes, at most ``max_bytes``."""
        return data[:max_bytes]

    def finish(self) -> None:
        """Do nothing: the length was checked."""


class Gunzip:
    """A gzip body, never inflated beyond what is requested: a bomb needs no memory."""

    def __init__(self, url: str, max_bytes: int) -> None:
        self._url = url
        self._max_bytes = max_bytes
        self._inflate = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)
        # gzip never makes data much longer, so more than this is filler that inflates to nothing.
        self._raw_left = max_bytes + max_bytes // 100 + 1024

    def feed(self, data: bytes, max_bytes: int) -> bytes:
        """Return the decoded next bytes, at most ``max_bytes``.

        Raises:
            TooLargeError: there are more of them than any allowed file has.
            TransientError: they aren't gzip.
        """
        self._raw_left -= len(data)
        if self._raw_left < 0:
            raise TooLargeError(self._url, self._max_bytes)
        if self._inflate.eof:
            raise TransientError("there is more data after its gzip encoding")
        try:
            return self._inflate.decompress(data, max_bytes)
        except zlib.error as error:
            raise TransientError("its gzip encoding is damaged") from error

    def finish(self) -> None:
        """Raise TransientError unless the encoding is complete."""
        if not self._inflate.eof:
            raise TransientError("its gzip encoding ends early")


def decoder_of(url: str, encoding: str, max_bytes: int) -> Identity | Gunzip:
    """Return a decoder for the codings found by ``codings_of``.

    Raises:
        EncodingError: there are codings that were not requested.
    """
    if encoding == "identity":
        return Identity()
    if encoding == "gzip":
        return Gunzip(url, max_bytes)
    raise EncodingError(url, encoding)
