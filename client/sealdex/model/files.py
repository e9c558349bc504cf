"""The list of files of one archive, with digests and positions, so that updates fetch only what changed.

Pinned by the index document beside the artifact (`ArtifactEntry.file_list`), published as ``<artifact>.files.json``.
The entries are arrays, without the names of fields, since there may be a hundred thousand.
"""

# annotations are types here, not text (no __future__): msgspec evaluates each that is text, whenever a command starts

from typing import Annotated

from msgspec import Meta, Struct

from sealdex.model.ids import Sha256

FILE_LIST_FORMAT = 1
MAX_FILE_LIST_BYTES = 64 * 1024 * 1024
FILE_LIST_SUFFIX = ".files.json"

_Count = Annotated[int, Meta(ge=0)]


class ListedEntry(Struct, frozen=True, array_like=True, gc=False):
    """One entry of the archive, in the archive's order: an array of these values.

    Attributes:
        path: with forward slashes, without a trailing one; unchecked.
        kind: ``file``, ``folder`` or ``symlink``.
        mode: permission bits as the archive has them, 0 where it has none.
        size: bytes of content; 0 for all but files.
        sha256: of the content; empty for all but files.
        offset, length: bytes of the archive that hold the content: as it is (method 0), or a raw deflate stream (8).
        method: 0 or 8, as in a zip (APPNOTE.TXT 4.4.5).
        crc32: of the content.
        target: what a symbolic link points to.
    """

    path: str
    kind: str
    mode: _Count
    size: _Count = 0
    sha256: str = ""
    offset: _Count = 0
    length: _Count = 0
    method: _Count = 0
    crc32: _Count = 0
    target: str | None = None


class ListedArchive(Struct, frozen=True):
    """The archive that a list is of: its bytes and SHA-256, the same as the artifact's pin."""

    size: _Count
    sha256: Sha256


class FileList(Struct, frozen=True):
    """The list of files of one zip archive."""

    format: Annotated[int, Meta(ge=1)]
    archive: ListedArchive
    entries: tuple[ListedEntry, ...]


def file_list_name(artifact_file: str) -> str:
    """Return the published name of an artifact's list of files."""
    return artifact_file + FILE_LIST_SUFFIX
