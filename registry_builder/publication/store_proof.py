"""Proves at each publish, before anything is written, that the store looks at the conditions of a write.

With a store (or a proxy before it) that ignores ``If-None-Match`` and ``If-Match``, two publishers both report success
and one loses what it published. No answer of an ordinary publish shows that: a put that should be refused is needed.
So two are tried, each with an object's own bytes: docs/decisions/0054-what-a-publish-proves-of-its-store.md.

Where registry.toml says ``exclusive``, nothing is tried, and a lock is taken instead, which is weaker.

``timestamp.json`` is never tried: where conditions are ignored, the trial itself could roll back another's commit.
"""

from __future__ import annotations

import contextlib

from registry_builder.baseline.state import PublishedState
from registry_builder.publication.context import Publisher
from registry_builder.storage import Body, Condition, ConditionsIgnoredError, Storage, headers_for
from registry_builder.storage.headers import BUNDLE_KEY
from sealdex.log import Log
from sealdex.trust.metadata_bundle import bundle_bytes

_log = Log("registry_builder.publication")


class StoreProof:
    """The proof of one publish, which is given once however many attempts that takes.

    Where the store looks at no conditions and a lock stands in for them (`Storage.lock`), it is taken instead, and
    given back on leaving this context manager.
    """

    def __init__(self) -> None:
        self._is_given = False
        self._until = contextlib.ExitStack()

    def __enter__(self) -> StoreProof:  # noqa: PYI034  # Self is younger than Python 3.10
        return self

    def __exit__(self, *_: object) -> None:
        self._until.close()

    def give(self, publisher: Publisher, state: PublishedState | None) -> None:
        """Try two writes that the store must refuse.

        Args:
            publisher: where to.
            state: what is published and verified; None, or one without a snapshot, where nothing can be relied on.

        Raises:
            ConditionsIgnoredError: the store carried one out; the object has the bytes that it had.
            UnavailableError: the store doesn't answer, or this publisher may not write there.
            LockedError: another publisher holds the lock; nothing was written.
        """
        if self._is_given:
            return
        storage = publisher.storage
        if storage.lock is not None:
            self._until.enter_context(storage.lock.held())
            self._is_given = True
            return
        if state is not None and state.snapshot.data:
            _must_refuse(storage, f"metadata/{state.snapshot.version}.snapshot.json", state.snapshot.data)
            bundle = _published_bundle(publisher, state)
        else:
            # The bundle, which nothing trusts, with what every client has: its first root. It is created if need be.
            first = min(publisher.trust.roots)
            bundle = bundle_bytes({}, {first: publisher.trust.roots[first]})
            if not storage.probe(BUNDLE_KEY, _body(BUNDLE_KEY, bundle), "If-None-Match"):
                _must_refuse(storage, BUNDLE_KEY, bundle)
        _must_refuse(storage, BUNDLE_KEY, bundle, "If-Match")
        self._is_given = True
        _log.info("publication.proven", "{storage} looks at the conditions of a write", storage=storage.description)


def _must_refuse(storage: Storage, key: str, data: bytes, condition: Condition = "If-None-Match") -> None:
    if not storage.probe(key, _body(key, data), condition):
        raise ConditionsIgnoredError(key, storage.description, condition)


def _body(key: str, data: bytes) -> Body:
    return Body.of_bytes(data, headers_for(key))


def _published_bundle(publisher: Publisher, state: PublishedState) -> bytes:
    """Return the bundle of a published state: without roots that readers may not have yet."""
    files = {
        f"{file.version}.{role}.json": file.data
        for role, file in (("packages", state.packages), ("snapshot", state.snapshot), ("targets", state.targets))
    }
    roots = {version: data for version, data in publisher.trust.roots.items() if version <= state.root_version}
    return bundle_bytes(files, roots)


__all__ = ["StoreProof"]
