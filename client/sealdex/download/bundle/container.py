"""The file of a bundle: a zip, which Python can run, around archives of mirrors, which hold all that is installed.

    sealdex-bundle.json      what it is, first
    sealdex.lock             what is to be installed; sealdex.toml, where it lay beside the lock
    archives/<n>.tar         what proves and makes up the plugins of one registry, see `sealdex.download.mirror.volumes`
    __main__.py              where it has the client: the program, `sealdex.download.bundle.bootstrap`
    wheel_tags.py            and what that imports
    client/<wheel>           the client and what it needs

Nothing is compressed a second time. Nothing in it sets trust.
"""

from __future__ import annotations

import shutil
import struct
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

from msgspec import Meta, Struct

from sealdex import disk
from sealdex.download.mirror.volumes import check_archive, unpack
from sealdex.errors import ConfigError, InstallError, NotFoundError, UsageError, VerificationError
from sealdex.model.decode import DocumentError, encode_pretty, read_wire
from sealdex.model.ids import Sha256

BUNDLE_FORMAT = 1
HEAD_NAME = "sealdex-bundle.json"
LOCK_MEMBER, WANTED_MEMBER = "sealdex.lock", "sealdex.toml"
MAX_SMALL_BYTES = 64 << 20
MAX_RUNNABLE_BYTES = (4 << 30) - 1
"""Python before 3.13 runs no larger zip, and no FAT32 holds it."""

_EPOCH = (1980, 1, 1, 0, 0, 0)
_COPY_BYTES = 1 << 20
_DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    NotImplementedError,
    RuntimeError,
    ValueError,
    KeyError,
)


class CarriedRegistry(Struct, frozen=True, omit_defaults=True):
    """One registry: its name where the bundle was made, its address there, its plugins, the state that is carried."""

    name: str
    source: str
    plugins: tuple[str, ...]
    timestamp_version: int
    files: int = 0
    bytes: int = 0


class CarriedWheel(Struct, frozen=True):
    """One wheel, and the hosts that need it, such as ``3.12 linux/amd64``."""

    file: str
    sha256: Sha256
    hosts: tuple[str, ...]


class CarriedClient(Struct, frozen=True):
    """The client: its version, the digest of its wheels' digests, the hosts that it runs on, its wheels."""

    version: str
    build: str
    runs_on: tuple[str, ...]
    wheels: tuple[CarriedWheel, ...]


class BundleHead(Struct, frozen=True, omit_defaults=True):
    """What a bundle says of itself; it words messages and decides nothing about trust.

    Attributes:
        format: 1.
        registries: in the order of the archives.
        platforms: whose artifacts it has; none: all of the lock.
        client: what it has of the client.
    """

    format: Annotated[int, Meta(ge=1)]
    registries: tuple[CarriedRegistry, ...]
    platforms: tuple[str, ...] = ()
    client: CarriedClient | None = None


class Bundle:
    """A bundle that is read: its head, and the files that it carries.

    Attributes:
        path: the file.
        head: what it says of itself.
        lock, wanted: the bytes of ``sealdex.lock``, and of ``sealdex.toml`` where it has one.
    """

    def __init__(self, path: Path, archive: zipfile.ZipFile) -> None:
        self.path = path
        self._archive = archive
        data = self._small(HEAD_NAME)
        if data is None:
            raise damaged(path, f"it has no {HEAD_NAME}")
        try:
            self.head = read_wire(data, BundleHead, newest_format=BUNDLE_FORMAT, what=path.name)
        except DocumentError as error:
            raise damaged(path, str(error)) from error
        lock = self._small(LOCK_MEMBER)
        if lock is None:
            raise damaged(path, f"it has no {LOCK_MEMBER}")
        self.lock = lock
        self.wanted = self._small(WANTED_MEMBER)

    def unpack(self, number: int, folder: Path) -> None:
        """Unpack the archive of the nth registry, from 0 on, below a folder of ours.

        Raises:
            VerificationError: it is damaged, or has what no archive of a mirror has.
            FormatTooNewError: a newer sealdex made it.
            InstallError: no room.
        """
        name = _archive_name(number)
        try:
            entry = self._entry(name)
            if entry is None:
                raise damaged(self.path, f"it has no {name}")
            _require_room(entry.file_size, folder)
            with self._archive.open(entry) as stream:
                check_archive(self.path, stream)
            with self._archive.open(entry) as stream:
                unpack(self.path, folder, stream)
                while stream.read(_COPY_BYTES):  # to the end, where the checksum is compared
                    pass
        except _DAMAGE as error:
            raise damaged(self.path, str(error)) from error
        except ConfigError as error:
            raise damaged(self.path, error.message) from error

    def _small(self, name: str) -> bytes | None:
        entry = self._entry(name)
        if entry is None:
            return None
        if entry.file_size > MAX_SMALL_BYTES:
            raise damaged(self.path, f"{name} is too large")
        try:
            return self._archive.read(entry)
        except _DAMAGE as error:
            raise damaged(self.path, f"{name}: {error}") from error

    def _entry(self, name: str) -> zipfile.ZipInfo | None:
        found = [entry for entry in self._archive.infolist() if entry.filename == name]
        if len(found) > 1 or any(entry.compress_type != zipfile.ZIP_STORED for entry in found):
            raise damaged(self.path, f"{name} is not as it was written")
        return found[0] if found else None


@contextmanager
def open_bundle(path: Path) -> Iterator[Bundle]:
    """Open a bundle; it is never written to.

    Raises:
        NotFoundError: there is no such file.
        VerificationError: it is not a whole bundle.
        FormatTooNewError: a newer sealdex made it.
        InstallError: it can't be read.
    """
    try:
        with path.open("rb") as file, zipfile.ZipFile(file) as archive:
            yield Bundle(path, archive)
    except FileNotFoundError as error:
        if error.filename != str(path):
            raise
        raise NotFoundError(f"there is no file {path}", subject=str(path), untouched="nothing was installed") from error
    except zipfile.BadZipFile as error:
        raise damaged(path, str(error)) from error


def write_bundle(
    out: Path,
    head: BundleHead,
    lock: bytes,
    wanted: bytes | None,
    archives: Sequence[Path],
    program: Sequence[tuple[str, bytes]],
) -> None:
    """Write a bundle, whole or not at all under its name; the same content gives the same bytes.

    Args:
        out: the file.
        head: what it says of itself.
        lock: the bytes of ``sealdex.lock``.
        wanted: the bytes of ``sealdex.toml``, where there is one.
        archives: one for each registry, in their order.
        program: names and bytes of the client's files; none for a bundle without it.

    Raises:
        UsageError: with the client it would be larger than Pythons can run.
        OSError: it can't be written.
    """
    size = sum(path.stat().st_size for path in archives) + sum(len(data) for _, data in program)
    if program and size > MAX_RUNNABLE_BYTES - MAX_SMALL_BYTES:
        raise UsageError(
            f"with the client the bundle would have {size} bytes, and Python runs no zip of 4 GiB",
            subject=str(out),
            untouched="no bundle was written",
            hint="carry the client by itself (a bundle of a small lock), and this one without --with-client",
        )
    draft = out.with_name(f".{out.name}.new")
    try:
        with draft.open("wb") as stream:
            if program:
                stream.write(b"#!/usr/bin/env python3\n")
            with zipfile.ZipFile(stream, "w") as archive:
                _add(archive, HEAD_NAME, encode_pretty(head))
                _add(archive, LOCK_MEMBER, lock)
                if wanted is not None:
                    _add(archive, WANTED_MEMBER, wanted)
                for name, data in program:
                    _add(archive, name, data)
                for number, path in enumerate(archives):
                    entry = _info(_archive_name(number))
                    entry.file_size = path.stat().st_size
                    with path.open("rb") as source, archive.open(entry, "w") as target:
                        shutil.copyfileobj(source, target, _COPY_BYTES)
        draft.chmod(0o755 if program else 0o644)
        disk.replace(draft, out)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise


def damaged(path: Path, why: str) -> VerificationError:
    """Return the error for a file that isn't a bundle as one is written."""
    return VerificationError(
        f"{path} is not a whole bundle: {why}",
        subject=str(path),
        untouched="nothing was installed",
        hint="compare its SHA-256 with the one that was printed when it was made, and copy it again",
    )


def _archive_name(number: int) -> str:
    return f"archives/{number + 1}.tar"


def _add(archive: zipfile.ZipFile, name: str, data: bytes) -> None:
    archive.writestr(_info(name), data)


def _info(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, _EPOCH)
    entry.create_system = 3  # else it would depend on the platform
    entry.external_attr = 0o100644 << 16
    return entry


def _require_room(size: int, folder: Path) -> None:
    free = shutil.disk_usage(folder).free
    if size > free:
        raise InstallError(
            f"the bundle has {size} bytes, and {free} are free on the disk of {folder}",
            subject=str(folder),
            untouched="nothing was installed",
            hint="make room: sealdex cache gc",
        )


__all__ = [
    "BUNDLE_FORMAT",
    "Bundle",
    "BundleHead",
    "CarriedClient",
    "CarriedRegistry",
    "CarriedWheel",
    "damaged",
    "open_bundle",
    "write_bundle",
]
