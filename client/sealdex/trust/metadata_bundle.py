"""The bundle ``metadata/recent.bundle``: immutable metadata files in one zip, so a cold client makes one request. Pure.

Nothing in it is trusted. It holds bytes under exact file names such as ``7.snapshot.json``, which are verified as if
they had come from the address of that name. So a reader never fails here: missing, damaged, oversized or odd members
are treated as absent, and the client requests the file itself.
"""

from __future__ import annotations

import io
import re
import struct
import zipfile
import zlib

MAX_BUNDLE_BYTES = 1024 * 1024
"""Maximum size of a bundle as transferred. The builder leaves out old roots to stay below it."""

# Only files that never change under their name may come from a bundle: never timestamp.json, never a path.
_IMMUTABLE = re.compile(r"[1-9][0-9]{0,15}\.[A-Za-z0-9%_][A-Za-z0-9%._-]{0,150}\.json")

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
