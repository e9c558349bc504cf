"""The bundle ``metadata/recent.bundle``: immutable metadata files in one zip, so that a cold client asks once. Pure.

Nothing in it is trusted. It is a shelf of bytes under exact file names such as ``7.snapshot.json``; whoever takes bytes
from it verifies them as if they had come from the address of that name. So a reader never fails here: what is missing,
damaged, oversized or odd is not on the shelf, and the client asks for the file itself.
"""

from __future__ import annotations

import io
import re
import struct
import zipfile
import zlib

MAX_BUNDLE_BYTES = 1024 * 1024
"""Most bytes of a bundle as it is transferred. The builder leaves out old roots to stay below."""

# Only files that never change under their name may come from a bundle: never timestamp.json, never a path.
_IMMUTABLE = re.compile(r"[1-9][0-9]{0,15}\.[A-Za-z0-9%_][A-Za-z0-9%._-]{0,150}\.json")

_READABLE = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})

# Everything that zipfile is known to raise on hostile input.
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


class Bundle:
    """A bundle as received; members are inflated one by one, when they are asked for.

    Args:
        data: the zip, at most ``MAX_BUNDLE_BYTES`` (the transport cuts off the rest). Garbage makes an empty bundle.
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
            max_bytes: the most that may come out; a longer member counts as missing and isn't inflated further.
        """
        if self._zip is None or not _IMMUTABLE.fullmatch(name):
            return None
        try:
            entry = self._zip.getinfo(name)
            if entry.compress_type not in _READABLE:
                return None
            with self._zip.open(entry) as stream:
                # The size in the directory may lie, so the bound is on what really comes out.
                data = stream.read(max_bytes + 1)
        except (KeyError, *_DAMAGE):
            return None
        return data if len(data) <= max_bytes else None
