"""Which files of a published tree are referenced by signed metadata, and whether each is what was signed.

    timestamp -> snapshot -> targets -> every role that it or packages delegates to -> index documents, shards
      index document -> manifest, README, artifacts, their file lists, attachments

The verified walk covers the state that clients see now and collects every mismatch instead of stopping at the
first. The second walk, over an old snapshot, verifies nothing: it only says what must not be removed yet.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import Metadata, Root, Snapshot, T, Targets
from tuf.api.serialization import DeserializationError

from registry_builder.baseline.documents import DocumentReader, tampered, target_key
from registry_builder.baseline.fetcher import MAX_METADATA_BYTES
from registry_builder.baseline.state import PublishedReader, PublishedState, RoleFile
from registry_builder.compile.manifest import manifest_key
from registry_builder.publication.context import Publisher
from registry_builder.signing.metadata import TargetPin, delegations_of, realm_marker
from registry_builder.storage import ObjectMissingError, Storage
from registry_builder.storage.headers import TIMESTAMP_KEY
from registry_builder.storage.listing import inventory_of
from sealdex.errors import NotFoundError, SealdexError
from sealdex.model.catalog import names_first, shard_target
from sealdex.model.files import file_list_name
from sealdex.model.ids import PluginId
from sealdex.model.index import IndexDocument, plugin_of_target, readme_key, release_folder
from sealdex.trust.role_marks import file_problem

_CHUNK_BYTES = 1 << 20
_METADATA_ERRORS = (RepositoryError, DeserializationError, SealdexError)


@dataclass
class Reached:
    """The result of a walk.

    Attributes:
        pins: key to size and SHA-256, of every file that a signature or a signed document covers.
        metadata: keys of metadata files, which are signed themselves.
        problems: what isn't what was signed, each with its key.
    """

    pins: dict[str, TargetPin] = field(default_factory=dict)
    metadata: set[str] = field(default_factory=set)
    problems: list[tuple[str, str]] = field(default_factory=list)

    def __contains__(self, key: str) -> bool:
        return key in self.pins or key in self.metadata


def walk(publisher: Publisher, reader: PublishedReader) -> tuple[PublishedState, Reached]:
    """Walk the published state and verify every document; artifacts are only pinned.

    Raises:
        NotFoundError: nothing is published.
        VerificationError: the top-level metadata isn't what the trust root vouches for.
    """
    state = reader.open()
    if state is None:
        raise NotFoundError(f"nothing is published in {publisher.storage.description} yet", subject=publisher.realm)
    return state, walk_state(publisher, state, reader)


def walk_state(publisher: Publisher, state: PublishedState, reader: PublishedReader) -> Reached:
    """Walk a state that ``reader`` opened, as `walk` does."""
    return _Walk(publisher, state, reader.documents).run()


def state_before(publisher: Publisher, state: PublishedState) -> PublishedState | None:
    """Return the state of the snapshot before that of ``state``, for a walk; None if it can't be read.

    Clients with a cached timestamp still request it. Its signatures are verified with the current keys.
    """
    version = state.snapshot.version - 1
    root = publisher.trust.root

    def read(role: str, number: int, delegator: Root | Targets, kind: type[T]) -> tuple[RoleFile, T]:
        key = f"metadata/{number}.{role}.json"
        data = publisher.storage.get(key, max_bytes=MAX_METADATA_BYTES).data
        if problem := file_problem(key.rpartition("/")[2], data, publisher.marker):
            raise tampered(publisher.storage, key, problem)
        metadata = Metadata[T].from_bytes(data)
        delegator.verify_delegate(role, metadata.signed_bytes, metadata.signatures)
        if not isinstance(metadata.signed, kind) or metadata.signed.version != number:
            raise tampered(publisher.storage, key, f"it is not version {number}")
        return RoleFile(number, metadata.signed.expires, data), metadata.signed

    try:
        snapshot_file, snapshot = read("snapshot", version, root, Snapshot)
        versions = {name.removesuffix(".json"): meta.version for name, meta in snapshot.meta.items()}
        targets_file, targets = read("targets", versions["targets"], root, Targets)
        packages_file, packages = read("packages", versions["packages"], targets, Targets)
    except (*_METADATA_ERRORS, KeyError, ValueError):
        return None
    if packages.delegations is None or packages.delegations.succinct_roles is None:
        return None
    return replace(
        state,
        snapshot=snapshot_file,
        versions=versions,
        targets=targets_file,
        targets_role=targets,
        packages=packages_file,
        packages_role=packages,
        bits=packages.delegations.succinct_roles.bit_length,
        bins={},
        claims={},
    )


class _Walk:
    def __init__(self, publisher: Publisher, state: PublishedState, documents: DocumentReader) -> None:
        self._storage = publisher.storage
        self._marker = realm_marker(publisher.tree.config, publisher.realm)
        self._now = publisher.clock()
        self._allow_expired = publisher.allow_expired
        self._state = state
        self._documents = documents
        self._found = Reached()

    def run(self) -> Reached:
        state, found = self._state, self._found
        found.metadata |= {TIMESTAMP_KEY, f"metadata/{state.snapshot.version}.snapshot.json"}
        found.metadata |= {f"metadata/{version}.root.json" for version in range(1, state.root_version + 1)}
        for key in sorted(found.metadata):
            self._exists(key)
        delegators = _delegators(state)
        for role, version in sorted(state.versions.items()):
            key = f"metadata/{version}.{role}.json"
            found.metadata.add(key)
            if role == "targets":
                continue  # already verified
            if role not in delegators:
                continue  # a bin from before their number was increased: a snapshot never drops a name
            try:
                self._targets(self._role(key, role, version, delegators[role]))
            except _METADATA_ERRORS as error:
                found.problems.append((key, str(error)))
        return found

    def _exists(self, key: str) -> None:
        try:
            self._storage.get(key, max_bytes=MAX_METADATA_BYTES)
        except SealdexError as error:
            self._found.problems.append((key, error.message))

    def _role(self, key: str, role: str, version: int, delegator: Targets) -> Targets:
        data = self._storage.get(key, max_bytes=MAX_METADATA_BYTES).data
        if problem := file_problem(key.rpartition("/")[2], data, self._marker):
            raise tampered(self._storage, key, problem)
        metadata = Metadata[Targets].from_bytes(data)
        delegator.verify_delegate(role, metadata.signed_bytes, metadata.signatures)
        signed = metadata.signed
        if signed.version != version:
            raise tampered(self._storage, key, f"it is version {signed.version}")
        if not self._allow_expired and signed.is_expired(self._now):
            raise tampered(self._storage, key, f"it expired on {signed.expires:%Y-%m-%d}")
        return signed

    def _targets(self, signed: Targets) -> None:
        for target, file in signed.targets.items():
            pin = TargetPin(file.length, file.hashes["sha256"])
            key = target_key(target, pin.sha256)
            self._found.pins[key] = pin
            try:
                if target.startswith("index/"):
                    plugin = plugin_of_target(target)
                    self._document(plugin, self._documents.indexes({plugin: pin})[plugin])
                elif names_first(target) is not None:
                    self._documents.file(key, pin)
                else:
                    number = int(target.removeprefix("catalog/").removesuffix(".json"), 16)
                    if shard_target(number) != target:
                        raise tampered(self._storage, key, "it is not a target of a registry")
                    self._documents.shards({number: pin})
            except (SealdexError, ValueError) as error:
                self._found.problems.append((key, str(error)))

    def _document(self, plugin: PluginId, document: IndexDocument) -> None:
        small, large = pinned_files(plugin, document)
        self._found.pins |= small
        self._found.pins |= large
        for key, pin in small.items():
            try:
                self._documents.file(key, pin)
            except SealdexError as error:  # noqa: PERF203  # every file stands for itself
                self._found.problems.append((key, error.message))


def _delegators(state: PublishedState) -> dict[str, Targets]:
    found: dict[str, Targets] = dict.fromkeys(delegations_of(state.targets_role), state.targets_role)
    if (delegations := state.packages_role.delegations) is not None and delegations.succinct_roles is not None:
        found |= dict.fromkeys(delegations.succinct_roles.get_roles(), state.packages_role)
    return found


def pinned_files(plugin: PluginId, document: IndexDocument) -> tuple[dict[str, TargetPin], dict[str, TargetPin]]:
    """Return what an index document pins in the published tree: documents, and artifacts, by storage key."""
    small: dict[str, TargetPin] = {}
    large: dict[str, TargetPin] = {}
    if document.readme is not None:
        small[readme_key(plugin, document.readme.sha256)] = TargetPin(document.readme.size, document.readme.sha256)
    for pin in document.readme_i18n.values():
        small[readme_key(plugin, pin.sha256)] = TargetPin(pin.size, pin.sha256)
    for release in document.releases:
        folder = release_folder(plugin, release.version)
        small[manifest_key(plugin, release.version)] = TargetPin(release.manifest.size, release.manifest.sha256)
        for attached in release.attachments:
            if attached.url is None:
                small[f"{folder}/{attached.name}"] = TargetPin(attached.size, attached.sha256)
        for artifact in release.artifacts:
            if (listed := artifact.file_list) is not None:
                small[f"{folder}/{file_list_name(artifact.file)}"] = TargetPin(listed.size, listed.sha256)
            if artifact.url is None and artifact.size is not None:
                large[f"{folder}/{artifact.file}"] = TargetPin(artifact.size, artifact.sha256)
    return small, large


def artifact_problem(storage: Storage, key: str, pin: TargetPin) -> str | None:
    """Read a file of any size and return how it differs from its pin, or None."""
    digest, size = hashlib.sha256(), 0
    try:
        for chunk in inventory_of(storage).stream(key, _CHUNK_BYTES):
            digest.update(chunk)
            size += len(chunk)
            if size > pin.size:
                return f"it is longer than the {pin.size} bytes that were signed"
    except ObjectMissingError:
        return "it is missing, but signed metadata names it"
    if (size, digest.hexdigest()) != (pin.size, pin.sha256):
        return (
            f"{pin.size} bytes with SHA-256 {pin.sha256} were signed, and {size} with {digest.hexdigest()} were found"
        )
    return None


class PastWalk:
    """What old snapshots reference, unverified; shared roles and documents are read once."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._documents = DocumentReader(storage, 1)
        self._seen: set[str] = set()

    def keys(self, snapshot_key: str) -> Iterator[str]:
        """Yield the keys that a snapshot references and that are new; unreadable files reference nothing."""
        yield snapshot_key
        try:
            snapshot = Metadata[Snapshot].from_bytes(self._read(snapshot_key)).signed
        except _METADATA_ERRORS:
            return
        for name, meta in snapshot.meta.items():
            key = f"metadata/{meta.version}.{name}"
            if key not in self._seen:
                self._seen.add(key)
                yield key
                yield from self._role(key)

    def _role(self, key: str) -> Iterator[str]:
        try:
            signed = Metadata[Targets].from_bytes(self._read(key)).signed
        except _METADATA_ERRORS:
            return
        for target, file in signed.targets.items():
            pin = TargetPin(file.length, file.hashes.get("sha256", ""))
            stored = target_key(target, pin.sha256)
            if stored in self._seen:
                continue
            self._seen.add(stored)
            yield stored
            if target.startswith("index/"):
                plugin = plugin_of_target(target)
                try:
                    document = self._documents.indexes({plugin: pin})[plugin]
                except SealdexError:
                    continue
                for files in pinned_files(plugin, document):
                    yield from files

    def _read(self, key: str) -> bytes:
        return self._storage.get(key, max_bytes=MAX_METADATA_BYTES).data


__all__ = ["PastWalk", "Reached", "artifact_problem", "pinned_files", "walk"]
