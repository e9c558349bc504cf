"""The bundle ``metadata/recent.bundle``: immutable metadata files in one zip, so a cold client makes one request. Pure.

Nothing in it is trusted. It holds bytes under exact file names such as ``7.snapshot.json``, which are verified as if
they had come from the address of that name. So a reader never fails here: missing, damaged, oversized or odd members
are treated as absent, and the client requests the file itself.
"""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Mapping

import msgspec

from sealdex.lazy import regex
from sealdex.model.decode import decode_as

MAX_BUNDLE_BYTES = 1024 * 1024
"""Maximum size of a bundle as transferred. Whoever makes one leaves out old roots to stay below it."""

# Only files that never change under their name may come from a bundle: never timestamp.json, never a path.
_IMMUTABLE = regex(r"[1-9][0-9]{0,15}\.[A-Za-z0-9%_][A-Za-z0-9%._-]{0,150}\.json")

_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest time in a zip: reproducible files have no clock
_UNIX = 3

_READABLE = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})

# All that zipfile is known to raise on hostile input.
_DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    NotImplementedError,
    OSError,
    OverflowError,
    RuntimeError,
    ValueError,
)


def bundle_bytes(files: Mapping[str, bytes], roots: Mapping[int, bytes]) -> bytes:
    """Zip metadata files and as many of the newest roots as fit; reproducibly.

    Args:
        files: exact metadata file name (``41.snapshot.json``) to its bytes.
        roots: version to root metadata.

    Returns:
        The zip, smaller than `MAX_BUNDLE_BYTES`, the client's limit.
    """
    newest = sorted(roots, reverse=True)
    while True:
        members = {f"{version}.root.json": roots[version] for version in sorted(newest)} | dict(sorted(files.items()))
        data = _zip(members)
        if len(data) <= MAX_BUNDLE_BYTES or not newest:
            return data
        newest = newest[: len(newest) // 2]


def _zip(members: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in members.items():
            entry = zipfile.ZipInfo(name, _EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.create_system = _UNIX  # else it would depend on the platform
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, data, compresslevel=9)
    return buffer.getvalue()


class Packer:
    """Makes a bundle from the files of a published tree: takes those that every client needs and leaves the rest."""

    def __init__(self) -> None:
        self._roots: dict[int, bytes] = {}
        self._files: dict[str, bytes] = {}

    def add(self, name: str, data: bytes) -> None:
        """Take a metadata file if every client needs it: roots, the snapshot, ``targets`` and what leads on to others.

        Bins and the like are left out: there may be thousands, and a look-up needs one.
        """
        version, _, role = name.removesuffix(".json").partition(".")
        if not _IMMUTABLE.fullmatch(name):
            return
        if role == "root":
            self._roots[int(version)] = data
        elif role in {"snapshot", "targets"} or _leads_on(data):
            self._files[name] = data

    def packed(self) -> bytes:
        """Return the bundle; see `bundle_bytes`."""
        return bundle_bytes(self._files, self._roots)


class _Signed(msgspec.Struct):
    delegations: dict[str, msgspec.Raw] | None = None


class _Envelope(msgspec.Struct):
    signed: _Signed


def _leads_on(data: bytes) -> bool:
    try:
        return decode_as(data, _Envelope).signed.delegations is not None
    except msgspec.DecodeError:
        return False


class Bundle:
    """A received bundle; members are inflated one by one, on request.

    Args:
        data: the zip, at most ``MAX_BUNDLE_BYTES`` (the transport cuts off the rest). Invalid data gives an empty
            bundle.
    """

    def __init__(self, data: bytes) -> None:
        try:
            self._zip: zipfile.ZipFile | None = zipfile.ZipFile(io.BytesIO(data))
        except _DAMAGE:
            self._zip = None

    def member(self, name: str, max_bytes: int) -> bytes | None:
        """Return the bytes stored under exactly that metadata file name, or None.

        Args:
            name: a file name of versioned metadata, such as ``3.bin-0a.json``.
            max_bytes: the maximum size; a larger member counts as missing and isn't inflated further.
        """
        if self._zip is None or not _IMMUTABLE.fullmatch(name):
            return None
        try:
            entry = self._zip.getinfo(name)
            if entry.compress_type not in _READABLE:
                return None
            with self._zip.open(entry) as stream:
                # The size in the directory may be wrong, so the limit is on the inflated bytes.
                data = stream.read(max_bytes + 1)
        except (KeyError, *_DAMAGE):
            return None
        return data if len(data) <= max_bytes else None
