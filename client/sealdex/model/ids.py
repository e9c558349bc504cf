r"""Identifiers: namespaces, plugin names, file names, digests, and their rules.

Everything that later becomes a path or part of an address is checked here first, so that a name from metadata can
never leave its folder. The rules are in ``docs/format.md``.

Patterns end in ``$(?!\n)``: in Python ``$`` also matches before a final line feed, in JSON Schema's dialect not.
"""

from __future__ import annotations

from typing import Annotated, NamedTuple

from msgspec import Meta

from sealdex.lazy import regex

MAX_PART_LENGTH = 64
_PART = r"[a-z0-9]+([._-][a-z0-9]+)*"
_PART_RE = regex(_PART)

RESERVED_NAMESPACES = frozenset({
    # top-level names of the published tree
    "metadata", "targets", "plugins", "api", "assets", "index.html", "404.html", "robots.txt", "sitemap.xml",
    "feed.xml", "atom.xml", "favicon.ico", "favicon.svg", "search", "search.html", "types", "keywords", "badges",
    "docs", "verify", "site", "trust", "about", "namespaces", "recent", "latest", "current", "all",
    "sealdex",
})  # fmt: skip

# Windows refuses these as file names, with or without an extension, and an agent's store may be there.
_WINDOWS_DEVICES = frozenset(
    ["con", "prn", "aux", "nul", *(f"com{i}" for i in range(10)), *(f"lpt{i}" for i in range(10))]
)

_FILE_NAME_RE = regex(r"[A-Za-z0-9_][A-Za-z0-9._+@=-]*")

IdentifierPart = Annotated[
    str,
    Meta(
        pattern=rf"^{_PART}$(?!\n)",
        max_length=MAX_PART_LENGTH,
        extra={"expects": "lower-case letters and digits in groups joined by '.', '_' or '-', at most 64 characters"},
    ),
]
NamespacePattern = Annotated[
    str,
    Meta(
        pattern=r"^[a-z0-9*]([a-z0-9._*-]*[a-z0-9*])?\Z",
        max_length=64,
        extra={"expects": "a namespace such as 'acme', or a pattern such as 'team-*' or '*'"},
    ),
]
PluginType = Annotated[
    str,
    Meta(
        pattern=r"^[A-Za-z0-9]+([_-][A-Za-z0-9]+)*$(?!\n)",
        max_length=64,
        examples=["hal-driver", "notify", "service"],
        extra={"expects": "a plugin type such as 'notify' or 'hal-driver'"},
    ),
]
Sha256 = Annotated[
    str,
    Meta(pattern=r"^[0-9a-f]{64}$(?!\n)", extra={"expects": "a SHA-256 digest: 64 lower-case hexadecimal digits"}),
]
FileName = Annotated[
    str,
    Meta(
        pattern=r"^[A-Za-z0-9_][A-Za-z0-9._+@=-]*$(?!\n)",
        max_length=200,
        extra={"expects": "a plain file name: letters, digits and '._+@=-', not starting with a dot"},
    ),
]
Timestamp = Annotated[
    str,
    Meta(
        pattern=r"^\d{4}-[01]\d-[0-3]\dT[0-2]\d:[0-5]\d:[0-5]\dZ$(?!\n)",
        examples=["2026-11-21T12:00:00Z"],
        extra={"expects": "a UTC time such as 2026-11-21T12:00:00Z"},
    ),
]

KNOWN_TYPES = (
    "hal-driver",
    "acr-algorithm",
    "training-script",
    "application-suite",
    "notify",
    "build",
    "service",
    "model",
)


class PluginId(NamedTuple):
    """``namespace/name``; compares and sorts as the pair."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


def part_problem(part: str) -> str | None:
    """Return what is wrong with one part of an identifier, or None."""
    if not part:
        return "is empty"
    if len(part) > MAX_PART_LENGTH:
        return f"has {len(part)} characters, at most {MAX_PART_LENGTH} are allowed"
    if not _PART_RE.fullmatch(part):
        return "must be lower-case letters and digits in groups joined by '.', '_' or '-'"
    if part.split(".", 1)[0] in _WINDOWS_DEVICES:
        return "is the name of a device on Windows, so it can't be a folder there"
    return None


def namespace_problem(namespace: str) -> str | None:
    """Like `part_problem`, and refuses what the published tree uses at its top."""
    if namespace in RESERVED_NAMESPACES:
        return "is reserved: the published tree uses it at its top"
    return part_problem(namespace)


def parse_plugin_id(text: str) -> PluginId:
    """Split ``namespace/name`` and check both parts.

    Raises:
        ValueError: not of that form, a part breaks a rule, or the namespace is reserved.
    """
    namespace, slash, name = text.partition("/")
    if not slash or "/" in name:
        raise ValueError(f"'{text}' is not of the form namespace/name")
    if problem := namespace_problem(namespace):
        raise ValueError(f"namespace '{namespace}' {problem}")
    if problem := part_problem(name):
        raise ValueError(f"name '{name}' {problem}")
    return PluginId(namespace, name)


def file_name_problem(name: str) -> str | None:
    """Return why ``name`` can't be the file name of an artifact, or None if it can."""
    if not _FILE_NAME_RE.fullmatch(name) or len(name) > 200 or name.endswith("."):
        return "must be a plain file name: letters, digits and '._+@=-', not starting or ending with a dot"
    if name.split(".", 1)[0].lower() in _WINDOWS_DEVICES:
        return "is the name of a device on Windows"
    return None


def normalise_type(plugin_type: str) -> str:
    """Convert the spelling ``HAL_DRIVER`` of a type to ``hal-driver``."""
    return plugin_type.lower().replace("_", "-")
