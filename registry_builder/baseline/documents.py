"""Reads documents that signed metadata or a signed document pins: checks length and digest first, then the format."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

from tuf.api.exceptions import LengthOrHashMismatchError
from tuf.api.metadata import TargetFile

from registry_builder.signing.metadata import TargetPin
from registry_builder.storage import ObjectMissingError, ObjectTooLargeError, Storage
from sealdex.errors import VerificationError
from sealdex.model.catalog import CATALOG_FORMAT, MAX_SHARD_BYTES, CatalogRow, CatalogShard, shard_target
from sealdex.model.decode import DocumentError, read_wire
from sealdex.model.ids import PluginId
from sealdex.model.index import INDEX_FORMAT, MAX_INDEX_BYTES, FilePin, IndexDocument, index_target
from sealdex.model.release import MANIFEST_FORMAT, PublishedManifest

NOTHING_WRITTEN = "nothing was written"
_ADVICE = (
    "someone else may have write access: find out who, and restore the file from a backup or mirror; "
    "sealdex-builder verify-published lists all differences"
)

_K = TypeVar("_K")
_D = TypeVar("_D")


@dataclass(frozen=True)
class TamperDetails:
    """What was expected of a published file, what was found, and how they differ."""

    expected: str
    found: str
    differences: tuple[str, ...]


class TamperedError(VerificationError):
    """A published file isn't what was signed.

    Attributes:
        key: its storage key.
        storage: the storage's description.
        reason: what is wrong with the file.
        pin: size and SHA-256 that were signed, if there are.
        details: ``expected``, ``found`` and ``differences`` as plain values, once they were determined.
    """

    code = "tampered"

    def __init__(
        self,
        key: str,
        storage: str,
        reason: str,
        pin: TargetPin | None = None,
        *,
        details: TamperDetails | None = None,
        advice: str = "",
    ) -> None:
        lines = [f"{key} in {storage} is not what the trust root vouches for: {reason}"]
        if details is not None:
            lines += [f"expected: {details.expected}", f"found: {details.found}", *details.differences]
        super().__init__(
            "\n".join(lines), subject=key, untouched=NOTHING_WRITTEN, hint="; ".join(filter(None, (advice, _ADVICE)))
        )
        self.key = key
        self.storage = storage
        self.reason = reason
        self.pin = pin
        self.details: dict[str, object] | None = None
        if details is not None:
            self.details = {
                "expected": details.expected,
                "found": details.found,
                "differences": list(details.differences),
            }

    def again(self, *, details: TamperDetails | None = None, advice: str = "") -> TamperedError:
        """Return the same error with the details that were determined, or with advice that comes before the usual."""
        return TamperedError(self.key, self.storage, self.reason, self.pin, details=details, advice=advice)


def tampered(storage: Storage, key: str, reason: str, pin: TargetPin | None = None) -> TamperedError:
    """Return the error for a published file that isn't what was signed; ``reason`` says what differs."""
    return TamperedError(key, storage.description, reason, pin)


def target_key(target: str, sha256: str) -> str:
    """Return the storage key of a TUF target, whose file name begins with its digest (consistent snapshots)."""
    folder, _, name = target.rpartition("/")
    return f"targets/{folder}/{sha256}.{name}"


class DocumentReader:
    """Reads pinned documents from a storage, up to ``workers`` at a time."""

    def __init__(self, storage: Storage, workers: int) -> None:
        self._storage = storage
        self._workers = workers

    def indexes(self, pins: Mapping[PluginId, TargetPin]) -> dict[PluginId, IndexDocument]:
        """Read, verify and decode index documents.

        Raises:
            VerificationError: a document is missing, has other bytes, or belongs to another plugin.
        """

        def read(plugin: PluginId) -> IndexDocument:
            target = index_target(plugin)
            data = self._target_bytes(target, pins[plugin], MAX_INDEX_BYTES)
            document = self._decoded(target, data, IndexDocument, INDEX_FORMAT)
            if document.id != plugin:
                raise tampered(self._storage, target, f"it is the index document of {document.id}")
            return document

        return dict(zip(pins, self._each(read, pins), strict=True))

    def shards(self, pins: Mapping[int, TargetPin]) -> dict[int, tuple[CatalogRow, ...]]:
        """Read, verify and decode catalog shards: shard number to its rows.

        Raises:
            VerificationError: a shard is missing or has other bytes.
        """

        def read(number: int) -> tuple[CatalogRow, ...]:
            target = shard_target(number)
            data = self._target_bytes(target, pins[number], MAX_SHARD_BYTES)
            return self._decoded(target, data, CatalogShard, CATALOG_FORMAT).plugins

        return dict(zip(pins, self._each(read, pins), strict=True))

    def manifests(self, pins: Mapping[str, FilePin]) -> dict[str, PublishedManifest]:
        """Read, verify and decode published manifests by storage key.

        Raises:
            VerificationError: a manifest is missing or has other bytes.
        """

        def read(key: str) -> PublishedManifest:
            data = self._verified_bytes(key, TargetPin(pins[key].size, pins[key].sha256))
            return self._decoded(key, data, PublishedManifest, MANIFEST_FORMAT)

        return dict(zip(pins, self._each(read, pins), strict=True))

    def file(self, key: str, pin: TargetPin) -> bytes:
        """Read a pinned file and verify it.

        Raises:
            VerificationError: it is missing or has other bytes.
        """
        return self._verified_bytes(key, pin)

    def _target_bytes(self, target: str, pin: TargetPin, max_bytes: int) -> bytes:
        if pin.size > max_bytes:
            raise tampered(self._storage, target, f"it has {pin.size} bytes, more than the limit of {max_bytes}")
        return self._verified_bytes(target_key(target, pin.sha256), pin)

    def _verified_bytes(self, key: str, pin: TargetPin) -> bytes:
        try:
            data = self._storage.get(key, max_bytes=pin.size).data
            TargetFile(pin.size, {"sha256": pin.sha256}, key).verify_length_and_hashes(data)
        except ObjectMissingError:
            raise tampered(self._storage, key, "it is missing, but signed metadata names it", pin) from None
        except ObjectTooLargeError:
            raise tampered(
                self._storage, key, f"it is longer than the {pin.size} bytes that were signed", pin
            ) from None
        except LengthOrHashMismatchError:
            found = hashlib.sha256(data).hexdigest()
            raise tampered(
                self._storage,
                key,
                f"{pin.size} bytes with SHA-256 {pin.sha256} were signed, and {len(data)} with {found} were found",
                pin,
            ) from None
        return data

    def _decoded(self, key: str, data: bytes, kind: type[_D], newest_format: int) -> _D:
        try:
            return read_wire(data, kind, newest_format=newest_format, what=key)
        except DocumentError as error:
            raise tampered(self._storage, key, f"it is signed but not valid: {error}") from error

    def _each(self, read: Callable[[_K], _D], keys: Iterable[_K]) -> list[_D]:
        if self._workers == 1:
            return [read(key) for key in keys]
        with ThreadPoolExecutor(self._workers) as pool:
            return list(pool.map(read, keys))
