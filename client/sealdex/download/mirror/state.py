"""What a mirror has, as a small file: carried back to the sender, who then sends only what is lacking.

Compressed lines of JSON: what the mirror is, then the key of each of its files. It is written and read line by line,
since there may be hundreds of thousands.
"""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from msgspec import DecodeError, Meta, Struct

from sealdex.download.mirror.record import NUMBER_NAME, OWN_FOLDER, REACHED_NAME, MirrorRecord, read_record
from sealdex.download.mirror.selection import Selection
from sealdex.errors import ConfigError, SealdexError
from sealdex.model.decode import DocumentError, decode_as, encode_json, read_wire

STATE_FORMAT = 1
STATE_ENDING = ".state.jsonl.gz"
_MAX_LINE_BYTES = 16 << 20

_Count = Annotated[int, Meta(ge=0)]


class MirrorState(Struct, frozen=True, omit_defaults=True):
    """The first line of a state file. It decides what is sent and nothing about trust.

    Attributes:
        format: 1.
        number: of the last archive that was imported; 0 for none.
        timestamp_version: of the state of the registry that the mirror has.
        selection: what the mirror has of it.
    """

    format: Annotated[int, Meta(ge=1)]
    number: _Count = 0
    timestamp_version: _Count = 0
    selection: Selection = Selection()


@dataclass(frozen=True, slots=True)
class StateFile:
    """A state file whose first line was read.

    Attributes:
        path: where it is.
        state: what the mirror is.
    """

    path: Path
    state: MirrorState

    def keys(self) -> Iterator[str]:
        """Yield the keys of all files that the state leads to.

        Raises:
            ConfigError: a line isn't valid, or the file was cut off.
        """
        with _read(self.path) as lines:
            next(lines, None)
            for line in lines:
                yield decode_as(line, str)


def state_of(folder: Path, *, is_remote: bool = False) -> tuple[MirrorState, Iterator[str]]:
    """Return the state of a mirror, and the keys of its files.

    Args:
        folder: the mirror; of one in a bucket, what was brought of it.
        is_remote: it is in a bucket.

    Raises:
        NotFoundError: the folder isn't a mirror.
    """
    record: MirrorRecord = read_record(folder)
    state = MirrorState(STATE_FORMAT, imported_number(folder), record.timestamp_version, record.selection)
    keys = listed_keys(folder / OWN_FOLDER / REACHED_NAME)
    return state, (key for key in keys if is_remote or (folder / key).is_file())


def listed_keys(path: Path) -> Iterator[str]:
    """Yield the keys of a list, one a line, as mirrors keep them."""
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            yield line.rstrip("\n")


def imported_number(folder: Path) -> int:
    """Return the number of the archive that a mirror imported last; 0 for none."""
    try:
        return int((folder / OWN_FOLDER / NUMBER_NAME).read_text(encoding="ascii"))
    except (OSError, ValueError):
        return 0


def write_state(state: MirrorState, keys: Iterable[str], path: Path) -> int:
    """Write a state file; the same state gives the same bytes. Return how many keys it has."""
    count = 0
    with path.open("wb") as file, gzip.GzipFile("", "wb", 6, file, mtime=0) as packed:
        lines = io.BufferedWriter(packed)
        lines.write(encode_json(state) + b"\n")
        for key in keys:
            lines.write(encode_json(key) + b"\n")
            count += 1
        lines.flush()
    return count


def sent_states(folder: Path) -> Iterator[StateFile]:
    """Yield the records that archives have left in a folder; what isn't one is passed over."""
    for path in sorted(folder.glob(f"*{STATE_ENDING}")):
        try:
            yield read_state(path)
        except SealdexError:  # noqa: PERF203  # a file of somebody else's
            continue


def keep_earlier(path: Path) -> None:
    """Give the record that is under a name one with its number, before another takes its place."""
    try:
        number = read_state(path).state.number
    except SealdexError:
        return
    path.replace(path.with_name(f"{path.name.removesuffix(STATE_ENDING)}.{number:04}{STATE_ENDING}"))


def read_state(path: Path) -> StateFile:
    """Read the first line of a state file.

    Raises:
        ConfigError: it is not a valid one.
        FormatTooNewError: a newer sealdex wrote it.
    """
    with _read(path) as lines:
        first = next(lines, b"")
        return StateFile(path, read_wire(first, MirrorState, newest_format=STATE_FORMAT, what="the state of a mirror"))


@contextmanager
def _read(path: Path) -> Iterator[Iterator[bytes]]:
    try:
        with gzip.open(path) as file:
            yield iter(lambda: file.readline(_MAX_LINE_BYTES), b"")
    except (OSError, EOFError, zlib.error, DocumentError, DecodeError) as error:
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
    "StateFile",
    "imported_number",
    "keep_earlier",
    "listed_keys",
    "read_state",
    "sent_states",
    "state_of",
    "write_state",
]
