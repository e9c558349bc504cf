"""Decides which entries of an archive are installed, and under which paths; pure.

The mapping is krew's (``files: [{from, to}]``), so that its plugins install as they are:

- ``from`` that names a file or folder takes it, to the path ``to``; with ``to: .`` to the top, under its own name.
- Any other ``from`` is a pattern, matched part by part (``*``, ``?``, ``[abc]``; never across a slash), and takes all
  that it matches into the folder ``to``, each under its own name.
- A folder is taken with all that is in it. A leading slash means nothing. What several lines match, the first takes.
- No line at all takes everything as it is.
"""

from __future__ import annotations

import fnmatch
import posixpath
import re
from collections.abc import Sequence
from typing import Protocol

from msgspec import Struct

from sealdex.archive.entries import (
    ArchiveEntry,
    EntryKind,
    TreeRules,
    is_reserved,
    path_problem,
    symlink_problem,
)
from sealdex.errors import InstallError


class FileRule(Protocol):
    """One line of a mapping: `sealdex.model.index.MappedFile` or `sealdex.model.release.FileMapping`."""

    @property
    def source(self) -> str:
        """The source."""

    @property
    def to(self) -> str:
        """The destination."""


class PlannedFile(Struct, frozen=True, omit_defaults=True):
    """One planned file, link or folder of an installation.

    Attributes:
        path: inside the installation.
        kind: ``file``, ``folder``, ``symlink`` or ``hardlink``.
        size: bytes, of a file.
        mode: 0o644 or 0o755.
        source: path of the entry with the content; for a hard link, `path` of the planned file it shares it with.
        target: what a symbolic link points to.
    """

    path: str
    kind: EntryKind
    size: int
    mode: int
    source: str
    target: str | None = None


class MappingError(InstallError):
    """`files` or `bin` of a manifest don't fit the archive; ``problems`` has (field, what is wrong) for each."""

    code = "mapping"

    def __init__(self, archive: str, problems: Sequence[tuple[str, str]]) -> None:
        super().__init__(
            f"the manifest does not fit archive {archive}: " + "; ".join(f"{field} {what}" for field, what in problems),
            subject=archive,
            untouched="nothing was unpacked",
            hint="report this to the plugin's author; `sealdex-builder validate` names these fields",
        )
        self.problems = tuple(problems)


def plan_files(
    archive: str, entries: Sequence[ArchiveEntry], files: Sequence[FileRule] = (), bin_path: str | None = None
) -> tuple[PlannedFile, ...]:
    """Return the planned contents of an installation, folders first.

    Args:
        archive: its name, for messages.
        entries: accepted by `entry_problems`.
        files: the mapping.
        bin_path: the program, as a path after unpacking; made executable.

    Raises:
        MappingError: a line matches nothing, two entries would get one path, a path is unsafe, the program is missing.
    """
    problems: list[tuple[str, str]] = []
    paths = _mapped_paths(entries, files, problems) if files else {entry.path: entry.path for entry in entries}
    planned: dict[str, PlannedFile] = {}
    content_at: dict[str, str] = {}  # entry whose content is written -> where
    originals = {entry.path: entry.target for entry in entries if entry.kind == "hardlink" and entry.target}
    sizes = {entry.path: entry.size for entry in entries}
    rules = TreeRules()
    for entry in entries:
        path = paths.get(entry.path)
        if path is None or (path in planned and entry.kind == "folder" == planned[path].kind):
            continue
        if problem := _output_problem(path, entry, rules):
            problems.append(("files", f"puts {entry.path!a} at {path!a}, which {problem}"))
            continue
        source = originals.get(entry.path, entry.path)
        first = content_at.setdefault(source, path) if entry.kind in {"file", "hardlink"} else path
        kind: EntryKind = entry.kind
        if kind in {"file", "hardlink"}:
            kind = "file" if first == path else "hardlink"
        planned[path] = PlannedFile(
            path=path,
            kind=kind,
            size=sizes[source] if kind == "file" else 0,
            # names of one file also share its mode
            mode=planned[first].mode if kind == "hardlink" else _mode(entry),
            source=first if kind == "hardlink" else source,
            target=entry.target if kind == "symlink" else None,
        )
    if bin_path is not None and not problems:
        _make_executable(bin_path, planned, problems)
    if problems:
        raise MappingError(archive, problems)
    return tuple(sorted(planned.values(), key=lambda file: file.kind != "folder"))


def _mode(entry: ArchiveEntry) -> int:
    return 0o755 if entry.kind == "folder" or entry.executable else 0o644


def _output_problem(path: str, entry: ArchiveEntry, rules: TreeRules) -> str | None:
    if is_reserved(path):
        return "is reserved for Sealdex"
    if problem := path_problem(path) or rules.add(path, entry.described or entry.kind):
        return problem
    return symlink_problem(path, entry.target or "") if entry.kind == "symlink" else None


def _mapped_paths(
    entries: Sequence[ArchiveEntry], files: Sequence[FileRule], problems: list[tuple[str, str]]
) -> dict[str, str]:
    known = dict.fromkeys(entry.path for entry in entries)
    for path in list(known):
        while path := path.rpartition("/")[0]:
            known[path] = None
    mapped: dict[str, str] = {}
    for i, rule in enumerate(files):
        taken = _taken(rule, known)
        if not taken:
            problems.append((f"files[{i}].from", f"{rule.source!a} matches nothing in the archive"))
        for path in known:
            # the nearest folder (or the path itself) that the line takes
            prefix = path
            while prefix not in taken and prefix:
                prefix = prefix.rpartition("/")[0]
            if prefix in taken:
                rest = path[len(prefix) :].lstrip("/")
                mapped.setdefault(path, posixpath.normpath(posixpath.join(taken[prefix], rest)))
    return {path: to for path, to in mapped.items() if to != "."}


def _taken(rule: FileRule, known: dict[str, None]) -> dict[str, str]:
    """Return what one line takes: path in the archive -> path after unpacking ('' for the top, both ways)."""
    source, to = posixpath.normpath(rule.source.lstrip("/") or "."), posixpath.normpath(rule.to or ".")
    if source == ".":
        return {"": to}
    if source in known:
        return {source: posixpath.basename(source) if to == "." else to}
    patterns = [_part_pattern(part) for part in source.split("/")]
    return {
        path: posixpath.join(to, posixpath.basename(path))
        for path in known
        if path.count("/") == len(patterns) - 1
        and all(p.fullmatch(part) for p, part in zip(patterns, path.split("/"), strict=True))
    }


def _part_pattern(part: str) -> re.Pattern[str]:
    return re.compile(fnmatch.translate(part.replace("[^", "[!")))


def _make_executable(bin_path: str, planned: dict[str, PlannedFile], problems: list[tuple[str, str]]) -> None:
    path = posixpath.normpath(bin_path)
    for _ in range(40):  # links to links; the number is the kernel's
        file = planned.get(path)
        if file is None or file.kind not in {"symlink", "hardlink"}:
            break
        path = (
            file.source
            if file.kind == "hardlink"
            else posixpath.normpath(posixpath.join(posixpath.dirname(path), file.target or ""))
        )
    if file is None or file.kind != "file":
        programs = [name for name, other in planned.items() if other.kind == "file"]
        import difflib  # noqa: PLC0415  # for a message

        near = difflib.get_close_matches(bin_path, programs, n=3, cutoff=0.4)
        problems.append(
            (
                "bin",
                f"{bin_path!a} is not among the unpacked files" + (f"; near: {', '.join(near)}" if near else ""),
            )
        )
        return
    for name, other in planned.items():
        if other.path == path or (other.kind == "hardlink" and other.source == path):
            planned[name] = PlannedFile(other.path, other.kind, other.size, 0o755, other.source, other.target)
