"""Publishers in processes of their own: one that dies at a chosen request, and several that start at once."""

from __future__ import annotations

import json
import multiprocessing
import os
import re
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from multiprocessing import forkserver
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import unquote

from registry_builder.publication.publish import open_publisher, publish_realm
from registry_builder.source.load import load_tree
from registry_builder.source.tree import SourceTree
from registry_builder.storage import Body, Condition, PutOutcome, Storage, StoredObject, open_storage, s3
from registry_builder.storage.forwarding import ForwardingStorage
from sealdex.model.ids import parse_plugin_id

LARGE_BYTES = 100_000
"""An artifact of this size goes to S3 in parts, in the processes here."""

_T = TypeVar("_T")


def own_folders(tmp_path: Path) -> dict[str, str]:
    """Return the environment in which a publisher of the test's tree finds its keys and its memory."""
    return {"SEALDEX_KEYS": str(tmp_path / "keys"), "XDG_STATE_HOME": str(tmp_path / "state")}


class DyingStorage(ForwardingStorage):
    """A storage whose process is killed before or after its request number ``at``, counted from 1.

    ``log`` names every request that was begun, in order.
    """

    def __init__(self, storage: Storage, at: int = 0, *, after: bool = False) -> None:
        super().__init__(storage)
        self._at = at
        self._after = after
        self.log: list[str] = []

    def get(self, key: str, *, max_bytes: int) -> StoredObject:
        return self._do(f"get {key}", lambda: self._storage.get(key, max_bytes=max_bytes))

    def put_new(self, key: str, body: Body) -> PutOutcome:
        return self._do(f"put_new {key}", lambda: self._storage.put_new(key, body))

    def put_if_match(self, key: str, body: Body, etag: str | None) -> str:
        return self._do(f"put_if_match {key}", lambda: self._storage.put_if_match(key, body, etag))

    def probe(self, key: str, body: Body, condition: Condition) -> bool:
        return self._do(f"probe {key}", lambda: self._storage.probe(key, body, condition))

    def put_mutable(self, key: str, body: Body, *, only_if_changed: bool = False) -> bool:
        return self._do(
            f"put_mutable {key}", lambda: self._storage.put_mutable(key, body, only_if_changed=only_if_changed)
        )

    def flush(self) -> None:
        self._do("flush", self._storage.flush)

    def _do(self, what: str, request: Callable[[], _T]) -> _T:
        self.log.append(what)
        if len(self.log) == self._at and not self._after:
            os.kill(os.getpid(), signal.SIGKILL)
        try:
            return request()
        finally:
            if len(self.log) == self._at:
                os.kill(os.getpid(), signal.SIGKILL)


def publishers() -> ForkServerContext:
    """Return a context whose processes start in milliseconds, from a server that has everything imported."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    # The server imports what it is to preload before it learns of our path, and passes over what it can't find.
    path = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, sys.path))
    try:
        forkserver.ensure_running()
    finally:
        if path is None:
            del os.environ["PYTHONPATH"]
        else:
            os.environ["PYTHONPATH"] = path
    return context


def die_publishing(tree: Path, only: Sequence[str], at: int, after: bool, environment: Mapping[str, str]) -> None:
    """Publish the public realm and be killed at request ``at``."""
    os.environ.update(environment)
    loaded = load_only(tree, only)
    storage = DyingStorage(open_storage(loaded.config.realms["public"].storage, base=tree), at, after=after)
    publish_realm(open_publisher(loaded, "public", storage=storage, workers=1))


def die_publishing_on_s3(tree: Path, uri: str, only: Sequence[str], at: int, environment: Mapping[str, str]) -> None:
    """Publish to S3, large artifacts in parts, and be killed when HTTP request ``at`` is about to leave.

    The last request has none after it: a negative ``at`` means when the answer to that one has arrived.
    """
    os.environ.update(environment)
    s3.MULTIPART_BYTES = LARGE_BYTES - 1
    storage = open_storage(uri, base=tree)
    log_requests(storage, die_at=at)
    publish_realm(open_publisher(load_only(tree, only), "public", storage=storage, workers=1))


_FIRST = re.compile(rb"attempt=1\b")


def log_requests(storage: Storage, die_at: int = 0) -> list[str]:
    """Return a list that names each HTTP request to S3 as it leaves; see `die_publishing_on_s3` for ``die_at``.

    What botocore sends again by itself, as to a server that is too busy, isn't named again.
    """
    assert isinstance(storage, s3.S3Storage)
    client, bucket, prefix = storage.raw()
    log: list[str] = []

    def leaves(request: Any, **_: Any) -> None:
        if not _FIRST.search(request.headers["amz-sdk-request"]):
            return
        log.append(f"{request.method} {unquote(request.url).partition(f'/{bucket}/{prefix}')[2]}")
        if len(log) == die_at:
            os.kill(os.getpid(), signal.SIGKILL)

    def answered(**_: Any) -> None:
        if die_at < 0 and len(log) == -die_at:
            os.kill(os.getpid(), signal.SIGKILL)

    client.meta.events.register_last("before-send.s3", leaves)
    client.meta.events.register_last("response-received.s3", answered)
    return log


def load_only(tree: Path, only: Sequence[str]) -> SourceTree:
    return load_tree(tree, only=[parse_plugin_id(plugin) for plugin in only] or None)


@dataclass(frozen=True)
class Raced:
    """What one of several publishers did: its attempts, version numbers that it skipped, and its requests in order."""

    attempts: int
    skipped: int
    requests: list[str]


def race_publishing(
    tree: Path,
    storage_uri: str,
    plugin: str,
    barrier: Callable[[], object],
    environment: Mapping[str, str],
    report: Path,
) -> None:
    """Publish one plugin at the moment when all others do, and write a `Raced` to ``report``."""
    os.environ.update(environment)
    storage = open_storage(storage_uri, base=tree)
    log = log_requests(storage) if isinstance(storage, s3.S3Storage) else []
    publisher = open_publisher(load_only(tree, [plugin]), "public", storage=storage, use_memory=False, site=False)
    barrier()
    result = publish_realm(publisher)
    report.write_text(json.dumps(asdict(Raced(result.attempts, len(result.warnings), log))))
