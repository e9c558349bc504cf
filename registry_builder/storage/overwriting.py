"""A storage that replaces files that have other bytes than they should, and records what it replaced.

For one purpose: to republish where somebody else wrote (`registry_builder.maintenance.recovery`). Everything that is
put with `put_new` has a digest known from the source tree, so what differs is damage. Numbered metadata is the
exception: there a taken number is skipped, because caches may keep its file forever.
"""

from __future__ import annotations

from collections.abc import Collection

from registry_builder.storage.forwarding import ForwardingStorage
from registry_builder.storage.protocol import Body, ObjectConflictError, PutOutcome, Storage

_NUMBERED = "metadata/"


class MendingStorage(ForwardingStorage):
    """`Storage` that wraps another one.

    Args:
        storage: the wrapped storage.
        own_metadata: keys of metadata whose bytes are known in advance (roots, targets, claimed roles), which are
            replaced like everything else.
    """

    def __init__(self, storage: Storage, own_metadata: Collection[str]) -> None:
        super().__init__(storage)
        self._own_metadata = own_metadata
        self.replaced: list[str] = []

    def put_new(self, key: str, body: Body) -> PutOutcome:
        """Create an object, or replace an existing one; see `Storage.put_new`."""
        try:
            return self._storage.put_new(key, body)
        except ObjectConflictError:
            if key.startswith(_NUMBERED) and key not in self._own_metadata:
                raise
        self._storage.put_mutable(key, body)
        self.replaced.append(key)
        return PutOutcome.CREATED


__all__ = ["MendingStorage"]
