"""The stock `tuf.ngclient.Updater` on a published folder or storage, as anybody's client would use it."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from tuf.api.exceptions import DownloadHTTPError
from tuf.ngclient import FetcherInterface, Updater

from registry_builder.storage import ObjectMissingError, StoredObject
from sealdex.model.catalog import CatalogShard, shard_target
from sealdex.model.decode import read_wire
from sealdex.model.ids import parse_plugin_id
from sealdex.model.index import IndexDocument, index_target


class Source(Protocol):
    def get(self, key: str, *, max_bytes: int) -> StoredObject: ...


class _Fetcher(FetcherInterface):
    def __init__(self, storage: Source) -> None:
        self._storage = storage

    def _fetch(self, url: str) -> Iterator[bytes]:
        try:
            yield self._storage.get(url.removeprefix("x:/"), max_bytes=10_000_000).data
        except ObjectMissingError as error:
            raise DownloadHTTPError("missing", 404) from error

    def fetch(self, url: str) -> Iterator[bytes]:
        # a generator raises only when it is read, past ngclient's own handling
        return iter([b"".join(self._fetch(url))])


class StockClient:
    """One client with a folder of its own; ``folder`` keeps what it has seen between two of them."""

    def __init__(self, storage: Source, root: bytes, folder: Path | None = None) -> None:
        self._temporary = tempfile.TemporaryDirectory()
        place = folder or Path(self._temporary.name)
        (place / "targets").mkdir(parents=True, exist_ok=True)
        self.updater = Updater(
            str(place),
            "x:/metadata",
            target_dir=str(place / "targets"),
            target_base_url="x:/targets",
            fetcher=_Fetcher(storage),
            bootstrap=root,
        )

    def index(self, plugin: str) -> IndexDocument | None:
        data = self._target(index_target(parse_plugin_id(plugin)))
        return None if data is None else read_wire(data, IndexDocument, newest_format=1, what=plugin)

    def versions(self, plugin: str) -> list[str]:
        document = self.index(plugin)
        return [] if document is None else [release.version for release in document.releases]

    def catalog(self) -> dict[str, str | None]:
        """Return plugin to latest version, from all shards."""
        found: dict[str, str | None] = {}
        number, shards = 0, 1
        while number < shards:
            data = self._target(shard_target(number))
            assert data is not None
            shard = read_wire(data, CatalogShard, newest_format=1, what="shard")
            assert shard.shard == number
            found |= {str(row.id): row.latest for row in shard.plugins}
            number, shards = number + 1, shard.shards
        return found

    def _target(self, target: str) -> bytes | None:
        info = self.updater.get_targetinfo(target)
        return None if info is None else Path(self.updater.download_target(info)).read_bytes()
