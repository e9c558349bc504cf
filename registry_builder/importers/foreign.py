"""What another system has, in plain values: plugins, releases, files and where their bytes are. Pure.

Each importer reads its system into a `Found`; everything after that (`registry_builder.importers.run`) is shared.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from sealdex.model.foreign_fields import present, shown
from sealdex.model.wording import MAX_TITLE_LENGTH, keyword_problem, line_problem

MAX_SUMMARY = 250
GIT = "git"  # SHA-1 of a blob, as git names it
ALGORITHMS = {"sha256": 64, "sha512": 128, "sha384": 96, "sha1": 40, "md5": 32, GIT: 40}
"""Digests that sources state, and how many hexadecimal digits each has."""

_KEYWORD = re.compile(r"[a-z0-9]+([._+-][a-z0-9]+)*")


class NotRepresentable(NamedTuple):
    """One thing that isn't imported, or not all of it.

    Attributes:
        place: file and line, or address.
        name: the plugin, as the source names it.
        version: as the source writes it; empty for the plugin as a whole.
        reason: the field, what is wrong with it and what to do.
        whole: whether the release is missing, not only a field of it.
    """

    place: str
    name: str
    version: str
    reason: str
    whole: bool


class SourceError(ValueError):
    """Something of the source can't be read or represented; the message is the reason, with its field."""


@dataclass(frozen=True)
class LocalFile:
    """Bytes on this machine.

    Attributes:
        folder: what the user named: links out of it aren't followed.
        path: the file, below ``folder``.
        is_named: the user named the file itself, so that a link is followed.
    """

    folder: Path
    path: Path
    is_named: bool = False

    def __str__(self) -> str:
        return str(self.path)


@dataclass(frozen=True)
class RemoteFile:
    """Bytes at an address."""

    url: str

    def __str__(self) -> str:
        return self.url


@dataclass(frozen=True)
class PackedMember:
    """A file of an archive that importing makes, with the digests that the source states for it."""

    origin: LocalFile | RemoteFile
    digests: Mapping[str, str] = field(default_factory=dict)
    size: int | None = None


@dataclass(frozen=True)
class Packing:
    """Bytes that importing makes: a zip of many files.

    Attributes:
        members: path in the archive to the file.
        added: path in the archive to content.
        checksums: whether it gets ``checksum.sha256``, as service packages have it.
    """

    members: Mapping[str, PackedMember]
    added: Mapping[str, bytes] = field(default_factory=dict)
    checksums: bool = False

    def __str__(self) -> str:
        return f"{len(self.members)} files"


@dataclass(frozen=True)
class ForeignFile:
    """One artifact at the source.

    Attributes:
        origin: where its bytes are.
        name: its name here; by default the last part of the origin.
        digests: what the source states: algorithm (``sha256``, ``sha512``, ``sha1``, ``md5``, ``git``) to digest.
        size: bytes that the source states.
        fields: further fields of an artifact: ``selector``, ``tags``, ``format``, ``bin``, ``files``.
        unstable: why its address doesn't last, so that the bytes are copied; None if it does.
        generated: its bytes are made on request, and change: nothing may pin them where they are.
        is_library: a shared library: its own header says which hosts it is for.
        head: the first bytes of that library, where it is inside an archive.
        address: where clients get it if it isn't copied, where `origin` is a copy on this machine.
        verify: whether its bytes are read even where the source states their SHA-256.
    """

    origin: LocalFile | RemoteFile | Packing
    name: str | None = None
    digests: Mapping[str, str] = field(default_factory=dict)
    size: int | None = None
    fields: Mapping[str, Any] = field(default_factory=dict)
    unstable: str | None = None
    generated: bool = False
    is_library: bool = False
    head: bytes | None = None
    address: str | None = None
    verify: bool = False


@dataclass(frozen=True)
class ForeignAttachment:
    """A file beside a release at the source: provenance, an SBOM, a signature."""

    origin: LocalFile | RemoteFile
    name: str
    kind: str | None = None
    sha256: str | None = None


@dataclass(frozen=True)
class ForeignRelease:
    """One version.

    Attributes:
        plugin: how the source identifies the plugin.
        version: as the source writes it.
        place: file and line, or address.
        fields: of a release, in plain values.
        files: its artifacts.
        named: fields of a release to the source's names of them, for messages.
        dependencies: the source's name of a plugin, or ``NS/NAME``, to a range.
        channels: further channels.
        yanked: why it is yanked at the source; None if it isn't.
        attachments: provenance.
        record: what no release has a field for; it comes along as an attachment.
        left_out: fields that can't be represented, each with its reason.
    """

    plugin: str
    version: str
    place: str
    fields: Mapping[str, Any]
    files: tuple[ForeignFile, ...]
    named: Mapping[str, str] = field(default_factory=dict)
    dependencies: Mapping[str, str] = field(default_factory=dict)
    channels: tuple[str, ...] = ()
    yanked: str | None = None
    attachments: tuple[ForeignAttachment, ...] = ()
    record: Mapping[str, Any] = field(default_factory=dict)
    left_out: tuple[str, ...] = ()


@dataclass(frozen=True)
class ForeignPlugin:
    """One plugin.

    Attributes:
        id: how the source identifies it.
        names: proposals for its name here, the best first.
        fields: of plugin.yaml, in plain values, and at least ``type`` and ``summary``.
        readme: Markdown.
        deprecated: why it is deprecated at the source; None if it isn't.
        use: its successor, as the source identifies it.
        namespace: proposal for its namespace.
    """

    id: str
    names: tuple[str, ...]
    fields: Mapping[str, Any]
    readme: str = ""
    deprecated: str | None = None
    use: str | None = None
    namespace: str | None = None


@dataclass
class Found:
    """What was read of a source.

    Attributes:
        plugins: by the source's identifier.
        releases: in the source's order.
        refused: what can't be represented.
        entries: how many the source has.
        notes: for people, about the source as a whole.
    """

    plugins: dict[str, ForeignPlugin] = field(default_factory=dict)
    releases: list[ForeignRelease] = field(default_factory=list)
    refused: list[NotRepresentable] = field(default_factory=list)
    entries: int = 0
    notes: list[str] = field(default_factory=list)

    def refuse(self, place: str, name: object, version: object, reasons: Iterable[str] | str) -> None:
        """Add one reason, or several, why a release isn't imported."""
        for reason in [reasons] if isinstance(reasons, str) else reasons:
            self.refused.append(NotRepresentable(place, shown(name), shown(version), reason, whole=True))


def slug(text: str) -> str | None:
    """Return a name as an identifier's part; None if letters of it would be lost, as with Chinese, or don't show.

    >>> slug("NMT_M2M100"), slug("My Plugin!"), slug("Café"), slug("消息通知")
    ('nmt_m2m100', 'my-plugin', 'cafe', None)
    """
    plain = "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c)).lower()
    if any((c.isalnum() and not c.isascii()) or not (c.isprintable() or c.isspace()) for c in plain):
        return None  # letters would be lost, or it looks like another name
    plain = re.sub(r"[^a-z0-9._-]+", "-", plain)
    plain = re.sub(r"[._-]*-[._-]*|[._-]{2,}", "-", plain).strip("._-")
    return plain or None


def keyword(text: str) -> str | None:
    """Return a tag of the source as a keyword, in whatever script; None if it can't be one.

    >>> keyword("Reverse Proxy"), keyword("语音"), keyword("c#")
    ('reverse-proxy', '语音', None)
    """
    plain = re.sub(r"[\s/]+", "-", unicodedata.normalize("NFC", text.strip()).lower())
    if plain.isascii():
        return plain if len(plain) <= 64 and _KEYWORD.fullmatch(plain) else None
    return plain if len(plain) <= 64 and keyword_problem(plain) is None else None


def title_of(*candidates: object) -> str | None:
    """Return the first text that can be a plugin's title, which may be in any script; None if none can."""
    for text in candidates:
        line = " ".join(unicodedata.normalize("NFC", text).split()) if isinstance(text, str) else ""
        if line and len(line) <= MAX_TITLE_LENGTH and line_problem(line) is None:
            return line
    return None


def keywords(tags: object, field_name: str) -> tuple[tuple[str, ...], list[str]]:
    """Return keywords of tags, and the reasons why others can't be any."""
    if tags is None:
        return (), []
    if not isinstance(tags, list | tuple):
        return (), [f"{field_name}: is not a list"]
    found, left = dict[str, None](), list[str]()
    for tag in tags:
        made = keyword(tag) if isinstance(tag, str) else None
        if made is None:
            left.append(f"{field_name}: '{shown(tag)}' can't be a keyword: write letters and digits, joined by '-'")
        else:
            found[made] = None
    return tuple(found), left


def summary_of(*candidates: object) -> str:
    """Return the first text as one line of at most `MAX_SUMMARY` characters."""
    for text in candidates:
        line = " ".join(text.split()) if isinstance(text, str) else ""
        line = "".join(c for c in line if c.isprintable())
        if line:
            return line if len(line) <= MAX_SUMMARY else line[: MAX_SUMMARY - 1] + "…"
    return "-"


def web_address(value: object) -> str | None:
    """Return an address for plugin.yaml; None for what isn't one."""
    is_one = isinstance(value, str) and re.fullmatch(r"https?://(?![^/?#]*@)\S{1,2000}", value)  # without a password
    return str(value) if is_one else None


def digest_problem(algorithm: str, digest: object) -> str | None:
    """Return why a stated digest can't be one; None if it can."""
    if algorithm not in ALGORITHMS:
        return f"is of an unknown kind: known are {', '.join(ALGORITHMS)}"
    if not isinstance(digest, str):
        return f"is {digest!r}, not a text"
    if len(digest) != ALGORITHMS[algorithm] or any(c not in "0123456789abcdef" for c in digest.lower()):
        return f"is not a {algorithm} digest: {ALGORITHMS[algorithm]} hexadecimal digits"
    return None


def stated_problems(digests: Mapping[str, object], size: object) -> Iterator[str]:
    """Yield what is wrong with the digests and the size that a source states."""
    for name, digest in digests.items():
        if problem := digest_problem(name, digest):
            yield f"{name}: {problem}"
    if size is not None and (isinstance(size, bool) or not isinstance(size, int) or size < 0):
        yield f"size: is {shown(size)}, not a number of bytes"


def unknown_fields(values: Mapping[str, Any], known: Iterable[str]) -> Iterator[tuple[str, Any]]:
    """Yield fields that an importer has no use for, and their values."""
    taken = set(known)
    yield from ((name, value) for name, value in values.items() if name not in taken)


__all__ = [
    "ALGORITHMS",
    "GIT",
    "MAX_SUMMARY",
    "ForeignAttachment",
    "ForeignFile",
    "ForeignPlugin",
    "ForeignRelease",
    "Found",
    "LocalFile",
    "NotRepresentable",
    "PackedMember",
    "Packing",
    "RemoteFile",
    "SourceError",
    "digest_problem",
    "keyword",
    "keywords",
    "present",
    "shown",
    "slug",
    "stated_problems",
    "summary_of",
    "title_of",
    "unknown_fields",
    "web_address",
]
