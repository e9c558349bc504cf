"""Across a gap: an archive of what the far side lacks, and its import there, verified before anything is visible."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit

import msgspec

from sealdex.config.config import Config
from sealdex.download.mirror.bucket import Bucket
from sealdex.download.mirror.create import MirrorResult, Options, Watch, create, place_of, record_before
from sealdex.download.mirror.record import BUNDLE_KEY, OWN_FOLDER, REACHED_NAME, TIMESTAMP_KEY
from sealdex.download.mirror.selection import Selection
from sealdex.download.mirror.source import Source
from sealdex.download.mirror.state import (
    STATE_ENDING,
    STATE_FORMAT,
    MirrorState,
    imported_number,
    keep_earlier,
    sent_states,
    write_state,
)
from sealdex.download.mirror.volumes import (
    ARCHIVE_FORMAT,
    ArchiveHead,
    check_set,
    cut,
    unpack,
    volume_name,
    write_volume,
)
from sealdex.errors import InstallError, NotFoundError, UnavailableError, UsageError
from sealdex.model.decode import encode_json, encode_pretty
from sealdex.transport import Document, HttpStatusError, Transport, public_url

MEMBER_BYTES = 2560
"""What a file takes in an archive beside its bytes, at most: its head, and what fills its last block."""


@dataclass
class Exported:
    """What an export wrote.

    Attributes:
        result: what was found and fetched.
        head: what the archive is; of its first volume.
        paths: of the volumes, in order; empty in a dry run.
        state: the file with the state that the far side has after the import; None in a dry run.
    """

    result: MirrorResult
    head: ArchiveHead | None
    paths: list[Path]
    state: Path | None


def export(
    source: Source,
    root: bytes,
    transport: Transport,
    out: Path,
    options: Options,
    watch: Watch,
    *,
    base: MirrorState | None,
    volume_bytes: int | None,
    number: int | None = None,
) -> Exported:
    """Write an archive of a mirror: everything of a selection that a far side doesn't have.

    Args:
        source: the registry, or another mirror of it.
        root: the root metadata that the user trusts.
        transport: makes the requests.
        watch: told of waits and progress.
        out: the archive; volumes get numbers in their names. Partial files are beside it.
        options: the selection, above all.
        base: what the far side has; None: nothing.
        volume_bytes: the most that one file may have.
        number: of the archive; None: the one after the base's.

    Raises:
        UsageError: the far side has another selection, whose state can't be gone on from.
        SealdexError: as `sealdex.download.mirror.create.create`.
        InstallError: the archive can't be written.
    """
    if base is not None and base.selection != options.selection and not options.selection.is_everything:
        raise UsageError(
            "the far side was made with another selection than this archive is to have",
            untouched="nothing was written",
            hint="leave the selection out to go on with that of the far side, or leave --base out for a whole archive",
        )
    if base is not None:
        options = replace(options, selection=base.selection, have=frozenset(base.keys))
    work = out.with_name(f".{out.name}.work")
    options = replace(options, overhead=MEMBER_BYTES)
    is_kept, paths = False, list[Path]()
    try:
        result = create(source, root, transport, work, options, watch)
        if result.record is None:
            return Exported(result, None, [], None)
        keys = (work / OWN_FOLDER / REACHED_NAME).read_text(encoding="utf-8").splitlines()
        keys = [key for key in keys if key != BUNDLE_KEY]  # the import makes it again of what it verified
        new = (key for key in dict.fromkeys(keys) if key not in options.have or key == TIMESTAMP_KEY)
        files = [(key, (work / key).stat().st_size) for key in new if (work / key).is_file()]
        number = number or (base.number + 1 if base is not None else 1)
        state = MirrorState(STATE_FORMAT, number, result.state.timestamp_version, options.selection, tuple(keys))
        head = ArchiveHead(
            ARCHIVE_FORMAT,
            hashlib.sha256(encode_json([state, files, volume_bytes])).hexdigest()[:16],
            number,
            base.number if base is not None else 0,
            result.state.timestamp_version,
            public_url(source.url),
            options.selection,
            len(files),
            sum(size for _, size in files),
        )
        volumes = cut(files, volume_bytes, len(encode_pretty(head)))
        head = msgspec.structs.replace(head, volumes=len(volumes))
        for volume, pieces in enumerate(volumes, start=1):
            paths.append(volume_name(out, volume, len(volumes)))
            write_volume(paths[-1], msgspec.structs.replace(head, volume=volume), pieces, work)
        kept = out.with_name(out.name + STATE_ENDING)
        keep_earlier(kept)
        write_state(state, kept)
    except OSError as error:
        _remove_volumes(paths)
        raise InstallError(
            f"{out} can't be written: {error.strerror}",
            subject=str(out),
            untouched="what was written of it was removed",
            hint="make room, or check the permissions of the folder",
        ) from error
    except UnavailableError:
        is_kept = True  # the same command goes on with what came
        raise
    finally:
        if not is_kept:
            shutil.rmtree(work, ignore_errors=True)
    return Exported(result, head, paths, kept)


def _remove_volumes(paths: list[Path]) -> None:
    """Remove the volumes of an archive that didn't become whole."""
    for path in paths:
        path.unlink(missing_ok=True)


def to_resend(folder: Path, number: int, selection: Selection) -> tuple[MirrorState | None, int]:
    """Return what the far side has that lacks an archive, and the number of what is to be made in its place.

    It brings the far side to the present state, so it stands in for all that came after the missing one, and has the
    number of the last of them.

    Args:
        folder: where the records of what was sent are.
        number: of the archive that is missing.
        selection: of the archives; everything: that of the records.

    Raises:
        NotFoundError: there is no record of what came before it.
        UsageError: there are records of several selections.
    """
    states = [state for state in sent_states(folder) if selection.is_everything or state.selection == selection]
    if len({encode_json(state.selection) for state in states}) > 1:
        raise UsageError(
            f"{folder} has records of archives with several selections",
            subject=str(folder),
            untouched="nothing was written",
            hint="say the selection too, or give --base in place of --resend",
        )
    last = max((state.number for state in states), default=0)
    before = next((state for state in states if state.number == number - 1), None)
    if last < number or (before is None and number > 1):
        raise NotFoundError(
            f"{folder} has no record of archive {number if last < number else number - 1}",
            subject=str(folder),
            untouched="nothing was written",
            hint="name a place beside the archives that were sent, or have the far side say what it has "
            "(sealdex mirror state DEST), for --base",
        )
    return before, last


def import_archive(
    config: Config,
    paths: list[Path],
    dest: Path | Bucket,
    root: bytes,
    options: Options,
    watch: Watch,
    *,
    new_selection: bool,
) -> tuple[ArchiveHead, MirrorResult]:
    """Bring a mirror to the state that an archive carries; the media are read once and never written to.

    Everything is verified from the root before readers see any of it. After a failure the same call goes on; the same
    archive twice changes nothing.

    Args:
        config: limits.
        paths: all volumes, in any order.
        dest: the mirror; a folder is made if it isn't there.
        root: the root metadata that the user trusts.
        options: threads and limits; the selection is the archive's.
        watch: told of waits and progress.
        new_selection: take over another selection than the mirror has had.

    Raises:
        NotFoundError: a volume, or an archive between this and the mirror's last one, is missing.
        UsageError: volumes of several archives, or another selection than the mirror has.
        VerificationError: something isn't what the root leads to, or would roll the mirror back.
        ConfigError, FormatTooNewError: a volume is damaged, or of a newer version.
        InstallError: no room, or the folder can't be written.
    """
    volumes = check_set(paths)
    head = volumes[0][1]
    folder = dest if isinstance(dest, Path) else dest.folder
    place = place_of(dest, folder / OWN_FOLDER)
    place.bring()
    _require_link(dest, imported_number(folder), head)
    if not new_selection and (before := record_before(folder)) is not None and before.selection != head.selection:
        raise UsageError(
            "the archive has another selection than the mirror",
            subject=str(dest),
            untouched="nothing was changed",
            hint="ask the sender; if it is meant so: --new-selection",
        )
    _require_room(folder, head)
    unpacked = folder / OWN_FOLDER / "import"
    shutil.rmtree(unpacked, ignore_errors=True)
    try:
        unpacked.mkdir(parents=True)
        for path, each in volumes:
            watch.waiting(f"reading volume {each.volume} of {each.volumes}")
            unpack(path, unpacked)
        source = Source("archive", unpacked.resolve().as_uri() + "/", None, head.source)
        options = replace(options, selection=head.selection, taken_from=unpacked)
        with _Overlay(config, unpacked, dest) as transport:
            result = create(source, root, transport, dest, options, watch)
    except OSError as error:
        raise InstallError(
            f"the archive can't be read, or {dest} not be written: {error.strerror}",
            subject=str(dest),
            untouched="readers of the mirror see its earlier state",
            hint="check the medium, the room and the permissions, and run it again",
        ) from error
    finally:
        shutil.rmtree(unpacked, ignore_errors=True)
    if head.number > imported_number(folder):
        place.bring()
        place.note_number(head.number)
    return head, result


def _require_link(dest: Path | Bucket, had: int, head: ArchiveHead) -> None:
    """Refuse an archive that goes on from one that the mirror hasn't had; for the sake of a clear message."""
    if head.base > had:
        first_number = had + 1
        missing = ", ".join(map(str, range(first_number, head.base + 1)))
        raise NotFoundError(
            f"archive {head.number} goes on from archive {head.base}; this mirror has had {had or 'none'}",
            subject=str(dest),
            untouched="nothing was changed",
            hint=f"import archive {missing} first; where it is lost, the sender makes it again: "
            f"sealdex mirror create SOURCE update.tar --resend {first_number}",
        )


def _require_room(folder: Path, head: ArchiveHead) -> None:
    place = folder
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free
    if head.bytes > free:
        raise InstallError(
            f"the archive has {head.bytes} bytes, and {free} are free on the disk of {folder}",
            subject=str(folder),
            untouched="nothing was changed",
            hint="make room: sealdex mirror prune DEST",
        )


class _Overlay(Transport):
    """Reads what an archive brought, and what it left out since the mirror has it, as one published tree."""

    def __init__(self, config: Config, upper: Path, lower: Path | Bucket) -> None:
        super().__init__(
            config.transport_settings, credentials=lower.credentials if isinstance(lower, Bucket) else None
        )
        self._upper = upper.resolve()
        self._lower = lower.url if isinstance(lower, Bucket) else lower.resolve().as_uri() + "/"

    def read(self, url: str, **options: Any) -> Document:
        """As `Transport.read`."""
        return super().read(self._there(url), **options)

    @contextmanager
    def stream(self, url: str, **options: Any) -> Iterator[Any]:
        """As `Transport.stream`."""
        with super().stream(self._there(url), **options) as stream:
            yield stream

    def _there(self, url: str) -> str:
        if urlsplit(url).scheme != "file":
            raise HttpStatusError(url, 404)  # what the archive doesn't bring isn't asked for elsewhere
        path = Path(unquote(urlsplit(url).path))
        try:
            key = path.relative_to(self._upper)
        except ValueError:
            return url
        return url if path.exists() else self._lower + quote(key.as_posix(), safe="/")


__all__ = ["Exported", "export", "import_archive"]
