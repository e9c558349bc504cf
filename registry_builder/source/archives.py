"""What an archive holds, and whether an installation could be made from it: the client's own rules, applied early."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from sealdex.archive.entries import DamagedArchiveError, Listing, RefusedArchiveError, entry_problems
from sealdex.archive.limits import UnpackLimits
from sealdex.archive.mapping import MappingError, plan_files
from sealdex.archive.reading import ArchiveFile
from sealdex.archive.tar_reader import list_tar
from sealdex.archive.zip_reader import list_zip
from sealdex.model.release import ARCHIVE_FORMATS, Artifact, artifact_format

_SHOWN = 10


def archive_problems(path: Path, artifact: Artifact) -> Iterator[tuple[str, str]]:
    """Yield (field of the artifact, what is wrong) for a local file; nothing for formats that aren't unpacked.

    Raises:
        OSError: the file can't be read.
    """
    kind = artifact_format(artifact)
    if kind not in ARCHIVE_FORMATS:
        return
    limits = UnpackLimits()
    try:
        with ArchiveFile(path) as archive:
            listing = _listing(archive, kind, limits)
            refused = [*listing.problems, *entry_problems(listing.entries, limits, archive.size)]
    except RefusedArchiveError as error:
        refused = list(error.problems)
        listing = Listing([], [])
    except DamagedArchiveError as error:
        yield "source", f"'{artifact.source}' is no readable {kind}: {error.message}"
        return
    for problem in refused[:_SHOWN]:
        yield "source", f"'{artifact.source}' would be refused by every client: {problem}"
    if len(refused) > _SHOWN:
        yield "source", f"'{artifact.source}' would be refused for {len(refused) - _SHOWN} more reasons"
    if refused:
        return
    try:
        plan_files(path.name, listing.entries, artifact.files, artifact.bin)
    except MappingError as error:
        yield from error.problems


def _listing(archive: ArchiveFile, kind: str, limits: UnpackLimits) -> Listing:
    return list_zip(archive, limits) if kind == "zip" else list_tar(archive, kind.removeprefix("tar."), limits)


__all__ = ["archive_problems"]
