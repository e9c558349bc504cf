"""A published tree as clients see it: read only, by the realm's ``url``, without credentials.

Used to compare pull requests: a workflow that runs code from anyone's pull request must not have secrets, and the
published tree is public. What is read this way is verified like everything else, so a CDN can't lie about it.
"""

# ruff: noqa: ARG002  # arguments of the protocol, in methods that refuse

from __future__ import annotations

import secrets
import threading
from collections import Counter
from collections.abc import Iterator
from typing import NoReturn
from urllib.parse import quote

from registry_builder.storage.headers import TIMESTAMP_KEY
from registry_builder.storage.protocol import (
    Body,
    Condition,
    ObjectMissingError,
    ObjectTooLargeError,
    PutOutcome,
    StoredObject,
    check_key,
)
from sealdex.errors import UnavailableError, UsageError
from sealdex.transport import HttpStatusError, TooLargeError, TransientError, Transport


class UrlStorage:
    """`registry_builder.storage.Storage` whose writes are refused, below ``url``."""

    answers_at_once = False
    is_read_only = True
    lock = None
    do_each = None  # nothing is written

    def __init__(self, url: str, transport: Transport | None = None, *, fresh: bool = False) -> None:
        self._base = url.rstrip("/")
        self._fresh = fresh  # request timestamp.json with a unique query each time, which no cache has
        self._transport = transport or Transport()
        self._guard = threading.Lock()
        self.description = self._base
        self.requests: Counter[str] = Counter()
        self.bytes_put = 0

    def get(self, key: str, *, max_bytes: int) -> StoredObject:
        """Read an object; see `Storage.get`.

        A store that doesn't allow listing returns 403 for a missing file, so that counts as missing too; except for
        ``timestamp.json``, where a registry without read permission would look like one that doesn't exist.
        """
        with self._guard:
            self.requests["GET"] += 1
        try:
            document = self._transport.read(self._address(key), max_bytes=max_bytes)
        except HttpStatusError as error:
            if error.status == 404 or (error.status == 403 and key != TIMESTAMP_KEY):
                raise ObjectMissingError(key, self.description) from error
            raise
        except TooLargeError as error:
            raise ObjectTooLargeError(key, self.description, max_bytes) from error
        return StoredObject(document.data, document.etag or "")

    def stream(self, key: str, chunk_bytes: int) -> Iterator[bytes]:
        """Read a file of any size in pieces.

        Raises:
            ObjectMissingError: it doesn't exist.
            UnavailableError: the connection broke.
        """
        with self._guard:
            self.requests["GET"] += 1
        try:
            with self._transport.stream(self._address(key)) as stream:
                yield from stream.chunks()
        except HttpStatusError as error:
            if error.status in {403, 404}:
                raise ObjectMissingError(key, self.description) from error
            raise
        except TransientError as error:
            raise UnavailableError(f"{self._address(key)} was interrupted: {error}", subject=key) from error

    def _address(self, key: str) -> str:
        fresh = f"?fresh={secrets.token_hex(8)}" if self._fresh and key == TIMESTAMP_KEY else ""
        return f"{self._base}/{quote(check_key(key))}{fresh}"

    def put_new(self, key: str, body: Body) -> PutOutcome:
        """Refuse; see `Storage.put_new`."""
        self._refuse(key)

    def put_if_match(self, key: str, body: Body, etag: str | None) -> str:
        """Refuse; see `Storage.put_if_match`."""
        self._refuse(key)

    def probe(self, key: str, body: Body, condition: Condition) -> bool:
        """Refuse; see `Storage.probe`."""
        self._refuse(key)

    def put_mutable(self, key: str, body: Body, *, only_if_changed: bool = False) -> bool:
        """Refuse; see `Storage.put_mutable`."""
        self._refuse(key)

    def flush(self) -> None:
        """Do nothing: nothing was written."""

    def _refuse(self, key: str) -> NoReturn:
        raise UsageError(
            f"{self.description} is read as clients read it, so it can't be written to",
            subject=key,
            untouched="nothing was written",
            hint="publish without --by-url",
        )


__all__ = ["UrlStorage"]
