"""The entries of an archive and the rules they must obey; pure.

The rules hold for the archive as a whole, on every platform, whether or not an entry is installed in the end: an
archive with one bad entry is refused, and all its bad entries are named. The rules:

1. A path is relative, has no ``..``, no drive letter, no backslash, no control character, no name that Windows gives
   to a device or would shorten; so joined to a folder it stays inside.
2. No two entries may be the same file on any file system: not the same path twice, not paths that differ only in case
   or in Unicode normal form, nothing below a file or a link.
3. A symbolic link has its ``..`` only at the start of its target, and no more of them than folders above it. The
   folders above it are real (rule 2), so climbing them is exact; after that come only names, and a name that is
   itself such a link leads inside again. So no chain of links leads outside. (Where ``..`` may follow a name,
   ``a/b/up -> ../..`` and ``out -> a/b/up/..`` escape although each target looks harmless.)
4. A hard link points to a regular file that came before it in the archive.
5. Nothing but files, folders and links; no set-user-id, no set-group-id.
6. Number, total size and ratio are bounded (`UnpackLimits`).

Worked example: ``bin/tool -> ../lib/tool`` is accepted (one folder above, one ``..``), ``tool -> ../lib/tool`` is not.
"""

from __future__ import annotations

import re
import stat
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from typing import Literal

from msgspec import Struct

from sealdex.archive.limits import UnpackLimits
from sealdex.errors import InstallError, UnsafeArchiveError
from sealdex.lazy import regex

RECEIPT_FOLDER = ".sealdex"
"""Top-level folder of an installation that is reserved for Sealdex; archives must not contain it."""

MAX_PATH_BYTES = 1024
MAX_PART_BYTES = 255
MAX_DEPTH = 100
MAX_LINK_TARGET_BYTES = 1024

_DEVICE_RE = regex(r"(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9\u00b9\u00b2\u00b3]) *(\..*)?", re.IGNORECASE)
_DRIVE_RE = regex(r"[A-Za-z]:")
_SHOWN_PROBLEMS = 20

EntryKind = Literal["file", "folder", "symlink", "hardlink", "other"]
"""What an entry of an archive is; ``other`` is refused."""
DEVICE = "a device, pipe or socket"


class StoredData(Struct, frozen=True, gc=False):
    """The position of a zip entry's content in the archive.

    Attributes:
        offset, length: bytes, as stored; a range request for them fetches this file alone.
        method: 0 stored, 8 deflated.
        crc32: of the content.
    """

    offset: int
    length: int
    method: int
    crc32: int


class ArchiveEntry(Struct, frozen=True):
    """One entry of an archive.

    Attributes:
        path: with forward slashes, without a leading ``./`` or a trailing slash; unchecked until `entry_problems` ran.
        kind: ``file``, ``folder``, ``symlink``, ``hardlink``, or a text for anything else (refused).
        size: bytes of content; 0 for all but files.
        mode: permission bits as stored, 0 if the archive has none.
        target: what a link points to, as stored.
        data: zip only.
        described: in words what an ``other`` is.
    """

    path: str
    kind: EntryKind
    size: int = 0
    mode: int = 0
    target: str | None = None
    data: StoredData | None = None
    described: str = ""

    @property
    def executable(self) -> bool:
        """Whether the owner may execute it."""
        return bool(self.mode & stat.S_IXUSR)


class EntryProblem(Struct, frozen=True):
    """Why one entry (or, with an empty name, the whole archive) is refused."""

    name: str
    message: str

    def __str__(self) -> str:
        # ascii(): makes terminal escapes and look-alike letters visible
        return f"{self.name!a} {self.message}" if self.name else self.message


class Listing(Struct, frozen=True):
    """The result of reading an archive's directory.

    Attributes:
        entries: in the order of the archive.
        problems: problems found by the reader itself.
        second_opinions: problems found by another library; reported for entries that our rules accept.
        guessed: names whose encoding the archive doesn't state.
    """

    entries: list[ArchiveEntry]
    problems: list[EntryProblem]
    second_opinions: Sequence[EntryProblem] = ()
    guessed: Sequence[str] = ()


class RefusedArchiveError(UnsafeArchiveError):
    """An archive violates the rules; ``problems`` has all violations, the message the first few."""

    def __init__(self, archive: str, problems: Sequence[EntryProblem]) -> None:
        lines = [str(problem) for problem in problems[:_SHOWN_PROBLEMS]]
        if len(problems) > _SHOWN_PROBLEMS:
            lines.append(f"and {len(problems) - _SHOWN_PROBLEMS} more")
        super().__init__(
            f"archive {archive} is refused: " + "; ".join(lines),
            subject=archive,
            untouched="nothing was unpacked",
            hint="report this to the plugin's author; `sealdex-builder validate` names these entries",
        )
        self.problems = tuple(problems)


class DamagedArchiveError(InstallError):
    """An archive can't be read in its stated format."""

    code = "damaged-archive"

    def __init__(self, archive: str, reason: str) -> None:
        super().__init__(
            f"archive {archive} can't be read: {reason}",
            subject=archive,
            untouched="nothing was installed",
            hint="report this to the plugin's author; the file is the signed one, so it was published like this",
        )


def entry_problems(entries: Sequence[ArchiveEntry], limits: UnpackLimits, archive_bytes: int) -> list[EntryProblem]:
    """Return every violation in an archive of ``archive_bytes`` with these entries, in the archive's order."""
    problems: list[EntryProblem] = []
    if len(entries) > limits.max_entries:
        problems.append(EntryProblem("", f"has {len(entries)} entries, at most {limits.max_entries} are allowed"))
    total = sum(entry.size for entry in entries)
    if total > (allowed := limits.allowed_bytes(archive_bytes)):
        problems.append(
            EntryProblem("", f"unpacks to {total} bytes; {allowed} are allowed for an archive of {archive_bytes} bytes")
        )
    tree = TreeRules()
    files: set[str] = set()
    for entry in entries:
        problems += (EntryProblem(entry.path, message) for message in _problems_of(entry, files))
        if message := tree.add(entry.path, entry.described or entry.kind):
            problems.append(EntryProblem(entry.path, message))
        if entry.kind == "file":
            files.add(entry.path)
    return problems


def _problems_of(entry: ArchiveEntry, files_before: set[str]) -> Iterator[str]:
    if problem := path_problem(entry.path):
        yield problem
    elif is_reserved(entry.path):
        yield f"is in {RECEIPT_FOLDER}/, which is reserved for Sealdex"
    if entry.kind == "other":
        yield f"is {entry.described}; only files, folders and links are unpacked"
    if entry.mode & (stat.S_ISUID | stat.S_ISGID) and entry.kind != "folder":
        yield "is set-user-id or set-group-id"
    if entry.kind == "symlink" and (problem := symlink_problem(entry.path, entry.target or "")):
        yield problem
    if entry.kind == "hardlink" and entry.target not in files_before:
        yield f"is a hard link to {entry.target!a}, which is not an earlier file in the archive"


def path_problem(path: str) -> str | None:
    """Return why a path can't be unpacked (rule 1), or None if it can."""
    if not path:
        return "has an empty name"
    if path.startswith("/"):
        return "is an absolute path"
    if "\\" in path:
        return "contains a backslash, which Windows reads as a separator"
    if problem := _text_problem(path, MAX_PATH_BYTES):
        return problem
    parts = path.split("/")
    if len(parts) > MAX_DEPTH:
        return f"is {len(parts)} folders deep, at most {MAX_DEPTH} are allowed"
    return next((problem for part in parts if (problem := _part_problem(part))), None)


def _part_problem(part: str) -> str | None:
    if part == "..":
        return "leads out of its folder with '..'"
    if part in {"", "."}:
        return "has an empty or '.' part in its path"
    if _DRIVE_RE.match(part):
        return "contains a drive letter"
    if part[-1] in ". ":
        return "has a part that ends in a dot or a space, which Windows drops"
    if _DEVICE_RE.fullmatch(part):
        return "has the name of a device on Windows"
    if len(part.encode()) > MAX_PART_BYTES:
        return f"has a part longer than {MAX_PART_BYTES} bytes"
    return None


def _text_problem(text: str, max_bytes: int) -> str | None:
    try:
        encoded = text.encode()
    except UnicodeEncodeError:
        return "is not valid UTF-8"
    if len(encoded) > max_bytes:
        return f"is {len(encoded)} bytes long, at most {max_bytes} are allowed"
    if any(unicodedata.category(c) == "Cc" for c in text):
        return "contains a control character"
    return None


def symlink_problem(path: str, target: str) -> str | None:
    """Return why a symbolic link at ``path`` must not point to ``target`` (rule 3), or None if it may."""
    shown = ascii(target)
    if not target:
        return "is a link to nothing"
    if target.startswith("/") or "\\" in target or _DRIVE_RE.match(target):
        return f"is a link to {shown}, which is not a relative path with forward slashes"
    if problem := _text_problem(target, MAX_LINK_TARGET_BYTES):
        return f"is a link to {shown}, which {problem}"
    parts = [part for part in target.split("/") if part not in {"", "."}]
    climbs = next((i for i, part in enumerate(parts) if part != ".."), len(parts))
    if climbs > path.count("/"):
        return f"is a link to {shown}, which leads out of the archive's folder"
    if ".." in parts[climbs:]:
        return f"is a link to {shown}, which has '..' after a name: write the shortest relative path"
    if any(_DRIVE_RE.match(part) for part in parts):
        return f"is a link to {shown}, which contains a drive letter"
    return None


class TreeRules:
    """Rule 2, for paths added one by one: no two are the same file, and nothing is below a file or a link."""

    def __init__(self) -> None:
        self._seen: dict[str, tuple[str, str]] = {}  # key -> (spelling, kind); folders implied by paths included

    def add(self, path: str, kind: str) -> str | None:
        """Add a path; return why it clashes with an earlier one, or None."""
        slash = path.find("/")
        while slash > 0:
            folder = path[:slash]
            if problem := self._clash(folder, "folder"):
                return problem
            slash = path.find("/", slash + 1)
        return self._clash(path, kind)

    def _clash(self, path: str, kind: str) -> str | None:
        spelling, before = self._seen.setdefault(same_file_key(path), (path, ""))
        if not before:
            self._seen[same_file_key(path)] = (path, kind)
            return None
        if spelling != path:
            return f"clashes with {spelling!a}, which is the same name on file systems that ignore case or Unicode form"
        if kind == before == "folder":
            return None  # archives made by appending list a folder again; folders have nothing that could differ
        if "folder" in {kind, before}:
            return f"clashes with {path!a}, which is {before if kind == 'folder' else kind} and folder at the same time"
        return "occurs twice"


def is_reserved(path: str) -> bool:
    """Return whether a path is in the folder that is reserved for Sealdex."""
    return same_file_key(path.split("/", 1)[0]) == RECEIPT_FOLDER


def same_file_key(path: str) -> str:
    """Return a key that is equal for two paths that are the same on some file system."""
    if path.isascii():
        return path.lower()
    # Canonical caseless matching (Unicode Standard, D145)
    return unicodedata.normalize("NFD", unicodedata.normalize("NFD", path).casefold())


def normal_path(name: str) -> str:
    """Drop a leading ``./`` and a trailing slash, which mean nothing; other oddities are kept and refused."""
    return name.removeprefix("./").removesuffix("/") if name not in {".", "./"} else ""


def refuse_if(archive: str, problems: Iterable[EntryProblem]) -> None:
    """Raise `RefusedArchiveError` if there are problems."""
    if found := list(problems):
        raise RefusedArchiveError(archive, found)
