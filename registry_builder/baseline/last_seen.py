"""What this machine last saw published of a realm, so that the storage can't be rolled back between two publishes.

    $XDG_STATE_HOME/sealdex-builder/seen/<registry.name>-<registry.id>/      (~/.local/state without XDG_STATE_HOME)
        <realm>-<12 digits of the SHA-256 of the storage's name>.json

A client remembers the newest timestamp and snapshot it has seen and refuses older ones. A publisher must do the same:
otherwise anyone with write access to the bucket could restore last week's timestamp, still validly signed, and the
next publish would build on it. The file is one JSON document, replaced atomically, and only ever by a newer state.
A CI job without this memory is like a client that starts for the first time; keep the folder in its cache.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import msgspec
from filelock import FileLock

from registry_builder.source.atomic_write import replace_file
from registry_builder.source.config import RegistryConfig
from sealdex.model.decode import decode_as
from sealdex.paths import home_folder


class Seen(msgspec.Struct, frozen=True):
    """The newest verified state: versions, and the two files that ngclient checks later ones against."""

    root_version: int
    timestamp_version: int
    timestamp: str
    snapshot: str


class Memory:
    """The file above for one realm in one storage.

    Attributes:
        path: the file.
        damage: why the file, though it is there, couldn't be read the last time, so that nothing was compared; or None.
    """

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        self.path = path
        self.damage: str | None = None
        self._read_only = read_only

    def load(self) -> Seen | None:
        """Return what was last seen, or None if nothing was; a damaged file counts as nothing, and `damage` says so."""
        self.damage = None
        try:
            return decode_as(self.path.read_bytes(), Seen)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            self.damage = error.strerror or str(error)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            self.damage = str(error)
        return None

    def save(self, seen: Seen) -> None:
        """Remember a verified state, unless a newer one is remembered, or this is read-only."""
        if self._read_only:
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{self.path}.lock"):
            before = Memory(self.path).load()
            if before is not None and (before.root_version, before.timestamp_version) >= (
                seen.root_version,
                seen.timestamp_version,
            ):
                return
            replace_file(self.path, msgspec.json.encode(seen))


def memory_of(config: RegistryConfig, realm: str, storage_description: str, *, read_only: bool = False) -> Memory:
    """Return this machine's memory of a realm in a storage; each storage has its own."""
    state_home = os.environ.get("XDG_STATE_HOME")
    base = Path(state_home) if state_home else Path(home_folder()) / ".local" / "state"
    folder = base / "sealdex-builder" / "seen" / f"{config.registry.name}-{config.registry.id}"
    place = hashlib.sha256(storage_description.encode()).hexdigest()[:12]
    return Memory(folder / f"{realm}-{place}.json", read_only=read_only)
