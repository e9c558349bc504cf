"""A storage that replaces what is there with other bytes than belong there, and remembers what it replaced.

For one purpose: to publish anew where somebody else wrote (`registry_builder.recovery`). Everything that is put with
`put_new` is known by its digest from the source tree, so what differs is damage. Numbered metadata is the exception:
there a number that is taken is stepped over, since caches may keep its file for ever.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection

from registry_builder.storage.protocol import Body, ObjectConflictError, PutOutcome, Storage, StoredObject

_NUMBERED = "metadata/"


class MendingStorage:
    """`Storage` over another one.

    Args:
        storage: where it all goes.
        own_metadata: keys of metadata whose bytes are known beforehand (roots, targets, claimed roles), which are
            replaced like everything else.
    """

    def __init__(self, storage: Storage, own_metadata: Collection[str]) -> None:
        self._storage = storage
        self._own_metadata = own_metadata
        self.replaced: list[str] = []

    @property
    def description(self) -> str:
        """See `Storage.description`."""
        return self._storage.description

    @property
    def requests(self) -> Counter[str]:
        """See `Storage.requests`."""
        return self._storage.requests

    @property
    def bytes_put(self) -> int:
        """See `Storage.bytes_put`."""
        return self._storage.bytes_put

    def get(self, key: str, *, max_bytes: int) -> StoredObject:
        """See `Storage.get`."""
        return self._storage.get(key, max_bytes=max_bytes)

    def put_new(self, key: str, body: Body) -> PutOutcome:
        """Create an object, or put it in the place of another one; see `Storage.put_new`."""
        try:
            return self._storage.put_new(key, body)
        except ObjectConflictError:
            if key.startswith(_NUMBERED) and key not in self._own_metadata:
                raise
        self._storage.put_mutable(key, body)
        self.replaced.append(key)
        return PutOutcome.CREATED

    def put_if_match(self, key: str, body: Body, etag: str | None) -> str:
        """See `Storage.put_if_match`."""
        return self._storage.put_if_match(key, body, etag)

    def put_mutable(self, key: str, body: Body, *, only_if_changed: bool = False) -> bool:
        """See `Storage.put_mutable`."""
        return self._storage.put_mutable(key, body, only_if_changed=only_if_changed)

    def flush(self) -> None:
        """See `Storage.flush`."""
        self._storage.flush()


__all__ = ["MendingStorage"]
