"""What a delta download results in: the files of a release in a staging folder, or the reason why there are none.

Apart from `sealdex.download.delta`, which is imported where something is installed that a download can build on.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from msgspec import Struct

from sealdex.archive.tree_writer import UnpackedFile


class GivenUpError(Exception):
    """A delta download isn't possible, for this reason; the whole archive must be fetched."""

    def __init__(self, why: str, *, has_fetched_nothing: bool = False) -> None:
        super().__init__(why)
        self.has_fetched_nothing = has_fetched_nothing


class ReadyTree(Struct, frozen=True):
    """A release's files, assembled and verified, in a staging folder.

    Attributes:
        artifact_sha256, archive_bytes: digest and size of the archive that has these files.
        folder: the folder with the files.
        files: the files, sorted by path.
        fetched_bytes: bytes read from the server, the list included.
        reused_bytes: total size of files that were already there.
    """

    artifact_sha256: str
    archive_bytes: int
    folder: Path
    files: tuple[UnpackedFile, ...]
    fetched_bytes: int
    reused_bytes: int
    _staging: ExitStack

    def on_close(self, call: Callable[[], object]) -> None:
        """Register a function to be called when the tree is closed."""
        self._staging.callback(call)

    def close(self) -> None:
        """Delete the staging folder."""
        self._staging.close()
