"""Reads untrusted storage after a key compromise, for comparison only: nothing is ever built on it.

`registry_builder.baseline.state` reads what may be built on. Here signatures decide only two things: whether the keys
that signed the published metadata are still trusted, and which files of claimed namespaces their teams signed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import msgspec
from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import Metadata, Signed, Snapshot, Targets, Timestamp
from tuf.api.serialization import DeserializationError

from registry_builder.baseline.diff import Sources
from registry_builder.baseline.documents import target_key
from registry_builder.baseline.fetcher import MAX_METADATA_BYTES
from registry_builder.baseline.last_seen import Seen
from registry_builder.publication.claim_files import claim_files
from registry_builder.publication.context import Publisher
from registry_builder.signing.metadata import TargetPin, claims_of
from registry_builder.signing.offline_metadata import read_metadata_file
from registry_builder.storage import ObjectMissingError, ObjectTooLargeError, Storage
from registry_builder.storage.headers import TIMESTAMP_KEY
from sealdex.model.decode import decode_as
from sealdex.model.ids import PluginId, parse_plugin_id
from sealdex.model.index import MAX_INDEX_BYTES, IndexDocument, index_target
from sealdex.trust.role_marks import mark_problem

HIGHEST_VERSION = 100_000_000
"""Versions from here on were set by a thief who wants to use them up: metadata file names have at most nine digits."""

_BIN = re.compile(r"bin-[0-9a-f]{2,3}")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_ONLINE = ("packages", "catalog")


@dataclass(frozen=True)
class SignedClaimFile:
    """The newest file of a claimed namespace that its team signed, wherever it was found."""

    version: int
    data: bytes
    role: Targets


@dataclass
class Remains:
    """The state found in the storage.

    Attributes:
        etag: of timestamp.json; None if there is none.
        published_root: the newest root of the source tree up to which all are published unchanged; 0 if none is.
        versions: role to the version that its file or the snapshot states, if below `HIGHEST_VERSION`.
        beyond: roles whose stated version is `HIGHEST_VERSION` or more.
        still_counts: roles whose published file verifies with the source tree's newest root or targets.
        pins: plugin to the index document that bins and claimed roles state.
        unreadable: files that signed metadata names but that are missing or damaged.
        claims: claimed namespace to the newest file that its team signed.
    """

    etag: str | None = None
    published_root: int = 0
    versions: dict[str, int] = field(default_factory=dict)
    beyond: list[str] = field(default_factory=list)
    still_counts: list[str] = field(default_factory=list)
    pins: dict[PluginId, TargetPin] = field(default_factory=dict)
    unreadable: list[str] = field(default_factory=list)
    claims: dict[str, SignedClaimFile] = field(default_factory=dict)


def read_remains(publisher: Publisher, seen: Seen | None) -> Remains:
    """Read the state of a publisher's storage.

    Args:
        publisher: provides storage and trust.
        seen: what this machine last saw there; has the versions of claimed roles that a thief may have hidden.

    Raises:
        UnavailableError: the storage doesn't answer.
    """
    return _Reading(publisher, seen).run()


class _Reading:
    def __init__(self, publisher: Publisher, seen: Seen | None) -> None:
        self._publisher = publisher
        self._storage: Storage = publisher.storage
        self._trust = publisher.trust
        self._seen = seen
        self._found = Remains()

    def run(self) -> Remains:
        found, trust = self._found, self._trust
        for version in sorted(trust.roots):
            if self._bytes(f"metadata/{version}.root.json") != trust.roots[version]:
                break
            found.published_root = version
        stated: dict[str, int] = {}
        timestamp = self._metadata(TIMESTAMP_KEY, Timestamp)
        if timestamp is not None:
            self._note("timestamp", timestamp)
            snapshot = self._metadata(f"metadata/{timestamp.signed.snapshot_meta.version}.snapshot.json", Snapshot)
            if snapshot is not None:
                self._note("snapshot", snapshot)
                stated = {name.removesuffix(".json"): meta.version for name, meta in snapshot.signed.meta.items()}
        with ThreadPoolExecutor(self._publisher.workers) as pool:
            for _ in pool.map(lambda item: self._read_role(*item), stated.items()):
                pass
        for namespace, role in claims_of(trust.targets_role).items():
            self._read_claim(namespace, role, stated)
        return found

    def _read_role(self, role: str, version: int) -> None:
        if role not in _ONLINE and not _BIN.fullmatch(role):
            return  # offline roles come from the source tree, claimed ones are read below, others are unknown
        self._version(role, version)
        metadata = self._metadata(f"metadata/{version}.{role}.json", Targets)
        if metadata is None:
            return
        if role in _ONLINE:
            self._note(role, metadata)
        else:
            self._found.pins.update(_by_plugin(metadata.signed))

    def _read_claim(self, namespace: str, role: str, stated: Mapping[str, int]) -> None:
        """Find the newest file that the team signed: in the source tree, or in any version that is referenced."""
        paths = claim_files(self._publisher.tree.root, self._publisher.realm, namespace)
        candidates = [read_metadata_file(self._publisher.tree.root, path) for _, path in paths]
        remembered = versions_seen(self._seen)
        for version in {versions[role] for versions in (stated, remembered) if role in versions}:
            data = self._bytes(f"metadata/{version}.{role}.json")
            if data is not None:
                candidates.append(data)
        good = [claim for data in candidates if (claim := self._signed_claim(role, data)) is not None]
        if good:
            newest = max(good, key=lambda claim: claim.version)
            self._found.claims[namespace] = newest
            others = {plugin: pin for plugin, pin in self._found.pins.items() if plugin.namespace != namespace}
            self._found.pins = {**others, **_by_plugin(newest.role)}

    def _signed_claim(self, role: str, data: bytes) -> SignedClaimFile | None:
        try:
            metadata = Metadata[Targets].from_bytes(data)
            self._trust.targets_role.verify_delegate(role, metadata.signed_bytes, metadata.signatures)
        except (DeserializationError, RepositoryError):
            return None
        signed: Signed = metadata.signed
        if not isinstance(signed, Targets) or mark_problem(signed.unrecognized_fields, role, self._publisher.marker):
            return None
        return SignedClaimFile(signed.version, data, signed)

    def _note(self, role: str, metadata: Metadata[Any]) -> None:
        """Record the version of a role's file, and whether its keys are still trusted."""
        self._version(role, metadata.signed.version)
        delegator = self._trust.targets_role if role in _ONLINE else self._trust.root
        try:
            delegator.verify_delegate(role, metadata.signed_bytes, metadata.signatures)
        except RepositoryError:
            return
        self._found.still_counts.append(role)

    def _version(self, role: str, version: int) -> None:
        if version < HIGHEST_VERSION:
            self._found.versions[role] = version
        else:
            self._found.beyond.append(role)

    def _metadata(self, key: str, kind: type[Signed]) -> Metadata[Any] | None:
        data = self._bytes(key)
        try:
            metadata = Metadata[Any].from_bytes(data) if data is not None else None
        except DeserializationError:
            metadata = None
        if metadata is None or not isinstance(metadata.signed, kind):
            self._found.unreadable.append(key)
            return None
        return metadata

    def _bytes(self, key: str) -> bytes | None:
        try:
            stored = self._storage.get(key, max_bytes=MAX_METADATA_BYTES)
        except ObjectMissingError:
            return None
        except ObjectTooLargeError:
            if key == TIMESTAMP_KEY:
                raise  # its tag is needed to replace it
            return None
        if key == TIMESTAMP_KEY:
            self._found.etag = stored.etag
        return stored.data


def versions_seen(seen: Seen | None) -> dict[str, int]:
    """Return role to version, as this machine last saw them published."""
    if seen is None:
        return {}
    snapshot = Metadata[Snapshot].from_bytes(seen.snapshot.encode()).signed
    versions = {name.removesuffix(".json"): meta.version for name, meta in snapshot.meta.items()}
    return {**versions, "snapshot": snapshot.version, "timestamp": seen.timestamp_version}


def pins_of(targets: Targets) -> dict[str, TargetPin]:
    """Return target path to pin, without paths that aren't index documents."""
    found = {}
    for path, file in targets.targets.items():
        digest = file.hashes.get("sha256", "")
        if _plugin_of(path) is not None and _DIGEST.fullmatch(digest):
            found[path] = TargetPin(file.length, digest)
    return found


def _plugin_of(path: str) -> PluginId | None:
    folder, _, plugin = path.partition("/")
    if folder != "index" or not plugin.endswith(".json"):
        return None
    try:
        return parse_plugin_id(plugin.removesuffix(".json"))
    except ValueError:
        return None


def _by_plugin(targets: Targets) -> dict[PluginId, TargetPin]:
    return {plugin: pin for path, pin in pins_of(targets).items() if (plugin := _plugin_of(path)) is not None}


def plugin_differences(remains: Remains, sources: Sources, storage: Storage) -> Iterator[str]:
    """Yield how the storage differs from the source tree, one line per plugin or release. Reads what differs.

    Claimed namespaces are compared too; what their teams signed stays valid, whatever the line says.
    """
    for plugin in sorted({*remains.pins, *sources.plugins}):
        pin = remains.pins.get(plugin)
        if pin is None:
            yield f"{plugin}: is in the source tree only"
        elif plugin not in sources.plugins:
            yield f"{plugin}: is not in the source tree"
        elif pin != sources.own(plugin)[0]:
            document = _document(storage, plugin, pin)
            if document is None:
                yield f"{plugin}: its index document is missing or damaged"
            else:
                yield from _releases(plugin, sources.compile(plugin, None).document, document)


def _document(storage: Storage, plugin: PluginId, pin: TargetPin) -> IndexDocument | None:
    try:
        data = storage.get(target_key(index_target(plugin), pin.sha256), max_bytes=MAX_INDEX_BYTES).data
        return decode_as(data, IndexDocument)
    except (ObjectMissingError, ObjectTooLargeError, msgspec.DecodeError):
        return None


def _releases(plugin: PluginId, own: IndexDocument, there: IndexDocument) -> Iterator[str]:
    ours, theirs = ({release.version: release for release in document.releases} for document in (own, there))
    for version in dict.fromkeys((*theirs, *ours)):
        if version not in ours:
            yield f"{plugin} {version}: is not in the source tree"
        elif version not in theirs:
            yield f"{plugin} {version}: is in the source tree only"
        elif fields := _differing(ours[version], theirs[version]):
            yield f"{plugin} {version}: differs in {', '.join(fields)}"
    if fields := [name for name in _differing(own, there) if name != "releases"]:
        yield f"{plugin}: differs in {', '.join(fields)}"


def _differing(a: msgspec.Struct, b: msgspec.Struct) -> list[str]:
    return [name for name in a.__struct_fields__ if getattr(a, name) != getattr(b, name)]


__all__ = [
    "HIGHEST_VERSION",
    "Remains",
    "SignedClaimFile",
    "pins_of",
    "plugin_differences",
    "read_remains",
    "versions_seen",
]
