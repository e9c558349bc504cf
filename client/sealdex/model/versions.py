"""Semantic versions (SemVer 2.0.0), parsed and cached.

Build metadata is kept but ignored in precedence, so two releases of one plugin may not differ in it alone.

Tests compare this with the `semver` library, which has the same and a command line, whose `argparse` every look-up
would import with it.
"""

from __future__ import annotations

import re
from functools import lru_cache, total_ordering
from typing import Annotated

from msgspec import Meta

from sealdex.model.precedence import precedence

__all__ = [
    "MAX_VERSION_LENGTH",
    "Version",
    "VersionText",
    "parse_version",
    "same_version_key",
    "version_clash",
    "version_problem",
]

MAX_VERSION_LENGTH = 128

# The pattern is the one that semver.org suggests (FAQ, "Is there a suggested regular expression").
_SEMVER = (
    r"^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)"
    r"(?:-((?:0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*)(?:\.(?:0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*))*))?"
    r"(?:\+([0-9a-zA-Z-]+(?:\.[0-9a-zA-Z-]+)*))?$(?!\n)"
)
VersionText = Annotated[
    str,
    Meta(
        pattern=_SEMVER,
        max_length=MAX_VERSION_LENGTH,
        examples=["1.2.3", "2.0.0-rc.1"],
        extra={"expects": "a semantic version such as 1.2.3 or 2.0.0-rc.1 (no leading 'v')"},
    ),
]


@total_ordering
class Version:
    """A version; equal to another, or before it, by precedence.

    Attributes:
        major, minor, patch: its numbers.
        prerelease, build: its other parts, without ``-`` and ``+``; None where there are none.
    """

    __slots__ = ("_order", "build", "major", "minor", "patch", "prerelease")

    def __init__(
        self, major: int, minor: int = 0, patch: int = 0, prerelease: str | None = None, build: str | None = None
    ) -> None:
        self.major, self.minor, self.patch = major, minor, patch
        self.prerelease, self.build = prerelease, build
        self._order = precedence((major, minor, patch), prerelease or "")

    @property
    def core(self) -> tuple[int, int, int]:
        """``(major, minor, patch)``."""
        return self.major, self.minor, self.patch

    def compare(self, other: Version) -> int:
        """Return -1, 0 or 1: before, as, or after the other one."""
        return (self._order > other._order) - (self._order < other._order)

    def __eq__(self, other: object) -> bool:
        return self._order == other._order if isinstance(other, Version) else NotImplemented

    def __lt__(self, other: Version) -> bool:
        return self._order < other._order

    def __hash__(self) -> int:
        return hash(self._order)

    def __str__(self) -> str:
        core = f"{self.major}.{self.minor}.{self.patch}"
        return f"{core}{f'-{self.prerelease}' if self.prerelease else ''}{f'+{self.build}' if self.build else ''}"

    def __repr__(self) -> str:
        return f"Version({str(self)!r})"


@lru_cache(maxsize=65536)
def parse_version(text: str) -> Version:
    """Parse a semantic version.

    Raises:
        ValueError: the text is not a SemVer 2.0.0 version; the message says what to write.
    """
    if problem := version_problem(text):
        raise ValueError(f"'{text}' {problem}")
    rest, _, build = text.partition("+")
    core, _, prerelease = rest.partition("-")
    major, minor, patch = map(int, core.split("."))
    return Version(major, minor, patch, prerelease or None, build or None)


def version_problem(text: str) -> str | None:
    """Return why ``text`` is not a semantic version and what to write instead, or None if it is one."""
    if len(text) <= MAX_VERSION_LENGTH and _is_valid(text):
        return None
    if len(text) > MAX_VERSION_LENGTH:
        return f"has {len(text)} characters, at most {MAX_VERSION_LENGTH} are allowed"
    stripped = text[1:] if text[:1] in {"v", "V", "="} else text
    if stripped != text and _is_valid(stripped):
        return f"is not a semantic version: write {stripped}, without '{text[0]}'"
    padded = stripped + ".0" * (2 - stripped.count("."))
    if padded != text and _is_valid(padded):
        return f"is not a semantic version: write {padded}"
    return "is not a semantic version: write MAJOR.MINOR.PATCH, such as 1.2.3 or 2.0.0-rc.1"


def _is_valid(text: str) -> bool:
    # isascii: \d takes other scripts' digits as well. msgspec compiles the same pattern, which `re` then remembers
    return text.isascii() and re.match(_SEMVER, text) is not None


def same_version_key(version: str) -> str:
    """Return a key that is equal for versions that can't both be releases of one plugin.

    Those that differ in build metadata alone have one precedence. Those that differ in case alone have one folder on
    the disks of Windows and macOS, in a store, a mirror and a checkout.
    """
    return version.partition("+")[0].lower()


def version_clash(version: str, other: str) -> str:
    """Return why a version can't coexist with another that has the same key."""
    if version.partition("+")[0] == other.partition("+")[0]:
        return f"'{version}' differs from '{other}' only in build metadata, which precedence ignores: raise it"
    return f"'{version}' differs from '{other}' only in case: on Windows and macOS one replaces the other; raise it"
