"""``mirror.json``: what a mirror says of itself. Unsigned, so it words messages and decides nothing.

On disk, in the folder of a mirror:

    mirror.json                     what was selected, when, up to which state of the registry
    metadata/ targets/ plugins/     as the registry has them, byte for byte
    sigstore/<sha256>.trusted_root.json     Sigstore's trust root, for a person to compare and to name in config.toml
    metadata/recent.bundle          made here of the metadata that was verified; nobody trusts it
    .sealdex-mirror/lock            held by the process that changes the mirror
    .sealdex-mirror/trust/          what was trusted last, so that the source can't be rolled back
    .sealdex-mirror/reached.txt     keys of all files that the present state leads to; reached-before.txt: the previous
    .sealdex-mirror/mirror-before.json   the record of the previous state
    .sealdex-mirror/number          of the archive that was imported last
    .sealdex-mirror/staging/        files on their way; a name outside appears when the file is whole and verified
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from sealdex.download.copies import RECORD_NAME
from sealdex.download.mirror.selection import Selection
from sealdex.errors import ConfigError, NotFoundError
from sealdex.model.decode import DocumentError, encode_pretty, read_wire
from sealdex.trust import stated_version

MIRROR_FORMAT = 1
RECORD_BEFORE_NAME = "mirror-before.json"
UNFLUSHED_NAME = "unflushed"
TIMESTAMP_KEY = "metadata/timestamp.json"
BUNDLE_KEY = "metadata/recent.bundle"
OWN_FOLDER = ".sealdex-mirror"
REACHED_NAME = "reached.txt"
NUMBER_NAME = "number"
REACHED_BEFORE_NAME = "reached-before.txt"
MAX_RECORD_BYTES = 64 * 1024 * 1024


class NamedImage(Struct, frozen=True):
    """A container image that the mirror doesn't have."""

    plugin: str
    version: str
    reference: str


class MirrorRecord(Struct, frozen=True, omit_defaults=True):
    """The content of ``mirror.json``.

    Attributes:
        format: 1.
        source: the address that it was made from, without credentials.
        made_at: when the last complete run ended, UTC.
        timestamp_version, snapshot_version, root_version: the state of the registry that it has.
        selection: what it has of it.
        needed: ranges that the selected releases depend on, by plugin, where dependencies were asked for.
        elsewhere: keys of files that the registry has at other addresses, copied into the tree.
        images: container images of the selected releases.
        files, bytes: of the selection, metadata not counted.
        reached, reached_before: in a bucket: SHA-256 of the lists of keys of this and the previous state.
        pruning: in a bucket: a prune is at work.
        number: in a bucket: of the archive that was imported last.
        sigstore_root: key of Sigstore's trust root, which came along; nothing uses it by itself.
    """

    format: Annotated[int, Meta(ge=1)]
    source: str
    made_at: str
    timestamp_version: int
    snapshot_version: int
    root_version: int
    selection: Selection = Selection()
    needed: dict[str, tuple[str, ...]] = {}
    elsewhere: tuple[str, ...] = ()
    images: tuple[NamedImage, ...] = ()
    files: int = 0
    bytes: int = 0
    reached: str = ""
    reached_before: str = ""
    pruning: bool = False
    number: int = 0
    sigstore_root: str = ""


def read_record(folder: Path) -> MirrorRecord:
    """Read what a mirror says of the state that its readers see.

    A run that died just before the last rename has left the record of the next state; the previous one is kept then.

    Raises:
        NotFoundError: the folder isn't a mirror that was completed once.
        ConfigError, FormatTooNewError: the file can't be read.
    """
    record, visible = _read(folder / RECORD_NAME), _timestamp_version(folder)
    if record is None or visible is None:
        raise NotFoundError(
            f"{folder} is not a mirror, or not a complete one",
            subject=str(folder),
            untouched="nothing was changed",
            hint="sealdex mirror create SOURCE DEST makes one",
        )
    if record.timestamp_version != visible:
        before = _read(folder / OWN_FOLDER / RECORD_BEFORE_NAME)
        if before is not None and before.timestamp_version == visible:
            return before
    return record


def _read(path: Path) -> MirrorRecord | None:
    try:
        with path.open("rb") as file:
            return parse_record(file.read(MAX_RECORD_BYTES + 1), str(path))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ConfigError(f"{path} can't be read: {error.strerror}", subject=str(path)) from error


def _timestamp_version(folder: Path) -> int | None:
    """Return the version that the mirror's timestamp states, unverified; None where there is none to read."""
    try:
        return stated_version((folder / TIMESTAMP_KEY).read_bytes())
    except OSError:
        return None


def parse_record(data: bytes, subject: str) -> MirrorRecord:
    """Read the bytes of a ``mirror.json``.

    Raises:
        ConfigError: it is not a valid one.
        FormatTooNewError: a newer sealdex wrote it.
    """
    try:
        return read_wire(data, MirrorRecord, newest_format=MIRROR_FORMAT, what=RECORD_NAME)
    except DocumentError as error:
        raise ConfigError(
            f"{RECORD_NAME} is damaged: {error}",
            subject=subject,
            hint="make the mirror again: sealdex mirror create SOURCE DEST; files that are there are not fetched again",
        ) from error


def record_bytes(record: MirrorRecord) -> bytes:
    """Return the bytes of a ``mirror.json``."""
    return encode_pretty(record)


def same_content(one: MirrorRecord, other: MirrorRecord) -> bool:
    """Say whether two records differ in nothing but their time."""
    return msgspec.structs.replace(one, made_at="") == msgspec.structs.replace(other, made_at="")


__all__ = [
    "BUNDLE_KEY",
    "MAX_RECORD_BYTES",
    "MIRROR_FORMAT",
    "NUMBER_NAME",
    "OWN_FOLDER",
    "REACHED_BEFORE_NAME",
    "REACHED_NAME",
    "RECORD_BEFORE_NAME",
    "RECORD_NAME",
    "TIMESTAMP_KEY",
    "UNFLUSHED_NAME",
    "MirrorRecord",
    "NamedImage",
    "parse_record",
    "read_record",
    "record_bytes",
    "same_content",
]
