"""What auditing and garbage collection need beyond `Storage`: listing, reading large files, deleting.

Separate from `Storage` on purpose: publishing knows its state from signed metadata, never from the contents of a
bucket, and can't delete anything.
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
    """A storage that can be listed. Errors are those of `Storage`."""

    def listed(self) -> Iterator[Listed]:
        """Yield every object of the published tree, in any order; what was written meanwhile may be missing."""

    def stream(self, key: str, chunk_bytes: int) -> Iterator[bytes]:
        """Yield the bytes of an object of any size.

        Raises:
            ObjectMissingError: it doesn't exist.
        """

    def delete(self, key: str) -> None:
        """Remove an object; succeeds if it doesn't exist."""


def inventory_of(storage: Storage) -> Inventory:
    """Return a storage as one that can be listed.

    Raises:
        UsageError: it can't be listed, because it is read by its url.
    """
    if not isinstance(storage, Inventory):
        raise UsageError(
            f"{storage.description} can't be listed",
            untouched="nothing was changed",
            hint="run this where the storage of registry.toml can be reached",
        )
    return storage


__all__ = ["Inventory", "Listed", "inventory_of"]
