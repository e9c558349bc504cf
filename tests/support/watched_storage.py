"""A storage that tells of every request before it is made: to read what stands there, or to die."""

from __future__ import annotations

from collections.abc import Callable

from registry_builder.storage import Body, Condition, PutOutcome, Storage, StoredObject
from registry_builder.storage.forwarding import ForwardingStorage


class WatchedStorage(ForwardingStorage):
    """Calls ``before`` with the name of each request ("put_new KEY", "flush", ...); what that raises ends the run."""

    def __init__(self, storage: Storage, before: Callable[[str], None]) -> None:
        super().__init__(storage)
        self._before = before

    def get(self, key: str, *, max_bytes: int) -> StoredObject:
        self._before(f"get {key}")
        return self._storage.get(key, max_bytes=max_bytes)

    def put_new(self, key: str, body: Body) -> PutOutcome:
        self._before(f"put_new {key}")
        return self._storage.put_new(key, body)

    def put_if_match(self, key: str, body: Body, etag: str | None) -> str:
        self._before(f"put_if_match {key}")
        return self._storage.put_if_match(key, body, etag)

    def probe(self, key: str, body: Body, condition: Condition) -> bool:
        self._before(f"probe {key}")
        return self._storage.probe(key, body, condition)

    def put_mutable(self, key: str, body: Body, *, only_if_changed: bool = False) -> bool:
        self._before(f"put_mutable {key}")
        return self._storage.put_mutable(key, body, only_if_changed=only_if_changed)

    def flush(self) -> None:
        self._before("flush")
        self._storage.flush()
