"""A storage that passes every request on to another one: a base class for those that do something more."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections import Counter

    from registry_builder.storage.lock_object import LockObject
    from registry_builder.storage.protocol import Body, Condition, DoEach, PutOutcome, Storage, StoredObject


class ForwardingStorage:
    """A `Storage` that wraps another one. Work isn't distributed: other processes would lose what a subclass records.

    Args:
        storage: receives every request.
    """

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

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

    @property
    def answers_at_once(self) -> bool:
        """See `Storage.answers_at_once`."""
        return self._storage.answers_at_once

    @property
    def is_read_only(self) -> bool:
        """See `Storage.is_read_only`."""
        return self._storage.is_read_only

    @property
    def lock(self) -> LockObject | None:
        """See `Storage.lock`."""
        return self._storage.lock

    @property
    def do_each(self) -> DoEach | None:
        """See `Storage.do_each`."""
        return None

    def get(self, key: str, *, max_bytes: int) -> StoredObject:
        """See `Storage.get`."""
        return self._storage.get(key, max_bytes=max_bytes)

    def put_new(self, key: str, body: Body) -> PutOutcome:
        """See `Storage.put_new`."""
        return self._storage.put_new(key, body)

    def put_if_match(self, key: str, body: Body, etag: str | None) -> str:
        """See `Storage.put_if_match`."""
        return self._storage.put_if_match(key, body, etag)

    def probe(self, key: str, body: Body, condition: Condition) -> bool:
        """See `Storage.probe`."""
        return self._storage.probe(key, body, condition)

    def put_mutable(self, key: str, body: Body, *, only_if_changed: bool = False) -> bool:
        """See `Storage.put_mutable`."""
        return self._storage.put_mutable(key, body, only_if_changed=only_if_changed)

    def flush(self) -> None:
        """See `Storage.flush`."""
        self._storage.flush()


__all__ = ["ForwardingStorage"]
