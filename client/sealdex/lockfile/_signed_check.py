"""Compares a lock with the registry's signed metadata, and adds from there what older locks don't have. Pure."""

from __future__ import annotations

from msgspec.structs import replace

from sealdex.errors import NotFoundError, VerificationError
from sealdex.model.environment import Environment
from sealdex.model.index import ArtifactEntry, IndexDocument, ReleaseEntry, choose_artifact
from sealdex.model.ranges import parse_range
from sealdex.resolve import Choice


def agreed(choice: Choice, document: IndexDocument | None, here: Environment) -> tuple[Choice, ReleaseEntry]:
    """Compare a locked release with its signed entry; return it with the signed lists of files, and the signed release.

    Older locks have no lists of files, so the signed ones are taken. A list in the lock must be the signed one, because
    delta downloads rely on it.

    Args:
        choice: the locked release.
        document: the plugin's index document; None if the registry has none.
        here: the environment that the artifact was chosen for.

    Raises:
        NotFoundError: the registry no longer has the release.
        VerificationError: the registry has signed something else.
    """
    signed = document.release(choice.release.version) if document is not None else None
    if signed is None:
        raise NotFoundError(
            f"{choice}, which is locked, is no longer in its registry",
            subject=str(choice.plugin),
            untouched="nothing was installed",
            hint="to lock releases that exist: sealdex lock",
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
    """Return whether two entries of a release install the same bytes in the same places."""
    return _pins(one) == _pins(other)


def _refused(choice: Choice, what: str) -> VerificationError:
    return VerificationError(
        f"{choice} is locked with {what} than its registry has signed",
        subject=f"{choice.plugin} {choice.release.version}",
        untouched="nothing was installed",
        hint="a release never changes: ask the registry's operator, and check who changed sealdex.lock",
    )


def _needs(release: ReleaseEntry) -> dict[str, str]:
    """Return the dependencies, with ranges normalized."""
    return {name: str(parse_range(wanted)) for name, wanted in release.dependencies.items()}


def _pins(release: ReleaseEntry) -> list[tuple[object, ...]]:
    """Return the fields of a release that decide which bytes are installed where."""
    return [(release.manifest.size, release.manifest.sha256), *map(_pinned, release.artifacts)]


def _pinned(artifact: ArtifactEntry) -> tuple[object, ...]:
    return (
        artifact.file, artifact.format, artifact.url, artifact.size, artifact.sha256, artifact.bin, artifact.files
    )  # fmt: skip


def _lists_agree(locked: ReleaseEntry, signed: ReleaseEntry) -> bool:
    pairs = zip(locked.artifacts, signed.artifacts, strict=True)  # `_pins` compared the number of artifacts
    return all(mine.file_list is None or mine.file_list == theirs.file_list for mine, theirs in pairs)
