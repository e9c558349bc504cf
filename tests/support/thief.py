"""Somebody with stolen online keys and the right to write to the bucket."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from support.drill import Drill
from tuf.api.metadata import Metadata, Snapshot, TargetFile, Targets, Timestamp

from registry_builder.signing.metadata import bin_of


class Thief:
    """Rewrites metadata in the bucket with stolen online keys, up to a timestamp that clients accept."""

    def __init__(self, drill: Drill, *, jump: int = 1) -> None:
        self.jump = jump  # how far every version number goes up at once
        self.folder: Path = drill.root.parent / "published/public"
        self.keyring = drill.keyring()

    def read(self, name: str) -> Metadata[Any]:
        return Metadata[Any].from_bytes((self.folder / "metadata" / name).read_bytes())

    def newest(self, role: str) -> Metadata[Any]:
        paths = (self.folder / "metadata").glob(f"*.{role}.json")
        return self.read(max(paths, key=lambda path: int(path.name.split(".")[0])).name)

    def put(self, metadata: Metadata[Any], role: str, *keys: str) -> None:
        metadata.signatures.clear()
        for key in keys:
            metadata.sign(self.keyring.signer(key), append=True)
        name = "timestamp.json" if role == "timestamp" else f"{metadata.signed.version}.{role}.json"
        (self.folder / "metadata" / name).write_bytes(metadata.to_bytes())

    def announce(self, **versions: int) -> None:
        """Sign a snapshot with these versions of roles, and a timestamp that names it."""
        snapshot: Metadata[Snapshot] = self.newest("snapshot")
        snapshot.signed.version += self.jump
        for role, version in versions.items():
            snapshot.signed.meta[f"{role.replace('_', '-')}.json"].version = version
        self.put(snapshot, "snapshot", "online")
        timestamp: Metadata[Timestamp] = self.read("timestamp.json")
        timestamp.signed.version += self.jump
        timestamp.signed.snapshot_meta.version = snapshot.signed.version
        self.put(timestamp, "timestamp", "online")

    def evil_document(self, plugin: str, like: str | None = None) -> TargetFile:
        """Put an index document with a release 6.6.6 into the bucket, and return its pin."""
        namespace, name = plugin.split("/")
        folder = self.folder / "targets/index" / namespace
        model = (like or plugin).split("/")[1]
        document = json.loads(next(iter(folder.glob(f"*.{model}.json"))).read_bytes())
        document["name"] = name
        document["releases"][0]["version"] = "6.6.6"
        data = json.dumps(document).encode()
        digest = hashlib.sha256(data).hexdigest()
        (folder / f"{digest}.{name}.json").write_bytes(data)
        return TargetFile(len(data), {"sha256": digest}, f"index/{plugin}.json")

    def add_to_bin(self, plugin: str, like: str | None = None) -> None:
        target = f"index/{plugin}.json"
        role = bin_of(target, 6)
        metadata: Metadata[Targets] = self.newest(role)
        metadata.signed.version += self.jump
        metadata.signed.targets[target] = self.evil_document(plugin, like)
        self.put(metadata, role, "packages")
        self.announce(**{role.replace("-", "_"): metadata.signed.version})
