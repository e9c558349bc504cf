"""What of a lock the registry must sign as well, and what is taken from there where the lock doesn't have it. Pure."""

from __future__ import annotations

from msgspec.structs import replace

from sealdex.errors import NotFoundError, VerificationError
from sealdex.model.environment import Environment
from sealdex.model.index import ArtifactEntry, IndexDocument, ReleaseEntry, choose_artifact
from sealdex.model.ranges import parse_range
from sealdex.resolve import Choice


def agreed(choice: Choice, document: IndexDocument | None, here: Environment) -> tuple[Choice, ReleaseEntry]:
    """Compare a locked release with what is signed of it; return it with the signed lists of files, and what is signed.

    A lock from before there were lists has none, so the signed one is taken; one that the lock has must be the signed
    one: by it files are put together that the archive's digest says nothing of.

    Args:
        choice: as locked.
        document: the plugin's index document; None where the registry has none.
        here: the environment that the artifact was chosen for.

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
    if not same_pins(signed, choice.release) or not _lists_agree(choice.release, signed):
        raise _refused(choice, "other digests")
    if _needs(signed) != _needs(choice.release):
        raise _refused(choice, "other dependencies")
    chosen, _ = choose_artifact(signed, here)
    if (chosen and chosen.file) != (choice.artifact and choice.artifact.file):
        raise _refused(choice, "another artifact for this host")
    lists = {artifact.file: artifact.file_list for artifact in signed.artifacts}
    if choice.artifact is None or choice.artifact.file_list is not None:
        return choice, signed
    return replace(choice, artifact=replace(choice.artifact, file_list=lists[choice.artifact.file])), signed


def same_pins(one: ReleaseEntry, other: ReleaseEntry) -> bool:
    """Say whether two entries of a release install the same bytes in the same places."""
    return _pins(one) == _pins(other)


def _refused(choice: Choice, what: str) -> VerificationError:
    return VerificationError(
        f"{choice} is locked with {what} than its registry signs now",
        subject=f"{choice.plugin} {choice.release.version}",
        untouched="nothing was installed",
        hint="a release never changes: ask the registry's owners, and look at who changed sealdex.lock",
    )


def _needs(release: ReleaseEntry) -> dict[str, str]:
    """Return the dependencies, each range in its one spelling."""
    return {name: str(parse_range(wanted)) for name, wanted in release.dependencies.items()}


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
