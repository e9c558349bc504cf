"""The values of ``--keys ROLE=KEY,...`` and ``--threshold ROLE=N``."""

from __future__ import annotations

from sealdex.errors import UsageError


def named_keys(text: str) -> tuple[str, tuple[str, ...]]:
    """Return a role or namespace and the names of its keys.

    Raises:
        UsageError: it has no keys.
    """
    name, equals, keys = text.partition("=")
    named = tuple(dict.fromkeys(key.strip() for key in keys.split(",") if key.strip()))
    if not equals or not name or not named:
        raise UsageError(f"'{text}' has no keys: write NAME=KEY,KEY")
    return name, named


def named_number(text: str) -> tuple[str, int]:
    """Return a role or namespace and its number, at least 1.

    Raises:
        UsageError: it has no number.
    """
    name, _, number = text.partition("=")
    if not name or not number.isdecimal() or int(number) < 1:
        raise UsageError(f"'{text}' has no number: write NAME=2")
    return name, int(number)


__all__ = ["named_keys", "named_number"]
