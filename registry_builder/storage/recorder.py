"""A storage that records what is put through it; for a dry run it records what would be put, and only reads.

Checking instead of writing costs a read for each file, where a real put would have cost a write.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TypeVar

from registry_builder.storage.forwarding import ForwardingStorage
from registry_builder.storage.protocol import (
    Body,
    Condition,
    DoEach,
    ObjectConflictError,
    ObjectMissingError,
    ObjectTooLargeError,
    PutOutcome,
    Storage,
)
from sealdex.errors import UsageError

_T = TypeVar("_T")
_R = TypeVar("_R")


class Recorder(ForwardingStorage):
    """`registry_builder.storage.Storage` that wraps another one; see ``files``.

    Args:
        storage: the storage that is read and, if ``write`` is set, written.
        write: False for a dry run.
    """

    def __init__(self, storage: Storage, *, write: bool) -> None:
        super().__init__(storage)
        self._write = write
        self._guard = threading.Lock()
        self.files: dict[str, tuple[int, str]] = {}
        """Key to size in bytes and SHA-256, in any order."""

    @property
    def do_each(self) -> DoEach | None:
        """See `Storage.do_each`; what other processes put is recorded too. A dry run only reads, in this process."""
        each = self._storage.do_each
        return None if each is None or not self._write else partial(self._do_each, each)

    def _do_each(self, each: DoEach, do: Callable[[_T], _R], items: Sequence[_T], *, share: int) -> Iterator[_R]:
        def noting(item: _T) -> tuple[_R, dict[str, tuple[int, str]]]:
            before, self.files = self.files, {}
            try:
                return do(item), self.files
            finally:
                self.files = before

        for result, noted in each(noting, items, share=share):
            self.files.update(noted)
            yield result

    def put_new(self, key: str, body: Body) -> PutOutcome:
        """Create an immutable object, or return whether it exists; see `Storage.put_new`."""
        if self._write:
            outcome = self._storage.put_new(key, body)
        else:
            stored = self._digest(key, body.size)
            if stored not in {None, body.sha256}:
                raise ObjectConflictError(key, self.description)
            outcome = PutOutcome.CREATED if stored is None else PutOutcome.ALREADY_THERE
        if outcome is PutOutcome.CREATED:
            self._note(key, body)
        return outcome

    def put_if_match(self, key: str, body: Body, etag: str | None) -> str:
        """Swap an object; see `Storage.put_if_match`. A dry run has no tag to return, so it can't swap.

        Raises:
            UsageError: in a dry run.
        """
        if not self._write:
            raise UsageError(f"{key} can't be swapped in a dry run", subject=key, untouched="nothing was written")
        new_etag = self._storage.put_if_match(key, body, etag)
        self._note(key, body)
        return new_etag

    def probe(self, key: str, body: Body, condition: Condition) -> bool:
        """Try a write that must be refused; see `Storage.probe`. A dry run tries none."""
        return not self._write or self._storage.probe(key, body, condition)

    def put_mutable(self, key: str, body: Body, *, only_if_changed: bool = False) -> bool:
        """Write unconditionally, or return whether it would be written; see `Storage.put_mutable`."""
        if self._write:
            written = self._storage.put_mutable(key, body, only_if_changed=only_if_changed)
        else:
            written = not only_if_changed or self._digest(key, body.size) != body.sha256
        if written:
            self._note(key, body)
        return written

    def flush(self) -> None:
        """See `Storage.flush`."""
        if self._write:
            self._storage.flush()

    def _digest(self, key: str, size: int) -> str | None:
        """Return the SHA-256 of the stored object; None if there is none, no digest beyond ``size``."""
        try:
            return hashlib.sha256(self._storage.get(key, max_bytes=size).data).hexdigest()
        except ObjectMissingError:
            return None
        except ObjectTooLargeError:
            return ""

    def _note(self, key: str, body: Body) -> None:
        with self._guard:
            self.files[key] = body.size, body.sha256


__all__ = ["Recorder"]
