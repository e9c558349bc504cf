"""What a mirror has, as a small file: carried back to the sender, who then sends only what is lacking."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

from msgspec import Meta, Struct

from sealdex.download.mirror.record import NUMBER_NAME, OWN_FOLDER, REACHED_NAME, MirrorRecord, read_record
from sealdex.download.mirror.selection import Selection
from sealdex.errors import ConfigError, SealdexError
from sealdex.model.decode import DocumentError, encode_json, read_wire

STATE_FORMAT = 1
STATE_ENDING = ".state.json.gz"
MAX_STATE_BYTES = 512 * 1024 * 1024

_Count = Annotated[int, Meta(ge=0)]


class MirrorState(Struct, frozen=True, omit_defaults=True):
    """The content of a state file. It decides what is sent and nothing about trust.

    Attributes:
        format: 1.
        number: of the last archive that was imported; 0 for none.
        timestamp_version: of the state of the registry that the mirror has.
        selection: what the mirror has of it.
        keys: of all files that this state leads to.
    """

    format: Annotated[int, Meta(ge=1)]
    number: _Count = 0
    timestamp_version: _Count = 0
    selection: Selection = Selection()
    keys: tuple[str, ...] = ()


def state_of(folder: Path, *, is_remote: bool = False) -> MirrorState:
    """Return the state of a mirror.

    Args:
        folder: the mirror; of one in a bucket, what was brought of it.
        is_remote: it is in a bucket.

    Raises:
        NotFoundError: the folder isn't a mirror.
    """
    record: MirrorRecord = read_record(folder)
    keys = (folder / OWN_FOLDER / REACHED_NAME).read_text(encoding="utf-8").splitlines()
    return MirrorState(
        STATE_FORMAT,
        imported_number(folder),
        record.timestamp_version,
        record.selection,
        tuple(key for key in keys if is_remote or (folder / key).is_file()),
    )


def imported_number(folder: Path) -> int:
    """Return the number of the archive that a mirror imported last; 0 for none."""
    try:
        return int((folder / OWN_FOLDER / NUMBER_NAME).read_text(encoding="ascii"))
    except (OSError, ValueError):
        return 0


def write_state(state: MirrorState, path: Path) -> None:
    """Write a state file; the same state gives the same bytes."""
    path.write_bytes(gzip.compress(encode_json(state), mtime=0))


def sent_states(folder: Path) -> Iterator[MirrorState]:
    """Yield the records that archives have left in a folder; what isn't one is passed over."""
    for path in sorted(folder.glob(f"*{STATE_ENDING}")):
        try:
            yield read_state(path)
        except SealdexError:  # noqa: PERF203  # a file of somebody else's
            continue


def keep_earlier(path: Path) -> None:
    """Give the record that is under a name one with its number, before another takes its place."""
    try:
        number = read_state(path).number
    except SealdexError:
        return
    path.replace(path.with_name(f"{path.name.removesuffix(STATE_ENDING)}.{number:04}{STATE_ENDING}"))


def read_state(path: Path) -> MirrorState:
    """Read a state file.

    Raises:
        ConfigError: it is not a valid one.
        FormatTooNewError: a newer sealdex wrote it.
    """
    try:
        with gzip.open(path) as file:
            data = file.read(MAX_STATE_BYTES)
        return read_wire(data, MirrorState, newest_format=STATE_FORMAT, what="the state of a mirror")
    except (OSError, EOFError, zlib.error, DocumentError) as error:
        raise ConfigError(
            f"{path} is not a valid state of a mirror: {error}",
            subject=str(path),
            untouched="nothing was written",
            hint="make it where the mirror is: sealdex mirror state DEST",
        ) from error


__all__ = [
    "STATE_ENDING",
    "STATE_FORMAT",
    "MirrorState",
    "imported_number",
    "keep_earlier",
    "read_state",
    "sent_states",
    "state_of",
    "write_state",
]
