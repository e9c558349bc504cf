"""Semantic versions (SemVer 2.0.0), parsed by the `semver` library and cached.

Build metadata is kept but ignored in precedence, so two releases of one plugin may not differ in it alone.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Annotated

from msgspec import Meta
from semver import Version

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


@lru_cache(maxsize=65536)
def parse_version(text: str) -> Version:
    """Parse a semantic version.

    Raises:
        ValueError: the text is not a SemVer 2.0.0 version; the message says what to write.
    """
    if problem := version_problem(text):
        raise ValueError(f"'{text}' {problem}")
    return Version.parse(text)


def version_problem(text: str) -> str | None:
    """Return why ``text`` is not a semantic version and what to write instead, or None if it is one."""
    # isascii: \d in the library's pattern also takes other scripts' digits
    if text.isascii() and len(text) <= MAX_VERSION_LENGTH and Version.is_valid(text):
        return None
    if len(text) > MAX_VERSION_LENGTH:
        return f"has {len(text)} characters, at most {MAX_VERSION_LENGTH} are allowed"
    stripped = text[1:] if text[:1] in {"v", "V", "="} else text
    if stripped != text and Version.is_valid(stripped):
        return f"is not a semantic version: write {stripped}, without '{text[0]}'"
    padded = stripped + ".0" * (2 - stripped.count("."))
    if padded != text and padded.isascii() and Version.is_valid(padded):
        return f"is not a semantic version: write {padded}"
    return "is not a semantic version: write MAJOR.MINOR.PATCH, such as 1.2.3 or 2.0.0-rc.1"


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
