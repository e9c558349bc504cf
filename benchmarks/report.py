"""Puts the tables of a benchmark into a page, between two markers."""

from __future__ import annotations

from pathlib import Path

END = "<!-- end -->"


def begin_of(name: str) -> str:
    """Return the marker before a benchmark's tables."""
    return f"<!-- begin: written by python -m benchmarks {name} --write -->"


def write_report(page: Path, text: str, *, begin: str, end: str = END) -> None:
    """Replace what is between the markers of a page.

    Raises:
        ValueError: the page lacks a marker.
    """
    page.write_text(replaced(page.read_text(), text, begin=begin, end=end))


def replaced(page: str, text: str, *, begin: str, end: str = END) -> str:
    """Return the page with ``text`` between its markers.

    Raises:
        ValueError: the page lacks a marker.
    """
    before, found_begin, rest = page.partition(begin)
    _, found_end, after = rest.partition(end)
    if not found_begin or not found_end:
        raise ValueError(f"the page lacks the markers {begin} and {end}")
    return f"{before}{begin}\n\n{text.strip()}\n\n{end}{after}"
