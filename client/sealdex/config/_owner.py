"""Whose credentials are meant: a registry's, or those of an address. Pure."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from msgspec import Struct


class Owner(Struct, frozen=True):
    """Whose credentials they are.

    Attributes:
        shown: ``registry 'team'``, or an address.
        registry: the registry's name, or None.
        address: what requests have to be below.
        folder: what files are relative to: that of config.toml.
        say: told what a helper says to people.
    """

    shown: str
    registry: str | None
    address: str
    folder: Path
    say: Callable[[str], None] | None = None
