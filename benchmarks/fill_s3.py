"""Fills an S3 server with a large registry: ``python -m benchmarks.fill_s3 TREE PLUGINS FILER``.

The builder publishes a source tree as ever, in pieces of `PIECE` plugins, so that a million releases needn't be in
memory at once. Only the way of what there are many of is another: manifests and index documents go to the HTTP
interface beneath SeaweedFS's S3, many on the way at a time, which takes a tenth of what signed PUTs one by one do.
Metadata and catalog go the usual way. Of the browse site only what all pages share is there, and the record that
says so: a release more then costs what it costs in a registry whose pages were written, and one PUT more, since its
plugin's badge of platforms isn't there yet.
"""

from __future__ import annotations

import itertools
import socket
import sys
from pathlib import Path
from typing import BinaryIO
from urllib.parse import quote, urlsplit

from benchmarks.synthetic import plugin_name
from registry_builder.publication.plan import PublishPlan
from registry_builder.publication.publish import Publisher, open_publisher, publish_realm
from registry_builder.signing.metadata import bin_bits
from registry_builder.site.page_context import frame_digest, frame_of, signers_of
from registry_builder.site.pages import Builder
from registry_builder.site.search_catalog import Shown, catalogue_file, search_files
from registry_builder.site.templates import Templates
from registry_builder.site.urls import CATALOGUE
from registry_builder.source.config import read_config
from registry_builder.source.load import load_tree
from registry_builder.storage import Body, PutOutcome, Storage, StoredObject, headers_for, open_storage
from registry_builder.storage.forwarding import ForwardingStorage
from sealdex.model.ids import PluginId

PIECE = 10_000
_CONNECTIONS = 4
_ON_THE_WAY = 64  # a connection; their answers, some 200 bytes each, fit into what the kernel keeps for a socket
_MANY = ("plugins/", "targets/index/")


class FillingStorage(ForwardingStorage):
    """`registry_builder.storage.Storage`: ``s3`` for all but the creation of what there are many of.

    Args:
        s3: the storage that is filled.
        filer: host and port of the HTTP interface beneath it.
        folder: the folder there that is ``s3``'s bucket and prefix.
    """

    def __init__(self, s3: Storage, filer: str, folder: str) -> None:
        super().__init__(s3)
        self._folder = folder
        self._lines = [_Line(filer) for _ in range(_CONNECTIONS)]
        self._turns = itertools.cycle(self._lines)
        self._bytes_sent = 0

    @property
    def bytes_put(self) -> int:
        """See `Storage.bytes_put`; ``requests`` has those of the usual way alone."""
        return super().bytes_put + self._bytes_sent

    def get(self, key: str, *, max_bytes: int) -> StoredObject:
        """See `Storage.get`; what is on the way arrives first."""
        self.flush()
        return super().get(key, max_bytes=max_bytes)

    def put_new(self, key: str, body: Body) -> PutOutcome:
        """Send an object on its way; whether it arrived is known at the latest after `flush`."""
        if not key.startswith(_MANY) or body.data is None:
            self.flush()  # signing what comes now takes longer than the server leaves a connection open
            return super().put_new(key, body)
        next(self._turns).put(f"{self._folder}/{key}", body)
        self._bytes_sent += body.size
        return PutOutcome.CREATED

    def flush(self) -> None:
        """Wait until everything has arrived."""
        for line in self._lines:
            line.close()


class _Line:
    """One connection on which requests are sent without waiting for the answers to those before (HTTP pipelining)."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._open: tuple[socket.socket, BinaryIO] | None = None
        self._requests: list[bytes] = []
        self._sent = 0

    def put(self, path: str, body: Body) -> None:
        head = (
            f"PUT {quote(path)} HTTP/1.1\r\nHost: {self._address}\r\nContent-Type: {body.content_type}\r\n"
            f"Cache-Control: {body.cache_control}\r\nContent-Length: {body.size}\r\n\r\n"
        )
        self._requests += (head.encode(), body.data or b"")
        if len(self._requests) == 2 * _ON_THE_WAY:
            self.send()

    def send(self) -> None:
        """Send what is collected, once what was sent before has arrived."""
        if self._open is None:
            host, _, port = self._address.partition(":")
            connection = socket.create_connection((host, int(port)))
            self._open = connection, connection.makefile("rb")
        connection, answers = self._open
        self._wait(answers)
        self._sent = len(self._requests) // 2
        connection.sendall(b"".join(self._requests))
        self._requests.clear()

    def close(self) -> None:
        """Send the rest, wait until all has arrived, and close: the server would, while the builder computes."""
        if self._requests:
            self.send()
        if self._open is not None:
            connection, answers = self._open
            self._wait(answers)
            answers.close()
            connection.close()
            self._open = None

    def _wait(self, answers: BinaryIO) -> None:
        for _ in range(self._sent):
            status = answers.readline()
            length = 0
            while (line := answers.readline()) not in {b"\r\n", b""}:
                name, _, value = line.partition(b":")
                length = int(value) if name.lower() == b"content-length" else length
            said = answers.read(length)
            if b" 201 " not in status:
                raise RuntimeError(f"the S3 server refused a file: {status!r} {said!r}")
        self._sent = 0


def main() -> None:
    tree, plugins, filer = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    uri = read_config(tree).realms["public"].storage
    address = urlsplit(uri)
    storage = FillingStorage(open_storage(uri, base=tree), filer, f"/buckets/{address.netloc}{address.path}")
    for start in range(0, plugins, PIECE):
        piece = [PluginId(*plugin_name(number)) for number in range(start, min(plugins, start + PIECE))]
        loaded = load_tree(tree, only=piece)
        opened = open_publisher(
            loaded, "public", storage=storage, workers=1, min_bits=bin_bits(plugins), validate=False, site=False
        )
        done = publish_realm(opened, only=piece)
    _record_site(opened, done.versions["snapshot"], done.plan)


def _record_site(publisher: Publisher, snapshot: int, plan: PublishPlan) -> None:
    config = publisher.tree.config
    templates = Templates(publisher.tree.root, config.site)
    frame, signers = frame_of(config, publisher.realm), signers_of(publisher.trust, plan.bits)
    for asset in Builder(templates, frame, signers).assets():
        publisher.storage.put_new(asset.key, Body.of_bytes(asset.data, headers_for(asset.key)))
    shown = Shown(frame_digest(frame, signers, templates.fingerprint), snapshot)
    shards = search_files(plan.catalog or {})
    publisher.storage.put_mutable(CATALOGUE, Body.of_bytes(catalogue_file(shards, shown), headers_for(CATALOGUE)))


if __name__ == "__main__":
    main()
