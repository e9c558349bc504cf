"""The bundle ``metadata/recent.bundle``: copies of immutable metadata for a client's first round. Pure, reproducible.

What it must contain is in docs/format.md; nothing in it is trusted, see `sealdex.trust.metadata_bundle`.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping

from sealdex.trust.metadata_bundle import MAX_BUNDLE_BYTES

_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest time in a zip: reproducible files have no clock
_UNIX = 3


def bundle_bytes(files: Mapping[str, bytes], roots: Mapping[int, bytes]) -> bytes:
    """Zip metadata files and as many of the newest roots as fit.

    Args:
        files: exact metadata file name (``41.snapshot.json``) to its bytes.
        roots: version to root metadata.

    Returns:
        The zip, smaller than `sealdex.trust.metadata_bundle.MAX_BUNDLE_BYTES`, the client's limit.
    """
    newest = sorted(roots, reverse=True)
    while True:
        members = {f"{version}.root.json": roots[version] for version in sorted(newest)} | dict(files)
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
