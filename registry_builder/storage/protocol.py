"""What publishing needs from a storage: conditional writes, one compare-and-swap, one flush.

A publish needs no more than this: immutable files are *created* (`Storage.put_new`), the one mutable trust file is
*swapped* (`Storage.put_if_match`), pages, which nothing trusts, are *replaced* (`Storage.put_mutable`). There is no
listing and no deletion on purpose: the builder knows its state from signed metadata, never from the contents of a
bucket.

Keys are relative POSIX paths in the published tree (``metadata/1.root.json``); `check_key` is the one rule.
All methods may be called from several threads at once; a storage belongs to the process that opened it.
"""

from __future__ import annotations

import enum
import hashlib
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol, TypeVar

from sealdex.errors import NotFoundError, SealdexError, UnavailableError, UsageError, VerificationError

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path
    from typing import BinaryIO

    from registry_builder.storage.headers import ObjectHeaders
    from registry_builder.storage.lock_object import LockObject

MAX_KEY_BYTES = 1024  # S3's limit
MAX_PART_BYTES = 255  # limit of Linux, macOS and Windows file systems

_HASH_CHUNK_BYTES = 1 << 20

Condition = Literal["If-None-Match", "If-Match"]
"""A condition of a write: nothing is there; it still has the tag that was read."""

_T = TypeVar("_T")
_R = TypeVar("_R")

# Each part starts with something other than a dot, so neither '.' and '..' nor hidden files pass; there is no
# separator of any system, no drive or stream colon, no control character.
_PART = r"[^./\\:\x00-\x1f\x7f][^/\\:\x00-\x1f\x7f]*"
_KEY = re.compile(rf"{_PART}(?:/{_PART})*")


class ObjectMissingError(NotFoundError):
    """Nothing is stored under ``key``."""

    code = "object-missing"

    def __init__(self, key: str, storage: str) -> None:
        super().__init__(f"{key} does not exist in {storage}", subject=key)
        self.key = key


class ObjectConflictError(SealdexError):
    """``key`` is immutable and already has other bytes than the ones to be published."""

    code = "object-conflict"

    def __init__(self, key: str, storage: str, *, hint: str | None = None) -> None:
        super().__init__(
            f"{key} already exists in {storage} with different bytes",
            subject=key,
            untouched="the stored file was not overwritten",
            hint=hint or "published files never change: publish the new content under a new version",
        )
        self.key = key


class LostRaceError(SealdexError):
    """``key`` has changed since this publisher read it: another publisher was faster."""

    code = "lost-race"

    def __init__(self, key: str, storage: str) -> None:
        super().__init__(
            f"{key} in {storage} was changed by another publisher",
            subject=key,
            untouched="the other publisher's state is kept",
            hint="publish again: it starts from the new state",
        )
        self.key = key


class ObjectTooLargeError(VerificationError):
    """The stored object is larger than the caller's limit."""

    code = "object-too-large"

    def __init__(self, key: str, storage: str, max_bytes: int) -> None:
        super().__init__(
            f"{key} in {storage} is larger than the limit of {max_bytes} bytes",
            subject=key,
            untouched="it was not used",
        )
        self.key = key
        self.max_bytes = max_bytes


class FileChangedError(SealdexError):
    """A file that is being published has changed since its `Body` was created."""

    code = "file-changed"

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(
            f"{path} changed while it was being published: {reason}",
            subject=str(path),
            untouched="it was not published",
            hint="don't change the file while publishing, and publish again",
        )


class AccessDeniedError(UnavailableError):
    """The storage refused a request because of who made it."""


class ConditionsIgnoredError(UnavailableError):
    """The storage wrote although the condition of the write didn't hold."""

    code = "conditions-ignored"

    def __init__(self, key: str, storage: str, condition: Condition) -> None:
        super().__init__(
            f"{storage} ignores {condition}: it replaced {key} on a condition that doesn't hold, so of two publishers "
            "at once one could undo what the other published",
            subject=key,
            untouched=f"nothing was published; {key} was replaced by a copy that says the same",
            hint="publish to a store that has conditional writes, and past any proxy that drops If-None-Match and "
            "If-Match. If only one publisher runs at a time: exclusive = true beside the storage in registry.toml, "
            "which is weaker (docs/publishing.md)",
        )
        self.key = key


class PutOutcome(enum.Enum):
    """How `Storage.put_new` succeeded."""

    CREATED = "created"
    ALREADY_THERE = "already there"


@dataclass(frozen=True)
class StoredObject:
    """The bytes under a key and the opaque tag that `Storage.put_if_match` swaps on."""

    data: bytes
    etag: str


@dataclass(frozen=True)
class Body:
    """Bytes to store: in memory (``data``) or in a file that is streamed (``path``), never both.

    ``size`` is in bytes, ``sha256`` in lower-case hex. Storages check both while writing, so a file that
    changes between `of_file` and the put is refused, not published. ``encoding`` is the Content-Encoding that
    the bytes are in; None for plain ones, which is what callers of `Storage` give and get. ``on_bytes`` is told how
    many bytes of a file were read, from the thread that reads it, and again from the start if it is read again.
    ``opener`` opens the file instead of ``path.open``: for files that may only be opened with care.
    """

    data: bytes | None
    path: Path | None
    size: int
    sha256: str
    content_type: str
    cache_control: str
    encoding: str | None = None
    on_bytes: Callable[[int], None] | None = field(default=None, compare=False, repr=False)
    opener: Callable[[], BinaryIO] | None = field(default=None, compare=False, repr=False)

    @classmethod
    def of_bytes(cls, data: bytes, headers: ObjectHeaders) -> Body:
        """Create a body from bytes in memory, with ``headers`` from `headers_for`."""
        digest = hashlib.sha256(data).hexdigest()
        return cls(data, None, len(data), digest, headers.content_type, headers.cache_control)

    @classmethod
    def of_file(
        cls,
        path: Path,
        headers: ObjectHeaders,
        *,
        size: int | None = None,
        sha256: str | None = None,
        on_bytes: Callable[[int], None] | None = None,
        opener: Callable[[], BinaryIO] | None = None,
    ) -> Body:
        """Create a body that is streamed from ``path``.

        ``size`` and ``sha256`` (both or neither) save reading the file here if the caller knows them, for instance
        from a manifest; the put still checks them.
        """
        if size is None or sha256 is None:
            size, sha256 = _measure(path)
        return cls(
            None, path, size, sha256, headers.content_type, headers.cache_control, on_bytes=on_bytes, opener=opener
        )

    def open(self) -> BinaryIO:
        """Open the file.

        Raises:
            FileChangedError: it can't be read.

        """
        if self.path is None:
            raise AssertionError  # only for streamed bodies
        try:
            return self.opener() if self.opener is not None else self.path.open("rb")
        except OSError as error:
            raise FileChangedError(self.path, error.strerror or str(error)) from error

    def chunks(self, chunk_bytes: int) -> Iterator[bytes]:
        """Yield the bytes in chunks of ``chunk_bytes``, the last one shorter.

        Raises:
            FileChangedError: the file can't be read, or its bytes don't match `size` and `sha256`.
                This is known only at the end, so nothing may be final before this iterator is exhausted.

        """
        if self.data is not None:
            for start in range(0, self.size, chunk_bytes):
                yield self.data[start : start + chunk_bytes]
        elif self.path is not None:
            digest = hashlib.sha256()
            try:
                with self.open() as file:
                    while chunk := file.read(chunk_bytes):
                        digest.update(chunk)
                        yield chunk
                        if self.on_bytes is not None:
                            self.on_bytes(len(chunk))
            except OSError as error:
                raise FileChangedError(self.path, error.strerror or str(error)) from error
            if digest.hexdigest() != self.sha256:
                raise FileChangedError(self.path, "it has other bytes now")


class DoEach(Protocol):
    """Distributes work that writes to a storage over processes; see `Storage.do_each`."""

    def __call__(self, do: Callable[[_T], _R], items: Sequence[_T], *, share: int = ...) -> Iterator[_R]:
        """Yield the results of ``do`` for each item, in order; ``share`` is the number of items per process."""


class Storage(Protocol):
    """A published tree that can be written to.

    Errors besides those of each method: `sealdex.errors.UnavailableError` if the storage does not respond or
    refuses, `sealdex.errors.UsageError` for a key that `check_key` refuses.
    """

    @property
    def description(self) -> str:
        """The name of this storage in messages: a path or an ``s3://`` address."""

    @property
    def requests(self) -> Counter[str]:
        """The number of requests so far, by HTTP verb: ``GET``, ``HEAD``, ``PUT``, ..."""

    @property
    def bytes_put(self) -> int:
        """The number of body bytes stored so far."""

    @property
    def answers_at_once(self) -> bool:
        """Whether a request waits for no network, so that several at once gain nothing."""

    @property
    def is_read_only(self) -> bool:
        """Whether every write is refused: it is read as clients read it."""

    @property
    def lock(self) -> LockObject | None:
        """The lock that whoever writes on conditions has to hold, where the store itself looks at none."""

    def get(self, key: str, *, max_bytes: int) -> StoredObject:
        """Read an object of at most ``max_bytes``.

        Raises:
            ObjectMissingError: it doesn't exist.
            ObjectTooLargeError: it is larger; no more than one byte beyond was read.

        """

    def put_new(self, key: str, body: Body) -> PutOutcome:
        """Create an immutable object; succeeds if identical bytes exist already.

        Raises:
            ObjectConflictError: other bytes exist; they stay.

        """

    def put_if_match(self, key: str, body: Body, etag: str | None) -> str:
        """Replace the object with tag ``etag`` (None: create it, it must not exist); return the new tag.

        The write is durable on return. If the object already holds exactly these bytes that succeeds too:
        over a network a lost response looks the same as a lost race.

        Raises:
            LostRaceError: the stored object has another tag, or exists, or is gone; it is unchanged.

        """

    def probe(self, key: str, body: Body, condition: Condition) -> bool:
        """Try to replace an object on a condition that doesn't hold; return whether that was refused, as it must be.

        Whoever asks gives the object's own bytes, so that nothing is lost where it is not. Where nothing is there,
        ``If-None-Match`` holds, and the object is created.
        """

    def put_mutable(self, key: str, body: Body, *, only_if_changed: bool = False) -> bool:
        """Write unconditionally, for pages and the bundle, which nothing trusts; return whether it was written.

        ``only_if_changed`` first checks whether the same bytes exist, and then doesn't write.
        """

    def flush(self) -> None:
        """Make everything put so far durable: called before the commit point."""

    @property
    def do_each(self) -> DoEach | None:
        """Distributes work that writes here over processes; None if that isn't worthwhile or would lose something.

        The results of the work must be picklable, and its other changes in memory may be lost.
        """


def check_key(key: str) -> str:
    """Return ``key`` if it is a safe relative path in a published tree.

    Raises:
        UsageError: it is absolute, empty or too long, or a part is empty, starts with a dot (so ``..`` too)
            or holds a backslash, a colon or a control character.

    """
    if _KEY.fullmatch(key) is None or not _fits(key):
        raise UsageError(
            f"{key!r} is not a path of a published tree",
            subject=key,
            untouched="nothing was read or written",
            hint="use a relative path without '..', hidden or empty parts, backslashes or colons",
        )
    return key


def _fits(key: str) -> bool:
    if key.isascii():
        if len(key) <= MAX_PART_BYTES:
            return True
        encoded = key.encode()
    else:
        try:
            encoded = key.encode()
        except UnicodeEncodeError:  # a lone surrogate has no UTF-8 and so no name in S3
            return False
    return len(encoded) <= MAX_KEY_BYTES and all(len(part) <= MAX_PART_BYTES for part in encoded.split(b"/"))


def _measure(path: Path) -> tuple[int, str]:
    digest = hashlib.sha256()
    size = 0
    with path.open("rb") as file:
        while chunk := file.read(_HASH_CHUNK_BYTES):
            digest.update(chunk)
            size += len(chunk)
    return size, digest.hexdigest()
