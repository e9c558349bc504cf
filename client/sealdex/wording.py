"""How a number of things is written for people: ``1 file``, ``2 files``."""

from __future__ import annotations


def counted(number: int, one: str, many: str | None = None) -> str:
    """Write a number with its noun.

    Args:
        number: how many.
        one: the noun for one of them.
        many: the noun for any other number; ``one`` with an s when left out.
    """
    return f"{number} {one if number == 1 else many or one + 's'}"
