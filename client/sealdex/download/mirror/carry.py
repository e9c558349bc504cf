"""Across a gap: an archive of what the far side lacks, and its import there, verified before anything is visible."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Container, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit

import msgspec

from sealdex.config.config import Config
from sealdex.download.mirror.bucket import Bucket
from sealdex.download.mirror.create import create, place_of, record_before
from sealdex.download.mirror.keys import Keys
from sealdex.download.mirror.options import MirrorResult, Options, Watch
from sealdex.download.mirror.record import BUNDLE_KEY, OWN_FOLDER, REACHED_NAME, TIMESTAMP_KEY
from sealdex.download.mirror.selection import Selection
from sealdex.download.mirror.sigstore_root import brought_by
from sealdex.download.mirror.source import Source
from sealdex.download.mirror.state import (
    STATE_ENDING,
    STATE_FORMAT,
    MirrorState,
    StateFile,
    imported_number,
    keep_earlier,
    listed_keys,
    sent_states,
    write_state,
)
from sealdex.download.mirror.volumes import (
    ARCHIVE_FORMAT,
    ArchiveHead,
    Piece,
    check_set,
    cut,
    unpack,
    volume_name,
    write_volume,
)
from sealdex.errors import InstallError, NotFoundError, UnavailableError, UsageError
from sealdex.model.decode import decode_as, encode_json, encode_pretty
from sealdex.transport import Document, HttpStatusError, Transport, public_url

MEMBER_BYTES = 2560
"""What a file takes in an archive beside its bytes, at most: its head, and what fills its last block."""

_SET_DIGITS = 16
_MOST_VOLUMES = 10**9


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
    base: StateFile | None,
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
    had = base.state if base is not None else None
    if had is not None and had.selection != options.selection and not options.selection.is_everything:
        raise UsageError(
            "the far side was made with another selection than this archive is to have",
            untouched="nothing was written",
            hint="leave the selection out to go on with that of the far side, or leave --base out for a whole archive",
        )
    if base is not None:
        options = replace(options, selection=base.state.selection, have=Keys(base.keys()))
    work = out.with_name(f".{out.name}.work")
    options = replace(options, overhead=MEMBER_BYTES)
    is_kept, paths = False, list[Path]()
    try:
        result = create(source, root, transport, work, options, watch)
        if result.record is None:
            return Exported(result, None, [], None)
        number = number or (had.number + 1 if had is not None else 1)
        state = MirrorState(STATE_FORMAT, number, result.state.timestamp_version, options.selection)
        head = ArchiveHead(
            ARCHIVE_FORMAT,
            "0" * _SET_DIGITS,
            number,
            had.number if had is not None else 0,
            result.state.timestamp_version,
            public_url(source.url),
            options.selection,
        )
        sending = _Sending(work, options.have)
        head = sending.described(head, state, volume_bytes)
        for volume, pieces in sending.volumes(head, volume_bytes):
            path = volume_name(out, volume, head.volumes)
            write_volume(path, msgspec.structs.replace(head, volume=volume), pieces, work)
            paths.append(path)  # now it is this run's: what lies there before is an earlier archive, or not ours at all
        kept = out.with_name(out.name + STATE_ENDING)
        keep_earlier(kept)
        write_state(state, _sent_keys(work), kept)
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


class _Sending:
    """The files that an archive is to have, as a list on disk: it is read twice, and a file goes once it was sent."""

    def __init__(self, work: Path, have: Container[str]) -> None:
        self._list = work / OWN_FOLDER / "sending.jsonl"
        self._digest = hashlib.sha256()
        self._files = self._bytes = 0
        seen = Keys()
        with self._list.open("wb") as lines:
            for key in _sent_keys(work):
                if not seen.add(key) or (key in have and key != TIMESTAMP_KEY) or not (work / key).is_file():
                    continue
                size = (work / key).stat().st_size
                line = encode_json([key, size]) + b"\n"
                lines.write(line)
                self._digest.update(line)
                self._files += 1
                self._bytes += size

    def described(self, head: ArchiveHead, state: MirrorState, volume_bytes: int | None) -> ArchiveHead:
        """Return the head with the number of files and volumes, and the name of the set."""
        self._digest.update(encode_json([state, volume_bytes]))
        head = msgspec.structs.replace(
            head, set=self._digest.hexdigest()[:_SET_DIGITS], files=self._files, bytes=self._bytes
        )
        volumes = max((volume for volume, _ in self._cut(head, volume_bytes)), default=1)
        return msgspec.structs.replace(head, volumes=volumes)

    def volumes(self, head: ArchiveHead, volume_bytes: int | None) -> Iterator[tuple[int, Iterator[Piece]]]:
        """Yield the number of each volume, and what it has."""
        for volume, pieces in groupby(self._cut(head, volume_bytes), key=itemgetter(0)):
            yield volume, (piece for _, piece in pieces)

    def _cut(self, head: ArchiveHead, volume_bytes: int | None) -> Iterator[tuple[int, Piece]]:
        # all heads take the room of one whose numbers are the longest
        longest = msgspec.structs.replace(head, volume=_MOST_VOLUMES, volumes=_MOST_VOLUMES)
        return cut(self._lines(), volume_bytes, len(encode_pretty(longest)))

    def _lines(self) -> Iterator[tuple[str, int]]:
        with self._list.open("rb") as lines:
            for line in lines:
                yield decode_as(line, tuple[str, int])


def _sent_keys(work: Path) -> Iterator[str]:
    """Yield the keys of what the far side has after the import, but for what the import makes again."""
    return (key for key in listed_keys(work / OWN_FOLDER / REACHED_NAME) if key != BUNDLE_KEY)


def _remove_volumes(paths: list[Path]) -> None:
    """Remove the volumes of an archive that didn't become whole."""
    for path in paths:
        path.unlink(missing_ok=True)


def to_resend(folder: Path, number: int, selection: Selection) -> tuple[StateFile | None, int]:
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
    sent = [each for each in sent_states(folder) if selection.is_everything or each.state.selection == selection]
    if len({encode_json(each.state.selection) for each in sent}) > 1:
        raise UsageError(
            f"{folder} has records of archives with several selections",
            subject=str(folder),
            untouched="nothing was written",
            hint="say the selection too, or give --base in place of --resend",
        )
    last = max((each.state.number for each in sent), default=0)
    before = next((each for each in sent if each.state.number == number - 1), None)
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
        options = replace(options, selection=head.selection, taken_from=unpacked, sigstore_root=brought_by(unpacked))
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
