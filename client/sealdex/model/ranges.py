"""Version ranges with npm's semantics: comparators, ``||``, ``^``, ``~``, ``x``-ranges and hyphen ranges.

Source: the "Ranges" section of the documentation of npm's ``semver`` package. ``docs/format.md`` has the grammar and a
table of cases. A range is a union of comparator sets; a version satisfies a set when it satisfies each comparator in
it. A pre-release satisfies a set only when one comparator of that set names a pre-release of the same
MAJOR.MINOR.PATCH, or when the caller asks for pre-releases altogether.

Example: ``^1.2 || >=3 <4`` holds for 1.9.0 and 3.1.4, not for 2.0.0 nor 1.3.0-rc.1.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Annotated

from msgspec import Meta, Struct

from sealdex.lazy import regex
from sealdex.model.versions import Version, version_problem

__all__ = ["Comparator", "RangeText", "VersionRange", "parse_range"]

MAX_RANGE_LENGTH = 256

RangeText = Annotated[
    str,
    Meta(
        max_length=MAX_RANGE_LENGTH,
        examples=[">=1.2 <2", "^1.2.3", "1.x || 3.x"],
        extra={"expects": "a version range such as '>=1.2 <2', '^1.2.3' or '1.x || 3.x'"},
    ),
]


class Comparator(Struct, frozen=True):
    """One bound: ``operator`` is one of ``>=``, ``>``, ``<=``, ``<``, ``=``."""

    operator: str
    version: Version

    def holds(self, version: Version) -> bool:
        """Return whether the version is within the bound (build metadata is ignored)."""
        order = version.compare(self.version)
        return {
            ">=": order >= 0,
            ">": order > 0,
            "<=": order <= 0,
            "<": order < 0,
            "=": order == 0,
        }[self.operator]

    def __str__(self) -> str:
        return f"{self.operator}{self.version}"


class VersionRange:
    """A parsed range: a union (``sets``) of intersections of comparators.

    ``str(range)`` is the text it was parsed from, ``canonical`` its expansion into plain comparators.
    """

    __slots__ = ("sets", "text")

    def __init__(self, text: str, sets: tuple[tuple[Comparator, ...], ...]) -> None:
        self.text = text
        self.sets = sets

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return f"VersionRange({self.text!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, VersionRange) and self.sets == other.sets

    def __hash__(self) -> int:
        return hash(self.canonical)

    @property
    def canonical(self) -> str:
        """The range as plain comparators, such as ``>=1.2.0 <2.0.0-0``."""
        return " || ".join(" ".join(map(str, s)) or "*" for s in self.sets)

    def contains(self, version: Version, *, include_prereleases: bool = False) -> bool:
        """Return whether the version is in the range.

        Args:
            version: the candidate.
            include_prereleases: accept all pre-releases in the range, not only where the range names one.
        """
        return any(_set_holds(s, version, include_prereleases) for s in self.sets)


def _set_holds(comparators: tuple[Comparator, ...], version: Version, include_prereleases: bool) -> bool:
    if not all(c.holds(version) for c in comparators):
        return False
    if version.prerelease is None or include_prereleases:
        return True
    return any(_asks_for_prerelease(c) and c.version.core == version.core for c in comparators)


def _asks_for_prerelease(comparator: Comparator) -> bool:
    # "-0" is the floor that the expansion of ^, ~ and x-ranges puts under an upper bound; nobody asked for it
    return comparator.version.prerelease is not None and not (
        comparator.operator == "<" and comparator.version.prerelease == "0"
    )


class _Partial(Struct, frozen=True):
    """A version of which the right-hand parts may be missing or wild: ``1``, ``1.2``, ``1.x``, ``*``."""

    major: int | None
    minor: int | None
    patch: int | None
    prerelease: str | None

    def floor(self) -> Version:
        return Version(self.major or 0, self.minor or 0, self.patch or 0, self.prerelease)


_PARTIAL_RE = regex(
    r"[v=\s]*(?P<major>x|X|\*|0|[1-9]\d*)(?:\.(?P<minor>x|X|\*|0|[1-9]\d*)(?:\.(?P<patch>x|X|\*|0|[1-9]\d*)"
    r"(?:-(?P<pre>[0-9A-Za-z.-]+))?(?:\+[0-9A-Za-z.-]+)?)?)?",
    re.ASCII,
)
_HYPHEN_RE = regex(r"\s*(?P<low>[^\s<>=~^|]+)\s+-\s+(?P<high>[^\s<>=~^|]+)\s*")
_TOKEN_RE = regex(r"\s*(?P<operator>\^|~>|~|>=|<=|>|<|=)?\s*(?P<partial>[^\s<>=~^|]+)")
_LOWEST_PRERELEASE = "0"


@lru_cache(maxsize=8192)
def parse_range(text: str) -> VersionRange:
    """Parse a range; the empty text and ``*`` mean any release.

    Raises:
        ValueError: names the part that does not parse and what a range looks like.
    """
    if len(text) > MAX_RANGE_LENGTH:
        raise ValueError(f"a version range has at most {MAX_RANGE_LENGTH} characters, this one has {len(text)}")
    return VersionRange(text, tuple(_parse_set(part, text) for part in text.split("||")))


def _parse_set(part: str, whole: str) -> tuple[Comparator, ...]:
    hyphen = _HYPHEN_RE.fullmatch(part)
    if hyphen:
        return (*_at_least(_partial(hyphen["low"], whole)), *_at_most(_partial(hyphen["high"], whole)))
    comparators: list[Comparator] = []
    position = 0
    part = part.rstrip()
    while position < len(part):
        token = _TOKEN_RE.match(part, position)
        if token is None:
            raise ValueError(
                f"'{part[position:].strip()}' in version range '{whole}' is not a valid comparator; {_EXAMPLES}"
            )
        comparators += _expand(token["operator"] or "", _partial(token["partial"], whole))
        position = token.end()
    return tuple(comparators)


_EXAMPLES = "write for example '>=1.2 <2', '^1.2.3', '~1.2', '1.x' or '1.2 - 2.3', joined by '||' for or"


def _partial(text: str, whole: str) -> _Partial:
    match = _PARTIAL_RE.fullmatch(text)
    if match is None and "," in text:
        raise ValueError(f"'{text}' in version range '{whole}' has a comma: write spaces, as in '>=0.1 <1'")
    if match is None:
        raise ValueError(f"'{text}' in version range '{whole}' is not a valid version; {_EXAMPLES}")
    numbers: list[int | None] = []
    for name in ("major", "minor", "patch"):
        wild = match[name] is None or match[name] in {"x", "X", "*"} or (numbers and numbers[-1] is None)
        numbers.append(None if wild else int(match[name]))
    pre = match["pre"] if numbers[2] is not None else None
    if pre is not None and version_problem(f"0.0.0-{pre}"):
        raise ValueError(f"'-{pre}' in version range '{whole}' is not a valid pre-release")
    return _Partial(numbers[0], numbers[1], numbers[2], pre)


def _below(major: int, minor: int = 0, patch: int = 0) -> Comparator:
    """Return the exclusive upper bound ``<X.Y.Z-0``, below the pre-releases of X.Y.Z as well."""
    return Comparator("<", Version(major, minor, patch, _LOWEST_PRERELEASE))


_NOTHING = (Comparator("<", Version(0, 0, 0, _LOWEST_PRERELEASE)),)


def _at_least(p: _Partial) -> tuple[Comparator, ...]:
    return () if p.major is None else (Comparator(">=", p.floor()),)


def _at_most(p: _Partial) -> tuple[Comparator, ...]:
    if p.major is None:
        return ()
    if p.minor is None:
        return (_below(p.major + 1),)
    if p.patch is None:
        return (_below(p.major, p.minor + 1),)
    return (Comparator("<=", p.floor()),)


def _expand(operator: str, p: _Partial) -> tuple[Comparator, ...]:
    if operator in {"", "="}:
        if p.patch is not None:
            return (Comparator("=", p.floor()),)
        return (*_at_least(p), *_at_most(p))
    if operator == "^":
        return _caret(p)
    if operator in {"~", "~>"}:
        if p.major is None or p.minor is None:
            return (*_at_least(p), *_at_most(p))
        return (Comparator(">=", p.floor()), _below(p.major, p.minor + 1))
    if operator == ">=":
        return _at_least(p)
    if operator == "<=":
        return _at_most(p)
    if operator == ">":
        if p.major is None:
            return _NOTHING
        if p.minor is None:
            return (Comparator(">=", Version(p.major + 1, 0, 0)),)
        if p.patch is None:
            return (Comparator(">=", Version(p.major, p.minor + 1, 0)),)
        return (Comparator(">", p.floor()),)
    # "<"
    if p.major is None:
        return _NOTHING
    if p.patch is None:
        return (_below(p.major, p.minor or 0),)
    return (Comparator("<", p.floor()),)


def _caret(p: _Partial) -> tuple[Comparator, ...]:
    if p.major is None:
        return ()
    low = Comparator(">=", p.floor())
    if p.major > 0 or p.minor is None:
        return (low, _below(p.major + 1))
    if p.minor > 0 or p.patch is None:
        return (low, _below(0, p.minor + 1))
    return (low, _below(0, 0, p.patch + 1))
