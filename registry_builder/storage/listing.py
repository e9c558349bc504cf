"""What auditing and clearing up ask of a storage, beyond `Storage`: to list it, to read what is large, to delete.

Apart from `Storage` on purpose: publishing knows its state from signed metadata, never from what happens to lie in a
bucket, and has no way to delete anything.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from sealdex.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from registry_builder.storage.protocol import Storage


@dataclass(frozen=True)
class Listed:
    """One stored object: its key, its size in bytes, and when it was last written, in UTC."""

    key: str
    size: int
    modified: datetime


@runtime_checkable
class Inventory(Protocol):
    """A storage that can be looked through. Errors are those of `Storage`."""

    def listed(self) -> Iterator[Listed]:
        """Yield every object of the published tree, in no order; what was written meanwhile may be missing."""

    def stream(self, key: str, chunk_bytes: int) -> Iterator[bytes]:
        """Yield the bytes of an object of any size.

        Raises:
            ObjectMissingError: there is none.
        """

    def delete(self, key: str) -> None:
        """Remove an object; one that isn't there is a success."""


def inventory_of(storage: Storage) -> Inventory:
    """Return a storage as one that can be looked through.

    Raises:
        UsageError: it can't: it is read by its url, where nobody can list.
    """
    if not isinstance(storage, Inventory):
        raise UsageError(
            f"{storage.description} can't be listed",
            untouched="nothing was changed",
            hint="run this where the storage of registry.toml can be reached",
        )
    return storage


__all__ = ["Inventory", "Listed", "inventory_of"]
