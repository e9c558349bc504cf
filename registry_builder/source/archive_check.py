"""Checks what an archive contains and whether it could be installed, by the client's own rules, before publishing.

Some rules are the builder's alone: a release can't be withdrawn, so what some hosts couldn't use is refused here.
Names that Windows can't hold are an error if the selectors allow Windows, else a warning
(docs/decisions/0027).
"""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import BinaryIO, NamedTuple

from registry_builder.source._named_files import MAX_SOURCE_BYTES, InstalledFiles, named_problems
from registry_builder.source._opaque_formats import opaque_problem
from registry_builder.source.allowed_secrets import Verdicts
from registry_builder.source.secrets.scan import SecretSearch
from registry_builder.source.tree import Severity
from sealdex.archive.entries import ArchiveEntry, DamagedArchiveError, Listing, RefusedArchiveError
from sealdex.archive.entries import entry_problems as refused_entries
from sealdex.archive.limits import UnpackLimits
from sealdex.archive.mapping import MappingError, plan_files
from sealdex.archive.reader import ArchiveFile
from sealdex.archive.tar import list_tar, read_tar
from sealdex.archive.windows_names import MAX_WINDOWS_PATH, windows_problem
from sealdex.archive.zip import list_zip, zip_content
from sealdex.model.platforms import with_usual_spellings
from sealdex.model.release import ARCHIVE_FORMATS, Artifact, Release, artifact_file_name, artifact_format
from sealdex.model.selectors import Expression, Operator, Selector, overlap

_SHOWN = 10
# C:\Users\<20 characters>\AppData\Local\sealdex\plugins\ and the separators after namespace, name and version
_STORE_LENGTH = 64
_ON_WINDOWS = Selector(match_labels={"os": "windows"})
_ON_POSIX = Selector(match_expressions=(Expression("os", Operator.NOT_IN, ("windows",)),))


class Finding(NamedTuple):
    """What is wrong with an artifact: the field of it (or of its release), a message, and the severity."""

    where: str
    message: str
    severity: Severity = "error"
    of_release: bool = False


def may_come_to_windows(*selectors: Selector) -> bool:
    """Return whether an artifact with these selectors (its own, its release's) may be installed on Windows."""
    return all(overlap(with_usual_spellings(selector), _ON_WINDOWS) is not None for selector in selectors)


def archive_findings(
    path: Path,
    artifact: Artifact,
    release: Release | None = None,
    *,
    depth: int = 0,
    file: BinaryIO | None = None,
    allow_secrets: Collection[str] | None = None,
) -> Iterator[Finding]:
    """Check a local file, and whether it contains what its release names.

    Args:
        path: the file.
        artifact: what the release says about it.
        release: the release; None skips the checks of what it names and limits.
        depth: characters of namespace, name and version, with which a path in a store begins.
        file: the file, if the caller has opened it.
        allow_secrets: patterns of files that may hold secrets; None skips the search for secrets.

    Raises:
        OSError: the file can't be read.
    """
    kind = artifact_format(artifact)
    if problem := opaque_problem(artifact, path, file):
        yield Finding("source", problem)
        return
    if kind not in {*ARCHIVE_FORMATS, "file"}:
        return
    limits = UnpackLimits()
    with ArchiveFile(path, name=artifact_file_name(artifact), file=file) as archive:
        try:
            listing = _listing(archive, kind, limits)
            refused = [*listing.problems, *refused_entries(listing.entries, limits, archive.size)]
        except RefusedArchiveError as error:
            refused = list(error.problems)
            listing = Listing([], [])
        except DamagedArchiveError as error:
            yield Finding("source", f"'{artifact.source}' is not a readable {kind}: {error.message}")
            return
        if refused:
            said = (f"'{artifact.source}' would be refused by every client: {problem}" for problem in refused)
            yield from _first(artifact, list(said), "error")
            return
        try:
            files = plan_files(path.name, listing.entries, artifact.files, artifact.bin)
        except MappingError as error:
            yield from (Finding(where, message) for where, message in error.problems)
            return
        selectors = (artifact.selector, release.selector if release is not None else Selector())
        windows = may_come_to_windows(*selectors)
        yield from _name_findings(artifact, listing.entries, windows=windows, depth=depth)
        if listing.guessed:
            message = f"'{artifact.source}': the encoding of {_example(listing.guessed)} not stated, so hosts "
            advice = f"may read it differently: unpack it and run: sealdex-builder pack FOLDER -o {path.name}"
            yield Finding("source", message + advice, "warning")
        if allow_secrets is not None:
            yield from _secret_findings(archive, artifact, kind, listing.entries, allow_secrets)
        if release is not None:
            content = partial(_content, archive, kind, listing.entries)
            posix = all(overlap(with_usual_spellings(selector), _ON_POSIX) is not None for selector in selectors)
            for where, message in named_problems(
                release, InstalledFiles(files, content, is_single=kind == "file"), runs_on_posix=posix
            ):
                yield Finding(where, f"{message} (in '{artifact.source}')", of_release=True)


def _secret_findings(
    archive: ArchiveFile, artifact: Artifact, kind: str, entries: Sequence[ArchiveEntry], allowed: Collection[str]
) -> Iterator[Finding]:
    verdicts = Verdicts(allowed)
    try:
        for found in SecretSearch().of_archive(archive, kind, entries):
            verdicts.add(artifact.source, found)
    except (DamagedArchiveError, RefusedArchiveError) as error:
        yield Finding("source", f"'{artifact.source}' is not a readable {kind}: {error.message}")
    yield from _first(artifact, verdicts.refused, "error")
    yield from _first(artifact, verdicts.permitted, "warning")
    yield from _first(artifact, verdicts.unsearched, "warning")


def _content(archive: ArchiveFile, kind: str, entries: Sequence[ArchiveEntry], path: str) -> bytes | None:
    """Return one file of an archive that was already checked; None if it can't be read."""
    try:
        if kind == "file":
            return archive.read_at(0, MAX_SOURCE_BYTES)
        if kind == "zip":
            entry = next((entry for entry in entries if entry.path == path), None)
            return b"".join(zip_content(archive, entry)) if entry is not None else None
        for item in read_tar(archive, kind.removeprefix("tar."), UnpackLimits()):
            if item.entry.path == path and item.entry.kind == "file":
                return b"".join(item.content)
    except (DamagedArchiveError, RefusedArchiveError):
        return None  # reported by listing or unpacking the archive
    return None


def _listing(archive: ArchiveFile, kind: str, limits: UnpackLimits) -> Listing:
    if kind == "file":
        return Listing([ArchiveEntry(path=archive.name, kind="file", size=archive.size)], [])
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
        "rename it, or limit the artifact: selector os In [linux, darwin]" if windows else "its selector excludes it"
    )
    said = [f"'{artifact.source}': {path!a} {problem}: {advice}" for path, problem in unholdable]
    yield from _first(artifact, said, "error" if windows else "warning")
    for message in name_warnings([(e.path, e.kind) for e in entries], windows=windows, depth=depth):
        yield Finding("source", f"'{artifact.source}': {message}", "warning")


def name_warnings(entries: Sequence[tuple[str, str]], *, windows: bool, depth: int = 0) -> Iterator[str]:
    """Yield a warning for each kind of trouble with paths and kinds that only some hosts support."""
    decomposed = [path for path, _ in entries if not path.isascii() and unicodedata.normalize("NFC", path) != path]
    if decomposed:
        yield (
            f"{_example(decomposed)} in decomposed Unicode form, as macOS writes names: "
            "a program on another system that opens the usual form won't find it"
        )
    if not windows:
        return
    if links := [path for path, kind in entries if kind == "symlink"]:
        yield (
            f"{_example(links)} a symbolic link, which few users may create on Windows: pack the file itself, "
            "or limit the artifact: selector os In [linux, darwin]"
        )
    room = MAX_WINDOWS_PATH - _STORE_LENGTH - depth
    if long := [path for path, _ in entries if len(path.encode("utf-16-le")) // 2 > room]:
        yield (
            f"{_example(long)} too long for Windows with its default settings: {MAX_WINDOWS_PATH} characters in all, "
            f"about {max(room, 0)} of them below the folder of a release"
        )


def _example(paths: Sequence[str]) -> str:
    return f"{paths[0]!a} is" if len(paths) == 1 else f"{paths[0]!a} (and {len(paths) - 1} more) is"


__all__ = ["Finding", "archive_findings", "may_come_to_windows", "name_warnings"]
