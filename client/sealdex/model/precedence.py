"""The order of versions, SemVer 2.0.0 item 11, as a sort key made from the text alone.

Lists of releases and of installations are sorted with it, which parses no version and imports nothing.
"""

from __future__ import annotations


def is_prerelease(version: str) -> bool:
    """Return whether a semantic version is a pre-release: ``1.0.0-rc.1`` is, ``1.0.0+build-7`` isn't."""
    return "-" in version.partition("+")[0]


def version_sort_key(version: str) -> tuple[object, ...]:
    """Return a key that sorts versions by precedence, ties in build metadata by text.

    Args:
        version: a semantic version; of other text the parts that aren't numbers count as 0, so that it sorts somewhere.
    """
    core, _, pre_release = version.partition("+")[0].partition("-")
    numbers = tuple(int(part) if part.isdecimal() else 0 for part in core.split("."))
    return (*precedence(numbers, pre_release), version)


def precedence(numbers: tuple[int, ...], pre_release: str) -> tuple[object, ...]:
    """Return a key that sorts versions by precedence alone, from their numbers and pre-release; empty: none."""
    identifiers = tuple((0, int(part), "") if part.isdecimal() else (1, 0, part) for part in pre_release.split("."))
    return (numbers, not pre_release, identifiers)
