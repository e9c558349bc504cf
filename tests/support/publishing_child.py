"""Publishers in processes of their own: one that dies at a chosen request, and several that start at once."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from multiprocessing import forkserver
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import TypeVar

from registry_builder.publish import open_publisher, publish
from registry_builder.source.load import load_tree
from registry_builder.storage import Body, PutOutcome, Storage, StoredObject, open_storage
from sealdex.model.ids import parse_plugin_id

_T = TypeVar("_T")


class DyingStorage:
    """A storage whose process is killed before or after its request number ``at``, counted from 1.

    ``log`` names every request that was begun, in order.
    """

    def __init__(self, storage: Storage, at: int = 0, *, after: bool = False) -> None:
        self._storage = storage
        self._at = at
        self._after = after
        self.log: list[str] = []

    @property
    def description(self) -> str:
        return self._storage.description

    @property
    def requests(self) -> Counter[str]:
        return self._storage.requests

    @property
    def bytes_put(self) -> int:
        return self._storage.bytes_put

    def get(self, key: str, *, max_bytes: int) -> StoredObject:
        return self._do(f"get {key}", lambda: self._storage.get(key, max_bytes=max_bytes))

    def put_new(self, key: str, body: Body) -> PutOutcome:
        return self._do(f"put_new {key}", lambda: self._storage.put_new(key, body))

    def put_if_match(self, key: str, body: Body, etag: str | None) -> str:
        return self._do(f"put_if_match {key}", lambda: self._storage.put_if_match(key, body, etag))

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
    wanted = [parse_plugin_id(plugin) for plugin in only]
    loaded = load_tree(tree, only=wanted or None)
    storage = DyingStorage(open_storage(loaded.config.realms["public"].storage, base=tree), at, after=after)
    publish(open_publisher(loaded, "public", storage=storage, workers=1))


def race_publishing(
    tree: Path, storage_uri: str, plugin: str, barrier: Callable[[], object], environment: Mapping[str, str]
) -> None:
    """Publish one plugin at the moment when all others do."""
    os.environ.update(environment)
    loaded = load_tree(tree, only=[parse_plugin_id(plugin)])
    publisher = open_publisher(loaded, "public", storage=open_storage(storage_uri, base=tree))
    barrier()
    publish(publisher)
