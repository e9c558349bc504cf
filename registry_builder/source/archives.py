"""What an archive holds, and whether an installation could be made from it: the client's own rules, applied early.

Some rules are the builder's alone: a release can't be taken back, so what some hosts couldn't use is refused here.
Names that Windows can't hold are an error where the selectors let the artifact come to Windows, else a warning
(docs/decisions/0027).
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from registry_builder.source.opaque_formats import opaque_problem
from registry_builder.source.tree import Severity
from sealdex.archive.entries import SYMLINK, ArchiveEntry, DamagedArchiveError, Listing, RefusedArchiveError
from sealdex.archive.entries import entry_problems as refused_entries
from sealdex.archive.limits import UnpackLimits
from sealdex.archive.mapping import MappingError, PlannedFile, plan_files
from sealdex.archive.reading import ArchiveFile
from sealdex.archive.tar_reader import list_tar
from sealdex.archive.windows_names import MAX_WINDOWS_PATH, windows_problem
from sealdex.archive.zip_reader import list_zip
from sealdex.model.platforms import with_usual_spellings
from sealdex.model.release import ARCHIVE_FORMATS, Artifact, artifact_format
from sealdex.model.selectors import Selector, overlap

_SHOWN = 10
# C:\Users\<20 characters>\AppData\Local\sealdex\plugins\ and the separators behind namespace, name and version
_STORE_LENGTH = 64
_ON_WINDOWS = Selector(match_labels={"os": "windows"})


class Finding(NamedTuple):
    """What is wrong with an artifact: the field of it, in words, and how bad."""

    where: str
    message: str
    severity: Severity = Severity.ERROR


class Content(NamedTuple):
    """What an artifact comes to: the files of an installation, and what is wrong. No files where that can't be told."""

    files: tuple[PlannedFile, ...]
    findings: tuple[Finding, ...]


def may_come_to_windows(*selectors: Selector) -> bool:
    """Tell whether an artifact with these selectors (its own, its release's) may be installed on Windows."""
    return all(overlap(with_usual_spellings(selector), _ON_WINDOWS) is not None for selector in selectors)


def archive_content(path: Path, artifact: Artifact, *, shared: Selector | None = None, depth: int = 0) -> Content:
    """Look into a local file; formats that aren't unpacked have no findings.

    Args:
        path: the file.
        artifact: what the release says of it.
        shared: the selector of its release.
        depth: characters of namespace, name and version, which a path in a store begins with.

    Raises:
        OSError: the file can't be read.
    """
    kind = artifact_format(artifact)
    if problem := opaque_problem(artifact, path):
        return Content((), (Finding("source", problem),))
    if kind not in ARCHIVE_FORMATS:
        return Content((), ())
    limits = UnpackLimits()
    try:
        with ArchiveFile(path) as archive:
            listing = _listing(archive, kind, limits)
            refused = [*listing.problems, *refused_entries(listing.entries, limits, archive.size)]
    except RefusedArchiveError as error:
        refused = list(error.problems)
        listing = Listing([], [])
    except DamagedArchiveError as error:
        return Content((), (Finding("source", f"'{artifact.source}' is no readable {kind}: {error.message}"),))
    if refused:
        said = (f"'{artifact.source}' would be refused by every client: {problem}" for problem in refused)
        return Content((), tuple(_first(artifact, list(said), Severity.ERROR)))
    try:
        files = plan_files(path.name, listing.entries, artifact.files, artifact.bin)
    except MappingError as error:
        return Content((), tuple(Finding(where, message) for where, message in error.problems))
    windows = may_come_to_windows(artifact.selector, shared or Selector())
    return Content(files, tuple(_name_findings(artifact, listing.entries, windows=windows, depth=depth)))


def _listing(archive: ArchiveFile, kind: str, limits: UnpackLimits) -> Listing:
    return list_zip(archive, limits) if kind == "zip" else list_tar(archive, kind.removeprefix("tar."), limits)


def _first(artifact: Artifact, said: Sequence[str], severity: Severity) -> Iterator[Finding]:
    for message in said[:_SHOWN]:
        yield Finding("source", message, severity)
    if len(said) > _SHOWN:
        yield Finding("source", f"'{artifact.source}': and {len(said) - _SHOWN} more of these", severity)


def _name_findings(
    artifact: Artifact, entries: Sequence[ArchiveEntry], *, windows: bool, depth: int
) -> Iterator[Finding]:
    unholdable = [(e.path, problem) for e in entries if (problem := windows_problem(e.path))]
    advice = (
        "rename it, or limit the artifact: selector os In [linux, darwin]" if windows else "its selector excludes that"
    )
    said = [f"'{artifact.source}': {path!a} {problem}: {advice}" for path, problem in unholdable]
    yield from _first(artifact, said, Severity.ERROR if windows else Severity.WARNING)
    for message in name_warnings([(e.path, e.kind) for e in entries], windows=windows, depth=depth):
        yield Finding("source", f"'{artifact.source}': {message}", Severity.WARNING)


def name_warnings(entries: Sequence[tuple[str, str]], *, windows: bool, depth: int = 0) -> Iterator[str]:
    """Yield what of these paths and kinds works on some hosts alone, a sentence for each kind of trouble."""
    decomposed = [path for path, _ in entries if not path.isascii() and unicodedata.normalize("NFC", path) != path]
    if decomposed:
        yield (
            f"{_example(decomposed)} in decomposed Unicode form, as macOS writes names: "
            "a program elsewhere that asks for the usual form won't find it"
        )
    if not windows:
        return
    if links := [path for path, kind in entries if kind == SYMLINK]:
        yield (
            f"{_example(links)} a symbolic link, which Windows lets few users make: pack the file itself, "
            "or limit the artifact: selector os In [linux, darwin]"
        )
    room = MAX_WINDOWS_PATH - _STORE_LENGTH - depth
    if long := [path for path, _ in entries if len(path.encode("utf-16-le")) // 2 > room]:
        yield (
            f"{_example(long)} too long for Windows as it is set up by default: {MAX_WINDOWS_PATH} characters in all, "
            f"about {room} of them below the folder of a release"
        )


def _example(paths: Sequence[str]) -> str:
    return f"{paths[0]!a} is" if len(paths) == 1 else f"{paths[0]!a} (and {len(paths) - 1} more) is"


__all__ = ["Content", "Finding", "archive_content", "may_come_to_windows", "name_warnings"]
