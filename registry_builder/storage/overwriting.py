"""A storage that replaces what is there with other bytes than belong there, and remembers what it replaced.

For one purpose: to publish anew where somebody else wrote (`registry_builder.maintenance.recovery`). Everything that is
put with `put_new` is known by its digest from the source tree, so what differs is damage. Numbered metadata is the
exception: there a number that is taken is stepped over, since caches may keep its file for ever.
"""

from __future__ import annotations

from collections.abc import Collection

from registry_builder.storage.forwarding import ForwardingStorage
from registry_builder.storage.protocol import Body, ObjectConflictError, PutOutcome, Storage

_NUMBERED = "metadata/"


class MendingStorage(ForwardingStorage):
    """`Storage` over another one.

    Args:
        storage: where it all goes.
        own_metadata: keys of metadata whose bytes are known beforehand (roots, targets, claimed roles), which are
            replaced like everything else.
    """

    def __init__(self, storage: Storage, own_metadata: Collection[str]) -> None:
        super().__init__(storage)
        self._own_metadata = own_metadata
        self.replaced: list[str] = []

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


__all__ = ["MendingStorage"]
