"""Answers ngclient's requests for metadata from a storage, and records what was requested last."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import unquote

from tuf.api.exceptions import DownloadHTTPError, DownloadLengthMismatchError
from tuf.ngclient import FetcherInterface

from registry_builder.baseline.documents import tampered
from registry_builder.storage import ObjectMissingError, ObjectTooLargeError, Storage, StoredObject
from registry_builder.storage.headers import TIMESTAMP_KEY
from sealdex.errors import SealdexError
from sealdex.trust.role_marks import file_problem

MAX_METADATA_BYTES = 5_000_000  # ngclient's own limit for targets metadata, the largest metadata


class StorageFetcher(FetcherInterface):
    """Answers ngclient from a storage, with metadata of the realm that ``marker`` names and no other."""

    def __init__(self, storage: Storage, workers: int, marker: str) -> None:
        self._marker = marker
        self._storage = storage
        self._workers = workers
        self._ready: dict[str, StoredObject] = {}
        self._asked: set[str] = set()
        self.last_key = ""
        self._roots: Mapping[str, bytes] = {}
        self.timestamp = StoredObject(b"", "")

    def prefetch(self, keys: Iterable[str]) -> None:
        """Read files in parallel before they are requested; errors are ignored here and reported on request."""
        missing = [key for key in keys if key not in self._asked]
        if self._workers > 1 and len(missing) > 1:
            with ThreadPoolExecutor(self._workers) as pool:
                self._ready |= {
                    k: o for k, o in zip(missing, pool.map(self._try, missing), strict=True) if o is not None
                }

    def _try(self, key: str) -> StoredObject | None:
        try:
            return self._storage.get(key, max_bytes=MAX_METADATA_BYTES)
        except SealdexError:
            return None

    def restart(self, roots: Mapping[str, bytes]) -> None:
        """Start over, with roots (by key) that are about to be published and that the storage doesn't have."""
        self._roots = roots
        self._asked.clear()

    def was_asked(self, key: str) -> bool:
        """Return whether ngclient asked for a file."""
        return key in self._asked

    def download_bytes(self, url: str, max_length: int) -> bytes:
        """Return a file; ngclient requests all metadata through this method."""
        key = unquote(url)
        self.last_key = key
        self._asked.add(key)
        stored = self._ready.pop(key, None)
        if stored is None or len(stored.data) > max_length:
            try:
                stored = self._storage.get(key, max_bytes=max_length)
            except ObjectMissingError as error:
                if key in self._roots:
                    return self._roots[key]
                raise DownloadHTTPError(error.message, 404) from error
            except ObjectTooLargeError as error:
                raise DownloadLengthMismatchError(error.message) from error
        # before ngclient stores it: its signature is valid for every realm and bin that shares the key
        if problem := file_problem(posixpath.basename(key), stored.data, self._marker):
            raise tampered(self._storage, key, problem)
        if key == TIMESTAMP_KEY:
            self.timestamp = stored
        return stored.data

    def _fetch(self, url: str) -> Iterator[bytes]:
        """Serve what ngclient's own ``download_bytes`` would ask for; overridden above, to limit what is read."""
        yield self.download_bytes(url, MAX_METADATA_BYTES)
