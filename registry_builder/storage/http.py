"""A published tree as its readers see it: read only, by the realm's ``url``, without credentials.

What a pull request is compared with: a workflow that runs code of anybody's pull request must hold no secret, and the
published tree is public. What is read this way is verified like everything else, so a CDN can't lie about it.
"""

# ruff: noqa: ARG002  # the protocol's arguments stand in methods that refuse

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
    do_each = None  # nothing is written

    def __init__(self, url: str, transport: Transport | None = None, *, fresh: bool = False) -> None:
        self._base = url.rstrip("/")
        self._fresh = fresh  # ask for timestamp.json under a name of its own each time, which no cache has
        self._transport = transport or Transport()
        self._guard = threading.Lock()
        self.description = self._base
        self.requests: Counter[str] = Counter()
        self.bytes_put = 0

    def get(self, key: str, *, max_bytes: int) -> StoredObject:
        """Read an object; see `Storage.get`.

        A store whose readers may not list answers 403 for what is missing, so that counts as missing too; not for
        ``timestamp.json``, where it would make a registry that one may not read look like one that isn't there.
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
        """Read a file of any size in pieces, as they come.

        Raises:
            ObjectMissingError: there is none.
            UnavailableError: it broke off.
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
            raise UnavailableError(f"{self._address(key)} broke off: {error}", subject=key) from error

    def _address(self, key: str) -> str:
        fresh = f"?fresh={secrets.token_hex(8)}" if self._fresh and key == TIMESTAMP_KEY else ""
        return f"{self._base}/{quote(check_key(key))}{fresh}"

    def put_new(self, key: str, body: Body) -> PutOutcome:
        """Refuse; see `Storage.put_new`."""
        self._refuse(key)

    def put_if_match(self, key: str, body: Body, etag: str | None) -> str:
        """Refuse; see `Storage.put_if_match`."""
        self._refuse(key)

    def put_mutable(self, key: str, body: Body, *, only_if_changed: bool = False) -> bool:
        """Refuse; see `Storage.put_mutable`."""
        self._refuse(key)

    def flush(self) -> None:
        """Do nothing: nothing was written."""

    def _refuse(self, key: str) -> NoReturn:
        raise UsageError(
            f"{self.description} is read as clients read it, and can't be written to",
            subject=key,
            untouched="nothing was written",
            hint="publish without --by-url",
        )


__all__ = ["UrlStorage"]
