"""How a mirror is made, who is told meanwhile, and what a run did. Pure."""

from __future__ import annotations

from collections.abc import Callable, Container
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from sealdex.download.mirror._workers import MOST_FAILURES
from sealdex.download.mirror.record import MirrorRecord, NamedImage
from sealdex.download.mirror.selection import Selection
from sealdex.errors import SealdexError, UnavailableError

if TYPE_CHECKING:
    from sealdex.trust import TrustState


@dataclass(frozen=True, slots=True)
class Options:
    """How a mirror is made.

    Attributes:
        selection: what it is to have.
        threads: files fetched at the same time.
        max_bytes: of a file whose size isn't signed.
        dry_run: find out what is missing, and write nothing but the trust that was established.
        verify: hash what is there, in place of comparing sizes.
        have: keys that the recipient already has: they are neither fetched nor compared.
        overhead: bytes that each file takes beside its own.
        taken_from: a folder that files are moved from, verified, in place of being fetched.
        max_staleness: the age up to which expired metadata is copied; default: not at all.
        sigstore_root: Sigstore's trust root, which the mirror carries for its readers' administrators.
    """

    selection: Selection
    threads: int
    max_bytes: int
    dry_run: bool = False
    verify: bool = False
    have: Container[str] = frozenset()
    overhead: int = 0
    taken_from: Path | None = None
    max_staleness: timedelta | None = None
    sigstore_root: bytes | None = None


@dataclass
class Watch:
    """What a caller is told while a mirror is made; each may be called from several threads."""

    waiting: Callable[[str], None] = lambda _why: None
    totals: Callable[[int, int], None] = lambda _files, _bytes: None
    moved: Callable[[int], None] = lambda _bytes: None
    left: Callable[[str, SealdexError], None] = lambda _url, _error: None


@dataclass
class MirrorResult:
    """What a run did.

    Attributes:
        state: what is trusted now.
        record: what the mirror says of itself; None in a dry run.
        changed: whether anything was written, or would be.
        files, bytes: that were fetched, or would be; metadata and signed documents not counted.
        plugins, releases: in the selection.
        total_files, total_bytes: of the selection.
        images: references of container images, which aren't copied.
        warnings: what the user should know.
    """

    state: TrustState
    record: MirrorRecord | None = None
    changed: bool = True
    files: int = 0
    bytes: int = 0
    plugins: int = 0
    releases: int = 0
    total_files: int = 0
    total_bytes: int = 0
    images: list[NamedImage] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


class IncompleteError(UnavailableError):
    """Files of the selection couldn't be had; the mirror stays in the state that it was in.

    Attributes:
        missing: key and reason of each.
    """

    code = "incomplete"

    def __init__(self, missing: list[tuple[str, str]], total: int) -> None:
        shown = "\n".join(f"{key}: {why}" for key, why in sorted(missing))
        more = "\nafter so many the run ended: there may be more" if len(missing) > MOST_FAILURES else ""
        super().__init__(
            f"{len(missing)} of {total} files could not be fetched:\n{shown}{more}",
            untouched="readers of the mirror see its earlier state; what was fetched is kept for the next run",
            hint="run the same command again when the source has them, or select less",
        )
        self.missing = missing


class OvertakenError(UnavailableError):
    """Another run changed the mirror meanwhile; nothing was lost, and this one can start over."""

    code = "overtaken"

    def __init__(self, place: str) -> None:
        super().__init__(
            f"another run changed the mirror in {place} at the same time",
            subject=place,
            untouched="readers of the mirror see what the other run wrote",
            hint="run the same command again",
        )


__all__ = ["IncompleteError", "MirrorResult", "Options", "OvertakenError", "Watch"]
