"""A registry's TUF repository in memory, with every key at hand: what tests publish honestly and attack.

Roles are laid out as in docs/format.md: ``targets`` (threshold 2) delegates ``index/*/*`` to ``packages``, which
delegates to succinct hashed bins, and ``catalog/*`` to ``catalog``; a namespace can be claimed by a team.

    repository = TufRepository()
    repository.add(PluginId("acme", "slack"), "1.0.0")
    repository.publish()
    repository.files["metadata/timestamp.json"]      # the published tree: path to bytes
"""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta, timezone
from typing import Any

import msgspec
from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import (
    DelegatedRole,
    Delegations,
    Metadata,
    MetaFile,
    Root,
    Signed,
    Snapshot,
    SuccinctRoles,
    TargetFile,
    Targets,
    Timestamp,
)
from tuf.api.serialization.json import JSONSerializer

from sealdex.model.catalog import CatalogRow, CatalogShard, shard_of, shard_target
from sealdex.model.decode import encode_json
from sealdex.model.ids import PluginId
from sealdex.model.index import FilePin, IndexDocument, ReleaseEntry, index_target
from sealdex.trust.metadata_bundle import MAX_BUNDLE_BYTES
from sealdex.trust.role_marks import REALM_FIELD, ROLE_FIELD

LONG = timedelta(days=30)
BUNDLE = "metadata/recent.bundle"


def in_past() -> datetime:
    """An expiry that is over."""
    return (datetime.now(timezone.utc) - timedelta(days=1)).replace(microsecond=0)


def in_future(after: timedelta = LONG) -> datetime:
    return (datetime.now(timezone.utc) + after).replace(microsecond=0)


def new_key() -> CryptoSigner:
    return CryptoSigner.generate_ed25519()


def signed_bytes(signed: Signed, signers: Iterable[CryptoSigner]) -> bytes:
    """Sign with exactly these keys, whether they may or not."""
    metadata: Metadata[Any] = Metadata(signed)
    for signer in signers:
        metadata.sign(signer, append=True)
    return metadata.to_bytes(JSONSerializer(compact=True))


def edited(data: bytes, change: Callable[[dict[str, Any]], None]) -> bytes:
    """Change the plain values of a JSON file and keep whatever signatures it has."""
    values = msgspec.json.decode(data)
    change(values)
    return msgspec.json.encode(values)


def document(plugin: PluginId, *versions: str, summary: str = "for tests") -> IndexDocument:
    pin = FilePin(size=2, sha256=hashlib.sha256(b"{}").hexdigest())
    releases = tuple(ReleaseEntry(version=v, manifest=pin) for v in versions)
    return IndexDocument(1, plugin.namespace, plugin.name, "notify", summary, releases)


class TufRepository:
    """See the module. ``publish`` signs what changed and writes ``files``; the rest only changes what will be signed.

    Args:
        bit_length: 2 to that power bins.
        realm: what every role says of the realm it belongs to; None for a repository that isn't a builder's.
    """

    def __init__(self, bit_length: int = 2, realm: str | None = "test/public") -> None:
        self.realm = realm
        self.files: dict[str, bytes] = {}
        self.keys: dict[str, list[CryptoSigner]] = {
            "root": [new_key(), new_key()],
            "targets": [new_key(), new_key()],
            **{role: [new_key()] for role in ("snapshot", "timestamp", "packages", "bins", "catalog")},
        }
        self.root = Root(expires=in_future())
        for role in ("root", "targets", "snapshot", "timestamp"):
            for signer in self.keys[role]:
                self.root.add_key(signer.public_key, role)
            self.root.roles[role].threshold = len(self.keys[role])
        self.timestamp = Timestamp(expires=in_future())
        self.snapshot = Snapshot(expires=in_future(), meta={})
        self.roles: dict[str, Targets] = {
            "targets": Targets(expires=in_future()),
            "packages": Targets(expires=in_future()),
            "catalog": Targets(expires=in_future()),
        }
        bins = SuccinctRoles([], 1, bit_length, "bin")
        self.roles["packages"].delegations = Delegations({}, succinct_roles=bins)
        self.roles["packages"].add_key(self.keys["bins"][0].public_key)
        self.bins = list(bins.get_roles())
        self.roles |= {name: Targets(expires=in_future()) for name in self.bins}
        self.roles["targets"].delegations = Delegations({}, roles={})
        self._delegate("packages", ["index/*/*"], terminating=True)
        self._delegate("catalog", ["catalog/*"], terminating=True)
        self._dirty = set(self.roles)
        for name, signed in {**self.top_roles, **self.roles}.items():
            self._mark(name, signed)
        self._write_root([])

    @property
    def top_roles(self) -> dict[str, Root | Timestamp | Snapshot]:
        return {"root": self.root, "timestamp": self.timestamp, "snapshot": self.snapshot}

    def _mark(self, role: str, signed: Signed) -> None:
        if self.realm is not None:
            signed.unrecognized_fields |= {REALM_FIELD: self.realm, ROLE_FIELD: role}

    @property
    def pinned_root(self) -> bytes:
        return self.files["metadata/1.root.json"]

    def signers(self, role: str) -> list[CryptoSigner]:
        return self.keys["bins" if role in self.bins else role]

    def bin_of(self, plugin: PluginId) -> str:
        delegations = self.roles["packages"].delegations
        assert delegations is not None
        assert delegations.succinct_roles is not None
        return delegations.succinct_roles.get_role_for_target(index_target(plugin))

    def key(self, name: str) -> str:
        """The path of the current file of a role in the published tree."""
        if name == "timestamp":
            return "metadata/timestamp.json"
        signed: Signed = {**self.top_roles, **self.roles}[name]
        return f"metadata/{signed.version}.{name}.json"

    def target_key(self, path: str) -> str:
        """The path of a target's current bytes in the published tree."""
        info = next(r.targets[path] for r in self.roles.values() if path in r.targets)
        folder, slash, name = path.rpartition("/")
        return f"targets/{folder}{slash}{info.hashes['sha256']}.{name}"

    # --- what the registry's people do ----------------------------------------------------------------------------

    def add(self, plugin: PluginId, *versions: str, role: str | None = None) -> bytes:
        """Sign an index document with these versions; return its bytes."""
        data = encode_json(document(plugin, *versions))
        self.add_target(index_target(plugin), data, role or self.bin_of(plugin))
        return data

    def add_target(self, path: str, data: bytes, role: str) -> None:
        info = TargetFile.from_data(path, data, ["sha256"])
        self.roles[role].targets[path] = info
        self._dirty.add(role)
        self.files[self.target_key(path)] = data

    def set_catalogue(self, rows: Sequence[CatalogRow], shards: int) -> None:
        for number in range(shards):
            mine = tuple(sorted((r for r in rows if shard_of(r.id, shards) == number), key=lambda r: r.id))
            shard = CatalogShard(1, number, shards, mine)
            self.add_target(shard_target(number), encode_json(shard), "catalog")

    def claim(self, namespace: str, *, threshold: int = 1) -> None:
        """Delegate a namespace to keys of its own, before ``packages``."""
        role = f"team-{namespace}"
        self.keys[role] = [new_key() for _ in range(threshold)]
        self.roles[role] = Targets(expires=in_future())
        self._mark(role, self.roles[role])
        self._delegate(role, [f"index/{namespace}/*"], terminating=True, first=True, threshold=threshold)
        self._dirty |= {"targets", role}

    def touch(self, *roles: str) -> None:
        """Have these roles signed again by the next ``publish``."""
        self._dirty |= set(roles)

    def publish(self) -> None:
        """Sign what changed, then snapshot, timestamp and the bundle."""
        for role in sorted(self._dirty):
            signed = self.roles[role]
            if f"{role}.json" in self.snapshot.meta:
                signed.version += 1
            self.snapshot.meta[f"{role}.json"] = MetaFile(signed.version)
            self.files[f"metadata/{signed.version}.{role}.json"] = signed_bytes(signed, self.signers(role))
        self._dirty.clear()
        if "metadata/timestamp.json" in self.files:
            self.snapshot.version += 1
            self.timestamp.version += 1
        self.sign_snapshot()
        self.sign_timestamp()
        self.files[BUNDLE] = self.bundle()

    def sign_snapshot(self) -> None:
        self.files[self.key("snapshot")] = signed_bytes(self.snapshot, self.signers("snapshot"))

    def sign_timestamp(self) -> None:
        self.timestamp.snapshot_meta = MetaFile(self.snapshot.version)
        self.files[self.key("timestamp")] = signed_bytes(self.timestamp, self.signers("timestamp"))

    def rotate_root(self, *replaced: str) -> None:
        """Publish the next root, with new keys for these roles."""
        before = list(self.keys["root"])
        for role in replaced:
            for old in self.keys[role]:
                self.root.revoke_key(old.public_key.keyid, role)
            self.keys[role] = [new_key() for _ in self.keys[role]]
            for signer in self.keys[role]:
                self.root.add_key(signer.public_key, role)
        self.root.version += 1
        self._write_root(before)

    def bundle(self, extra: dict[str, bytes] | None = None) -> bytes:
        """The bundle of the current state, with members added or replaced."""
        names = [self.key(role) for role in ("snapshot", "targets", "packages")]
        names += [f"metadata/{version}.root.json" for version in range(1, self.root.version + 1)]
        members = {name.removeprefix("metadata/"): self.files[name] for name in names} | (extra or {})
        packed = zipped(members)
        assert len(packed) <= MAX_BUNDLE_BYTES
        return packed

    def _write_root(self, former: list[CryptoSigner]) -> None:
        everybody = {s.public_key.keyid: s for s in [*former, *self.keys["root"]]}
        self.files[f"metadata/{self.root.version}.root.json"] = signed_bytes(self.root, everybody.values())

    def _delegate(
        self, role: str, paths: list[str], *, terminating: bool, first: bool = False, threshold: int = 1
    ) -> None:
        targets = self.roles["targets"]
        assert targets.delegations is not None
        roles = dict(targets.delegations.roles or {})
        delegated = DelegatedRole(role, [], threshold, terminating, paths)
        targets.delegations.roles = {role: delegated, **roles} if first else {**roles, role: delegated}
        for signer in self.keys[role]:
            targets.add_key(signer.public_key, role)


def zipped(members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return buffer.getvalue()
