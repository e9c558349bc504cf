"""Ranges of bytes as values: joining them, taking some from others, cutting long ones into blocks. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

BLOCK_BYTES = 8 * 2**20
"""A longer range is fetched in blocks of this size, by several connections."""


class Span(NamedTuple):
    """Bytes of a file, ``end`` exclusive."""

    start: int
    end: int


def joined(spans: Iterable[Span], gap: int = 0) -> list[Span]:
    """Return these ranges in order, those that touch or are at most ``gap`` bytes apart as one."""
    found: list[Span] = []
    for span in sorted(spans):
        if found and span.start - found[-1].end <= gap:
            found[-1] = Span(found[-1].start, max(span.end, found[-1].end))
        else:
            found.append(span)
    return found


def without(spans: Iterable[Span], held: Iterable[Span]) -> list[Span]:
    """Return what of these ranges isn't held; bytes between two of them may come again, since that costs less."""
    there = joined(held)
    missing: list[Span] = []
    for span in spans:
        start = span.start
        for have in there:
            if have.end <= start or have.start >= span.end:
                continue
            if have.start > start:
                missing.append(Span(start, have.start))
            start = max(start, have.end)
        if start < span.end:
            missing.append(Span(start, span.end))
    return missing


def in_blocks(spans: Iterable[Span], block_bytes: int = BLOCK_BYTES) -> list[Span]:
    """Return these ranges cut into blocks of at most ``block_bytes``."""
    return [
        Span(start, min(start + block_bytes, span.end))
        for span in spans
        for start in range(span.start, span.end, block_bytes)
    ]


def bytes_in(spans: Iterable[Span]) -> int:
    """Return how many bytes these ranges have together."""
    return sum(span.end - span.start for span in spans)
