"""A registry in S3 for tests: as the server has it, and as it looks through a proxy in front of it."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from support.stock_client import StockClient

from registry_builder.publication.context import Publisher, open_publisher
from registry_builder.publication.publish import PublishResult, publish_realm
from registry_builder.storage import Storage, UrlStorage, open_storage

if TYPE_CHECKING:
    from support.s3_proxy import S3Proxy
    from support.s3_server import S3Server
    from support.source_trees import Tree

CONDITIONS = {"If-None-Match": "if-none-match", "If-Match": "if-match"}


class S3Registry:
    """A source tree, and its place in S3 as the server has it and as it looks through a proxy."""

    def __init__(self, tree: Tree, server: S3Server, bucket: str, proxy: S3Proxy) -> None:
        self.tree, self.proxy, self.server, self.bucket = tree, proxy, server, bucket
        self.prefix = secrets.token_hex(4)
        self.exclusive = False

    def direct(self) -> Storage:
        endpoint = f"?endpoint_url={self.server.endpoint}&region=us-east-1"
        return open_storage(f"s3://{self.bucket}/{self.prefix}{endpoint}", base=self.tree.root)

    def through(self) -> Storage:
        return open_storage(self.proxy.uri(self.bucket, self.prefix), base=self.tree.root, exclusive=self.exclusive)

    def publisher(self, storage: Storage, *only: str) -> Publisher:
        return open_publisher(self.tree.load(*only), "public", storage=storage, workers=1)

    def publish(self, *only: str, direct: bool = False) -> PublishResult:
        return publish_realm(self.publisher(self.direct() if direct else self.through(), *only))

    def publish_as(self, publisher: Publisher) -> PublishResult:
        return publish_realm(publisher)

    def reader(self) -> StockClient:
        place = UrlStorage(f"{self.server.endpoint}/{self.bucket}/{self.prefix}")  # past the proxy, without credentials
        return StockClient(place, (self.tree.root / "trust/public/1.root.json").read_bytes())

    def objects(self) -> dict[str, str]:
        """Return the key and the ETag of everything that is stored."""
        found = self.server.client().list_objects_v2(Bucket=self.bucket, Prefix=f"{self.prefix}/")
        return {each["Key"].partition("/")[2]: each["ETag"] for each in found.get("Contents", [])}

    def asked(self) -> list[tuple[str, str, str]]:
        """Return operation, key and condition of every write that came to the proxy."""
        return [
            (p.operation, p.key.partition("/")[2], next((n for n, h in CONDITIONS.items() if h in p.headers), ""))
            for p in self.proxy.seen
            if p.method not in {"GET", "HEAD"}
        ]
