"""What of a lock the registry must sign as well, and what is taken from there where the lock doesn't have it. Pure."""

from __future__ import annotations

from msgspec.structs import replace

from sealdex.errors import NotFoundError, VerificationError
from sealdex.model.index import ArtifactEntry, IndexDocument, ReleaseEntry
from sealdex.resolve import Choice


def agreed(choice: Choice, document: IndexDocument | None) -> tuple[Choice, ReleaseEntry]:
    """Compare a locked release with what is signed of it; return it with the signed lists of files, and what is signed.

    A lock from before there were lists has none, so the signed one is taken; one that the lock has must be the signed
    one: by it files are put together that the archive's digest says nothing of.

    Args:
        choice: as locked.
        document: the plugin's index document; None where the registry has none.

    Raises:
        NotFoundError: the registry doesn't have the release any more.
        VerificationError: it signs something else.
    """
    signed = document.release(choice.release.version) if document is not None else None
    if signed is None:
        raise NotFoundError(
            f"{choice}, which is locked, is not in its registry any more",
            subject=str(choice.plugin),
            untouched="nothing was installed",
            hint="sealdex lock chooses among what there is",
        )
    if _pins(signed) != _pins(choice.release) or not _lists_agree(choice.release, signed):
        raise VerificationError(
            f"{choice} is locked with other digests than its registry signs now",
            subject=f"{choice.plugin} {choice.release.version}",
            untouched="nothing was installed",
            hint="a release never changes: ask the registry's owners, and look at who changed sealdex.lock",
        )
    lists = {artifact.file: artifact.file_list for artifact in signed.artifacts}
    if choice.artifact is None or choice.artifact.file_list is not None:
        return choice, signed
    return replace(choice, artifact=replace(choice.artifact, file_list=lists[choice.artifact.file])), signed


def _pins(release: ReleaseEntry) -> list[tuple[object, ...]]:
    """Return what of a release decides which bytes are installed where."""
    return [(release.manifest.size, release.manifest.sha256), *map(_pinned, release.artifacts)]


def _pinned(artifact: ArtifactEntry) -> tuple[object, ...]:
    return (
        artifact.file, artifact.format, artifact.url, artifact.size, artifact.sha256, artifact.bin, artifact.files
    )  # fmt: skip


def _lists_agree(locked: ReleaseEntry, signed: ReleaseEntry) -> bool:
    pairs = zip(locked.artifacts, signed.artifacts, strict=True)  # `_pins` has found as many
    return all(mine.file_list is None or mine.file_list == theirs.file_list for mine, theirs in pairs)
