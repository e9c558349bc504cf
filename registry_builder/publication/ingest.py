"""Copies artifacts from their URLs into the store: each is fetched, verified, uploaded and deleted.

An artifact is never completely in memory, and at most one per worker is on disk: the krew history alone is 300 GB.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from registry_builder.publication._progress import ByteCount, Notice
from registry_builder.publication.plan import IngestedArtifact
from registry_builder.storage import Body, Storage, headers_for
from sealdex.download.download import Pin, download
from sealdex.store.cache import ContentCache
from sealdex.text import counted
from sealdex.transport import Transport


def ingest(
    artifacts: Iterable[IngestedArtifact],
    storage: Storage,
    *,
    max_bytes: int,
    workers: int,
    notice: Notice | None = None,
) -> dict[str, int]:
    """Copy artifacts into the store.

    Args:
        artifacts: what to copy, and the keys.
        storage: the destination.
        max_bytes: the maximum size of any of them.
        workers: how many are copied in parallel.
        notice: called with the bytes fetched so far and in all, the latter 0 unless all lengths are known.

    Returns:
        SHA-256 of each to its size in bytes.

    Raises:
        VerificationError: a URL serves other bytes than its manifest states, or too many.
        UnavailableError: a URL or the storage doesn't respond.
    """
    wanted = list(artifacts)
    sizes: dict[str, int] = {}
    known = [artifact.size for artifact in wanted if artifact.size is not None]
    count = ByteCount(notice, sum(known) if len(known) == len(wanted) else 0)
    with Transport() as transport, tempfile.TemporaryDirectory(prefix="sealdex-ingest-") as folder:

        def copy(numbered: tuple[int, IngestedArtifact]) -> tuple[str, int]:
            number, artifact = numbered
            place = Path(folder) / str(number)
            pin = Pin(artifact.sha256, artifact.size, max_bytes)
            name = artifact.key.rpartition("/")[2]
            progress = _Fetching(count.part(f"fetching {name}", artifact.key, artifact.size))
            path = download(transport, artifact.url, pin, ContentCache(place), progress=progress)
            size = path.stat().st_size
            count.whole(f"storing {name}", artifact.key, size)
            headers = headers_for(artifact.key)
            storage.put_new(artifact.key, Body.of_file(path, headers, size=size, sha256=artifact.sha256))
            shutil.rmtree(place, ignore_errors=True)
            return artifact.sha256, size

        with ThreadPoolExecutor(max(1, workers)) as pool:
            for done, (sha256, size) in enumerate(pool.map(copy, enumerate(wanted)), 1):
                sizes[sha256] = size
                count.whole(f"{done} of {counted(len(wanted), 'artifact')} copied", "", 0)
    return sizes


class _Fetching:
    """Reports a download as part of the total; see `sealdex.download.download.Progress`."""

    def __init__(self, count: Callable[[int], None]) -> None:
        self._count = count

    def start(self, total: int | None) -> None:
        """Start; the count knows its total already."""

    def advance(self, n: int) -> None:
        """Count bytes."""
        self._count(n)

    def finish(self) -> None:
        """End; what is missing is counted when the file is complete."""
