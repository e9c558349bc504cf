"""The example that ends each command's ``--help``."""

from __future__ import annotations


def example(*lines: str) -> str:
    """Return the epilog of a command: its example, one command a line, which click must not rewrap."""
    return "\n".join(["\b", "Example:", *(f"  {line}" for line in lines)])


__all__ = ["example"]
