"""Puts the table of a run into a page, between two markers."""

from __future__ import annotations

from pathlib import Path

BEGIN = "<!-- begin: written by python -m benchmarks --write -->"
END = "<!-- end -->"


def write_report(page: Path, text: str) -> None:
    """Replace what stands between the markers of a page.

    Raises:
        ValueError: the page lacks a marker.
    """
    page.write_text(replaced(page.read_text(), text))


def replaced(page: str, text: str) -> str:
    """Return the page with ``text`` between its markers.

    Raises:
        ValueError: the page lacks a marker.
    """
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the page lacks the markers {BEGIN} and {END}")
    return f"{before}{BEGIN}\n\n{text.strip()}\n\n{END}{after}"
