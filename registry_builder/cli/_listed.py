"""A file of a listing, as --json prints it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from registry_builder.storage.listing import Listed


def listed_document(listed: Listed) -> dict[str, Any]:
    """Return key, size and time of last change as plain values."""
    return {"key": listed.key, "size": listed.size, "modified": listed.modified.strftime("%Y-%m-%dT%H:%M:%SZ")}


__all__ = ["listed_document"]
