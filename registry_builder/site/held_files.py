"""Which files of a registry are where its pages are: pages of a mirror don't link what it doesn't have. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class HeldFiles:
    """The files that pages may link.

    Attributes:
        is_there: says whether a key of the published tree is there; None for a registry, which has all that is its own
            and links what is elsewhere.
    """

    is_there: Callable[[str], bool] | None = None

    def has(self, key: str) -> bool:
        """Return whether a file of the registry's own is there."""
        return self.is_there is None or self.is_there(key)

    def place_of(self, key: str, url: str | None) -> tuple[str | None, str | None]:
        """Return the key to link, or the address elsewhere; neither for a file that can't be had.

        Args:
            key: the file's place in the published tree; a mirror has copies of what is elsewhere there.
            url: its address elsewhere; None for a file of the registry's own.
        """
        if self.is_there is None:
            return (key, None) if url is None else (None, url)
        return (key, None) if self.is_there(key) else (None, url)


ALL = HeldFiles()

__all__ = ["ALL", "HeldFiles"]
